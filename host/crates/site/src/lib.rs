//! A site folder: its settings, its brands with their pages and public files, and the choice of
//! the brand for a Host.

#![deny(unsafe_code)]

pub mod access;
pub mod apply;
mod compile;
pub mod config;
pub mod domain;
pub mod files;
pub mod folder;
pub mod headers;
pub mod hosts;
pub mod jobs;
pub mod languages;
pub mod load;
pub mod pattern;
pub mod places;
pub mod public;
pub mod schema;
pub mod table;
pub mod user_cache;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use sluice_fetch::{HostPattern, Rules};
use sluice_http::path::CanonicalPath;
use sluice_kit::folder::{Folder, FolderPath, Kind, OpenError};
use sluice_limits::Limits;
use sluice_limits::policy::BrandLayers;
use sluice_page::Page;
use sluice_text::printable::printable;

use access::AccessRules;
use config::{BrandConfig, ConfigError, ScheduleConfig, SettingNames};
use files::FileError;
use headers::StandingHeaders;
use hosts::{HostClash, Hosts};
use jobs::JobTargets;
use languages::Languages;
use load::{CompileIndex, PageProblem};
use public::{PublicFile, PublicFiles};
use table::{PageTable, RouteMatch};

pub use folder::BrandFolder;

/// The suffix of the files of authors' tests. Pages cannot import them.
pub const TEST_SUFFIX: &str = ".test.js";

/// Why a site or a brand cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A settings file is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file or folder cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder has no folder `brands`.
    #[error("{}", places::not_a_site(.0))]
    NotASite(PathBuf),
    /// The folder `brands` has no folders.
    #[error("{}: there is no brand in this folder; each brand is a folder with brand.toml and pages/", .0.display())]
    NoBrandFolder(PathBuf),
    /// The name of a folder in `brands` cannot be the id of a brand.
    #[error(
        "{}: the name of a brand's folder must have 1 to 63 characters, each of them a-z, 0-9 or -",
        shown(.0)
    )]
    BrandName(PathBuf),
    /// No brand could be loaded.
    #[error("there is no brand that can be served")]
    NoBrand,
    /// Two brands claim the same Hosts.
    #[error(
        "brands {first} and {second} both {clash}; the operator can decide in sluice.toml, with \
             `[brands.NAME] domains`"
    )]
    Hosts {
        /// The id that comes first in the alphabet.
        first: String,
        /// The id of the other brand.
        second: String,
        /// What both claim.
        clash: HostClash,
    },
    /// A thread that compiles pages panicked, which is a defect of this program.
    #[error("a thread that compiles pages panicked")]
    CompilerThread,
}

/// What a brand has at a path.
pub enum Found<'a> {
    /// A page, with what the wildcards in its path matched.
    Page(&'a Arc<Page>, Option<RouteMatch>),
    /// A file of `public/`.
    File(&'a Arc<PublicFile>),
    /// Nothing, so the brand's 404 page answers.
    NotFoundPage(&'a Arc<Page>),
    /// Nothing, and there is no 404 page.
    Nothing,
}

/// All brands that are served.
pub struct Site {
    brands: Vec<Arc<Brand>>,
}

/// One tenant, with its own pages, sessions, CRM and keys.
#[derive(Clone)]
pub struct Brand {
    /// The name of the brand's folder.
    pub id: String,
    /// The Hosts that it serves.
    pub hosts: Hosts,
    /// If set, the brand cannot be loaded and no version of it is served.
    pub outage: Option<Outage>,
    /// The text of `public/500.html`, which visitors get if a page fails.
    pub error_page: Option<Arc<str>>,
    /// `[variables]`.
    pub variables: Arc<Map<String, Value>>,
    /// `[translations]`.
    pub languages: Arc<Languages>,
    /// Whether scripts get the bodies of HTML forms.
    pub form_bodies: bool,
    /// Whether pages are compressed if that is safe.
    pub compress: bool,
    /// The headers of every response.
    pub headers: StandingHeaders,
    /// The access rules.
    pub access: AccessRules,
    /// Whether it has a page with `cache`.
    pub has_cache: bool,
    /// The tags of its pages with `cache`.
    pub cache_tags: Arc<[String]>,
    /// The pages.
    pub pages: PageTable<Arc<Page>>,
    /// The files in `public/`.
    pub public: PublicFiles,
    /// The text of `crm.toml`; empty if there is none.
    pub crm_toml: String,
    /// The settings in its `brand.toml`.
    pub settings: SettingNames,
    /// What its scripts may call.
    pub http: Arc<Rules>,
    /// To which hosts each secret may be sent that scripts cannot read, by name.
    pub secret_hosts: BTreeMap<String, Vec<HostPattern>>,
    /// The limits of the brand, without the settings of single pages.
    pub limits: Limits,
    /// The limits of its jobs.
    pub job_limits: Limits,
    /// The functions that can be jobs.
    pub jobs: Arc<JobTargets>,
    /// The functions that run at certain times.
    pub schedules: Arc<Vec<ScheduleConfig>>,
    /// The brand's folder.
    pub dir: FolderPath,
    index: CompileIndex,
    /// The pages that do not compile.
    pub problems: Vec<PageProblem>,
    /// The files of the pages that had to be compiled to load this brand.
    pub compiled: Vec<String>,
}

/// What visitors of a brand that cannot be loaded get: status 503.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outage {
    /// The text of the brand's `public/503.html`.
    pub page: Option<String>,
}

impl Outage {
    /// That of the brand in a folder, with its own page if it has one.
    pub fn of(brand_dir: &FolderPath) -> Self {
        Self { page: files::read(brand_dir, "public/503.html").ok().map(|source| source.text) }
    }
}

impl Site {
    /// The site that consists of `brands`, which do not claim the same Hosts.
    ///
    /// # Errors
    /// [`SiteError::NoBrand`].
    pub fn new(brands: Vec<Arc<Brand>>) -> Result<Self, SiteError> {
        if brands.is_empty() { Err(SiteError::NoBrand) } else { Ok(Self { brands }) }
    }

    /// The brand whose domain matches `host` (a Host header) best, or else the default brand. `None` if
    /// there is none, or if two brands claim the host and nothing decides between them.
    pub fn brand(&self, host: &str) -> Option<&Arc<Brand>> {
        let host = canonical_host(host);
        let named = self.brands.iter().filter_map(|brand| Some((brand.hosts.fit(&host)?, brand)));
        let best = named.max_by_key(|(fit, _)| *fit);
        let contested = self.brands.iter().filter_map(|brand| brand.hosts.contested_fit(&host)).max();
        match (best, contested) {
            (Some(((true, _), brand)), _) => Some(brand),
            (Some(((false, fit), brand)), contested) => Some(brand).filter(|_| contested < Some(fit)),
            (None, Some(_)) => None,
            (None, None) => self.brands.iter().find(|brand| brand.hosts.is_default()),
        }
    }

    /// All brands.
    pub fn brands(&self) -> impl Iterator<Item = &Arc<Brand>> {
        self.brands.iter()
    }

    /// The domains that brands serve, each with the id of its brand: host names, and `*.` and a host name. A
    /// domain that another brand claims, too, is served by nobody.
    pub fn domains(&self) -> impl Iterator<Item = (&str, String)> {
        let all =
            self.brands.iter().flat_map(|brand| brand.hosts.domains().iter().map(move |own| (brand, own)));
        let served = all
            .filter(|(brand, own)| self.brand(&own.example()).is_some_and(|serving| serving.id == brand.id));
        served.map(|(brand, own)| (brand.id.as_str(), own.to_string()))
    }
}

impl Brand {
    /// Everything that the brand `other` claims, too, unless the operator gives it to this brand.
    pub fn clashes(&self, other: &Self) -> impl Iterator<Item = HostClash> {
        self.hosts.clashes(&other.hosts, &other.id)
    }

    /// The error of a claim that this brand and `other` have.
    pub fn both_claim(&self, other: &Self, clash: HostClash) -> SiteError {
        let (first, second) = if other.id < self.id { (other, self) } else { (self, other) };
        SiteError::Hosts { first: first.id.clone(), second: second.id.clone(), clash }
    }

    /// What the brand has at `path`.
    pub fn find(&self, path: &CanonicalPath) -> Found<'_> {
        if let Some((page, route)) = self.pages.find(path) {
            return Found::Page(page, route);
        }
        match (self.public.find(path), self.not_found_page()) {
            (Some(file), _) => Found::File(file),
            (None, Some(page)) => Found::NotFoundPage(page),
            (None, None) => Found::Nothing,
        }
    }

    /// The page that the brand shows for paths where nothing exists.
    pub fn not_found_page(&self) -> Option<&Arc<Page>> {
        self.pages.exact("/404")
    }
}

/// `host` in lower case, without port, trailing dot and the brackets of an address.
pub fn canonical_host(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        Some(literal) => literal.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A path whose names others may have chosen.
fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}

/// The folder of the brand `id` in `site_dir`.
pub fn brand_dir(site_dir: &Path, id: &str) -> FolderPath {
    FolderPath::root(site_dir).below("brands").below(id)
}

/// The ids of the brands in `site_dir`, which are the sorted names of the folders below `brands/`.
///
/// # Errors
/// There is no such folder, it is a link, or the name of a folder in it cannot be the id of a brand.
pub fn brand_ids(site_dir: &Path) -> Result<Vec<String>, SiteError> {
    let path = site_dir.join("brands");
    let folder = match Folder::open(site_dir).and_then(|site| site.folder("brands")) {
        Err(OpenError::Unreadable(error))
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Err(SiteError::NotASite(site_dir.to_owned()));
        }
        opened => opened.map_err(|error| FileError::of_path(&path, error))?,
    };
    let mut ids = Vec::new();
    for entry in folder.entries().map_err(|error| FileError::of_path(&path, error))? {
        let id = entry.name.to_string_lossy().into_owned();
        if id.starts_with('.') || entry.kind != Kind::Folder {
            continue;
        }
        let is_id =
            id.len() <= 63 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_id {
            return Err(SiteError::BrandName(path.join(entry.name)));
        }
        ids.push(id);
    }
    if ids.is_empty() {
        return Err(SiteError::NoBrandFolder(path));
    }
    ids.sort();
    Ok(ids)
}

/// The names in `brands/` that are links. Links are not followed, so these are no brands.
pub fn linked_brands(site_dir: &Path) -> Vec<String> {
    let entries = Folder::open(site_dir).and_then(|site| site.folder("brands")?.entries());
    let links = entries.into_iter().flatten().filter(|entry| entry.kind == Kind::Link);
    let names = links.map(|entry| entry.name.to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

/// The settings that limit the page at `path`: those of the brand with this `id` and `config`, and
/// those of the page itself.
pub fn limit_layers<'a>(id: &'a str, config: &'a BrandConfig, path: &str) -> BrandLayers<'a> {
    let own = config.page.iter().find(|page| page.path == path);
    BrandLayers {
        brand: id,
        own: &config.limits.own,
        page: own.map(|page| (page.path.as_str(), &page.limits)),
    }
}
