//! The answers of pages that the host keeps.

use std::sync::Arc;

use bytes::Bytes;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use sluice_page_cache::{PageCache, Usage};
use sluice_sandbox::memory::Reserved;

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
