//! Used handoff tokens.

use rusqlite::Connection;

use crate::error::SqlError;

pub(super) const DELETE_EXPIRED: &str = "DELETE FROM used_token WHERE (brand, token_id) IN (
         SELECT brand, token_id FROM used_token WHERE expires_at <= ?1
         ORDER BY expires_at LIMIT ?2)";

pub(super) fn spend(
    conn: &Connection,
    brand: &str,
    token_id: [u8; 16],
    expires_at_ms: i64,
) -> Result<bool, SqlError> {
    let rows = conn
        .prepare_cached(
            "INSERT INTO used_token (brand, token_id, expires_at) VALUES (?1, ?2, ?3)
             ON CONFLICT DO NOTHING",
        )?
        .execute((brand, token_id, expires_at_ms))?;
    Ok(rows == 1)
}

pub(super) fn delete_expired(conn: &Connection, now_ms: i64, rows_max: u32) -> Result<u32, SqlError> {
    let rows = conn.prepare_cached(DELETE_EXPIRED)?.execute((now_ms, rows_max))?;
    Ok(u32::try_from(rows).unwrap_or(u32::MAX))
}
