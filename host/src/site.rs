//! The site: brands, their pages and settings, and which brand a Host means.

pub mod access;
pub mod files;
pub mod headers;
pub mod path;
pub mod pattern;
pub mod public;
pub mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::config::{self, BrandConfig, ConfigError, PageConfig, SiteConfig};
use crate::limits::policy::{BrandLayers, LimitPolicy};
use crate::page::extract::extract;
use crate::page::modules::ModuleSource;
use crate::page::source::Source;
use crate::page::{self, Page, PageScript, PageSettings};
use crate::script::Sandbox;
use crate::template::Includes;
use access::AccessRules;
use files::FileError;
use headers::StandingHeaders;
use public::PublicFiles;
use table::PageTable;

#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{0}")]
    Invalid(String),
}

/// Everything that is served.
pub struct Site {
    brands: Vec<Arc<Brand>>,
}

/// One tenant: its own pages, sessions, CRM and keys.
pub struct Brand {
    pub id: String,
    domains: Vec<String>,
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
}

impl Site {
    /// Reads and compiles the site in `site_dir`.
    ///
    /// # Errors
    /// A folder or setting that cannot be used. Pages that do not compile are
    /// published by `on_error` and are no error here.
    pub async fn load(sandbox: &Sandbox, site_dir: &Path, config: &SiteConfig) -> Result<Self, SiteError> {
        let limits = LimitPolicy::new(config);
        let mut brands = Vec::new();
        for id in brand_ids(site_dir)? {
            let dir = site_dir.join("brands").join(&id);
            brands.push(Arc::new(load_brand(sandbox, &id, &dir, &limits).await?));
        }
        check_hosts(&brands)?;
        Ok(Self { brands })
    }

    /// The brand that `host` (a Host header) names, else the default one.
    pub fn brand(&self, host: &str) -> Option<&Arc<Brand>> {
        let host = canonical_host(host);
        let named = self.brands.iter().filter_map(|brand| Some((brand.matches(&host)?, brand)));
        let best = named.max_by_key(|(length, _)| *length).map(|(_, brand)| brand);
        best.or_else(|| self.brands.iter().find(|brand| brand.is_default))
    }

    pub fn brands(&self) -> impl Iterator<Item = &Arc<Brand>> {
        self.brands.iter()
    }
}

impl Brand {
    /// Length of the longest domain that takes `host`.
    fn matches(&self, host: &str) -> Option<usize> {
        let takes = |domain: &&String| match domain.strip_prefix("*.") {
            Some(parent) => {
                host.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            None => host == domain.as_str(),
        };
        self.domains.iter().filter(takes).map(String::len).max()
    }

    /// The brand's own page for paths that nothing answers.
    pub fn not_found_page(&self) -> Option<&Arc<Page>> {
        self.pages.exact("/404")
    }

    /// Pages whose script does not compile, with the reason.
    pub fn broken_pages(&self) -> impl Iterator<Item = (&str, String)> {
        self.pages.pages().flat_map(|page| {
            let script = match &page.script {
                PageScript::Broken(failure) => Some(failure.to_string()),
                _ => None,
            };
            let template = page.template.as_ref().err().cloned();
            script.into_iter().chain(template).map(|reason| (page.file.as_str(), reason))
        })
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
    let unreadable = |error| FileError::Unreadable(folder.display().to_string(), error);
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

async fn load_brand(
    sandbox: &Sandbox,
    id: &str,
    dir: &Path,
    limits: &LimitPolicy,
) -> Result<Brand, SiteError> {
    let config = config::read_brand(dir)?;
    warn_of_clamped_limits(limits, id, &config);
    let folder = BrandFolder::new(dir)?;
    let mut pages = PageTable::default();
    for file in &folder.pages {
        let source = files::read(dir, &format!("pages/{file}"))?;
        let settings = page_settings(id, &config, limits, &table::url_path(file));
        pages.insert(file, Arc::new(page::publish(sandbox, source, &folder, &folder, settings).await));
    }
    let (public, problems) = PublicFiles::load(dir, &config.public);
    for problem in problems {
        tracing::error!(brand = id, "{}", crate::run_log::printable(&problem.to_string()));
    }
    let crm_toml = match files::read(dir, "crm.toml") {
        Ok(source) => source.text,
        Err(FileError::Unreadable(_, error)) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error.into()),
    };
    let domains = config.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect();
    Ok(Brand {
        id: id.to_owned(),
        domains,
        is_default: config.default,
        variables: Arc::new(config.variables),
        form_bodies: config.form_bodies,
        compress: config.compress,
        headers: config.headers,
        access: config.access,
        pages,
        public,
        crm_toml,
    })
}

/// The layers of limits for the page at `path`.
pub fn limit_layers<'a>(id: &'a str, config: &'a BrandConfig, path: &str) -> BrandLayers<'a> {
    let own = config.page.iter().find(|page| page.path == path);
    BrandLayers { brand: id, own: &config.limits, page: own.map(|page| (page.path.as_str(), &page.limits)) }
}

fn warn_of_clamped_limits(limits: &LimitPolicy, id: &str, config: &BrandConfig) {
    let brand = BrandLayers { brand: id, own: &config.limits, page: None };
    let mut warnings = limits.warnings(brand);
    for page in &config.page {
        let own = limits.warnings(limit_layers(id, config, &page.path));
        warnings.extend(own.into_iter().filter(|warning| warning.contains("[[page]]")));
    }
    for warning in warnings {
        tracing::warn!(brand = id, "{warning}");
    }
}

fn page_settings(id: &str, config: &BrandConfig, limits: &LimitPolicy, path: &str) -> PageSettings {
    let own: Option<&PageConfig> = config.page.iter().find(|page| page.path == path);
    PageSettings {
        limits: limits.effective(limit_layers(id, config, path)),
        rate: own.and_then(|page| page.rate),
        on_error: own.and_then(|page| page.on_error).unwrap_or(config.on_error),
        cross_origin: own.is_some_and(|page| page.cross_origin),
    }
}

fn check_hosts(brands: &[Arc<Brand>]) -> Result<(), SiteError> {
    let defaults: Vec<&str> =
        brands.iter().filter(|brand| brand.is_default).map(|brand| brand.id.as_str()).collect();
    if let [first, second, ..] = defaults.as_slice() {
        return Err(SiteError::Invalid(format!("brands {first} and {second} both say `default = true`")));
    }
    for (index, brand) in brands.iter().enumerate() {
        for domain in &brand.domains {
            if let Some(other) = brands.iter().skip(index + 1).find(|other| other.domains.contains(domain)) {
                return Err(SiteError::Invalid(format!(
                    "brands {} and {} both name {domain}",
                    brand.id, other.id
                )));
            }
        }
    }
    Ok(())
}

/// A brand's files, for pages that import and include.
pub struct BrandFolder {
    dir: PathBuf,
    /// Relative to `pages/`, as are the others to theirs.
    pub pages: Vec<String>,
    modules: Vec<String>,
    layouts: Vec<String>,
    components: Vec<String>,
}

impl BrandFolder {
    /// Lists a brand's folder.
    ///
    /// # Errors
    /// A folder that cannot be read, or a symbolic link in one.
    pub fn new(dir: &Path) -> Result<Self, FileError> {
        Ok(Self {
            dir: dir.to_owned(),
            pages: files::list(&dir.join("pages"), &[".html"])?,
            modules: files::list(&dir.join("modules"), &[".js", ".html"])?,
            layouts: files::list(&dir.join("layouts"), &[".html"])?,
            components: files::list(&dir.join("components"), &[".html"])?,
        })
    }

    /// A layout or component. Only listed files can be named, so no name leaves
    /// the folder. One with a backend script is not used: scripts belong to pages
    /// and modules.
    fn include(&self, folder: &str, files: &[String], name: &str) -> Option<(String, String)> {
        let file = format!("{folder}/{name}.html");
        files.iter().find(|known| stem(known) == name)?;
        let usable = files::read(&self.dir, &file).map_err(|error| error.to_string()).and_then(|source| {
            let found = extract(&source.text)?;
            if found.holes.is_empty() {
                Ok(source)
            } else {
                Err(format!("{file}: a backend script cannot stand here"))
            }
        });
        match usable {
            Ok(source) => Some((source.file, source.text)),
            Err(reason) => {
                tracing::error!("{}", crate::run_log::printable(&reason));
                None
            }
        }
    }
}

impl ModuleSource for BrandFolder {
    fn module(&self, code: &str) -> Option<Result<Source, String>> {
        let is_code = |file: &&String| stem(file) == code;
        let file = match self.modules.iter().find(is_code) {
            Some(file) => format!("modules/{file}"),
            None => format!("pages/{}", self.pages.iter().find(is_code)?),
        };
        Some(files::read(&self.dir, &file).map_err(|error| error.to_string()))
    }

    fn module_codes(&self) -> Vec<String> {
        self.modules.iter().chain(&self.pages).map(|file| stem(file).to_owned()).collect()
    }
}

impl Includes for BrandFolder {
    fn layout(&self, name: &str) -> Option<(String, String)> {
        self.include("layouts", &self.layouts, name)
    }

    fn component(&self, name: &str) -> Option<(String, String)> {
        self.include("components", &self.components, name)
    }

    fn layout_names(&self) -> Vec<String> {
        self.layouts.iter().map(|file| stem(file).to_owned()).collect()
    }

    fn component_names(&self) -> Vec<String> {
        self.components.iter().map(|file| stem(file).to_owned()).collect()
    }
}

fn stem(file: &str) -> &str {
    file.strip_suffix(".html").or_else(|| file.strip_suffix(".js")).unwrap_or(file)
}
