//! The answers of pages that the host keeps, and dropping them on all hosts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use tokio::time::sleep;

use sluice_kit::StoreError;
use sluice_page_cache::{PageCache, PurgeAccess, SeenPurges, Usage};
use sluice_sandbox::memory::Reserved;
use sluice_site::Brand;

use crate::app::App;

/// How often a host asks the database which answers other hosts have dropped.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after the database failed to answer.
const FAULT_WAIT: Duration = Duration::from_secs(5);
/// The cache takes at most this part of the memory of the process.
const MEMORY_PART: u64 = 8;

/// An answer for every visitor.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, not compressed.
    pub body: Bytes,
    /// The entity tag, with its quotes. It is a weak one, because the body may be compressed when it is sent.
    pub etag: String,
    /// The memory that the answer takes.
    pub memory: Reserved,
}

/// An empty cache for a process with this memory.
pub(crate) fn sized(
    config: &sluice_site::config::PageCacheConfig,
    memory_bytes_max: usize,
) -> Arc<PageCache<Answer>> {
    let bytes_max = config.bytes_max.min(memory_bytes_max as u64 / MEMORY_PART);
    Arc::new(PageCache::new(bytes_max, config.brand_bytes_max))
}

/// Publishes how much each brand has in the cache.
pub(crate) fn observe(meter: &Meter, cache: &Arc<PageCache<Answer>>) {
    let gauge = |name: &'static str, what: &'static str, unit: &'static str, read: fn(Usage) -> u64| {
        let cache = Arc::clone(cache);
        meter
            .u64_observable_gauge(name)
            .with_description(what)
            .with_unit(unit)
            .with_callback(move |observer| {
                for (brand, usage) in cache.usage() {
                    observer.observe(read(usage), &[KeyValue::new("sluice.brand", brand)]);
                }
            })
            .build();
    };
    gauge("sluice.page_cache.size", "Memory of the answers that are kept", "By", |usage| usage.bytes);
    gauge("sluice.page_cache.answers", "Answers that are kept", "{answer}", |usage| usage.answers as u64);
}

impl App {
    /// Drops the cached answers of `brand`, for one run or an operator.
    pub fn purge_access(&self, brand: &Brand) -> PurgeAccess {
        let cache = Arc::clone(&self.page_cache);
        PurgeAccess {
            store: Arc::clone(&self.store) as _,
            brand: brand.id.clone(),
            tags: Arc::clone(&brand.cache_tags),
            here: Arc::new(move |brand: &str, tag: &str| cache.purge(brand, tag)),
        }
    }

    /// Drops what other hosts have dropped since the last call.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn follow_purges(&self, seen: &mut SeenPurges) -> Result<(), StoreError> {
        // Without such pages, there is nothing to drop and no reason to ask.
        if !self.live().site.brands().any(|brand| brand.has_cache) {
            return Ok(());
        }
        let now_ms = self.now_ms();
        let purges = self.store.purges_since(SeenPurges::since(now_ms)).await?;
        match seen.take_new(purges, now_ms) {
            Some(new) => new.iter().for_each(|purge| self.page_cache.purge(&purge.brand, &purge.tag)),
            None => {
                tracing::warn!("this host did not reach the database for long: it drops all cached answers");
                self.page_cache.forget();
            }
        }
        Ok(())
    }
}

/// Drops what other hosts drop, as long as the process serves.
pub async fn follow_purges(app: Arc<App>) {
    let mut seen = SeenPurges::default();
    loop {
        let pause = match app.follow_purges(&mut seen).await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(%error, "the purges of other hosts could not be read");
                FAULT_WAIT
            }
        };
        sleep(pause).await;
    }
}
