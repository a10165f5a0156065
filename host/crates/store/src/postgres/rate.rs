//! Request counts.

use tokio_postgres::Client;

use sluice_session::rate::RateWindow;

use super::batch::{bytes, int, query};
use super::error::corrupt;
use crate::error::SqlError;

const COUNT: &str = "INSERT INTO rate (key, starts_at, ends_at, requests) VALUES ($1, $2, $3, 1)
    ON CONFLICT (key, starts_at) DO UPDATE SET requests = rate.requests + 1
    RETURNING requests";

/// Rows that another host deletes or counts in at this moment are left out.
pub(super) const DELETE_EXPIRED: &str = "DELETE FROM rate WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM rate WHERE ends_at <= $1
        ORDER BY ends_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING true";

pub(super) async fn count(conn: &Client, window: &RateWindow) -> Result<u32, SqlError> {
    let params = [bytes(&window.key), int(window.starts_at), int(window.ends_at)];
    let rows = query(conn, COUNT, params).await?;
    let row = rows.first().ok_or_else(|| corrupt("request count", "it is not there"))?;
    let requests: i32 = row.try_get(0)?;
    Ok(requests.unsigned_abs())
}

pub(super) async fn delete_expired(conn: &Client, now_ms: i64, rows_max: u32) -> Result<u32, SqlError> {
    let rows = query(conn, DELETE_EXPIRED, [int(now_ms), int(rows_max.into())]).await?;
    Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
}
