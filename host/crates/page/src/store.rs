//! The contents of pages. A content is loaded at the first request for its page, so a site
//! with ten thousand pages starts as fast as a site with ten, and only pages that visitors
//! use take memory.

use std::collections::HashSet;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use sluice_sandbox::Sandbox;
use sluice_sandbox::cache::{CacheKey, CodeCache};

use super::bundle::{self, Header};
use super::{ContentRef, Page, PageContent, PageScript};

/// Memory mappings that one loaded page takes: each part of its image has a protection of
/// its own.
const PAGE_MAPPINGS: usize = 4;
/// Memory mappings that are left for sandboxes, threads and libraries.
const OTHER_MAPPINGS: usize = 16_384;
/// Where Linux says how many memory mappings a process can have.
const MAX_MAP_COUNT: &str = "/proc/sys/vm/max_map_count";
/// Linux's default for [`MAX_MAP_COUNT`].
const MAX_MAP_COUNT_DEFAULT: usize = 65_530;
/// More loaded pages would take hundreds of megabytes.
const LOADED_PAGES_MAX: usize = 4_096;
/// What a loaded page with a small script takes, in bytes.
const PAGE_BYTES: usize = 112 << 10;
/// The part of it that is not machine code and bytecode, so that a page with a small script counts as one.
const PAGE_BYTES_BESIDES_CODE: usize = 68 << 10;
/// A page counts as at most this part of the store, so that it can be in memory at all: the store consists of
/// independent parts.
const LARGEST_PART: usize = 32;
/// Loaded pages take at most this part of the memory of the process.
const MEMORY_PART: usize = 8;
/// The store holds this many pages even if there are few memory mappings, or little memory.
const LOADED_PAGES_MIN: usize = 64;

/// Keeps contents on disk, and the most used ones in memory.
pub struct PageStore {
    cache: Option<Arc<CodeCache>>,
    loaded: Cache<CacheKey, Arc<PageContent>, Weight>,
}

/// Weighs loaded pages, in bytes.
#[derive(Clone)]
struct Weight {
    bytes_max: usize,
}

impl Weighter<CacheKey, Arc<PageContent>> for Weight {
    fn weight(&self, _: &CacheKey, page: &Arc<PageContent>) -> u64 {
        let code = match &page.script {
            PageScript::Ready { script, .. } => script.machine_code_bytes,
            PageScript::None | PageScript::Broken(_) => 0,
        };
        let bytes = code.saturating_add(PAGE_BYTES_BESIDES_CODE).max(PAGE_BYTES);
        bytes.min(self.bytes_max) as u64
    }
}

impl PageStore {
    /// A store on top of a code cache, in a process that may take `memory_bytes`. Without a cache every
    /// page stays in memory.
    pub fn new(cache: Option<CodeCache>, memory_bytes: usize) -> Self {
        let maps = std::fs::read_to_string(MAX_MAP_COUNT).ok().and_then(|text| text.trim().parse().ok());
        let maps = maps.unwrap_or(MAX_MAP_COUNT_DEFAULT);
        let pages = capacity(maps, memory_bytes);
        let weight = Weight { bytes_max: (pages * PAGE_BYTES / LARGEST_PART).max(PAGE_BYTES) };
        let loaded = Cache::with_weighter(pages, (pages * PAGE_BYTES) as u64, weight);
        Self { cache: cache.map(Arc::new), loaded }
    }

    /// The code cache, if there is one.
    pub fn cache(&self) -> Option<&CodeCache> {
        self.cache.as_deref()
    }

    /// Whether the code cache has a content.
    pub fn has(&self, key: &CacheKey) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.has(key))
    }

    /// Stores the content of a page that has compiled: on disk if there is a cache,
    /// otherwise in memory.
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
                tracing::warn!(file = header.file, %error, "a compiled page cannot be stored");
                false
            }
        });
        self.loaded.insert(key, Arc::clone(&content));
        ContentRef { key, held: (!stored).then_some(content) }
    }

    /// The content of a page of `brand`. If it is not in memory, a thread for long work loads it; if
    /// the cache has lost it, `compile` makes it. Other requests for the page wait for the same result.
    pub async fn content<F>(
        &self,
        sandbox: &Arc<Sandbox>,
        brand: &str,
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
        if let Some(content) = self.loaded.get(&key) {
            return content;
        }
        let load = async {
            let content = match self.stored(sandbox, brand, page).await {
                Some(content) => content,
                None => compile().await,
            };
            Ok::<_, std::convert::Infallible>(Arc::new(content))
        };
        let Ok(content) = Box::pin(self.loaded.get_or_insert_async(&key, load)).await;
        content
    }

    /// The content of the page that runs jobs of a module. It is kept in memory only, and not at all if it
    /// does not compile.
    ///
    /// # Errors
    /// Those of `compile`.
    pub async fn of_job<F, E>(
        &self,
        key: CacheKey,
        compile: impl FnOnce() -> F,
    ) -> Result<Arc<PageContent>, E>
    where
        F: Future<Output = Result<PageContent, E>>,
    {
        let compile = async {
            match compile().await {
                Ok(content) if content.script.is_ready() => Ok(Arc::new(content)),
                other => Err(other.map(Arc::new)),
            }
        };
        self.loaded.get_or_insert_async(&key, compile).await.or_else(|not_kept| not_kept)
    }

    /// How many contents are in memory.
    pub fn loaded(&self) -> usize {
        self.loaded.len()
    }

    /// Loads a page from the code cache. Verifying the entry and compiling its template can take long.
    async fn stored(&self, sandbox: &Arc<Sandbox>, brand: &str, page: &Page) -> Option<PageContent> {
        let cache = Arc::clone(self.cache.as_ref()?);
        let (own, key, file) = (Arc::clone(sandbox), page.content.key, page.file.clone());
        let load = move || match cache.read(&key).map(|kept| bundle::read(&own, kept)) {
            Some(Ok(content)) => Some(content),
            Some(Err(reason)) => {
                tracing::warn!(page = file, %reason, "a stored page cannot be loaded; it is compiled again");
                None
            }
            None => {
                tracing::warn!(
                    page = file,
                    "a stored page is missing from the code cache; it is compiled again"
                );
                None
            }
        };
        sandbox.long_calls.call(brand, load).await.flatten()
    }

    /// Drops the contents that are not in `keep` from memory, for example those of pages before
    /// they changed. Requests that use one keep it to their end. Then deletes the entries of the
    /// code cache that were used longest ago until it is small enough, but none in `keep`. Blocks.
    pub fn evict(&self, keep: &HashSet<CacheKey>) {
        self.loaded.retain(|key, _| keep.contains(key));
        if let Some(Err(error)) = self.cache.as_ref().map(|cache| cache.evict(keep)) {
            tracing::warn!(%error, "old entries of the code cache cannot be deleted");
        }
    }
}

/// How many pages can be in memory so that enough memory mappings and memory are left.
fn capacity(max_map_count: usize, memory_bytes: usize) -> usize {
    let by_mappings = max_map_count.saturating_sub(OTHER_MAPPINGS) / PAGE_MAPPINGS;
    let by_memory = memory_bytes / MEMORY_PART / PAGE_BYTES;
    by_mappings.min(by_memory).clamp(LOADED_PAGES_MIN, LOADED_PAGES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_leaves_memory_mappings_free() {
        assert_eq!(capacity(MAX_MAP_COUNT_DEFAULT, usize::MAX), LOADED_PAGES_MAX);
        assert_eq!(capacity(20_000, usize::MAX), 904);
        assert_eq!(capacity(1_000, usize::MAX), LOADED_PAGES_MIN);
        assert_eq!(capacity(1_000_000, usize::MAX), LOADED_PAGES_MAX);
    }

    #[test]
    fn capacity_leaves_memory_to_runs() {
        assert_eq!(capacity(MAX_MAP_COUNT_DEFAULT, 16 << 30), LOADED_PAGES_MAX);
        assert_eq!(capacity(MAX_MAP_COUNT_DEFAULT, 350 << 20), 400);
        assert_eq!(capacity(MAX_MAP_COUNT_DEFAULT, 0), LOADED_PAGES_MIN);
    }
}
