//! Checks that settings of a site and a brand are either read or rejected with their file, and that an
//! edited limit stays readable and changes nothing else.
//!
//! The first line of the input is the path of a page; the rest is `brand.toml` and, on its own,
//! `sluice.toml`.

#![no_main]

use std::cell::LazyCell;

use libfuzzer_sys::fuzz_target;
use sluice_kit::folder::FolderPath;
use sluice_site::apply::set_page_limit;
use sluice_site::config::{Reader, read_brand_file, read_site_as, salvage_hosts};
use tempfile::TempDir;

thread_local! {
    static DIR: LazyCell<TempDir> = const { LazyCell::new(|| {
        let memory = std::path::Path::new("/dev/shm");
        let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        made.expect("a folder")
    }) };
}

fuzz_target!(|text: &str| {
    let (path, toml) = text.split_once('\n').unwrap_or(("/", text));
    DIR.with(|dir| {
        let dir = dir.path();
        let folder = FolderPath::root(dir);
        let write = |name: &str| std::fs::write(dir.join(name), toml).expect("the folder can be written");
        write("sluice.toml");
        if let Err(error) = read_site_as(Reader::Developer, dir, std::iter::empty()) {
            assert!(error.to_string().contains("sluice.toml"), "{error}");
        }
        write("brand.toml");
        let before = read_brand_file(&folder);
        let hosts = salvage_hosts(&folder);
        if let Ok(before) = &before {
            assert_eq!(hosts, (before.config.domains.clone(), before.config.default), "all hosts are found");
        }
        let edited = set_page_limit(&folder, None, path, "fuel", Some(1_234_567));
        let after = std::fs::read_to_string(dir.join("brand.toml")).expect("the file is still there");
        match edited {
            Ok(()) => {
                let before = before.expect("only a file that can be read is edited").config;
                let config = read_brand_file(&folder).expect("an edited file can be read").config;
                assert_eq!((config.domains, config.default), (before.domains, before.default));
                assert!(after.contains("1234567"));
                set_page_limit(&folder, None, path, "fuel", None).expect("what was set can be removed");
                let config = read_brand_file(&folder).expect("an edited file can be read").config;
                let left = config.page.iter().find(|page| page.path == path);
                assert!(left.is_none_or(|page| page.limits.fuel.is_none()));
            }
            Err(_) => assert_eq!(after, toml, "a file that is not edited stays the same"),
        }
    });
});
