//! How a database can fail.

/// Why a database did not do what it was asked. The text is for the operator, is
/// not shown to visitors or scripts, and holds no stored data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It gave no answer in time: locked, full, gone or closed. Trying again may help.
    #[error("the database did not answer: {0}")]
    Unavailable(String),
    /// It answered with an error that trying again does not cure.
    #[error("the database failed: {0}")]
    Failed(String),
    /// It was written by a later version of this program.
    #[error(
        "the database has schema version {found}, this program knows {known}: \
         start a newer program, or restore a backup made before the upgrade"
    )]
    TooNew {
        /// The database's schema version.
        found: i64,
        /// The newest version that this program can apply.
        known: i64,
    },
    /// A row is not what this program writes.
    #[error("a stored {what} cannot be read: {why}")]
    Corrupt {
        /// What kind of thing.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}
