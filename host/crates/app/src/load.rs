//! Loads the site: settings, brands, pages and secrets. The new state is built next to the one
//! that is served, and replaces it as a whole.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use sluice_crm::{CrmSchema, SchemaError};
use sluice_http::path::{PathForm, canonical};
use sluice_kit::StoreError;
use sluice_kit::operator_dir::OperatorDir;
use sluice_kit::progress::Progress;
use sluice_limits::policy::LimitPolicy;
use sluice_page::Page;
use sluice_page::store::PageStore;
use sluice_sandbox::Sandbox;
use sluice_sandbox::cache::CacheKey;
use sluice_sandbox::secrets::{Secrets, SecretsError};
use sluice_site::config::SiteConfig;
use sluice_site::load::{Loader, PageProblem, index_key};
use sluice_site::{Brand, Found, Outage, Site, SiteError, brand_dir, brand_ids, linked_brands};
use sluice_store::Store;
use sluice_text::printable::printable;

use crate::app::service::Service;
use crate::faults::{BrandFault, Clash, Instead, settle_hosts};
use crate::request::ReadRules;
use crate::served_hosts::ServedHosts;

/// The part of the program that a reload replaces as a whole.
pub struct Live {
    /// The brands with their pages.
    pub site: Site,
    /// How requests are read.
    pub read_rules: ReadRules,
    /// The secrets of every brand.
    pub secrets: Secrets,
    /// The value of each limit, and which setting it comes from.
    pub limits: LimitPolicy,
    /// The brands whose files are not in use, by id.
    pub faults: BTreeMap<String, BrandFault>,
}

impl Live {
    /// The page that answers a request with this host and path, and its brand. It decides what is kept of the
    /// request.
    pub fn page_at(&self, host: &str, raw_path: &str) -> Option<(Arc<Brand>, Arc<Page>)> {
        let brand = self.site.brand(host)?;
        let PathForm::Canonical(path) = canonical(raw_path) else { return None };
        match brand.find(&path) {
            Found::Page(page, _) | Found::NotFoundPage(page) => Some((Arc::clone(brand), Arc::clone(page))),
            Found::File(_) | Found::Nothing => None,
        }
    }
}

/// The result of a reload.
#[derive(Debug, Default, Serialize)]
pub struct ReloadReport {
    /// How many brands are served.
    pub brands: usize,
    /// How many pages are served.
    pub pages: usize,
    /// How many pages were compiled because they had changed.
    pub pages_compiled: usize,
    /// What could not be loaded, and what is served instead. In JSON, a sentence for each.
    pub problems: Vec<Problem>,
    /// Brand and file of each page that was compiled.
    #[serde(skip)]
    pub compiled: Vec<(String, String)>,
    /// The changes to CRM entities and fields, a sentence for each.
    #[serde(skip)]
    pub crm_changes: Vec<String>,
}

impl ReloadReport {
    /// The changed settings that need a restart.
    pub fn restarts(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| matches!(problem, Problem::Restart { .. }))
    }

    /// The problems with brands and secrets as a whole, without those of single pages.
    pub fn site_problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems
            .iter()
            .filter(|problem| !matches!(problem, Problem::Restart { .. } | Problem::Page { .. }))
    }
}

/// A part of the site that a reload could not replace. The text says what is wrong and what is
/// served instead.
#[derive(Debug)]
pub enum Problem {
    /// A setting has changed that is only read at start.
    Restart {
        /// A section or a key of `sluice.toml`.
        setting: &'static str,
    },
    /// A brand cannot be loaded.
    Brand {
        /// The brand's id.
        brand: String,
        /// Why it cannot be loaded.
        error: LoadError,
        /// Whether an earlier version of it is served instead.
        kept: bool,
    },
    /// A brand claims a host that another brand claims, too, and nobody gets it.
    Contested {
        /// The brand's id.
        brand: String,
        /// What both claim.
        error: LoadError,
    },
    /// A page does not compile.
    Page {
        /// The id of the page's brand.
        brand: String,
        /// What is wrong with the page.
        problem: PageProblem,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restart { setting } => write!(
                f,
                "sluice.toml: {setting} changed, which needs a restart; until then the old value applies"
            ),
            Self::Brand { brand, error: error @ LoadError::Secrets(_), kept: true } => {
                write!(f, "brand {brand}: {error}; its previous secrets stay in use")
            }
            Self::Brand { brand, error, kept: true } => {
                write!(f, "brand {brand}: {error}; its last good version is served")
            }
            Self::Brand { brand, error, kept: false } => {
                write!(f, "brand {brand}: {error}; its visitors get status 503")
            }
            Self::Contested { brand, error } => {
                write!(f, "brand {brand}: {error}; until then, nobody serves what both claim")
            }
            Self::Page { brand, problem } => {
                let kept = if problem.kept { "; its last good version is served" } else { "" };
                write!(f, "brand {brand}: {}{kept}", problem.reason)
            }
        }
    }
}

impl Problem {
    /// Whether a new version of this brand could not be loaded.
    pub fn is_of_brand(&self, id: &str) -> bool {
        matches!(self, Self::Brand { brand, .. } if brand == id)
    }

    /// The settings file that is invalid, below the site's folder.
    pub fn settings_file(&self) -> Option<String> {
        match self {
            Self::Brand { brand, error, .. } => error.settings_file(brand),
            _ => None,
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_str(self)
    }
}

/// Why the site, or one brand of it, could not be loaded. The text names the cause.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The settings or files of a brand cannot be used, or the brands do not make a site.
    #[error("{0}")]
    Site(SiteError),
    /// A `crm.toml` is invalid.
    #[error("{0}")]
    Schema(SchemaError),
    /// The database could not apply a `crm.toml`.
    #[error("{file}: {error}")]
    ApplySchema {
        /// The path of the `crm.toml` below the site's folder.
        file: String,
        /// The failure of the database.
        error: StoreError,
    },
    /// The secrets of a brand cannot be read.
    #[error("{0}")]
    Secrets(SecretsError),
}

impl LoadError {
    /// The settings file of `brand` that is invalid, below the site's folder.
    fn settings_file(&self, brand: &str) -> Option<String> {
        let file = match self {
            Self::Site(SiteError::Config(_)) => "brand.toml",
            Self::Site(SiteError::File(error)) if error.file == "crm.toml" => "crm.toml",
            Self::Schema(_) => "crm.toml",
            _ => return None,
        };
        Some(format!("brands/{brand}/{file}"))
    }

    /// Whether the cause is the database, and not a file of the brand.
    fn is_outage(&self) -> bool {
        // `Failed` is the database's answer to what a brand's `crm.toml` declares.
        matches!(self, Self::ApplySchema { error, .. } if !matches!(error, StoreError::Failed(_)))
    }
}

/// What loading uses of the running program.
pub(crate) struct LoadContext<'a> {
    pub sandbox: &'a Sandbox,
    pub pages: &'a PageStore,
    pub store: &'a dyn Store,
    pub site_dir: &'a Path,
    pub data_dir: &'a OperatorDir,
    pub secrets_dir: Option<&'a OperatorDir>,
    pub progress: &'a Progress,
    pub service: &'a dyn Service,
}

/// Loads everything at start.
///
/// # Errors
/// Nothing can be served, or the database fails. What is wrong with single brands is a problem in the
/// report.
pub(crate) async fn load(
    context: &LoadContext<'_>,
    config: &SiteConfig,
) -> Result<(Live, ReloadReport), LoadError> {
    let mut report = ReloadReport::default();
    let (mut brands, mut faults) = (Vec::new(), Faults::new());
    for id in find_brands(context.site_dir)? {
        let loaded = load_brand(context, config, &id, None).await;
        faults.extend(loaded.fault().map(|fault| (id, fault)));
        brands.push(Arc::clone(&loaded.brand));
        match loaded.crm_changes {
            Err(error) if error.is_outage() => return Err(error),
            crm_changes => report.add(Loaded { crm_changes, ..loaded }),
        }
    }
    let live = build(context, config, brands, faults, None, &mut report)?;
    report_pages(&live.site, |_| true, &mut report);
    Ok((live, report))
}

/// The ids of the brands. Logs what looks like a brand and is none.
///
/// # Errors
/// There is no brand, or a folder cannot be one.
pub(crate) fn find_brands(site_dir: &Path) -> Result<Vec<String>, LoadError> {
    for name in linked_brands(site_dir) {
        let name = printable(&name);
        tracing::warn!(
            "brands/{name}: it is a symbolic link, which is not followed, so this brand is not served; put \
             the folder itself there"
        );
    }
    brand_ids(site_dir).map_err(LoadError::Site)
}

/// The brands whose files are not in use, by id.
pub(crate) type Faults = BTreeMap<String, BrandFault>;

/// A brand that was loaded, or what is served instead of it.
pub(crate) struct Loaded {
    pub(crate) brand: Arc<Brand>,
    /// The changes to its CRM, or why the brand cannot be loaded.
    pub(crate) crm_changes: Result<Vec<String>, LoadError>,
    /// Whether an earlier version of it is served instead.
    kept: bool,
}

impl Loaded {
    /// Why the files of the brand are not in use.
    pub(crate) fn fault(&self) -> Option<BrandFault> {
        let error = self.crm_changes.as_ref().err()?;
        Some(BrandFault { reason: error.to_string(), is_served: self.kept, is_contested: false })
    }
}

impl ReloadReport {
    /// Adds the result of loading one brand.
    pub(crate) fn add(&mut self, loaded: Loaded) {
        let Loaded { brand, crm_changes, kept } = loaded;
        match crm_changes {
            Ok(changes) => self.crm_changes.extend(changes),
            Err(error) => self.problems.push(Problem::Brand { brand: brand.id.clone(), error, kept }),
        }
    }
}

/// Builds what is served from brands that are loaded. `old` is what is served now, or `None` at
/// start.
///
/// # Errors
/// There is nothing to serve.
pub(crate) fn build(
    context: &LoadContext<'_>,
    config: &SiteConfig,
    brands: Vec<Arc<Brand>>,
    mut faults: Faults,
    old: Option<&Live>,
    report: &mut ReloadReport,
) -> Result<Live, LoadError> {
    let remembered = match old {
        Some(_) => ServedHosts::default(),
        None => ServedHosts::read(context.data_dir),
    };
    let (mut brands, clashes) = settle_hosts(brands, old.map(|old| &old.site), &remembered);
    for Clash { brand, error, instead } in clashes {
        let (is_served, is_contested) = (instead != Instead::Nothing, instead == Instead::OtherHosts);
        let fault = faults.entry(brand.clone());
        let fault =
            fault.or_insert_with(|| BrandFault { reason: error.to_string(), is_served, is_contested });
        // A version that was kept may lose its Hosts to another brand.
        fault.is_served &= is_served;
        let error = LoadError::Site(error);
        report.problems.push(match is_contested {
            true => Problem::Contested { brand, error },
            false => Problem::Brand { brand, error, kept: is_served },
        });
    }
    let mut secrets = load_secrets(context.secrets_dir, &mut brands, &mut faults, old, report);
    if old.is_none() && brands.iter().all(|brand| brand.outage.is_some()) {
        return Err(first_error(std::mem::take(report)));
    }
    let site = Site::new(brands).map_err(LoadError::Site)?;
    ServedHosts::save(context.data_dir, &site);
    for brand in site.brands() {
        secrets.hide(&brand.id, &brand.secret_hosts);
    }
    let read_rules = ReadRules {
        body_timeout: config.server.body_timeout,
        trusted_proxies: config.server.trusted_proxies.clone(),
        trusted_host_header: config.server.trusted_host_header,
    };
    Ok(Live { site, read_rules, secrets, limits: config.limit_policy(), faults })
}

/// The served version of a brand, with the domains that the operator gives it now.
fn under_the_operator(brand: &Arc<Brand>, loader: &Loader<'_>) -> Arc<Brand> {
    let hosts = brand.hosts.clone().decided_by(loader.domains_of(&brand.id));
    if hosts == brand.hosts {
        return Arc::clone(brand);
    }
    let mut brand = Brand::clone(brand);
    brand.hosts = hosts;
    Arc::new(brand)
}

/// Why the first brand cannot be served.
fn first_error(report: ReloadReport) -> LoadError {
    let errors = report.problems.into_iter().filter_map(|problem| match problem {
        Problem::Brand { error, .. } => Some(error),
        _ => None,
    });
    errors.into_iter().next().unwrap_or(LoadError::Site(SiteError::NoBrand))
}

/// Loads a brand. `known` is its newest version.
pub(crate) async fn load_brand(
    context: &LoadContext<'_>,
    config: &SiteConfig,
    id: &str,
    known: Option<&Arc<Brand>>,
) -> Loaded {
    let limits = config.limit_policy();
    let http = Arc::new(config.http.rules());
    let loader = Loader {
        sandbox: context.sandbox,
        pages: context.pages,
        limits: &limits,
        operator: &config.brands,
        http: &http,
        progress: context.progress,
        reword: &|failure, dir| context.service.reword(failure, dir),
    };
    let known = known.filter(|known| known.outage.is_none());
    match load_new(context, &loader, id, known).await {
        Ok((brand, crm_changes)) => {
            Loaded { brand: Arc::new(brand), crm_changes: Ok(crm_changes), kept: false }
        }
        Err(error) => {
            let brand = match known {
                Some(known) => under_the_operator(known, &loader),
                None => Arc::new(loader.unavailable(id, &brand_dir(context.site_dir, id))),
            };
            Loaded { brand, crm_changes: Err(error), kept: known.is_some() }
        }
    }
}

/// Loads the files of a brand. Returns the changes to its CRM, too.
async fn load_new(
    context: &LoadContext<'_>,
    loader: &Loader<'_>,
    id: &str,
    known: Option<&Arc<Brand>>,
) -> Result<(Brand, Vec<String>), LoadError> {
    let dir = brand_dir(context.site_dir, id);
    let brand = loader.brand(id, &dir, known.map(Arc::as_ref)).await.map_err(LoadError::Site)?;
    let is_same = known.is_some_and(|known| known.crm_toml == brand.crm_toml);
    let crm_changes =
        if is_same { Vec::new() } else { apply_crm(context.store, id, &brand.crm_toml).await? };
    Ok((brand, crm_changes))
}

async fn apply_crm(store: &dyn Store, brand: &str, text: &str) -> Result<Vec<String>, LoadError> {
    let file = format!("brands/{brand}/crm.toml");
    let schema = CrmSchema::parse(text, &file).map_err(LoadError::Schema)?;
    let applied = store.apply_crm_schema(brand, schema).await;
    let changes = applied.map_err(|error| LoadError::ApplySchema { file, error })?;
    for change in &changes {
        tracing::info!(brand, "crm: {change}");
    }
    Ok(changes)
}

/// Counts brands and pages, and reports the pages of new versions of brands.
pub(crate) fn report_pages(site: &Site, is_new: impl Fn(&Arc<Brand>) -> bool, report: &mut ReloadReport) {
    for brand in site.brands().filter(|brand| is_new(brand)) {
        report.pages_compiled += brand.compiled.len();
        report.compiled.extend(brand.compiled.iter().map(|file| (brand.id.clone(), file.clone())));
        let problems = brand.problems.iter().cloned();
        report.problems.extend(problems.map(|problem| Problem::Page { brand: brand.id.clone(), problem }));
    }
    report.brands = site.brands().filter(|brand| brand.outage.is_none()).count();
    report.pages = site.brands().map(|brand| brand.pages.pages().count()).sum();
}

/// The secrets of all brands. A brand whose secrets cannot be used keeps its previous ones, or answers 503
/// if it was not served before.
fn load_secrets(
    dir: Option<&OperatorDir>,
    brands: &mut [Arc<Brand>],
    faults: &mut Faults,
    old: Option<&Live>,
    report: &mut ReloadReport,
) -> Secrets {
    let ids: Vec<String> = brands.iter().map(|brand| brand.id.clone()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (mut secrets, errors) = Secrets::load(&ids, std::env::vars(), dir);
    for (id, error) in errors {
        let was_served =
            |old: &&Live| old.site.brands().any(|brand| brand.id == id && brand.outage.is_none());
        let served = old.filter(was_served);
        match served {
            Some(old) => secrets.keep(&id, &old.secrets),
            None => brands.iter_mut().filter(|brand| brand.id == id).for_each(|brand| {
                let outage = Outage::of(&brand.dir);
                Arc::make_mut(brand).outage.get_or_insert(outage);
            }),
        }
        let fault =
            BrandFault { reason: error.to_string(), is_served: served.is_some(), is_contested: false };
        faults.entry(id.clone()).or_insert(fault);
        let (error, kept) = (LoadError::Secrets(error), served.is_some());
        report.problems.push(Problem::Brand { brand: id, error, kept });
    }
    secrets
}

/// The keys of the entries that the code cache must keep for `site`.
pub(crate) fn cache_keys(site: &Site) -> HashSet<CacheKey> {
    let pages = site.brands().flat_map(|brand| brand.pages.pages());
    let indexes = site.brands().map(|brand| index_key(&brand.dir));
    pages.map(|page| page.content.key).chain(indexes).collect()
}
