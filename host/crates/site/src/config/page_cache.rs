//! Settings of the page cache: `[page_cache]` of `sluice.toml`, and `cache` of a page.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use sluice_http::headers::{NamedHeaderError, NamedHeaders};
use sluice_http::method::Method;
use sluice_page_cache::CacheRules;

use super::values::{DurationText, duration, write_duration};
use super::{BrandConfig, PageConfig};

/// The longest time for which an answer is fresh, and the longest after that.
const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const STALE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A page cannot vary by more headers, or have more tags.
const VARY_MAX: usize = 8;
const TAGS_MAX: usize = 16;
const TAG_BYTES_MAX: usize = 64;
/// The headers that every script sees, except for `host`, which is always part of the key.
const ALWAYS_SEEN: [&str; 3] = ["user-agent", "referer", "accept-language"];

/// `[page_cache]` of `sluice.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PageCacheConfig {
    /// The memory for answers of pages with `cache`, in bytes. It takes at most an eighth of
    /// `server.memory_max`. If there are more answers, the brand with the most loses those that were not used for
    /// the longest time.
    pub bytes_max: u64,
    /// The part of it that one brand can use, in bytes. One answer can take a quarter of it.
    pub brand_bytes_max: u64,
}

impl Default for PageCacheConfig {
    fn default() -> Self {
        Self { bytes_max: 64 << 20, brand_bytes_max: 16 << 20 }
    }
}

/// `cache` of a page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "CacheSetting")]
#[schemars(with = "CacheSetting")]
pub struct CachedPage {
    /// How long an answer is fresh.
    pub ttl: Duration,
    /// How much longer it is served while it is made again.
    pub stale: Duration,
    /// The headers by which answers differ.
    pub vary: NamedHeaders,
    /// The names by which answers are dropped.
    pub tags: Vec<String>,
}

/// `cache` of a page as `brand.toml` contains it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CacheSetting {
    /// How long an answer is served again: 1 second to 1 day.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "DurationText")]
    ttl: Duration,
    /// How much longer an old answer is served while a new one is made in the background, and if that fails: at most
    /// 7 days. `0s` by default.
    #[serde(default, deserialize_with = "duration", serialize_with = "write_duration")]
    #[schemars(with = "DurationText", example = &"10m")]
    stale: Duration,
    /// The request headers that the script and the template may read: each value has an answer of its own. They
    /// are among `accept-language`, `user-agent`, `referer` and the page's `headers`.
    #[serde(default)]
    #[schemars(example = ["accept-language"])]
    vary: NamedHeaders,
    /// Names for the page's answers, which `cache.purge` and the console drop: at most 16, of 1 to 64 small
    /// letters, digits, `_`, `-`, `.` and `:`.
    #[serde(default)]
    #[schemars(example = ["posts"])]
    tags: Vec<String>,
}

/// Why the setting is not valid.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Nothing would be cached, or for too long.
    #[error("`ttl` must be 1s to 1d")]
    Ttl,
    /// Old answers would be served for too long.
    #[error("`stale` must be at most 7d")]
    Stale,
    /// There are too many headers.
    #[error("`vary` can name at most {VARY_MAX} headers")]
    Vary,
    /// A header cannot be read.
    #[error(transparent)]
    Header(#[from] NamedHeaderError),
    /// There are too many tags.
    #[error("a page can have at most {TAGS_MAX} tags")]
    Tags,
    /// A tag is not valid.
    #[error("`{0}` is not a tag: use 1 to {TAG_BYTES_MAX} small letters, digits, `_`, `-`, `.` and `:`")]
    Tag(String),
}

impl TryFrom<CacheSetting> for CachedPage {
    type Error = CacheError;

    fn try_from(setting: CacheSetting) -> Result<Self, CacheError> {
        let CacheSetting { ttl, stale, vary, mut tags } = setting;
        if ttl.is_zero() || ttl > TTL_MAX {
            return Err(CacheError::Ttl);
        }
        if stale > STALE_MAX {
            return Err(CacheError::Stale);
        }
        if vary.iter().count() > VARY_MAX {
            return Err(CacheError::Vary);
        }
        if tags.len() > TAGS_MAX {
            return Err(CacheError::Tags);
        }
        let is_such = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b':');
        let is_tag = |tag: &String| (1..=TAG_BYTES_MAX).contains(&tag.len()) && tag.bytes().all(is_such);
        if let Some(bad) = tags.iter().find(|tag| !is_tag(tag)) {
            return Err(CacheError::Tag(bad.clone()));
        }
        tags.sort();
        tags.dedup();
        Ok(Self { ttl, stale, vary, tags })
    }
}

/// The request headers that a page with these `headers` can see, besides `host`.
fn seen_headers(headers: &NamedHeaders) -> impl Iterator<Item = &str> {
    let own = headers.iter().filter(|name| !ALWAYS_SEEN.contains(name) && *name != "host");
    ALWAYS_SEEN.into_iter().chain(own)
}

impl PageConfig {
    /// What the page asks of the cache, if it asks for one.
    pub fn cache_rules(&self) -> Option<Arc<CacheRules>> {
        let cache = self.cache.as_ref()?;
        let others = seen_headers(&self.headers).filter(|name| !cache.vary.contains(name));
        Some(Arc::new(CacheRules {
            ttl: cache.ttl,
            stale: cache.stale,
            vary: cache.vary.iter().map(str::to_owned).collect(),
            other_headers: others.map(str::to_owned).collect(),
            tags: cache.tags.clone(),
        }))
    }
}

/// Why the page at a path cannot have `cache`.
#[derive(Debug, thiserror::Error)]
#[error("[[page]] {path}: {fault}")]
pub struct CacheFault {
    /// The path of the page.
    pub path: String,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(
        "`cache` is not allowed, because the access rule for {0} covers the page: answers that are only for some \
         visitors are not kept"
    )]
    Access(String),
    #[error("`cache` needs GET in `methods`: answers to other methods are not kept")]
    Method,
    #[error("`vary` names the header `{0}`, which the page cannot read: add it to `headers`")]
    Header(String),
    #[error("`vary` need not name `host`: each host has its own answers")]
    Host,
}

impl BrandConfig {
    /// Why a page of this brand cannot have `cache`, although the setting itself is valid.
    pub fn cache_fault(&self) -> Option<CacheFault> {
        self.page.iter().find_map(|page| {
            let fault = self.fault_of(page)?;
            Some(CacheFault { path: page.path.clone(), fault })
        })
    }

    fn fault_of(&self, page: &PageConfig) -> Option<Fault> {
        let cache = page.cache.as_ref()?;
        if let Some(pattern) = self.access.on_page(&page.path) {
            return Some(Fault::Access(pattern.to_owned()));
        }
        if !page.methods.unwrap_or_default().accept(Method::Get) {
            return Some(Fault::Method);
        }
        if cache.vary.contains("host") {
            return Some(Fault::Host);
        }
        let unseen = cache.vary.iter().find(|name| !seen_headers(&page.headers).any(|seen| seen == *name))?;
        Some(Fault::Header(unseen.to_owned()))
    }
}
