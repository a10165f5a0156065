//! The site: brands, their pages and settings, and which brand a Host means.

#![deny(unsafe_code)]

pub mod access;
pub mod apply;
mod compile;
pub mod config;
pub mod domain;
pub mod files;
pub mod folder;
pub mod headers;
pub mod load;
pub mod pattern;
pub mod public;
pub mod table;
pub mod user_cache;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use sluice_limits::Limits;
use sluice_limits::policy::BrandLayers;
use sluice_page::Page;

use crate::config::{BrandConfig, ConfigError};
use access::AccessRules;
use domain::{Domain, Fit};
use files::FileError;
pub use folder::BrandFolder;

use headers::StandingHeaders;
use load::{CompileIndex, PageProblem};
use public::PublicFiles;
use table::PageTable;

/// How the files of authors' tests end. They are no modules of the site.
pub const TEST_SUFFIX: &str = ".test.js";

#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{0}")]
    Invalid(String),
    #[error("brands {first} and {second} both {what}")]
    Hosts { first: String, second: String, what: String },
}

/// Everything that is served.
pub struct Site {
    brands: Vec<Arc<Brand>>,
}

/// One tenant: its own pages, sessions, CRM and keys.
pub struct Brand {
    pub id: String,
    domains: Vec<Domain>,
    is_default: bool,
    pub variables: Arc<Map<String, Value>>,
    /// Bodies of HTML forms reach scripts.
    pub form_bodies: bool,
    /// Pages are compressed where that is safe.
    pub compress: bool,
    pub headers: StandingHeaders,
    pub access: AccessRules,
    pub pages: PageTable<Arc<Page>>,
    pub public: PublicFiles,
    /// `crm.toml` as it stands; empty when there is none.
    pub crm_toml: String,
    /// Before what single pages override.
    pub limits: Limits,
    /// The brand's folder.
    pub dir: PathBuf,
    index: CompileIndex,
    /// Pages that do not compile.
    pub problems: Vec<PageProblem>,
    /// Files of the pages that were compiled to load this brand.
    pub compiled: Vec<String>,
}

impl Site {
    /// The site of these brands.
    ///
    /// # Errors
    /// [`SiteError::Hosts`]: two brands want the same.
    pub fn new(brands: Vec<Arc<Brand>>) -> Result<Self, SiteError> {
        if brands.is_empty() {
            return Err(SiteError::Invalid("there is no brand that can be served".into()));
        }
        check_hosts(&brands)?;
        Ok(Self { brands })
    }

    /// The brand that `host` (a Host header) names, else the default one.
    pub fn brand(&self, host: &str) -> Option<&Arc<Brand>> {
        let host = canonical_host(host);
        let named = self.brands.iter().filter_map(|brand| Some((brand.fit(&host)?, brand)));
        let best = named.max_by_key(|(fit, _)| *fit).map(|(_, brand)| brand);
        best.or_else(|| self.brands.iter().find(|brand| brand.is_default))
    }

    pub fn brands(&self) -> impl Iterator<Item = &Arc<Brand>> {
        self.brands.iter()
    }
}

impl Brand {
    /// How well the best of the domains fits `host`.
    fn fit(&self, host: &str) -> Option<Fit> {
        self.domains.iter().filter_map(|domain| domain.fit(host)).max()
    }

    /// Takes the Hosts that no brand names.
    pub fn is_default(&self) -> bool {
        self.is_default
    }

    /// A Host that means this brand; none where there is no such.
    pub fn own_host(&self) -> Option<String> {
        let own = self.domains.first().map(Domain::example);
        own.or_else(|| self.is_default.then(|| "localhost".to_owned()))
    }

    /// The brand's own page for paths that nothing answers.
    pub fn not_found_page(&self) -> Option<&Arc<Page>> {
        self.pages.exact("/404")
    }

    /// Whether both take the same Hosts.
    pub fn has_hosts_of(&self, other: &Self) -> bool {
        self.is_default == other.is_default && self.domains == other.domains
    }
}

/// Lower case, without port or trailing dot.
fn canonical_host(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        Some(literal) => literal.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// The folders below `brands/`, which name the brands.
///
/// # Errors
/// There is none, or one has a name that cannot be a brand's id.
pub fn brand_ids(site_dir: &Path) -> Result<Vec<String>, SiteError> {
    let folder = site_dir.join("brands");
    let unreadable = |error| FileError::unreadable(folder.display().to_string(), error);
    if !folder.is_dir() {
        let dir = site_dir.display();
        return Err(SiteError::Invalid(format!(
            "{dir}: this is no site, it has no folder `brands`; `sluice new {dir}` makes one"
        )));
    }
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let id = entry.file_name().to_string_lossy().into_owned();
        if id.starts_with('.') || !entry.file_type().map_err(unreadable)?.is_dir() {
            continue;
        }
        let is_id =
            id.len() <= 63 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_id {
            return Err(SiteError::Invalid(format!(
                "{}: a brand's folder has 1 to 63 of a-z, 0-9 and -",
                entry.path().display()
            )));
        }
        ids.push(id);
    }
    if ids.is_empty() {
        return Err(SiteError::Invalid(format!("{}: there is no brand in it", folder.display())));
    }
    ids.sort();
    Ok(ids)
}

/// The layers of limits for the page at `path`.
pub fn limit_layers<'a>(id: &'a str, config: &'a BrandConfig, path: &str) -> BrandLayers<'a> {
    let own = config.page.iter().find(|page| page.path == path);
    BrandLayers { brand: id, own: &config.limits, page: own.map(|page| (page.path.as_str(), &page.limits)) }
}

fn check_hosts(brands: &[Arc<Brand>]) -> Result<(), SiteError> {
    let clash = |first: &Brand, second: &Brand, what| {
        Err(SiteError::Hosts { first: first.id.clone(), second: second.id.clone(), what })
    };
    let defaults: Vec<&Arc<Brand>> = brands.iter().filter(|brand| brand.is_default).collect();
    if let [first, second, ..] = defaults.as_slice() {
        return clash(first, second, "say `default = true`".into());
    }
    for (index, brand) in brands.iter().enumerate() {
        for domain in &brand.domains {
            if let Some(other) = brands.iter().skip(index + 1).find(|other| other.domains.contains(domain)) {
                return clash(brand, other, format!("name {domain}"));
            }
        }
    }
    Ok(())
}
