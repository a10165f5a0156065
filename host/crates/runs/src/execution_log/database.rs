//! The log's file: a SQLite database with runs and the histograms of pages.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use serde::Serialize;

use sluice_kit::host_stats::HostStats;
use sluice_kit::page_stats::{News, PageStats};

use super::{Execution, StoredError};

/// Version 1.
const SCHEMA: &str = "
    CREATE TABLE execution (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        brand TEXT NOT NULL,
        page TEXT NOT NULL,
        outcome TEXT NOT NULL,
        has_failed INTEGER NOT NULL,
        -- MessagePack of the whole run.
        run BLOB NOT NULL
    ) STRICT;
    CREATE INDEX execution_at ON execution (at_ms);
    CREATE INDEX execution_page ON execution (brand, page, id);
    CREATE INDEX execution_failed ON execution (brand, id) WHERE has_failed;
    CREATE TABLE page_stats (
        brand TEXT NOT NULL,
        page TEXT NOT NULL,
        starts_at INTEGER NOT NULL,
        -- Each process adds rows of its own, because two processes may share an interval.
        process INTEGER NOT NULL,
        runs INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        memory_base INTEGER NOT NULL,
        fuel BLOB NOT NULL,
        memory BLOB NOT NULL,
        wall BLOB NOT NULL,
        host BLOB NOT NULL,
        PRIMARY KEY (brand, page, starts_at, process)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX page_stats_starts_at ON page_stats (starts_at);
";
/// Version 2: what each brand stores, kept by triggers.
const USAGE: &str = "
    CREATE TABLE brand_usage (
        brand TEXT NOT NULL PRIMARY KEY,
        runs INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO brand_usage SELECT brand, count(*), sum(length(run)) FROM execution GROUP BY brand;
    CREATE INDEX execution_brand ON execution (brand, id);
    CREATE TRIGGER execution_added AFTER INSERT ON execution BEGIN
        INSERT INTO brand_usage VALUES (new.brand, 1, length(new.run))
        ON CONFLICT (brand) DO UPDATE SET runs = runs + 1, bytes = bytes + excluded.bytes;
    END;
    CREATE TRIGGER execution_deleted AFTER DELETE ON execution BEGIN
        UPDATE brand_usage SET runs = runs - 1, bytes = bytes - length(old.run) WHERE brand = old.brand;
        DELETE FROM brand_usage WHERE brand = old.brand AND runs <= 0;
    END;
";

/// Version 3: what failures are grouped by. Runs of earlier versions have no kind.
const KINDS: &str = "
    ALTER TABLE execution ADD COLUMN kind TEXT;
    CREATE INDEX execution_failures ON execution (at_ms) WHERE has_failed;
";

/// Version 4: which job a run was of.
const JOBS: &str = "
    ALTER TABLE execution ADD COLUMN job TEXT;
    CREATE INDEX execution_job ON execution (job, id) WHERE job IS NOT NULL;
";

/// Version 5: the calls to other servers.
const HOSTS: &str = "
    CREATE TABLE host_stats (
        brand TEXT NOT NULL,
        host TEXT NOT NULL,
        starts_at INTEGER NOT NULL,
        -- As in page_stats.
        process INTEGER NOT NULL,
        unanswered INTEGER NOT NULL,
        status_4xx INTEGER NOT NULL,
        status_5xx INTEGER NOT NULL,
        wall BLOB NOT NULL,
        failed_at INTEGER,
        error TEXT,
        PRIMARY KEY (brand, host, starts_at, process)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX host_stats_starts_at ON host_stats (starts_at);
";

/// Version 6: the pages that called a host last, as MessagePack. Rows of earlier versions have none.
const CALLERS: &str = "
    ALTER TABLE host_stats ADD COLUMN callers BLOB;
";

/// What leads from each version of the schema to the next one. A file with a later version is left alone.
const STEPS: [&str; 6] = [SCHEMA, USAGE, KINDS, JOBS, HOSTS, CALLERS];

/// Why the execution log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// SQLite reports an error.
    #[error("the execution log {}: {error}", .path.display())]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// SQLite's error.
        error: rusqlite::Error,
    },
    /// The file has a schema that this program does not know.
    #[error("the execution log {} was written by a later version of this program ({found})", .path.display())]
    TooNew {
        /// The database file.
        path: PathBuf,
        /// The version of its schema.
        found: i64,
    },
    /// The file or its folder cannot be created.
    #[error("the execution log {} cannot be created: {error}", .path.display())]
    Unwritable {
        /// The database file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A run is not what this program writes.
    #[error("a stored run cannot be read: run {id}: {error}")]
    CorruptRun {
        /// The run's id.
        id: i64,
        /// What is wrong with it.
        error: rmp_serde::decode::Error,
    },
    /// A histogram is not what this program writes.
    #[error("a stored histogram cannot be read: {0}")]
    CorruptHistogram(rmp_serde::decode::Error),
    /// The pages that called a host are not what this program writes.
    #[error("the stored callers of a host cannot be read: {0}")]
    CorruptCallers(rmp_serde::decode::Error),
}

impl LogError {
    pub(super) fn sqlite(path: &Path, error: rusqlite::Error) -> Self {
        Self::Sqlite { path: path.to_owned(), error }
    }
}

/// Opens the file for the writer. Creates the file if it does not exist.
pub(super) fn open(path: &Path) -> Result<Connection, LogError> {
    make_private(path).map_err(|error| LogError::Unwritable { path: path.to_owned(), error })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| LogError::sqlite(path, error);
    let conn = Connection::open_with_flags(path, flags).map_err(failed)?;
    set_up(&conn).map_err(failed)?;
    let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let missing = match usize::try_from(found).ok().and_then(|done| STEPS.get(done..)) {
        Some([]) => return Ok(conn),
        Some(steps) => steps.concat(),
        None => return Err(LogError::TooNew { path: path.to_owned(), found }),
    };
    let sql = format!("BEGIN IMMEDIATE; {missing} PRAGMA user_version = {}; COMMIT", STEPS.len());
    conn.execute_batch(&sql).map_err(failed)?;
    Ok(conn)
}

fn set_up(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(std::time::Duration::from_secs(5))?;
    // With NORMAL, a power cut may lose the last runs.
    conn.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = NORMAL;
         PRAGMA journal_size_limit = 4194304;",
    )
}

fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    Ok(())
}

/// Writes runs and histograms in one transaction.
pub(super) fn write(
    conn: &mut Connection,
    runs: &[Execution],
    news: &[News],
    process: i64,
) -> rusqlite::Result<()> {
    let transaction = conn.transaction()?;
    for run in runs {
        insert(&transaction, run)?;
    }
    for News { starts_at, pages, hosts } in news {
        for row in pages {
            keep_stats(&transaction, (&row.brand, &row.name, *starts_at, process), &row.value)?;
        }
        for row in hosts {
            keep_host(&transaction, (&row.brand, &row.name, *starts_at, process), &row.value)?;
        }
    }
    transaction.commit()
}

fn insert(conn: &Connection, run: &Execution) -> rusqlite::Result<()> {
    let bytes = rmp_serde::to_vec_named(run)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    conn.prepare_cached(
        "INSERT INTO execution (at_ms, brand, page, outcome, has_failed, run, kind, job)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        run.at_ms,
        run.brand,
        run.page,
        run.outcome,
        run.error.is_some(),
        bytes,
        run.error.as_ref().map(StoredError::kind),
        run.job
    ])?;
    Ok(())
}

fn keep_stats(
    conn: &Connection,
    (brand, page, starts_at, process): (&str, &str, i64, i64),
    stats: &PageStats,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT OR REPLACE INTO page_stats
             (brand, page, starts_at, process, runs, failures, memory_base, fuel, memory, wall, host)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        brand,
        page,
        starts_at,
        process,
        integer(stats.runs),
        integer(stats.failures),
        integer(stats.memory_bytes_base),
        pack(&stats.fuel)?,
        pack(&stats.memory_bytes)?,
        pack(&stats.wall_us)?,
        pack(&stats.host_us)?,
    ])?;
    Ok(())
}

fn keep_host(
    conn: &Connection,
    (brand, host, starts_at, process): (&str, &str, i64, i64),
    stats: &HostStats,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT OR REPLACE INTO host_stats
             (brand, host, starts_at, process, unanswered, status_4xx, status_5xx, wall, failed_at, error, callers)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        brand,
        host,
        starts_at,
        process,
        integer(stats.unanswered),
        integer(stats.status_4xx),
        integer(stats.status_5xx),
        pack(&stats.wall_us)?,
        stats.last_failure.as_ref().map(|failure| failure.at_ms),
        stats.last_failure.as_ref().map(|failure| &failure.error),
        pack(&stats.callers)?,
    ])?;
    Ok(())
}

/// A histogram, or something else that SQLite has no type for, as it is stored.
fn pack(value: &impl Serialize) -> rusqlite::Result<Vec<u8>> {
    rmp_serde::to_vec(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Deletes at most `batch` runs that are older than `oldest_ms` or exceed `rows_max`, and at most
/// `batch` old histograms of pages, and as many of hosts. Returns true if there may be more.
pub(super) fn delete_expired(
    conn: &Connection,
    oldest_ms: i64,
    rows_max: u64,
    batch: u32,
) -> rusqlite::Result<bool> {
    let runs = conn
        .prepare_cached(
            "DELETE FROM execution WHERE id IN (
                 SELECT id FROM execution WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2)",
        )?
        .execute(params![oldest_ms, batch])?;
    let over = delete_over(conn, rows_max, batch)?;
    let stats = conn
        .prepare_cached(
            "DELETE FROM page_stats WHERE (brand, page, starts_at, process) IN (
                 SELECT brand, page, starts_at, process FROM page_stats WHERE starts_at < ?1 LIMIT ?2)",
        )?
        .execute(params![oldest_ms, batch])?;
    let hosts = conn
        .prepare_cached(
            "DELETE FROM host_stats WHERE (brand, host, starts_at, process) IN (
                 SELECT brand, host, starts_at, process FROM host_stats WHERE starts_at < ?1 LIMIT ?2)",
        )?
        .execute(params![oldest_ms, batch])?;
    if runs + stats + hosts > 0 || over {
        conn.execute_batch("PRAGMA incremental_vacuum(256)")?;
    }
    Ok(over || [runs, stats, hosts].into_iter().any(|deleted| deleted >= batch as usize))
}

/// If there are more than `rows_max` runs, deletes at most `batch` of the brand that has the most,
/// so that a brand that floods the log erases its own runs. Returns true if there may be more.
fn delete_over(conn: &Connection, rows_max: u64, batch: u32) -> rusqlite::Result<bool> {
    let sql = "SELECT coalesce(sum(runs), 0) FROM brand_usage";
    let all: i64 = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    let over = all.saturating_sub(integer(rows_max));
    if over <= 0 {
        return Ok(false);
    }
    let sql = "SELECT brand, runs FROM brand_usage ORDER BY runs DESC LIMIT 2";
    let mut statement = conn.prepare_cached(sql)?;
    let largest: Vec<(String, i64)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    let Some((brand, runs)) = largest.first() else { return Ok(false) };
    // Not below the next brand, which is then as large.
    let lead = runs - largest.get(1).map_or(0, |(_, runs)| *runs);
    let count = over.min(lead.max(1)).min(batch.into());
    delete_oldest(conn, brand, count)?;
    Ok(over > count)
}

/// Deletes the oldest runs of each brand that stores more than `bytes_max` bytes, at most `batch`
/// in one transaction.
pub(super) fn trim(conn: &Connection, bytes_max: u64, batch: u32) -> rusqlite::Result<()> {
    let sql = "SELECT brand FROM brand_usage WHERE bytes > ?1 LIMIT 1";
    let largest = || conn.prepare_cached(sql)?.query_row([integer(bytes_max)], |row| row.get(0)).optional();
    while let Some(brand) = largest()? {
        let brand: String = brand;
        // As many as needed, in steps that are small next to the quota.
        let count: i64 = conn
            .prepare_cached(
                "SELECT 1 + max(0, (bytes - ?2) * runs / max(bytes, 1)) FROM brand_usage WHERE brand = ?1",
            )?
            .query_row(params![brand, integer(bytes_max)], |row| row.get(0))?;
        if delete_oldest(conn, &brand, count.min(batch.into()))? == 0 {
            // The count is wrong, for example after damage to the file.
            conn.execute("DELETE FROM brand_usage WHERE brand = ?1", [&brand])?;
        }
    }
    Ok(())
}

fn delete_oldest(conn: &Connection, brand: &str, count: i64) -> rusqlite::Result<usize> {
    conn.prepare_cached(
        "DELETE FROM execution WHERE id IN (SELECT id FROM execution WHERE brand = ?1 ORDER BY id LIMIT ?2)",
    )?
    .execute(params![brand, count])
}

/// SQLite has signed integers only.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
