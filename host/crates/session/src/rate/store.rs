//! Requests counted by visitor and window.

use sluice_kit::{BoxFuture, StoreError};

/// One visitor's window on one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateWindow {
    /// A hash of brand, page and address.
    pub key: [u8; 16],
    /// Unix milliseconds.
    pub starts_at: i64,
    /// Unix milliseconds; from then on the count may be deleted.
    pub ends_at: i64,
}

/// Counts that all hosts share.
pub trait RateStore: Send + Sync {
    /// Adds one and gives the count, this request included.
    fn count_request(&self, window: RateWindow) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Deletes at most `rows_max` windows that have ended, and says how many.
    fn delete_expired_rates(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>>;
}
