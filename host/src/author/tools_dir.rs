//! `.sluice/` in a site's folder: what the tools for authors keep between their calls. It
//! can be deleted at any time.

use std::io;
use std::path::{Path, PathBuf};

use crate::cache::CodeCache;
use crate::config::SiteConfig;
use crate::keys::Keys;

const NAME: &str = ".sluice";
/// Nothing in it belongs into version control.
const GIT_IGNORE: &str = "*\n";

/// The folder below `dir`, made if there is none.
///
/// # Errors
/// It cannot be made.
pub fn make(dir: &Path) -> io::Result<PathBuf> {
    let tools = dir.join(NAME);
    std::fs::create_dir_all(&tools)?;
    let ignore = tools.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(ignore, GIT_IGNORE)?;
    }
    Ok(tools)
}

/// What is compiled for any of the tools. None where it cannot be kept: they compile anew.
pub fn code_cache(dir: &Path, config: &SiteConfig) -> Option<CodeCache> {
    let tools = make(dir).ok()?;
    let keys = Keys::of_dir(&tools).ok()?;
    CodeCache::open(&tools.join("cache"), &keys, config.cache.bytes_max).ok()
}
