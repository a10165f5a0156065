//! Used handoff tokens.

use sluice_kit::{BoxFuture, StoreError};
use sluice_session::TokenStore;

use super::SqliteStore;

pub(super) const DELETE_EXPIRED: &str = "DELETE FROM used_token WHERE (brand, token_id) IN (
         SELECT brand, token_id FROM used_token WHERE expires_at <= ?1
         ORDER BY expires_at LIMIT ?2)";

impl TokenStore for SqliteStore {
    fn spend_token(
        &self,
        brand: &str,
        token_id: [u8; 16],
        expires_at_ms: i64,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let brand = brand.to_owned();
        self.writer.write(move |conn| {
            let rows = conn
                .prepare_cached(
                    "INSERT INTO used_token (brand, token_id, expires_at) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO NOTHING",
                )?
                .execute((brand, token_id, expires_at_ms))?;
            Ok(rows == 1)
        })
    }

    fn delete_expired_tokens(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let rows = conn.prepare_cached(DELETE_EXPIRED)?.execute((now_ms, rows_max))?;
            Ok(u32::try_from(rows).unwrap_or(u32::MAX))
        })
    }
}
