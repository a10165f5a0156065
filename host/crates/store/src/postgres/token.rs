//! Used handoff tokens.

use sluice_kit::{BoxFuture, StoreError};
use sluice_session::{TokenStore, UsedToken};

use super::PostgresStore;
use super::batch::{Batch, bytes, int, query, text};

const SPEND: &str = "INSERT INTO used_token (brand, token_id, expires_at) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING true";

const IS_USED: &str = "SELECT true FROM used_token WHERE brand = $1 AND token_id = $2";

/// Skips rows that another host is deleting.
pub(super) const DELETE_EXPIRED: &str = "DELETE FROM used_token WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM used_token WHERE expires_at <= $1
        ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING true";

impl TokenStore for PostgresStore {
    fn is_token_used(&self, brand: &str, token_id: [u8; 16]) -> BoxFuture<'_, Result<bool, StoreError>> {
        let brand = brand.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, IS_USED, [text(&brand), bytes(&token_id)]).await?;
                Ok(!rows.is_empty())
            })
        })
    }

    fn delete_expired_tokens(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, DELETE_EXPIRED, [int(now_ms), int(rows_max.into())]).await?;
                Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
            })
        })
    }
}

/// Adds a statement that records a token as used. It returns no row if the token was used before.
/// If another transaction is about to use it, the statement waits for the end of that one.
pub(super) fn add_spend<'a>(batch: &mut Batch<'a>, brand: &'a str, token: &'a UsedToken) {
    batch.add(SPEND, [text(brand), bytes(&token.token_id), int(token.remember_until)]);
}
