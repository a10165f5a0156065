//! The code cache of the tools for authors, which all sites of a user share. It can be deleted
//! at any time.
//!
//! It is not in the site's folder. Machine code is trusted because of a key, and a person who
//! sends a site to somebody must not be able to send such a key with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sluice_kit::keys::Keys;
use sluice_kit::operator_dir::OperatorDir;
use sluice_sandbox::cache::CodeCache;

use crate::config::SiteConfig;

/// Opens the cache for the site in `site_dir`. `None` if it cannot be stored or is in the site; then
/// everything is compiled again.
pub fn code_cache(site_dir: &Path, config: &SiteConfig) -> Option<CodeCache> {
    let folder = OperatorDir::outside(site_dir, &folder(|name| std::env::var_os(name))?);
    let folder = folder.inspect_err(|error| tracing::warn!("compiled code is not stored: {error}")).ok()?;
    let keys = Keys::of_dir(&folder).ok()?;
    CodeCache::open(&folder.dir("code").ok()?, &keys, config.cache.bytes_max).ok()
}

/// `sluice` in the folder for caches of the XDG Base Directory Specification.
fn folder(environment: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The specification says to ignore relative paths. They could also lead into the site.
    let absolute = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("sluice"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_is_in_the_user_s_cache_folder() {
        let given = |cache: &'static str, home: &'static str| {
            folder(move |name| {
                let value = if name == "HOME" { home } else { cache };
                (!value.is_empty()).then(|| value.into())
            })
        };
        assert_eq!(given("/c", "/h"), Some("/c/sluice".into()));
        assert_eq!(given("", "/h"), Some("/h/.cache/sluice".into()));
        assert_eq!(given("relative", "/h"), Some("/h/.cache/sluice".into()));
        assert_eq!(given("", "."), None);
    }
}
