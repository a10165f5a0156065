//! What one rendering may cost, counted while it runs.

use crate::TemplateLimits;

/// Counts work and made bytes against the limits.
#[derive(Debug)]
pub(super) struct Budget {
    operations_left: u64,
    made_bytes_left: u64,
    limits: TemplateLimits,
}

/// Bytes looked at that cost as much as one operation.
const BYTES_PER_OPERATION: usize = 64;

pub(super) type Spent = Result<(), String>;

impl Budget {
    pub(super) fn new(limits: TemplateLimits) -> Budget {
        Budget { operations_left: limits.operations_max, made_bytes_left: limits.made_bytes_max, limits }
    }

    pub(super) fn operations(&mut self, count: usize) -> Spent {
        match self.operations_left.checked_sub(count as u64) {
            Some(left) => {
                self.operations_left = left;
                Ok(())
            }
            None => {
                Err(format!("the page takes more than {} steps (operations_max)", self.limits.operations_max))
            }
        }
    }

    /// Looking through this many bytes.
    pub(super) fn read(&mut self, bytes: usize) -> Spent {
        self.operations(bytes / BYTES_PER_OPERATION)
    }

    /// Making a text or a list of this many bytes.
    pub(super) fn make(&mut self, bytes: usize) -> Spent {
        match self.made_bytes_left.checked_sub(bytes as u64) {
            Some(left) => {
                self.made_bytes_left = left;
                self.read(bytes)
            }
            None => Err(format!(
                "the page makes values of more than {} bytes (made_bytes_max)",
                self.limits.made_bytes_max
            )),
        }
    }

    /// The longest text that can still be made.
    pub(super) fn made_bytes_left(&self) -> usize {
        usize::try_from(self.made_bytes_left).unwrap_or(usize::MAX)
    }
}
