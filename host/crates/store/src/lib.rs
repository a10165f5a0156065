//! What the rest of the host asks of a database, in the host's own words. Each
//! backend is one file (and folder) here; `contract.rs` is what all must do.
//!
//! Time is always a parameter, in unix milliseconds. A future that is dropped
//! leaves nothing half done: its work is finished or never begun. Futures may be
//! polled on any runtime; the work itself runs on the database's own.

#![deny(unsafe_code)]

#[cfg(test)]
pub mod contract;
#[cfg(test)]
mod crm_calls;
mod error;
pub mod location;
pub mod postgres;
pub mod sqlite;
pub mod transfer;

use sluice_crm::{BrowseStore, CrmDatabase};
use sluice_kit::BoxFuture;
use sluice_session::rate::RateStore;
use sluice_session::{SessionStore, TokenStore};
pub use transfer::TransferStore;

/// One database with everything in it. Held as `Arc<dyn Store>`.
pub trait Store: SessionStore + CrmDatabase + TokenStore + RateStore + BrowseStore + TransferStore {
    /// Finishes what was handed over, then lets go of the database. Calls that come
    /// later are answered with [`sluice_kit::StoreError::Unavailable`].
    fn close(&self) -> BoxFuture<'_, ()>;
}
