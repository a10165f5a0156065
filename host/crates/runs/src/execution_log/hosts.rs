//! The calls of scripts to other servers, as they are stored.

use std::collections::HashMap;

use rusqlite::{Row, params};

use sluice_kit::host_stats::{HostFailure, HostStats};

use super::query::{LogError, LogReader, count, histogram};

/// The calls to each host, by brand and host.
pub type CalledHosts = HashMap<(String, String), HostStats>;

impl LogReader {
    /// The calls to each host in the quarters of an hour from `from_ms` until before `to_ms`, of one brand if it is
    /// named.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn hosts(&self, brand: Option<&str>, (from_ms, to_ms): (i64, i64)) -> Result<CalledHosts, LogError> {
        let sql = "SELECT brand, host, unanswered, status_4xx, status_5xx, wall, failed_at, error, callers
                   FROM host_stats
                   WHERE (?1 IS NULL OR brand = ?1) AND starts_at >= ?2 AND starts_at < ?3";
        let mut statement = self.with_path(self.conn().prepare_cached(sql))?;
        let mut rows = self.with_path(statement.query(params![brand, from_ms, to_ms]))?;
        let mut hosts = CalledHosts::new();
        while let Some(row) = self.with_path(rows.next())? {
            let (of, stats) = self.with_path(host_row(row))?;
            hosts.entry(of).or_default().merge(&stats?);
        }
        Ok(hosts)
    }
}

type HostOfBrand = (String, String);

fn host_row(row: &Row<'_>) -> rusqlite::Result<(HostOfBrand, Result<HostStats, LogError>)> {
    let of = (row.get(0)?, row.get(1)?);
    let (unanswered, status_4xx, status_5xx) = (count(row, 2)?, count(row, 3)?, count(row, 4)?);
    let wall_us = histogram(row, 5)?;
    let failed_at: Option<i64> = row.get(6)?;
    let error: Option<String> = row.get(7)?;
    let last_failure = failed_at.map(|at_ms| HostFailure { at_ms, error: error.unwrap_or_default() });
    let callers: Option<Vec<u8>> = row.get(8)?;
    let callers = callers.map_or(Ok(Vec::new()), |bytes| rmp_serde::from_slice(&bytes));
    let stats = || {
        let callers = callers.map_err(LogError::CorruptCallers)?;
        Ok(HostStats { unanswered, status_4xx, status_5xx, wall_us: wall_us?, last_failure, callers })
    };
    Ok((of, stats()))
}
