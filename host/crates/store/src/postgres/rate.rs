//! Request counts.

use sluice_kit::{BadRow, BoxFuture, StoreError};
use sluice_session::rate::{RateStore, RateWindow};

use super::PostgresStore;
use super::batch::{bytes, int, query};
use super::error::corrupt;

const COUNT: &str = "INSERT INTO rate (key, starts_at, ends_at, requests) VALUES ($1, $2, $3, 1)
    ON CONFLICT (key, starts_at) DO UPDATE SET requests = rate.requests + 1
    RETURNING requests";

/// Skips rows that another host is deleting or counting in.
pub(super) const DELETE_EXPIRED: &str = "DELETE FROM rate WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM rate WHERE ends_at <= $1
        ORDER BY ends_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING true";

impl RateStore for PostgresStore {
    fn count_request(&self, window: RateWindow) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let params = [bytes(&window.key), int(window.starts_at), int(window.ends_at)];
                let rows = query(conn, COUNT, params).await?;
                let row = rows.first().ok_or_else(|| corrupt("request count", BadRow::Missing))?;
                let requests: i32 = row.try_get(0)?;
                Ok(requests.unsigned_abs())
            })
        })
    }

    fn delete_expired_rates(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, DELETE_EXPIRED, [int(now_ms), int(rows_max.into())]).await?;
                Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
            })
        })
    }
}
