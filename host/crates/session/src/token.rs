//! The trait that a database implements to remember used handoff tokens.

use sluice_kit::{BoxFuture, StoreError};

/// A handoff token that a request uses up. It counts as used from the moment when the request's
/// changes are committed; see [`SessionStore::commit_run`](crate::SessionStore::commit_run).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedToken {
    /// The token's own id.
    pub token_id: [u8; 16],
    /// How long it is remembered, in Unix milliseconds.
    pub remember_until: i64,
}

/// The used tokens of all brands.
pub trait TokenStore: Send + Sync {
    /// Whether a brand's token was used before, on any host.
    fn is_token_used(&self, brand: &str, token_id: [u8; 16]) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Deletes at most `rows_max` tokens that have expired, and returns how many. A number
    /// below `rows_max` means that there are no more.
    fn delete_expired_tokens(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>>;
}
