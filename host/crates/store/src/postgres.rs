//! PostgreSQL, for any number of hosts that share one database.
//!
//! Behind PgBouncer in transaction mode, two transactions of one host may use two connections
//! of the server. So there are no prepared statements, and settings and locks last for one
//! transaction.
//!
//! Each trait is implemented beside its statements, in the module of its subject.

mod batch;
mod browse;
mod commit;
mod crm;
mod database;
mod decode;
mod error;
mod job_queue;
mod jobs;
mod migrate;
mod options;
mod rate;
mod session;
mod tls;
mod token;
mod transfer;
mod usage;

use sluice_kit::{BoxFuture, StoreError};

pub use self::options::{PostgresOptions, UrlError};
pub use self::tls::{CertificateError, TlsError};

use self::database::Database;
use super::Store;

/// An open PostgreSQL database whose schema is up to date.
pub(crate) struct PostgresStore {
    database: Database,
}

impl PostgresStore {
    /// Connects and applies the missing migrations. Call it on the Tokio runtime that is to do
    /// the database's work. The store can then be used from any runtime.
    pub(crate) async fn open(options: PostgresOptions) -> Result<Self, StoreError> {
        let database = Database::new(&options)?;
        migrate::apply(&database).await?;
        Ok(Self { database })
    }
}

impl Store for PostgresStore {
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.database.close())
    }
}

#[cfg(test)]
mod tests;
