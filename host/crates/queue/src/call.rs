//! The calls of scripts.

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Makes a job.
    Push,
    /// Removes the pending jobs with a tag.
    Cancel,
    /// Looks a job up.
    Status,
}

impl Call {
    /// The name in scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Push => "queue.push",
            Self::Cancel => "queue.cancel",
            Self::Status => "queue.status",
        }
    }
}
