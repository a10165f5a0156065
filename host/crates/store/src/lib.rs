//! The databases: SQLite and PostgreSQL, and moving data between them. The crates that need data
//! own the traits; each backend here implements all of them. `contract.rs` tests what every
//! backend must do.
//!
//! Time is always a parameter, in Unix milliseconds. Dropping a future never leaves work half
//! done: the work finishes or does not start. Futures may be polled on any runtime; the work
//! itself runs on the runtime that opened the database.

#![deny(unsafe_code)]

mod certificate_rows;
pub mod changes;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod crm_calls;
mod error;
pub mod failure_marks;
mod health;
pub mod location;
pub mod postgres;
mod queue_rows;
mod rows;
mod schedule_rows;
pub mod sqlite;
mod storage_rows;
pub mod transfer;

use sluice_acme::CertificateStore;
use sluice_crm::{BrowseStore, CrmDatabase};
use sluice_kit::{BoxFuture, StoreError};
use sluice_page_cache::PurgeStore;
use sluice_queue::{QueueStore, ScheduleStore};
use sluice_session::rate::RateStore;
use sluice_session::{SessionStore, TokenStore};
use sluice_storage::StorageStore;

use changes::ChangeStore;
use failure_marks::FailureMarkStore;
use transfer::TransferStore;

/// The connections of a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolUsage {
    /// Connections that may be open.
    pub limit: usize,
    /// Connections that are open.
    pub open: usize,
    /// Connections that a call uses.
    pub in_use: usize,
    /// Calls that wait for a connection.
    pub waiting: usize,
}

/// One database with everything in it. Used as `Arc<dyn Store>`.
pub trait Store:
    SessionStore
    + CrmDatabase
    + TokenStore
    + RateStore
    + BrowseStore
    + StorageStore
    + QueueStore
    + ScheduleStore
    + CertificateStore
    + PurgeStore
    + ChangeStore
    + FailureMarkStore
    + TransferStore
{
    /// Finishes the work that was started, then closes the database. Later calls fail with
    /// [`sluice_kit::StoreError::Unavailable`].
    fn close(&self) -> BoxFuture<'_, ()>;

    /// Why calls fail at once at the moment, if they do: the database does not answer.
    fn outage(&self) -> Option<String> {
        None
    }

    /// How many connections are in use, at this moment. With SQLite, these are the connections that
    /// read.
    fn pool_usage(&self) -> PoolUsage;

    /// How large the database is, in bytes. With SQLite, without the log of writes beside it.
    fn size_bytes(&self) -> BoxFuture<'_, Result<u64, StoreError>>;
}
