//! Opens connections and turns SQLite's errors into the host's.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use sluice_kit::StoreError;

use super::SqliteOptions;
use crate::error::{CrmSqlError, SqlError};

/// Statements that one connection keeps prepared; there are fewer than that here.
const STATEMENTS_MAX: usize = 64;
/// After a checkpoint the log file shrinks to this.
const LOG_BYTES_MAX: u32 = 64 << 20;

/// The one connection that writes. FULL: what is answered survives a power cut.
pub(super) fn open_writer(options: &SqliteOptions) -> Result<Connection, SqlError> {
    make_private(&options.path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(&options.path, flags)?;
    conn.busy_timeout(options.busy_max())?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Switching to WAL takes a lock for which SQLite does not wait by itself.
    let mode = patiently(options.busy_max(), || {
        conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))
    })?;
    if mode != "wal" {
        let path = options.path.display();
        let why = format!("{path}: no write-ahead log here (it is {mode:?}); is this a network file system?");
        return Err(StoreError::Failed(why).into());
    }
    conn.execute_batch(&format!(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA journal_size_limit = {LOG_BYTES_MAX};"
    ))?;
    Ok(conn)
}

/// Settings of a connection that only reads, and cannot do otherwise.
pub(super) fn set_up_reader(conn: &Connection, busy: Duration) -> rusqlite::Result<()> {
    conn.busy_timeout(busy)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;")
}

/// Repeats what fails because of another process's lock.
pub(super) fn patiently<T>(
    limit: Duration,
    mut attempt: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let until = Instant::now() + limit;
    loop {
        match attempt() {
            Err(error) if is_locked(&error) && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// SQLite gives its log files the mode of the database file.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true);
    let mut file = fs::OpenOptions::new();
    file.create(true).append(true);
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    }
    match path.parent() {
        Some(parent) if parent != Path::new("") => folder.create(parent).map_err(failed)?,
        _ => {}
    }
    file.open(path).map_err(failed)?;
    Ok(())
}

/// Names what went wrong; SQLite's messages name tables and columns, never values.
impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        Self(match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory,
            ) => StoreError::Unavailable(error.to_string()),
            _ => StoreError::Failed(error.to_string()),
        })
    }
}

impl From<rusqlite::Error> for CrmSqlError {
    fn from(error: rusqlite::Error) -> Self {
        SqlError::from(error).into()
    }
}
