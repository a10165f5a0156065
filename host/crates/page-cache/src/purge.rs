//! Dropping answers by their tags, on every host.
//!
//! The database has one row for each brand and tag, whose version counts its purges. Each host looks regularly
//! which versions have changed.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use sluice_kit::{BoxFuture, StoreError};

/// The tag that stands for all answers of a brand.
pub const ALL_TAGS: &str = "";

/// How long the database keeps purges, in milliseconds. A host that was cut off from it for longer drops everything.
pub const PURGE_KEEP_MS: i64 = 10 * 60 * 1_000;

/// A purge in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// The brand.
    pub brand: String,
    /// The tag, or [`ALL_TAGS`].
    pub tag: String,
    /// How often the answers with this tag were dropped.
    pub version: i64,
}

/// Where purges are, for all hosts.
pub trait PurgeStore: Send + Sync {
    /// Notes that the answers of `brand` with `tag` are to be dropped. Returns the new version.
    fn purge<'a>(
        &'a self,
        brand: &'a str,
        tag: &'a str,
        now_ms: i64,
    ) -> BoxFuture<'a, Result<i64, StoreError>>;

    /// The purges since a time.
    fn purges_since(&self, since_ms: i64) -> BoxFuture<'_, Result<Vec<Purge>, StoreError>>;

    /// Deletes purges from before a time, at most `rows_max`. Returns how many were deleted.
    fn delete_old_purges(&self, before_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>>;
}

/// Drops answers of this host: those of a brand with a tag.
pub type DropHere = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// Drops answers on all hosts.
pub struct Purger {
    store: Arc<dyn PurgeStore>,
    here: DropHere,
    seen: Mutex<SeenPurges>,
}

impl Purger {
    /// Drops answers on all hosts of `store`; `here` does on this one.
    pub fn new(store: Arc<dyn PurgeStore>, here: DropHere) -> Self {
        Self { store, here, seen: Mutex::default() }
    }

    /// Drops what other hosts have dropped since the last call. Returns false if that is not known, because the
    /// last answer of the database is too old: then everything has to be dropped.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn follow(&self, now_ms: i64) -> Result<bool, StoreError> {
        let purges = self.store.purges_since(now_ms.saturating_sub(PURGE_KEEP_MS)).await?;
        let Some(new) = self.seen.lock().take_new(purges, now_ms) else { return Ok(false) };
        new.iter().for_each(|purge| (self.here)(&purge.brand, &purge.tag));
        Ok(true)
    }

    /// Drops the answers of `brand` with `tag`, here and on all other hosts.
    async fn purge(&self, brand: &str, tag: &str, now_ms: i64) -> Result<(), StoreError> {
        let noted = self.store.purge(brand, tag, now_ms).await;
        // After the database: a host that fills its cache in between must drop the answer, too.
        (self.here)(brand, tag);
        self.seen.lock().note(brand, tag, noted?);
        Ok(())
    }
}

/// The purges of one brand. Each run has one, so it only shares what there is.
#[derive(Clone)]
pub struct PurgeAccess {
    /// What drops answers.
    pub purger: Arc<Purger>,
    /// The tags that the brand's pages have.
    pub tags: Arc<[String]>,
}

impl PurgeAccess {
    /// Drops the answers of `brand` with `tag`, here and on all other hosts. Returns false if no page has the tag.
    ///
    /// # Errors
    /// The database does not answer. This host has dropped its answers all the same.
    pub async fn purge(&self, brand: &str, tag: &str, now_ms: i64) -> Result<bool, StoreError> {
        // The database would have a row for each tag that a script makes up.
        if tag != ALL_TAGS && !self.tags.iter().any(|known| known == tag) {
            return Ok(false);
        }
        self.purger.purge(brand, tag, now_ms).await?;
        Ok(true)
    }
}

/// The purges that this host knows.
#[derive(Debug, Default)]
struct SeenPurges {
    versions: HashMap<(String, String), i64>,
    last_ms: Option<i64>,
}

impl SeenPurges {
    /// Notes a purge of this host, which has dropped its answers. What others purged before is dropped with them.
    fn note(&mut self, brand: &str, tag: &str, version: i64) {
        self.versions.insert((brand.to_owned(), tag.to_owned()), version);
    }

    /// Returns which of the purges that the database had at `now_ms` are new. `None` if there may have been
    /// others, because the last answer of the database is too old.
    fn take_new(&mut self, purges: Vec<Purge>, now_ms: i64) -> Option<Vec<Purge>> {
        let last_ms = self.last_ms.replace(now_ms);
        let mut versions = HashMap::with_capacity(purges.len());
        let mut new = Vec::new();
        for purge in purges {
            let place = (purge.brand.clone(), purge.tag.clone());
            let known = self.versions.get(&place);
            versions.insert(place, purge.version);
            if known != Some(&purge.version) {
                new.push(purge);
            }
        }
        self.versions = versions;
        // At half of the time, because the clocks of hosts differ.
        let is_recent = last_ms.is_none_or(|last| now_ms.saturating_sub(last) < PURGE_KEEP_MS / 2);
        is_recent.then_some(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purge(tag: &str, version: i64) -> Purge {
        Purge { brand: "b".into(), tag: tag.into(), version }
    }

    #[test]
    fn each_purge_is_new_once() {
        let mut seen = SeenPurges::default();
        let new = |seen: &mut SeenPurges, purges: &[Purge]| seen.take_new(purges.to_vec(), 1_000).unwrap();
        assert_eq!(new(&mut seen, &[purge("a", 1)]), [purge("a", 1)]);
        assert_eq!(new(&mut seen, &[purge("a", 1)]), []);
        assert_eq!(new(&mut seen, &[purge("a", 2), purge("b", 1)]), [purge("a", 2), purge("b", 1)]);
        assert_eq!(new(&mut seen, &[]), []);
    }

    #[test]
    fn own_purges_are_not_new_unless_others_follow() {
        let mut seen = SeenPurges::default();
        let new = |seen: &mut SeenPurges, purges: &[Purge]| seen.take_new(purges.to_vec(), 1_000).unwrap();
        seen.note("b", "a", 1);
        assert_eq!(new(&mut seen, &[purge("a", 1)]), []);
        // Version 2 is of another host. The answers that it is about were dropped with version 3.
        seen.note("b", "a", 3);
        assert_eq!(new(&mut seen, &[purge("a", 3)]), []);
        seen.note("b", "a", 4);
        assert_eq!(new(&mut seen, &[purge("a", 5)]), [purge("a", 5)]);
    }

    #[test]
    fn everything_is_dropped_after_a_long_outage() {
        let mut seen = SeenPurges::default();
        assert!(seen.take_new(vec![], 0).is_some());
        assert!(seen.take_new(vec![], PURGE_KEEP_MS / 2 - 1).is_some());
        assert!(seen.take_new(vec![], PURGE_KEEP_MS).is_none());
        assert!(seen.take_new(vec![], PURGE_KEEP_MS + 1).is_some());
    }
}
