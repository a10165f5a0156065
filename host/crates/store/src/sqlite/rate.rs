//! Request counts.

use sluice_kit::{BoxFuture, StoreError};
use sluice_session::rate::{RateStore, RateWindow};

use super::SqliteStore;

pub(super) const DELETE_EXPIRED: &str = "DELETE FROM rate WHERE (key, starts_at) IN (
         SELECT key, starts_at FROM rate WHERE ends_at <= ?1
         ORDER BY ends_at LIMIT ?2)";

impl RateStore for SqliteStore {
    fn count_request(&self, window: RateWindow) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let count = conn
                .prepare_cached(
                    "INSERT INTO rate (key, starts_at, ends_at, requests) VALUES (?1, ?2, ?3, 1)
                     ON CONFLICT (key, starts_at) DO UPDATE SET requests = requests + 1
                     RETURNING requests",
                )?
                .query_row((window.key, window.starts_at, window.ends_at), |row| row.get(0))?;
            Ok(count)
        })
    }

    fn delete_expired_rates(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let rows = conn.prepare_cached(DELETE_EXPIRED)?.execute((now_ms, rows_max))?;
            Ok(u32::try_from(rows).unwrap_or(u32::MAX))
        })
    }
}
