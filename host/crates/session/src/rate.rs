//! `[[page]] rate`: how many requests one visitor address may send to a page.
//!
//! The database counts the requests of each fixed window, so that a rate applies across
//! hosts. Only pages with a rate pay for that. Once an address has exceeded its rate, its
//! requests are rejected from memory until the window ends, so that a flood does not reach
//! the database.

mod store;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use sluice_kit::client_network;

pub use store::{RateStore, RateWindow};

/// At most this many addresses that exceeded a rate are kept in memory.
const EXCEEDED_MAX: usize = 100_000;
/// At most this many addresses are counted in memory while the database does not answer.
const OWN_COUNTS_MAX: usize = 100_000;

/// A number of requests in each second (`s`), minute (`m`), hour (`h`) or day (`d`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^[0-9]+ */ *[smhd]$"), example = "10/m")]
pub struct Rate {
    /// Requests that are admitted in one window.
    pub requests: u32,
    /// The length of the window.
    pub window: Duration,
}

impl Rate {
    /// Reads `10/s`, `10/m`, `10/h` or `10/d`.
    fn parse(text: &str) -> Option<Self> {
        let (requests, unit) = text.split_once('/')?;
        let seconds = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return None,
        };
        let requests = requests.trim().parse().ok().filter(|requests| *requests > 0)?;
        Some(Self { requests, window: Duration::from_secs(seconds) })
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not a rate such as 10/s, 10/m, 10/h or 10/d"))
        })
    }
}

/// The address that sends a request, and the page that it asks for.
#[derive(Debug, Clone, Copy)]
pub struct Requester<'a> {
    /// The brand's id.
    pub brand: &'a str,
    /// The page's file.
    pub page: &'a str,
    /// The visitor's address, if it is known.
    pub address: Option<IpAddr>,
}

/// The address sent more requests than its rate allows.
#[derive(Debug, PartialEq, Eq)]
pub struct RateExceeded {
    /// Seconds until the next window begins, at least 1.
    pub retry_after_s: u64,
}

/// Counts the requests of all pages with a rate. There is one for the whole process.
pub struct Rates {
    store: Arc<dyn RateStore>,
    /// For each key that exceeded its rate, the end of its window in Unix milliseconds.
    exceeded: Mutex<HashMap<[u8; 16], i64>>,
    /// The counts of this host while the database does not count.
    own: Mutex<HashMap<[u8; 16], OwnCount>>,
}

/// What this host has counted in one window.
struct OwnCount {
    /// Unix milliseconds.
    ends_at: i64,
    requests: u32,
}

impl Rates {
    /// Makes the counters. `store` keeps the counts.
    pub fn new(store: Arc<dyn RateStore>) -> Self {
        Self { store, exceeded: Mutex::default(), own: Mutex::default() }
    }

    /// Counts one request and admits or rejects it. If the database does not answer, this host
    /// counts its own requests.
    ///
    /// # Errors
    /// The address has exceeded its rate.
    pub async fn admit(&self, rate: Rate, requester: Requester<'_>, now_ms: i64) -> Result<(), RateExceeded> {
        let window_ms = i64::try_from(rate.window.as_millis()).unwrap_or(i64::MAX).max(1);
        let starts_at = now_ms - now_ms.rem_euclid(window_ms);
        let ends_at = starts_at.saturating_add(window_ms);
        let key = requester.key();
        let retry_after_s = u64::try_from((ends_at - now_ms) / 1_000).unwrap_or(0).max(1);
        if self.has_exceeded(key, now_ms) {
            return Err(RateExceeded { retry_after_s });
        }
        let counted = self.store.count_request(RateWindow { key, starts_at, ends_at }).await;
        let count = counted.unwrap_or_else(|error| {
            let Requester { brand, page, .. } = requester;
            tracing::warn!(brand, page, %error, "the database did not count a request for its rate; this host counts it");
            self.count_here(key, ends_at, now_ms)
        });
        if count > rate.requests {
            self.remember(key, ends_at, now_ms);
            return Err(RateExceeded { retry_after_s });
        }
        Ok(())
    }

    /// Counts a request of this host. Returns the number of requests so far.
    fn count_here(&self, key: [u8; 16], ends_at: i64, now_ms: i64) -> u32 {
        let mut own = self.own.lock();
        if own.len() >= OWN_COUNTS_MAX && !own.contains_key(&key) {
            own.retain(|_, count| now_ms < count.ends_at);
            // Among so many addresses, the oldest counts protect nothing more.
            if own.len() >= OWN_COUNTS_MAX {
                own.clear();
            }
        }
        let count = own.entry(key).or_insert(OwnCount { ends_at, requests: 0 });
        if count.ends_at != ends_at {
            *count = OwnCount { ends_at, requests: 0 };
        }
        count.requests = count.requests.saturating_add(1);
        count.requests
    }

    fn has_exceeded(&self, key: [u8; 16], now_ms: i64) -> bool {
        self.exceeded.lock().get(&key).is_some_and(|ends_at| now_ms < *ends_at)
    }

    fn remember(&self, key: [u8; 16], ends_at: i64, now_ms: i64) {
        let mut exceeded = self.exceeded.lock();
        if exceeded.len() >= EXCEEDED_MAX {
            exceeded.retain(|_, ends_at| now_ms < *ends_at);
        }
        // If there is still no room, the database counts the address's further requests.
        if exceeded.len() < EXCEEDED_MAX {
            exceeded.insert(key, ends_at);
        }
    }
}

impl Requester<'_> {
    /// Hashes address and page, because the database must not store addresses.
    fn key(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        for part in [self.brand.as_bytes(), b"\0", self.page.as_bytes(), b"\0"] {
            hash.update(part);
        }
        match client_network(self.address) {
            IpAddr::V4(address) => hash.update(address.octets()),
            IpAddr::V6(network) => {
                let prefix = u64::try_from(u128::from(network) >> 64).unwrap_or(0);
                hash.update(prefix.to_be_bytes());
            }
        }
        let mut key = [0; 16];
        key.copy_from_slice(hash.finalize().get(..16).unwrap_or(&[0; 16]));
        key
    }
}

#[cfg(test)]
mod tests;
