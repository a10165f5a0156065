//! Opens connections, and converts SQLite's errors.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::types::FromSql;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Params};

use sluice_kit::{Cause, NoAnswer, StoreError, StoreFault};

use super::SqliteOptions;
use crate::error::{CrmSqlError, SqlError};
use crate::transfer::ImportFault;

/// How many prepared statements a connection caches. There are fewer statements than this.
const STATEMENTS_MAX: usize = 64;
/// The size to which the log file shrinks after a checkpoint.
const LOG_BYTES_MAX: u32 = 64 << 20;

/// Opens the one connection that writes. With `synchronous = FULL`, an acknowledged write
/// survives a power cut.
pub(super) fn open_writer(options: &SqliteOptions) -> Result<Connection, SqlError> {
    make_private(&options.path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(&options.path, flags)?;
    conn.busy_timeout(options.busy_max())?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Switching to WAL takes a lock that SQLite itself does not wait for.
    let mode = retry_while_locked(options.busy_max(), || {
        conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))
    })?;
    if mode != "wal" {
        let path = options.path.clone();
        return Err(StoreError::Failed(StoreFault::NoWriteAheadLog { path, mode }).into());
    }
    conn.execute_batch(&format!(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA journal_size_limit = {LOG_BYTES_MAX};"
    ))?;
    Ok(conn)
}

/// Configures a connection for reading only.
pub(super) fn set_up_reader(conn: &Connection, busy: Duration) -> rusqlite::Result<()> {
    conn.busy_timeout(busy)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;")
}

/// Repeats `attempt` while another process holds a lock, for at most `limit`.
pub(super) fn retry_while_locked<T>(
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

/// Creates the file with access for its owner only. SQLite gives its log files the same mode.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| {
        StoreError::Unavailable(NoAnswer::File { path: path.to_owned(), cause: Cause::of(error) })
    };
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true);
    let mut file = fs::OpenOptions::new();
    file.create(true).append(true);
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    }
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    if let Some(parent) = parent {
        folder.create(parent).map_err(failed)?;
    }
    let file = file.open(path).map_err(failed)?;
    // A new file survives a power cut only if its folder does, too.
    if file.metadata().map_err(failed)?.len() == 0 {
        let folder = fs::File::open(parent.unwrap_or(Path::new("."))).map_err(failed)?;
        folder.sync_all().map_err(failed)?;
    }
    Ok(())
}

/// What a statement counts for each brand. `?1` is the most brands.
pub(super) fn count_by_brand(
    conn: &Connection,
    sql: &str,
    brands_max: u32,
) -> Result<Vec<(String, u64)>, SqlError> {
    let mut query = conn.prepare_cached(sql)?;
    let counts =
        query.query_map([brands_max], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    Ok(counts.collect::<rusqlite::Result<_>>()?)
}

/// The first column of the first row, if there is a row.
pub(super) fn first<T: FromSql>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
) -> rusqlite::Result<Option<T>> {
    conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()
}

/// SQLite's messages name tables and columns, never values.
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
            ) => StoreError::Unavailable(Cause::of(error).into()),
            _ => StoreError::Failed(Cause::of(error).into()),
        })
    }
}

impl From<rusqlite::Error> for CrmSqlError {
    fn from(error: rusqlite::Error) -> Self {
        SqlError::from(error).into()
    }
}

impl From<rusqlite::Error> for ImportFault {
    fn from(error: rusqlite::Error) -> Self {
        SqlError::from(error).into()
    }
}
