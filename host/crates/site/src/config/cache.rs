//! `[cache]` of `sluice.toml`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// `[cache]` of `sluice.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// The folder of the cache, relative to the data folder. It can be deleted at any time. Only
    /// `SLUICE_CACHE__DIR`, not `sluice.toml`, can name another folder than `cache`. `sluice dev` and the
    /// other tools for authors ignore it: they share a cache in your own cache folder.
    #[schemars(example = &"cache")]
    pub dir: Option<PathBuf>,
    /// The size of the cache in bytes. If the cache is larger, Sluice deletes the least recently
    /// used entries. It keeps entries that are in use.
    pub bytes_max: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { dir: None, bytes_max: 1 << 30 }
    }
}
