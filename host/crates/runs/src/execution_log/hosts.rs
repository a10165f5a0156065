//! The calls of scripts to other servers, as they are stored.

use std::collections::HashMap;

use rusqlite::{Row, params};

use sluice_kit::host_stats::{HostFailure, HostStats};

use super::query::{LogError, LogReader, count, histogram};

impl LogReader {
    /// The calls of a brand to each host in the quarters of an hour from `from_ms` until before `to_ms`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn hosts(
        &self,
        brand: &str,
        (from_ms, to_ms): (i64, i64),
    ) -> Result<HashMap<String, HostStats>, LogError> {
        let sql = "SELECT host, unanswered, status_4xx, status_5xx, wall, failed_at, error FROM host_stats
                   WHERE brand = ?1 AND starts_at >= ?2 AND starts_at < ?3";
        let mut statement = self.with_path(self.conn().prepare_cached(sql))?;
        let mut rows = self.with_path(statement.query(params![brand, from_ms, to_ms]))?;
        let mut hosts: HashMap<String, HostStats> = HashMap::new();
        while let Some(row) = self.with_path(rows.next())? {
            let (host, stats) = self.with_path(host_row(row))?;
            hosts.entry(host).or_default().merge(&stats?);
        }
        Ok(hosts)
    }
}

fn host_row(row: &Row<'_>) -> rusqlite::Result<(String, Result<HostStats, LogError>)> {
    let (unanswered, status_4xx, status_5xx) = (count(row, 1)?, count(row, 2)?, count(row, 3)?);
    let failed_at: Option<i64> = row.get(5)?;
    let error: Option<String> = row.get(6)?;
    let last_failure = failed_at.map(|at_ms| HostFailure { at_ms, error: error.unwrap_or_default() });
    let stats = histogram(row, 4)?.map(|wall_us| HostStats {
        unanswered,
        status_4xx,
        status_5xx,
        wall_us,
        last_failure,
    });
    Ok((row.get(0)?, stats))
}
