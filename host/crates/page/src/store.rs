//! The contents of pages, loaded when they are asked for. A site of ten thousand pages
//! starts like one of ten, and holds in memory what visitors look at.

use std::collections::HashSet;
use std::sync::Arc;

use quick_cache::sync::Cache;

use sluice_sandbox::Sandbox;
use sluice_sandbox::cache::{CacheKey, CodeCache};

use super::bundle::{self, Header};
use super::{ContentRef, Page, PageContent};

/// Mappings of one loaded page: its image's parts have protections of their own.
const PAGE_MAPPINGS: usize = 4;
/// What sandboxes, threads and libraries need of the process's mappings.
const OTHER_MAPPINGS: usize = 16_384;
const MAX_MAP_COUNT: &str = "/proc/sys/vm/max_map_count";
/// Linux's default.
const MAX_MAP_COUNT_DEFAULT: usize = 65_530;
/// More would hold hundreds of megabytes.
const LOADED_PAGES_MAX: usize = 4_096;
const LOADED_PAGES_MIN: usize = 64;

/// Contents on disk, and the most wanted ones in memory.
pub struct PageStore {
    cache: Option<CodeCache>,
    loaded: Cache<CacheKey, Arc<PageContent>>,
}

impl PageStore {
    /// Without a cache every page stays in memory.
    pub fn new(cache: Option<CodeCache>) -> Self {
        let maps = std::fs::read_to_string(MAX_MAP_COUNT).ok().and_then(|text| text.trim().parse().ok());
        Self { cache, loaded: Cache::new(capacity(maps.unwrap_or(MAX_MAP_COUNT_DEFAULT))) }
    }

    pub fn cache(&self) -> Option<&CodeCache> {
        self.cache.as_ref()
    }

    /// Whether a content can be loaded.
    pub fn has(&self, key: &CacheKey) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.has(key))
    }

    /// Keeps a whole page's content: on disk where there is a cache, else in memory.
    pub fn keep(
        &self,
        key: CacheKey,
        header: &Header,
        machine_code: &[u8],
        content: PageContent,
    ) -> ContentRef {
        let content = Arc::new(content);
        let stored = self.cache.as_ref().is_some_and(|cache| match bundle::write(header, machine_code) {
            Ok(bundle) => cache.write(&key, &bundle),
            Err(error) => {
                tracing::warn!(file = header.file, error, "a compiled page cannot be kept");
                false
            }
        });
        self.loaded.insert(key, Arc::clone(&content));
        ContentRef { key, held: (!stored).then_some(content) }
    }

    /// The content of `page`, loaded if need be; made by `compile` where the cache has
    /// lost it. Visitors who come meanwhile wait for the same.
    pub async fn content<F>(
        &self,
        sandbox: &Sandbox,
        page: &Page,
        compile: impl FnOnce() -> F,
    ) -> Arc<PageContent>
    where
        F: Future<Output = PageContent>,
    {
        if let Some(held) = &page.content.held {
            return Arc::clone(held);
        }
        let key = page.content.key;
        let load = async {
            let kept = self.cache.as_ref().and_then(|cache| cache.read(&key));
            match kept.map(|kept| bundle::read(sandbox, kept)) {
                Some(Ok(content)) => return Ok(Arc::new(content)),
                Some(Err(reason)) => {
                    tracing::warn!(
                        page = page.file,
                        reason,
                        "a compiled page is of no use; it is compiled again"
                    );
                }
                None => tracing::warn!(page = page.file, "a compiled page is gone; it is compiled again"),
            }
            Ok::<_, std::convert::Infallible>(Arc::new(compile().await))
        };
        let Ok(content) = self.loaded.get_or_insert_async(&key, load).await;
        content
    }

    /// Drops what is not among `pages` and too much for the disk. Blocks.
    pub fn evict(&self, keep: &HashSet<CacheKey>) {
        if let Some(Err(error)) = self.cache.as_ref().map(|cache| cache.evict(keep)) {
            tracing::warn!(%error, "the code cache cannot be tidied");
        }
    }
}

/// How many pages are held at most, so that mappings are left for everything else.
fn capacity(max_map_count: usize) -> usize {
    (max_map_count.saturating_sub(OTHER_MAPPINGS) / PAGE_MAPPINGS).clamp(LOADED_PAGES_MIN, LOADED_PAGES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_leave_mappings_for_others() {
        assert_eq!(capacity(MAX_MAP_COUNT_DEFAULT), LOADED_PAGES_MAX);
        assert_eq!(capacity(20_000), 904);
        assert_eq!(capacity(1_000), LOADED_PAGES_MIN);
        assert_eq!(capacity(1_000_000), LOADED_PAGES_MAX);
    }
}
