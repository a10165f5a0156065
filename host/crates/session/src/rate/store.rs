//! The trait that a database implements to count requests.

use sluice_kit::{BoxFuture, StoreError};

/// One address's window for one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateWindow {
    /// A hash of brand, page and address.
    pub key: [u8; 16],
    /// Unix milliseconds.
    pub starts_at: i64,
    /// Unix milliseconds. The count may be deleted from then on.
    pub ends_at: i64,
}

/// Counts of requests that all hosts share.
pub trait RateStore: Send + Sync {
    /// Counts one request and returns the number of requests so far, this one included.
    fn count_request(&self, window: RateWindow) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Deletes at most `rows_max` windows that have ended, and returns how many.
    fn delete_expired_rates(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>>;
}
