//! Handoff tokens that were used, for as long as each could be used again.

use sluice_kit::{BoxFuture, StoreError};

/// Used tokens of all brands.
pub trait TokenStore: Send + Sync {
    /// Records that a brand's token is used, until `expires_at_ms` (unix
    /// milliseconds). False: it was used before, on whichever host.
    fn spend_token(
        &self,
        brand: &str,
        token_id: [u8; 16],
        expires_at_ms: i64,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Forgets at most `rows_max` tokens that have expired, and says how many.
    /// Fewer than `rows_max`: there are no more.
    fn delete_expired_tokens(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>>;
}
