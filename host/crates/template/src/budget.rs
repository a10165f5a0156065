//! Counts what one rendering costs while it runs.

use thiserror::Error;

use crate::limits::TemplateLimits;
use crate::value::DEPTH_MAX;

/// A limit that a rendering exceeded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum LimitError {
    /// More operations than `operations_max`, which it carries.
    #[error("the page takes more than {0} steps (operations_max)")]
    Operations(u64),
    /// More bytes of created values than `made_bytes_max`, which it carries.
    #[error("the page makes values of more than {0} bytes (made_bytes_max)")]
    MadeBytes(u64),
    /// A list or a record in too many others.
    #[error("lists and records nest at most {DEPTH_MAX} deep")]
    ValueDepth,
}

/// A value, or the limit that stopped its computation.
pub(crate) type Limited<T> = Result<T, LimitError>;

/// Counts operations and created bytes against the limits.
#[derive(Debug)]
pub(crate) struct Budget {
    operations_left: u64,
    made_bytes_left: u64,
    limits: TemplateLimits,
}

/// Reading this many bytes costs as much as one operation.
const BYTES_PER_OPERATION: usize = 64;

impl Budget {
    pub(crate) fn new(limits: TemplateLimits) -> Budget {
        Budget { operations_left: limits.operations_max, made_bytes_left: limits.made_bytes_max, limits }
    }

    /// Charges some operations.
    pub(crate) fn operations(&mut self, count: usize) -> Limited<()> {
        let left = self.operations_left.checked_sub(count as u64);
        self.operations_left = left.ok_or(LimitError::Operations(self.limits.operations_max))?;
        Ok(())
    }

    /// Charges reading this many bytes.
    pub(crate) fn read(&mut self, bytes: usize) -> Limited<()> {
        self.operations(bytes / BYTES_PER_OPERATION)
    }

    /// Charges creating a text or a list of this many bytes.
    pub(crate) fn make(&mut self, bytes: usize) -> Limited<()> {
        let left = self.made_bytes_left.checked_sub(bytes as u64);
        self.made_bytes_left = left.ok_or(LimitError::MadeBytes(self.limits.made_bytes_max))?;
        self.read(bytes)
    }

    /// The longest text that may still be created, in bytes.
    pub(crate) fn made_bytes_left(&self) -> usize {
        usize::try_from(self.made_bytes_left).unwrap_or(usize::MAX)
    }
}
