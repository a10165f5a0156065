//! Reads the log, for the command line, the admin API and the console. Each reader opens the file
//! itself and never blocks the writer.

use std::path::{Path, PathBuf};

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params, params_from_iter};

use super::Execution;
pub use super::database::LogError;

use sluice_kit::histogram::Histogram;
use sluice_kit::page_stats::PageStats;

/// Which runs are listed. A run must match every field that is set.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only runs of this brand.
    pub brand: Option<String>,
    /// Only runs of this page's file.
    pub page: Option<String>,
    /// Only runs that failed.
    pub only_failed: bool,
    /// Only runs that ended in this way.
    pub outcome: Option<String>,
    /// Only runs that were recorded at this moment or later, in Unix milliseconds.
    pub from_ms: Option<i64>,
    /// Only runs that were recorded before this moment.
    pub to_ms: Option<i64>,
    /// Only runs with a greater id. The list is then sorted oldest first, otherwise newest first.
    pub after: Option<i64>,
    /// Only runs with a smaller id.
    pub before: Option<i64>,
    /// The most runs in the list.
    pub limit: u32,
}

/// A page's histograms over a period.
#[derive(Debug, Clone)]
pub struct PageSummary {
    /// The brand's id.
    pub brand: String,
    /// The page's file.
    pub page: String,
    /// What the page's runs took.
    pub stats: PageStats,
}

/// Brand, page, start of an interval in Unix milliseconds, and histograms.
pub type PageInterval = (String, String, i64, PageStats);

/// An open log file.
pub struct LogReader {
    conn: Connection,
    path: PathBuf,
}

impl LogReader {
    /// Opens the log for reading.
    ///
    /// # Errors
    /// The file does not exist or cannot be opened.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let conn = Connection::open_with_flags(path, flags)?;
            conn.busy_timeout(std::time::Duration::from_secs(5))?;
            conn.execute_batch("PRAGMA query_only = ON")?;
            Ok(conn)
        };
        let conn = open().map_err(|error| LogError::sqlite(path, error))?;
        Ok(Self { conn, path: path.to_owned() })
    }

    /// The runs that match the filter.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Execution>, LogError> {
        let mut sql = "SELECT id, run FROM execution WHERE 1".to_owned();
        let mut values: Vec<SqlValue> = Vec::new();
        let mut with = |condition: &str, value: Option<SqlValue>| {
            if let Some(value) = value {
                sql.push_str(" AND ");
                sql.push_str(condition);
                values.push(value);
            }
        };
        with("brand = ?", filter.brand.clone().map(SqlValue::from));
        with("page = ?", filter.page.clone().map(SqlValue::from));
        with("has_failed = ?", filter.only_failed.then_some(SqlValue::from(1_i64)));
        with("outcome = ?", filter.outcome.clone().map(SqlValue::from));
        with("at_ms >= ?", filter.from_ms.map(SqlValue::from));
        with("at_ms < ?", filter.to_ms.map(SqlValue::from));
        with("id > ?", filter.after.map(SqlValue::from));
        with("id < ?", filter.before.map(SqlValue::from));
        let order = if filter.after.is_some() { "ASC" } else { "DESC" };
        sql.push_str(&format!(" ORDER BY id {order} LIMIT {}", filter.limit));
        let read = || {
            let mut statement = self.conn.prepare_cached(&sql)?;
            statement.query_map(params_from_iter(values), row)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        self.with_path(read())?.into_iter().map(unpack).collect()
    }

    /// The run with this id.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn find(&self, id: i64) -> Result<Option<Execution>, LogError> {
        let sql = "SELECT id, run FROM execution WHERE id = ?1";
        let found = self.conn.query_row(sql, [id], row).optional();
        self.with_path(found)?.map(unpack).transpose()
    }

    /// The newest stored run of each of these jobs of a brand: the job's id, and the run's. Jobs that have none are
    /// left out.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last_runs_of_jobs(&self, brand: &str, jobs: &[String]) -> Result<Vec<(String, i64)>, LogError> {
        let sql = "SELECT id FROM execution WHERE job = ?1 AND brand = ?2 ORDER BY id DESC LIMIT 1";
        let mut statement = self.with_path(self.conn.prepare_cached(sql))?;
        let mut found = Vec::new();
        for job in jobs {
            let id = statement.query_row(params![job, brand], |row| row.get(0)).optional();
            found.extend(self.with_path(id)?.map(|id| (job.clone(), id)));
        }
        Ok(found)
    }

    /// The id of the newest run, or 0 if there is none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn newest(&self) -> Result<i64, LogError> {
        let sql = "SELECT coalesce(max(id), 0) FROM execution";
        self.with_path(self.conn.query_row(sql, [], |row| row.get(0)))
    }

    /// Each page's runs since `since_ms`, merged into one set of histograms.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn summaries(&self, brand: Option<&str>, since_ms: i64) -> Result<Vec<PageSummary>, LogError> {
        let mut out: Vec<PageSummary> = Vec::new();
        self.each_row(brand, None, since_ms, |row_brand, page, _, stats| match out.last_mut() {
            Some(last) if last.brand == row_brand && last.page == page => last.stats.merge(&stats),
            _ => out.push(PageSummary { brand: row_brand, page, stats }),
        })?;
        Ok(out)
    }

    /// One page's runs since `since_ms`: the start of each interval and its histograms, oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn history(&self, brand: &str, page: &str, since_ms: i64) -> Result<Vec<(i64, PageStats)>, LogError> {
        let mut out: Vec<(i64, PageStats)> = Vec::new();
        self.each_row(Some(brand), Some(page), since_ms, |_, _, starts_at, stats| match out.last_mut() {
            Some((at, known)) if *at == starts_at => known.merge(&stats),
            _ => out.push((starts_at, stats)),
        })?;
        Ok(out)
    }

    /// Every page's runs since `since_ms`: brand, page, start of the interval and histograms.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn intervals(&self, since_ms: i64) -> Result<Vec<PageInterval>, LogError> {
        self.intervals_of(None, since_ms)
    }

    /// The same, of one brand if it is named.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn intervals_of(&self, brand: Option<&str>, since_ms: i64) -> Result<Vec<PageInterval>, LogError> {
        let mut out = Vec::new();
        self.each_row(brand, None, since_ms, |brand, page, starts_at, stats| {
            out.push((brand, page, starts_at, stats));
        })?;
        Ok(out)
    }

    fn each_row(
        &self,
        brand: Option<&str>,
        page: Option<&str>,
        since_ms: i64,
        mut take: impl FnMut(String, String, i64, PageStats),
    ) -> Result<(), LogError> {
        let sql = "SELECT brand, page, starts_at, runs, failures, memory_base, fuel, memory, wall, host
                   FROM page_stats
                   WHERE (?1 IS NULL OR brand = ?1) AND (?2 IS NULL OR page = ?2) AND starts_at >= ?3
                   ORDER BY brand, page, starts_at";
        let mut statement = self.with_path(self.conn.prepare_cached(sql))?;
        let mut rows = self.with_path(statement.query(params![brand, page, since_ms]))?;
        while let Some(row) = self.with_path(rows.next())? {
            let (row_brand, page, starts_at, stats) = self.with_path(stats_row(row))?;
            take(row_brand, page, starts_at, stats?);
        }
        Ok(())
    }

    pub(super) fn conn(&self) -> &Connection {
        &self.conn
    }

    pub(super) fn with_path<T>(&self, result: rusqlite::Result<T>) -> Result<T, LogError> {
        result.map_err(|error| LogError::sqlite(&self.path, error))
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<(i64, Vec<u8>)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn unpack((id, bytes): (i64, Vec<u8>)) -> Result<Execution, LogError> {
    let run: Execution = rmp_serde::from_slice(&bytes).map_err(|error| LogError::CorruptRun { id, error })?;
    Ok(Execution { id, ..run })
}

type StatsRow = (String, String, i64, Result<PageStats, LogError>);

fn stats_row(row: &Row<'_>) -> rusqlite::Result<StatsRow> {
    let histogram = |index| histogram(row, index);
    let (fuel, memory, wall, host) = (histogram(6)?, histogram(7)?, histogram(8)?, histogram(9)?);
    let count = |index| count(row, index);
    let (runs, failures, memory_bytes_base) = (count(3)?, count(4)?, count(5)?);
    let stats = || {
        Ok(PageStats {
            runs,
            failures,
            memory_bytes_base,
            fuel: fuel?,
            memory_bytes: memory?,
            wall_us: wall?,
            host_us: host?,
        })
    };
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, stats()))
}

/// A stored histogram.
pub(super) fn histogram(row: &Row<'_>, index: usize) -> rusqlite::Result<Result<Histogram, LogError>> {
    let bytes: Vec<u8> = row.get(index)?;
    Ok(rmp_serde::from_slice(&bytes).map_err(LogError::CorruptHistogram))
}

/// A stored number, which is not negative.
pub(super) fn count(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(index)?.try_into().unwrap_or(0))
}
