//! The embedded default: one SQLite file in WAL mode. A row is read by its key on the caller's thread;
//! other reads use a pool of connections and threads. All writes go through one writer, which commits
//! the waiting writes in one transaction.
//!
//! Each trait is implemented beside its statements, in the module of its subject.

mod backup;
mod browse;
mod certificate;
mod changes;
mod commit;
mod connection;
mod crm;
mod direct;
mod failure_marks;
mod job_queue;
mod jobs;
mod migrate;
mod page_cache;
mod queue;
mod queue_operators;
mod rate;
mod readers;
mod schedule;
mod session;
mod storage;
mod token;
mod transfer;
mod usage;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

use sluice_kit::{BoxFuture, Cause, StoreError};

pub use self::backup::{BackupError, backup};

use self::readers::Readers;
use self::writer::Writer;
use super::{PoolUsage, Store};
use crate::error::SqlError;

/// Where the database is and how it is used.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The database file. The file and its folder are created if they do not exist.
    pub path: PathBuf,
    /// The most connections that read at the same time.
    pub readers_max: usize,
    /// How long a statement waits for a lock of another process, in milliseconds.
    pub busy_ms_max: u64,
    /// How long a call waits for a connection or for the writer, in milliseconds.
    pub wait_ms_max: u64,
}

impl SqliteOptions {
    /// The file `path` with default settings.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), readers_max: 4, busy_ms_max: 5_000, wait_ms_max: 10_000 }
    }

    fn busy_max(&self) -> Duration {
        Duration::from_millis(self.busy_ms_max)
    }

    fn wait_max(&self) -> Duration {
        Duration::from_millis(self.wait_ms_max)
    }
}

/// An open SQLite database whose schema is up to date.
pub struct SqliteStore {
    readers: Readers,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the file and applies the missing migrations. Call it on the Tokio runtime that is
    /// to do the database's work. The store can then be used from any runtime.
    ///
    /// # Errors
    /// The file cannot be opened or migrated, or a later version of this program wrote it.
    pub async fn open(mut options: SqliteOptions) -> Result<Self, StoreError> {
        // SQLite would parse a relative path that starts with "file:" as a URI.
        options.path = std::path::absolute(&options.path)
            .map_err(|error| StoreError::Failed(Cause::of(error).into()))?;
        let writer_options = options.clone();
        let conn = tokio::task::spawn_blocking(move || {
            let mut conn = connection::open_writer(&writer_options)?;
            migrate::apply(&mut conn)?;
            Ok::<_, SqlError>(conn)
        })
        .await
        .map_err(|error| StoreError::Failed(Cause::of(error).into()))??;
        Ok(Self { writer: Writer::start(conn, options.wait_max())?, readers: Readers::new(&options)? })
    }
}

impl Store for SqliteStore {
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.writer.close().await;
            self.readers.close();
        })
    }

    fn pool_usage(&self) -> PoolUsage {
        self.readers.pool_usage()
    }

    fn size_bytes(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.readers.read(|conn| {
            let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
            let bytes: i64 = conn.query_row(sql, [], |row| row.get(0))?;
            Ok::<_, SqlError>(bytes.unsigned_abs())
        })
    }
}

#[cfg(test)]
mod tests;
