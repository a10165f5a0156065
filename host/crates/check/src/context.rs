//! What the parts of a brand's check share.

use sluice_http::path::{CanonicalPath, PathForm, canonical};
use sluice_limits::Limits;
use sluice_limits::policy::LimitPolicy;
use sluice_site::config::BrandConfig;
use sluice_site::table::url_path;
use sluice_site::{BrandFolder, limit_layers};

/// The brand that is checked.
pub(crate) struct Brand<'a> {
    /// The name of its folder.
    pub(crate) id: &'a str,
    /// Its settings, as far as they can be read.
    pub(crate) config: &'a BrandConfig,
    /// What the host allows.
    pub(crate) policy: &'a LimitPolicy,
    /// Its files.
    pub(crate) folder: &'a BrandFolder,
}

impl Brand<'_> {
    /// The limits of the page at `path`, or of the brand if no page has this path.
    pub(crate) fn limits(&self, path: &str) -> Limits {
        self.policy.effective(limit_layers(self.id, self.config, path))
    }
}

/// The path of a page's file: `/weight/checkin` for `pages/weight/checkin.html`.
pub(crate) fn path_of(file: &str) -> String {
    url_path(file.strip_prefix("pages/").unwrap_or(file))
}

/// A page's path in the form that access rules see.
pub(crate) fn canonical_of(path: &str) -> Option<CanonicalPath> {
    match canonical(path) {
        PathForm::Canonical(root) if path == "/" => Some(root),
        _ => CanonicalPath::of_file(path),
    }
}
