//! The state of a site's files at one moment. Content decides whether a file has changed: a file
//! that is saved again with the same text has not.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sluice_kit::folder::{Folder, Kind, OpenError};
use sluice_sandbox::cache::CacheKey;

/// For larger files, only size and modification time are compared.
const HASHED_BYTES_MAX: u64 = 4 << 20;
/// How many folders may be in each other. Loading the site reports deeper ones.
const DEPTH_MAX: usize = 64;
/// The settings of the site, next to the folder of its brands.
pub(super) const SETTINGS: &str = "sluice.toml";
/// The folder of the brands.
pub(super) const BRANDS: &str = "brands";

/// The state of all files of a site.
pub(super) struct Snapshot {
    site_dir: PathBuf,
    /// By path relative to the site's folder.
    files: BTreeMap<String, State>,
}

/// The state of a file. What is not a regular file has the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    bytes: u64,
    modified: Option<SystemTime>,
    /// A hash of the content. `None` for large files.
    content: Option<CacheKey>,
}

impl Snapshot {
    /// Reads every file.
    pub(super) fn take(site_dir: &Path) -> Self {
        let mut snapshot = Self { site_dir: site_dir.to_owned(), files: BTreeMap::new() };
        snapshot.refresh(&HashSet::new());
        snapshot
    }

    /// Reads the files in `touched` (relative paths) and those whose size or modification time
    /// has changed. Returns the files that were changed, added or removed, sorted.
    pub(super) fn refresh(&mut self, touched: &HashSet<String>) -> Vec<String> {
        let mut files = BTreeMap::new();
        // A folder that cannot be read counts as missing. Loading the site reports the reason.
        if let Ok(site) = Folder::open(&self.site_dir) {
            self.look(&site, SETTINGS.to_owned(), touched, &mut files);
            self.walk(&site, touched, &mut files);
        }
        let before = std::mem::replace(&mut self.files, files);
        let is_other =
            |(file, state): &(&String, &State)| before.get(*file).is_none_or(|known| !known.is_same(state));
        let written = self.files.iter().filter(is_other).map(|(file, _)| file.clone());
        let removed = before.keys().filter(|file| !self.files.contains_key(*file)).cloned();
        let mut changed: Vec<String> = written.chain(removed).collect();
        changed.sort();
        changed
    }

    fn walk(&self, site: &Folder, touched: &HashSet<String>, found: &mut BTreeMap<String, State>) {
        let mut waiting = vec![BRANDS.to_owned()];
        while let Some(folder) = waiting.pop() {
            if folder.matches('/').count() > DEPTH_MAX {
                continue;
            }
            let Ok(entries) = site.folder(&folder).and_then(|folder| folder.entries()) else { continue };
            for entry in entries {
                let name = entry.name.to_string_lossy();
                // Editors keep drafts in hidden files. Sites have no hidden names except `.well-known`.
                if name.starts_with('.') && name != ".well-known" {
                    continue;
                }
                let path = format!("{folder}/{name}");
                match entry.kind {
                    Kind::Folder => waiting.push(path),
                    Kind::File => self.look(site, path, touched, found),
                    // Nothing is read, but the mistake appears and disappears with it.
                    Kind::Link | Kind::Other => {
                        found.insert(path, State::default());
                    }
                }
            }
        }
    }

    fn look(
        &self,
        site: &Folder,
        file: String,
        touched: &HashSet<String>,
        found: &mut BTreeMap<String, State>,
    ) {
        let metadata = match site.file(&file).and_then(|file| Ok(file.metadata()?)) {
            Ok(metadata) => metadata,
            Err(error) if error.is_missing() => return,
            Err(_) => {
                found.insert(file, State::default());
                return;
            }
        };
        let (bytes, modified) = (metadata.len(), metadata.modified().ok());
        let known = self.files.get(&file).filter(|known| known.bytes == bytes && known.modified == modified);
        let state = match known {
            Some(known) if !touched.contains(&file) => known.clone(),
            _ => State { bytes, modified, content: content(site, &file).ok() },
        };
        found.insert(file, state);
    }
}

impl State {
    fn is_same(&self, other: &Self) -> bool {
        match (&self.content, &other.content) {
            (Some(own), Some(others)) => own == others,
            _ => self == other,
        }
    }
}

fn content(site: &Folder, file: &str) -> Result<CacheKey, OpenError> {
    Ok(CacheKey::of([site.read(file, HASHED_BYTES_MAX)?.as_slice()]))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_only_files_whose_content_changed() {
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("brands/a/pages/index.html", "one");
        write("brands/a/pages/other.html", "other");
        write("data/sluice.db", "x");
        let mut snapshot = Snapshot::take(dir.path());
        let none: [&str; 0] = [];
        assert_eq!(snapshot.refresh(&HashSet::new()), none);

        // The same text again, and files that do not belong to a site.
        write("brands/a/pages/index.html", "one");
        write("brands/a/pages/.index.html.swp", "draft");
        write("data/sluice.db", "y");
        assert_eq!(snapshot.refresh(&HashSet::new()), none);

        write("brands/a/pages/index.html", "two, and longer");
        write("brands/b/brand.toml", "");
        write("sluice.toml", "");
        fs::remove_file(dir.path().join("brands/a/pages/other.html")).unwrap();
        let changed =
            ["brands/a/pages/index.html", "brands/a/pages/other.html", "brands/b/brand.toml", "sluice.toml"];
        assert_eq!(snapshot.refresh(&HashSet::new()), changed);
        assert_eq!(snapshot.refresh(&HashSet::new()), none);

        // With the same size and modification time, a file is read only if it was touched.
        let path = dir.path().join("brands/a/pages/index.html");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "TWO, and longer").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert_eq!(snapshot.refresh(&HashSet::new()), none);
        let touched = HashSet::from(["brands/a/pages/index.html".to_owned()]);
        assert_eq!(snapshot.refresh(&touched), ["brands/a/pages/index.html"]);
    }
}
