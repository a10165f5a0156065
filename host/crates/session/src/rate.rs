//! `[[page]] rate`: how many requests one visitor address may send to a page.
//!
//! Windows are fixed and counted in the database, so a rate holds across hosts.
//! Only pages with a rate pay for that. An address that has spent its window is
//! turned away from memory: a flood does not reach the database.

mod store;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

pub use store::{RateStore, RateWindow};

/// Addresses that have spent their window, kept in memory.
const SPENT_MAX: usize = 100_000;

/// A number of requests in each second (`s`), minute (`m`), hour (`h`) or day (`d`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^[0-9]+ */ *[smhd]$"), example = "10/m")]
pub struct Rate {
    pub requests: u32,
    pub window: Duration,
}

impl Rate {
    /// From `10/s`, `10/m`, `10/h` or `10/d`.
    pub fn parse(text: &str) -> Option<Self> {
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

/// Who asks for what.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    pub brand: &'a str,
    pub page: &'a str,
    pub address: IpAddr,
}

/// The window is spent.
#[derive(Debug, PartialEq, Eq)]
pub struct Spent {
    /// Seconds until the next one begins, at least 1.
    pub retry_after_s: u64,
}

/// Counts requests, for as long as the process lives.
pub struct Rates {
    store: Arc<dyn RateStore>,
    /// Ends of spent windows (unix milliseconds) by key.
    spent: Mutex<HashMap<[u8; 16], i64>>,
}

impl Rates {
    pub fn new(store: Arc<dyn RateStore>) -> Self {
        Self { store, spent: Mutex::default() }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// The address has had its requests of this window. A database that does not
    /// answer turns nobody away.
    pub async fn admit(&self, rate: Rate, asker: Asker<'_>, now_ms: i64) -> Result<(), Spent> {
        let window_ms = i64::try_from(rate.window.as_millis()).unwrap_or(i64::MAX).max(1);
        let starts_at = now_ms - now_ms.rem_euclid(window_ms);
        let ends_at = starts_at.saturating_add(window_ms);
        let key = asker.key();
        let spent = Spent { retry_after_s: u64::try_from((ends_at - now_ms) / 1_000).unwrap_or(0).max(1) };
        if self.is_spent(key, now_ms) {
            return Err(spent);
        }
        match self.store.count_request(RateWindow { key, starts_at, ends_at }).await {
            Ok(count) if count > rate.requests => {
                self.remember(key, ends_at, now_ms);
                Err(spent)
            }
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(brand = asker.brand, page = asker.page, %error, "a rate could not be counted");
                Ok(())
            }
        }
    }

    fn is_spent(&self, key: [u8; 16], now_ms: i64) -> bool {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.get(&key).is_some_and(|ends_at| now_ms < *ends_at)
    }

    fn remember(&self, key: [u8; 16], ends_at: i64, now_ms: i64) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.len() >= SPENT_MAX {
            spent.retain(|_, ends_at| now_ms < *ends_at);
        }
        // Still full: the database counts the rest.
        if spent.len() < SPENT_MAX {
            spent.insert(key, ends_at);
        }
    }
}

impl Asker<'_> {
    /// Address and page as a hash: the database holds no addresses.
    fn key(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        for part in [self.brand.as_bytes(), b"\0", self.page.as_bytes(), b"\0"] {
            hash.update(part);
        }
        match self.address.to_canonical() {
            IpAddr::V4(address) => hash.update(address.octets()),
            IpAddr::V6(address) => hash.update(network(address)),
        }
        let mut key = [0; 16];
        key.copy_from_slice(hash.finalize().get(..16).unwrap_or(&[0; 16]));
        key
    }
}

/// The /64 of an address: one visitor has all of it.
fn network(address: Ipv6Addr) -> [u8; 8] {
    (u64::try_from(u128::from(address) >> 64).unwrap_or(0)).to_be_bytes()
}

#[cfg(test)]
mod tests;
