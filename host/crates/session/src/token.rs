//! The trait that a database implements to remember used handoff tokens.

use sluice_kit::{BoxFuture, StoreError};

/// The used tokens of all brands.
pub trait TokenStore: Send + Sync {
    /// Records a brand's token as used until `expires_at_ms` (Unix milliseconds). Returns
    /// false if it was used before, on any host.
    fn spend_token(
        &self,
        brand: &str,
        token_id: [u8; 16],
        expires_at_ms: i64,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Deletes at most `rows_max` tokens that have expired, and returns how many. A number
    /// below `rows_max` means that there are no more.
    fn delete_expired_tokens(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>>;
}
