//! Why a database call failed. The store traits of `session` and `crm` return it, and each
//! backend in `store` makes it.

/// Why a database call failed. The text is for the operator. It is never shown to visitors or
/// scripts, and contains no stored data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer in time: it is locked, full, gone or closed. A retry may
    /// succeed.
    #[error("the database did not answer: {0}")]
    Unavailable(String),
    /// The database answered with an error. A retry will fail, too.
    #[error("the database failed: {0}")]
    Failed(String),
    /// A later version of this program wrote the database.
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
    /// A row does not have the form that this program writes.
    #[error("a stored {what} cannot be read: {why}")]
    Corrupt {
        /// The kind of row.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}
