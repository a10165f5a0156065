//! What the rest of the host asks of a database, in the host's own words. Each
//! backend is one file (and folder) here; `contract.rs` is what all must do.
//!
//! Time is always a parameter, in unix milliseconds. A future that is dropped
//! leaves nothing half done: its work is finished or never begun. Futures may be
//! polled on any runtime; the work itself runs on the database's own.

mod browse;
#[cfg(test)]
pub mod contract;
mod crm;
mod jobs;
pub mod location;
pub mod postgres;
mod rate;
mod session;
pub mod sqlite;
mod token;
pub mod transfer;

use std::future::Future;
use std::pin::Pin;

pub use browse::{Browse, BrowseStore, BrowsedEntry, StageChoice};
pub use crm::{CapReached, CrmFault, CrmStore, Ensured};
pub use jobs::{CapsOfBrand, JOB_TRIES_MAX, Job, JobChoice, JobCounts, JobEnd, JobRun, JobState, JobStore};
pub use rate::{RateStore, RateWindow};
pub use session::{
    SessionAddress, SessionChange, SessionEdit, SessionKey, SessionRow, SessionRowId, SessionStamp,
    SessionStore,
};
pub use token::TokenStore;
pub use transfer::TransferStore;

/// What a trait object's async method returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One database with everything in it. Held as `Arc<dyn Store>`.
pub trait Store:
    SessionStore + CrmStore + JobStore + TokenStore + RateStore + BrowseStore + TransferStore
{
    /// Finishes what was handed over, then lets go of the database. Calls that come
    /// later are answered with [`StoreError::Unavailable`].
    fn close(&self) -> BoxFuture<'_, ()>;
}

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
