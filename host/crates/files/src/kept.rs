//! A file of the store, in a list.

use std::time::SystemTime;

use crate::id::FileId;

/// A file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub id: FileId,
    /// Its size.
    pub bytes: u64,
    /// Since when it is kept.
    pub kept_at: SystemTime,
}
