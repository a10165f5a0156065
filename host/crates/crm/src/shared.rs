//! What all CRM calls of a process share.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::KnownSlugs;

/// What all CRM calls of a process share.
#[derive(Debug, Default)]
pub struct CrmShared {
    /// Entities that are known to exist.
    pub slugs: KnownSlugs,
    /// Writes that limits have refused.
    pub refused: RefusedWrites,
}

/// The writes that limits have refused since the process started, by brand.
#[derive(Debug, Default)]
pub struct RefusedWrites(Mutex<BTreeMap<String, RefusedOfBrand>>);

/// The writes of one brand that limits have refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedOfBrand {
    /// Their number.
    pub count: u64,
    /// When the last one was refused, in Unix milliseconds.
    pub last_at: i64,
    /// The call and the reason of the last one.
    pub last: String,
}

impl RefusedWrites {
    /// Counts a write.
    pub(crate) fn note(&self, brand: &str, now_ms: i64, message: String) {
        let mut of_brand = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match of_brand.get_mut(brand) {
            Some(known) => {
                let count = known.count.saturating_add(1);
                *known = RefusedOfBrand { count, last_at: now_ms, last: message };
            }
            None => {
                let first = RefusedOfBrand { count: 1, last_at: now_ms, last: message };
                of_brand.insert(brand.to_owned(), first);
            }
        }
    }

    /// The writes of a brand. `None` if none was refused.
    pub fn of(&self, brand: &str) -> Option<RefusedOfBrand> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(brand).cloned()
    }

    /// The number of all of them.
    pub fn total(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().map(|refused| refused.count).sum()
    }
}
