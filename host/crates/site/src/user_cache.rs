//! What the tools for authors have compiled, for all sites of a user. It can be deleted at
//! any time.
//!
//! It is not in the site's folder: machine code is believed because of a key, and whoever
//! sends a site to be looked at must not be able to send the key with it.

use std::ffi::OsString;
use std::path::PathBuf;

use sluice_kit::keys::Keys;
use sluice_sandbox::cache::CodeCache;

use crate::config::SiteConfig;

/// None where it cannot be kept: then everything is compiled anew.
pub fn code_cache(config: &SiteConfig) -> Option<CodeCache> {
    let folder = folder(|name| std::env::var_os(name))?;
    let keys = Keys::of_dir(&folder).ok()?;
    CodeCache::open(&folder.join("code"), &keys, config.cache.bytes_max).ok()
}

/// `sluice` in the folder that the XDG Base Directory Specification names for caches.
fn folder(environment: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // What is not absolute is to be ignored, and would be the site's.
    let absolute = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("sluice"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_user_s() {
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
