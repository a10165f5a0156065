//! Used handoff tokens.

use rusqlite::Connection;

use sluice_kit::{BoxFuture, StoreError};
use sluice_session::{TokenStore, UsedToken};

use super::SqliteStore;
use super::connection::first;
use crate::error::SqlError;

pub(super) const DELETE_EXPIRED: &str = "DELETE FROM used_token WHERE (brand, token_id) IN (
         SELECT brand, token_id FROM used_token WHERE expires_at <= ?1
         ORDER BY expires_at LIMIT ?2)";

impl TokenStore for SqliteStore {
    fn is_token_used(&self, brand: &str, token_id: [u8; 16]) -> BoxFuture<'_, Result<bool, StoreError>> {
        let brand = brand.to_owned();
        self.readers.read_by_key(move |conn| {
            let used = "SELECT 1 FROM used_token WHERE brand = ?1 AND token_id = ?2";
            Ok(first::<i64>(conn, used, (&brand, token_id))?.is_some())
        })
    }

    fn delete_expired_tokens(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let rows = conn.prepare_cached(DELETE_EXPIRED)?.execute((now_ms, rows_max))?;
            Ok(u32::try_from(rows).unwrap_or(u32::MAX))
        })
    }
}

/// Records a token as used. Returns false if it was used before.
pub(super) fn spend(conn: &Connection, brand: &str, token: &UsedToken) -> Result<bool, SqlError> {
    let rows = conn
        .prepare_cached(
            "INSERT INTO used_token (brand, token_id, expires_at) VALUES (?1, ?2, ?3)
             ON CONFLICT DO NOTHING",
        )?
        .execute((brand, token.token_id, token.remember_until))?;
    Ok(rows == 1)
}
