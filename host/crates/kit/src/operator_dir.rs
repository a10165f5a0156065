//! A folder that belongs to the operator. `keys` reads the application key from it, `sandbox` its
//! code cache and the secrets, `runs` stores the execution log in it.
//!
//! Machine code is trusted because of a key. Whoever sends a site could send a key and matching
//! machine code with it. The type [`OperatorDir`] proves that a folder is not part of the site and
//! is not reached through a link in the site.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// The number of links that Linux follows in one path.
const LINKS_MAX: u32 = 40;

/// Why a path cannot be used for data of the operator.
#[derive(Debug, thiserror::Error)]
pub enum OperatorDirError {
    /// The path is in the site's folder, or a link in the site's folder leads to it.
    #[error("{} leads into the site's folder {}, but this data must be outside it", path.display(), site.display())]
    InSite {
        /// The path that was given.
        path: PathBuf,
        /// The site's folder, or the folder of its brands.
        site: PathBuf,
    },
    /// The path cannot be followed.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The path that was given.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// A folder outside the site, which need not exist yet. Its path is absolute and has no links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorDir {
    path: PathBuf,
    site: SiteFolders,
}

/// The path of a file outside the site, which need not exist yet. It is absolute and has no links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorFile(PathBuf);

/// The folders that belong to whoever made the site. Their paths are absolute and have no links.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SiteFolders(Vec<PathBuf>);

impl OperatorDir {
    /// The folder `path`, which must be outside the site in `site_dir`. Links in both paths are
    /// followed.
    ///
    /// # Errors
    /// The folder is in the site, or a path cannot be followed.
    pub fn outside(site_dir: &Path, path: &Path) -> Result<Self, OperatorDirError> {
        let site = SiteFolders::of(site_dir)?;
        Ok(Self { path: site.resolve(path)?, site })
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in this one, or an absolute path. It must be outside the site, too: a link or a
    /// relative path can lead back into the site.
    ///
    /// # Errors
    /// As [`OperatorDir::outside`].
    pub fn dir(&self, path: impl AsRef<Path>) -> Result<Self, OperatorDirError> {
        Ok(Self { path: self.site.resolve(&self.path.join(path))?, site: self.site.clone() })
    }

    /// A file in this folder, or an absolute path. It must be outside the site, too.
    ///
    /// # Errors
    /// As [`OperatorDir::outside`].
    pub fn file(&self, path: impl AsRef<Path>) -> Result<OperatorFile, OperatorDirError> {
        Ok(OperatorFile(self.site.resolve(&self.path.join(path))?))
    }
}

impl OperatorFile {
    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl SiteFolders {
    fn of(site_dir: &Path) -> Result<Self, OperatorDirError> {
        let no_site = Self(Vec::new());
        let root = no_site.resolve(site_dir)?;
        // `brands` may be a link.
        let brands = no_site.resolve(&root.join("brands"))?;
        Ok(Self(if brands.starts_with(&root) { vec![root] } else { vec![root, brands] }))
    }

    /// Follows `path` link by link, and returns where it leads. Rejects a path that leads into the
    /// site, and one that leads out of it through a link in the site, because whoever made the site
    /// chose the target of that link.
    fn resolve(&self, path: &Path) -> Result<PathBuf, OperatorDirError> {
        let unreadable = |source| OperatorDirError::Unreadable { path: path.to_owned(), source };
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        let mut waiting = VecDeque::new();
        prepend(&mut waiting, &absolute);
        let mut reached = PathBuf::new();
        let mut links: u32 = 0;
        while let Some(name) = waiting.pop_front() {
            if name == ".." {
                reached.pop();
                continue;
            }
            let next = reached.join(&name);
            match fs::symlink_metadata(&next) {
                Ok(found) if found.is_symlink() => {
                    self.check(path, &next)?;
                    links = links.saturating_add(1);
                    if links > LINKS_MAX {
                        return Err(unreadable(io::Error::other("too many links")));
                    }
                    prepend(&mut waiting, &fs::read_link(&next).map_err(unreadable)?);
                }
                Ok(_) => reached = next,
                Err(error) if error.kind() == io::ErrorKind::NotFound => reached = next,
                Err(error) => return Err(unreadable(error)),
            }
        }
        self.check(path, &reached)?;
        Ok(reached)
    }

    /// Rejects `reached` if it is in a folder of the site. Compares folders by their identity, too,
    /// because a folder can have several names: mounted twice, or in other letters.
    fn check(&self, given: &Path, reached: &Path) -> Result<(), OperatorDirError> {
        let identity = |path: &Path| fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()));
        for site in &self.0 {
            let of_site = identity(site);
            let is_site = |folder: &Path| of_site.is_some() && identity(folder) == of_site;
            if reached.starts_with(site) || reached.ancestors().any(is_site) {
                return Err(OperatorDirError::InSite { path: given.to_owned(), site: site.clone() });
            }
        }
        Ok(())
    }
}

/// Puts the components of `path` before those that wait. The root replaces everything that was
/// reached, as in [`Path::join`].
fn prepend(waiting: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev().filter(|component| *component != Component::CurDir) {
        waiting.push_front(component.as_os_str().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A site and a folder beside it.
    fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let (site, beside) = (root.path().join("site"), root.path().join("beside"));
        fs::create_dir_all(site.join("sub")).unwrap();
        fs::create_dir(&beside).unwrap();
        (root, site, beside)
    }

    fn is_in_site(result: Result<OperatorDir, OperatorDirError>) -> bool {
        matches!(result, Err(OperatorDirError::InSite { .. }))
    }

    #[test]
    fn accepts_folders_outside_the_site() {
        let (root, site, beside) = folders();
        for path in [beside.clone(), beside.join("new/deep"), site.join("../beside"), root.path().to_owned()]
        {
            let dir = OperatorDir::outside(&site, &path).unwrap();
            assert!(dir.path().starts_with(root.path().canonicalize().unwrap()), "{dir:?}");
        }
        assert!(
            OperatorDir::outside(&site, &root.path().join("site-data")).is_ok(),
            "only a prefix of its name"
        );
    }

    #[test]
    fn rejects_folders_in_the_site_and_links_on_both_sides() {
        let (root, site, beside) = folders();
        let at = |name: &str| root.path().join(name);
        symlink(&site, at("to-site")).unwrap();
        symlink(site.join("missing"), at("dangling")).unwrap();
        symlink("site/../site/sub", at("relative")).unwrap();
        // A link in the site that leads out of it.
        symlink(&beside, site.join("out")).unwrap();
        symlink(site.join("out"), at("through")).unwrap();
        let inside = [
            site.clone(),
            site.join("data"),
            site.join("sub/../data"),
            at("beside/../site/data"),
            at("to-site/data"),
            at("dangling"),
            at("relative"),
            site.join("out"),
            site.join("out/../beside"),
            at("through/data"),
        ];
        for path in &inside {
            assert!(is_in_site(OperatorDir::outside(&site, path)), "{}", path.display());
            assert!(is_in_site(OperatorDir::outside(&at("to-site"), path)), "{}", path.display());
        }
    }

    #[test]
    fn rejects_links_in_the_operator_s_folder_that_lead_into_the_site() {
        let (root, site, beside) = folders();
        let dir = OperatorDir::outside(&site, &beside).unwrap();
        assert_eq!(dir.dir("cache").unwrap().path(), beside.canonicalize().unwrap().join("cache"));
        symlink(&site, beside.join("cache")).unwrap();
        symlink(site.join("key"), beside.join("app.key")).unwrap();
        assert!(is_in_site(dir.dir("cache")) && is_in_site(dir.dir("../site")) && is_in_site(dir.dir(&site)));
        assert!(dir.file("app.key").is_err() && dir.file("other.key").is_ok());
        // The site may be in the operator's folder, but not where the operator's files are.
        let around = OperatorDir::outside(&site, root.path()).unwrap();
        assert!(is_in_site(around.dir("site")) && around.dir("cache").is_ok());
    }

    #[test]
    fn rejects_the_folder_to_which_brands_links() {
        let (_root, site, beside) = folders();
        symlink(&beside, site.join("brands")).unwrap();
        assert!(is_in_site(OperatorDir::outside(&site, &beside.join("data"))));
    }

    #[test]
    fn rejects_circles_of_links() {
        let (_root, site, beside) = folders();
        symlink(beside.join("a"), beside.join("b")).unwrap();
        symlink(beside.join("b"), beside.join("a")).unwrap();
        let error = OperatorDir::outside(&site, &beside.join("a")).unwrap_err();
        assert!(error.to_string().contains("too many links"), "{error}");
    }
}
