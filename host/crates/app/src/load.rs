//! Loads the site: settings, brands, pages, secrets. What is loaded stands beside what is
//! served, and takes its place as a whole.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde::Serialize;

use sluice_crm::CrmSchema;
use sluice_kit::progress::Progress;
use sluice_limits::policy::LimitPolicy;
use sluice_page::store::PageStore;
use sluice_sandbox::Sandbox;
use sluice_sandbox::cache::CacheKey;
use sluice_sandbox::secrets::Secrets;
use sluice_site::config::SiteConfig;
use sluice_site::load::{Loader, index_key};
use sluice_site::{Brand, Site, SiteError, brand_ids};
use sluice_store::Store;

use crate::request::ReadRules;

/// What a reload replaces as a whole.
pub struct Live {
    pub site: Site,
    pub read_rules: ReadRules,
    pub secrets: Secrets,
    /// Where each limit comes from.
    pub limits: LimitPolicy,
}

/// What came of a reload.
#[derive(Debug, Default, Serialize)]
pub struct ReloadReport {
    pub brands: usize,
    pub pages: usize,
    /// Pages that were compiled; the others had not changed.
    pub pages_compiled: usize,
    /// What could not be taken over, and what is served instead. One sentence each.
    pub problems: Vec<String>,
    /// Those about settings that need a restart.
    #[serde(skip)]
    pub restarts: Vec<String>,
    /// Those about brands and secrets.
    #[serde(skip)]
    pub site_problems: Vec<String>,
    /// Brands and files of the pages that were compiled.
    #[serde(skip)]
    pub compiled: Vec<(String, String)>,
    /// What became of entities and fields. One sentence each.
    #[serde(skip)]
    pub crm_changes: Vec<String>,
}

/// What loading needs of the program.
pub struct Loading<'a> {
    pub sandbox: &'a Sandbox,
    pub pages: &'a PageStore,
    pub store: &'a dyn Store,
    pub site_dir: &'a Path,
    pub secrets_dir: Option<&'a Path>,
    pub progress: &'a Progress,
}

/// Loads everything; `old` is what is served now.
///
/// # Errors
/// At start: whatever is wrong with settings, `crm.toml` or the secrets. Later: only what
/// leaves nothing to serve.
pub async fn load(
    loading: &Loading<'_>,
    config: &SiteConfig,
    old: Option<&Live>,
) -> anyhow::Result<(Live, ReloadReport)> {
    let limits = config.limit_policy();
    let loader = Loader {
        sandbox: loading.sandbox,
        pages: loading.pages,
        limits: &limits,
        progress: loading.progress,
    };
    let mut report = ReloadReport::default();
    let mut brands = Vec::new();
    for id in brand_ids(loading.site_dir)? {
        let known = old.and_then(|old| old.site.brands().find(|brand| brand.id == id));
        match load_brand(loading, &loader, &id, known).await {
            Ok((brand, crm_changes)) => {
                brands.push(Arc::new(brand));
                report.crm_changes.extend(crm_changes);
            }
            Err(error) if old.is_none() => return Err(error),
            Err(error) => {
                let instead = match known {
                    Some(_) => "its last good version is served",
                    None => "the brand is not served",
                };
                report.site_problems.push(format!("brand {id}: {error:#}; {instead}"));
                brands.extend(known.cloned());
            }
        }
    }
    let site = assemble(brands, old, &mut report)?;
    for brand in site.brands().filter(|brand| !is_of(old, brand)) {
        report.pages_compiled += brand.compiled.len();
        report.compiled.extend(brand.compiled.iter().map(|file| (brand.id.clone(), file.clone())));
        report.problems.extend(brand.problems.iter().map(|problem| {
            let kept = if problem.kept { "; its last good version is served" } else { "" };
            format!("brand {}: {}{kept}", brand.id, problem.reason)
        }));
    }
    report.brands = site.brands().count();
    report.pages = site.brands().map(|brand| brand.pages.pages().count()).sum();
    let secrets = match load_secrets(&site, loading.secrets_dir) {
        Ok(secrets) => secrets,
        Err(error) => match old {
            Some(old) => {
                report.site_problems.push(format!("{error:#}; the secrets are those of before"));
                old.secrets.clone()
            }
            None => return Err(error),
        },
    };
    let pages = site.brands().flat_map(|brand| brand.pages.pages());
    let read_rules = ReadRules {
        body_bytes_max: pages.map(|page| page.limits.body_bytes_max).max().unwrap_or(0),
        body_timeout: config.server.body_timeout,
        trusted_proxies: config.server.trusted_proxies.clone(),
    };
    report.problems.splice(0..0, report.site_problems.iter().cloned());
    Ok((Live { site, read_rules, secrets, limits }, report))
}

async fn load_brand(
    loading: &Loading<'_>,
    loader: &Loader<'_>,
    id: &str,
    known: Option<&Arc<Brand>>,
) -> anyhow::Result<(Brand, Vec<String>)> {
    let dir = loading.site_dir.join("brands").join(id);
    let brand = loader.brand(id, &dir, known.map(Arc::as_ref)).await?;
    let is_same = known.is_some_and(|known| known.crm_toml == brand.crm_toml);
    let crm_changes =
        if is_same { Vec::new() } else { apply_crm(loading.store, id, &brand.crm_toml).await? };
    Ok((brand, crm_changes))
}

async fn apply_crm(store: &dyn Store, brand: &str, text: &str) -> anyhow::Result<Vec<String>> {
    let file = format!("brands/{brand}/crm.toml");
    let schema = CrmSchema::parse(text, &file)?;
    let changes = store.apply_crm_schema(brand, schema).await.with_context(|| file.clone())?;
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    for change in &changes {
        tracing::info!(brand, "crm: {change}");
    }
    Ok(changes)
}

/// The site of these brands. Where two want the same Hosts, those that are new at it
/// go back to what they were.
fn assemble(
    mut brands: Vec<Arc<Brand>>,
    old: Option<&Live>,
    report: &mut ReloadReport,
) -> anyhow::Result<Site> {
    loop {
        let clash = match Site::new(brands.clone()) {
            Ok(site) => return Ok(site),
            Err(clash) => clash,
        };
        let SiteError::Hosts { first, second, .. } = &clash else { return Err(clash.into()) };
        let before = |id: &String| old?.site.brands().find(|brand| brand.id == *id);
        let mut changed = false;
        brands.retain_mut(|brand| {
            if (brand.id != *first && brand.id != *second) || is_of(old, brand) {
                return true;
            }
            match before(&brand.id) {
                Some(known) if known.has_hosts_of(brand) => true,
                Some(known) => {
                    *brand = Arc::clone(known);
                    changed = true;
                    true
                }
                None => {
                    changed = old.is_some();
                    !changed
                }
            }
        });
        if !changed {
            return Err(clash.into());
        }
        report.site_problems.push(format!("{clash}; who is new at it is served as before"));
    }
}

/// Whether this very brand was served before.
fn is_of(old: Option<&Live>, brand: &Arc<Brand>) -> bool {
    old.is_some_and(|old| old.site.brands().any(|known| Arc::ptr_eq(known, brand)))
}

fn load_secrets(site: &Site, dir: Option<&Path>) -> anyhow::Result<Secrets> {
    let brands: Vec<&str> = site.brands().map(|brand| brand.id.as_str()).collect();
    Ok(Secrets::load(&brands, std::env::vars(), dir)?)
}

/// What the code cache must not drop.
pub fn contents(site: &Site) -> HashSet<CacheKey> {
    let pages = site.brands().flat_map(|brand| brand.pages.pages());
    let indexes = site.brands().map(|brand| index_key(&brand.dir));
    pages.map(|page| page.content.key).chain(indexes).collect()
}
