//! Used handoff tokens.

use tokio_postgres::Client;

use super::batch::{bytes, int, query, text};
use crate::error::SqlError;

const SPEND: &str = "INSERT INTO used_token (brand, token_id, expires_at) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING true";

/// Rows that another host deletes at this moment are left out.
pub(super) const DELETE_EXPIRED: &str = "DELETE FROM used_token WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM used_token WHERE expires_at <= $1
        ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING true";

pub(super) async fn spend(
    conn: &Client,
    brand: &str,
    token_id: &[u8; 16],
    expires_at_ms: i64,
) -> Result<bool, SqlError> {
    let rows = query(conn, SPEND, [text(brand), bytes(token_id), int(expires_at_ms)]).await?;
    Ok(!rows.is_empty())
}

pub(super) async fn delete_expired(conn: &Client, now_ms: i64, rows_max: u32) -> Result<u32, SqlError> {
    let rows = query(conn, DELETE_EXPIRED, [int(now_ms), int(rows_max.into())]).await?;
    Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
}
