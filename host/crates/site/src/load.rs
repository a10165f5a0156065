//! Loads a brand from its folder. A page whose files have not changed since an earlier
//! compilation is not compiled again. A page that no longer compiles keeps its last good content.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Map;

use sluice_fetch::{OperatorRules, Rules};
use sluice_files::UploadRules;
use sluice_kit::folder::FolderPath;
use sluice_kit::progress::Progress;
use sluice_limits::policy::{BrandLayers, ClampedLimit, LimitPolicy, Origin};
use sluice_limits::{JobLimits, LimitOverrides, Limits};
use sluice_page::store::PageStore;
use sluice_page::{self as page, CompiledPage, ContentRef, Page, PageContent};
use sluice_queue::Targets as _;
use sluice_sandbox::Sandbox;
use sluice_sandbox::cache::CacheKey;
use sluice_sandbox::outcome::Failure;
use sluice_text::printable::printable;
use sluice_text::suggest;

use crate::access::AccessRules;
use crate::compile::{Compiled, Compiler, Made, ToCompile};
use crate::config::{self, BrandConfig, OperatorBrand, PageConfig, SettingNames};
use crate::domain::Domain;
use crate::files::{self, FileError};
use crate::folder::{BrandFolder, Dependency, content_key};
use crate::headers::StandingHeaders;
use crate::hosts::Hosts;
use crate::jobs::JobTargets;
use crate::languages::Languages;
use crate::public::PublicFiles;
use crate::table::{PageTable, url_path};
use crate::{Brand, Outage, SiteError, limit_layers};

/// The page for errors stays in memory.
const ERROR_PAGE_BYTES_MAX: usize = 64 << 10;

/// The files that pages used when they were compiled, by the key of the page by itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct CompileIndex(HashMap<CacheKey, Vec<Dependency>>);

/// The index in the form in which the code cache stores it.
type StoredIndex = Vec<([u8; 32], Vec<Dependency>)>;

/// A page that does not compile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageProblem {
    /// The page's file, such as `pages/index.html`.
    pub page: String,
    /// The reason, with its position.
    pub reason: String,
    /// The reason in parts.
    #[serde(skip)]
    pub failure: Failure,
    /// Whether visitors still get the previous version.
    pub kept: bool,
}

/// Loads brands.
pub struct Loader<'a> {
    /// Compiles the pages.
    pub sandbox: &'a Sandbox,
    /// Stores the content of the pages.
    pub pages: &'a PageStore,
    /// Decides which limits apply to a page.
    pub limits: &'a LimitPolicy,
    /// `[brands]` of `sluice.toml`.
    pub operator: &'a BTreeMap<String, OperatorBrand>,
    /// `[http]` of `sluice.toml`.
    pub http: &'a Arc<OperatorRules>,
    /// Shows how many pages have been compiled.
    pub progress: &'a Progress,
    /// Words the reason why a script of the brand in a folder does not compile.
    pub reword: &'a Reword<'a>,
}

/// Words the reason why a script does not compile. The second argument is the brand's folder.
pub type Reword<'a> = dyn Fn(Failure, &FolderPath) -> Failure + Sync + 'a;

/// The state of loading one brand.
struct BrandLoad<'a> {
    folder: BrandFolder,
    known: CompileIndex,
    fresh: CompileIndex,
    old: HashMap<&'a str, &'a Arc<Page>>,
    problems: Vec<PageProblem>,
    compiled: Vec<String>,
}

/// Whether a page must be compiled.
enum Lookup {
    /// Its earlier content is still current, or there is nothing to compile.
    Current(ContentRef),
    /// It must be compiled.
    Changed(Box<ToCompile>),
}

impl Loader<'_> {
    /// Loads the brand in `dir`. `old` is the version that is served now.
    ///
    /// # Errors
    /// Its settings or folders cannot be used. Pages that do not compile are not an error; see
    /// [`Brand::problems`].
    pub async fn brand(&self, id: &str, dir: &FolderPath, old: Option<&Brand>) -> Result<Brand, SiteError> {
        let config = config::read_brand(dir)?;
        let crm_toml = match files::read(dir, "crm.toml") {
            Ok(source) => source.text,
            Err(error) if error.is_missing() => String::new(),
            Err(error) => return Err(error.into()),
        };
        let folder = BrandFolder::new(dir)?;
        log_setting_warnings(self.limits, id, &config, &folder);
        self.log_ignored_domains(id, &config);
        let mut loading = BrandLoad {
            folder,
            known: old.map_or_else(|| self.stored_index(dir), |old| old.index.clone()),
            fresh: CompileIndex::default(),
            old: old
                .map(|old| old.pages.pages().map(|page| (page.file.as_str(), page)).collect())
                .unwrap_or_default(),
            problems: Vec::new(),
            compiled: Vec::new(),
        };
        let mut pages = PageTable::default();
        for (file, page) in self.pages(&mut loading, id, dir, &config).await? {
            pages.insert(&file, Arc::new(page));
        }
        for problem in loading.folder.include_problems() {
            tracing::error!(brand = id, "{}", printable(&problem.to_string()));
        }
        let (public, problems) = PublicFiles::load(dir, &config.public);
        for problem in problems {
            tracing::error!(brand = id, "{}", printable(&problem.to_string()));
        }
        let BrandLoad { folder, known, fresh, problems, compiled, .. } = loading;
        let layers = BrandLayers { brand: id, own: &config.limits.own, page: None };
        let jobs = Arc::new(JobTargets::of(&folder));
        for schedule in &config.schedule {
            if let Err(fault) = jobs.find(&schedule.module, &schedule.function) {
                let (name, fault) = (&schedule.name, fault.to_string());
                tracing::error!(
                    brand = id,
                    "brands/{id}/brand.toml, [[schedule]] {name}: {}",
                    printable(&fault)
                );
            }
        }
        if old.is_some() || !compiled.is_empty() || known.0.len() != fresh.0.len() {
            self.store_index(dir, &fresh);
        }
        let has_cache = pages.pages().any(|page| page.cache.is_some());
        Ok(Brand {
            id: id.to_owned(),
            dir: dir.clone(),
            hosts: Hosts::of_brand(config.domains.clone(), config.default).decided_by(self.domains_of(id)),
            outage: None,
            error_page: error_page(id, dir),
            languages: Arc::new(Languages::new(&config.translations, config.default_language.as_deref())),
            variables: Arc::new(config.variables),
            form_bodies: config.form_bodies,
            compress: config.compress,
            headers: config.headers,
            access: config.access,
            has_cache,
            cache_tags: cache_tags(&pages),
            pages,
            public,
            crm_toml,
            settings: config.names,
            http: Arc::new(Rules::new(Arc::clone(self.http), config.http.allow)),
            secret_hosts: config.secrets.into_iter().map(|(name, used)| (name, used.hosts)).collect(),
            limits: self.limits.effective(layers),
            job_limits: self.limits.of_jobs(layers, &config.limits.job),
            schedules: Arc::new(config.schedule),
            jobs,
            index: fresh,
            problems,
            compiled,
        })
    }

    /// The brand in `dir`, which cannot be loaded. It keeps the Hosts that can be read from its
    /// `brand.toml`, and its visitors get `public/503.html` if there is such a file.
    pub fn unavailable(&self, id: &str, dir: &FolderPath) -> Brand {
        let (domains, is_default) = config::salvage_hosts(dir);
        let own = LimitOverrides::default();
        Brand {
            id: id.to_owned(),
            dir: dir.clone(),
            hosts: Hosts::of_brand(domains, is_default).decided_by(self.domains_of(id)),
            outage: Some(Outage::of(dir)),
            error_page: None,
            languages: Arc::default(),
            variables: Arc::new(Map::new()),
            form_bodies: false,
            compress: false,
            headers: StandingHeaders::default(),
            access: AccessRules::default(),
            has_cache: false,
            cache_tags: Arc::default(),
            pages: PageTable::default(),
            public: PublicFiles::default(),
            crm_toml: String::new(),
            settings: SettingNames::default(),
            http: Arc::default(),
            secret_hosts: BTreeMap::new(),
            limits: self.limits.effective(BrandLayers { brand: id, own: &own, page: None }),
            job_limits: self
                .limits
                .of_jobs(BrandLayers { brand: id, own: &own, page: None }, &JobLimits::default()),
            jobs: Arc::default(),
            schedules: Arc::default(),
            index: CompileIndex::default(),
            problems: Vec::new(),
            compiled: Vec::new(),
        }
    }

    /// The domains that the operator gives to a brand. `None` leaves the decision to the brand.
    pub fn domains_of(&self, id: &str) -> Option<&[Domain]> {
        self.operator.get(id)?.domains.as_deref()
    }

    fn log_ignored_domains(&self, id: &str, config: &BrandConfig) {
        let Some(domains) = self.domains_of(id) else { return };
        for ignored in config.domains.iter().filter(|own| !domains.contains(own)) {
            tracing::warn!(
                brand = id,
                "brands/{id}/brand.toml, domains: {ignored} is ignored, because sluice.toml sets [brands.{id}] domains"
            );
        }
    }

    /// All pages with the names of their files. The pages that have changed are compiled together.
    async fn pages(
        &self,
        loading: &mut BrandLoad<'_>,
        id: &str,
        dir: &FolderPath,
        config: &BrandConfig,
    ) -> Result<Vec<(String, Page)>, SiteError> {
        let mut pages = Vec::new();
        let mut changed = Vec::new();
        for file in loading.folder.pages.clone() {
            let limits = self.limits.effective(limit_layers(id, config, &url_path(&file)));
            let content = match self.look_up(loading, &format!("pages/{file}"), &limits) {
                Lookup::Current(content) => Some(content),
                Lookup::Changed(page) => {
                    changed.push(*page);
                    None
                }
            };
            pages.push((file, limits, content));
        }
        let compiler = Compiler {
            sandbox: self.sandbox,
            pages: self.pages,
            folder: &loading.folder,
            brand: id,
            progress: self.progress,
        };
        let mut compiled = compiler.compile(changed).await?;
        for page in &mut compiled {
            if let Made::Broken(content) = &mut page.made {
                content.reword(|failure| (self.reword)(failure, dir));
            }
        }
        let mut compiled =
            compiled.into_iter().map(|page| loading.take(page)).collect::<Vec<_>>().into_iter();
        let pages = pages.into_iter().filter_map(|(file, limits, content)| {
            let content = content.or_else(|| compiled.next())?;
            let page = page(config, &file, limits, content);
            Some((file, page))
        });
        Ok(pages.collect())
    }

    /// Looks for the content of an earlier compilation.
    fn look_up(&self, loading: &mut BrandLoad<'_>, file: &str, limits: &Limits) -> Lookup {
        let source = match loading.folder.source(file) {
            Ok(source) => source,
            Err(error) => {
                let broken = broken_by(file, &error);
                return Lookup::Current(loading.broken(file, CacheKey::of([file.as_bytes()]), broken));
            }
        };
        let page_key = self.page_key(file, &source.text, limits);
        let old = loading.old.get(file).copied();
        if let Some(used) = loading.known.0.get(&page_key)
            && used.iter().all(|used| loading.folder.is_unchanged(used))
        {
            let key = content_key(&page_key, used);
            let same = old.map(|old| &old.content).filter(|content| content.key == key).cloned();
            let stored = || self.pages.has(&key).then_some(ContentRef { key, held: None });
            if let Some(content) = same.or_else(stored) {
                loading.fresh.0.insert(page_key, used.clone());
                return Lookup::Current(content);
            }
        }
        Lookup::Changed(Box::new(ToCompile { source, key: page_key, limits: limits.clone() }))
    }

    /// The key of a page by itself, without the files that it imports and includes.
    fn page_key(&self, file: &str, text: &str, limits: &Limits) -> CacheKey {
        let of_compilation = [
            limits.compile_fuel,
            limits.compile_wall_ms_max,
            limits.compile_memory_bytes_max as u64,
            limits.imports_max as u64,
            limits.import_depth_max as u64,
        ];
        let of_compilation: Vec<u8> = of_compilation.iter().flat_map(|limit| limit.to_le_bytes()).collect();
        let code_id = self.sandbox.code_id.as_bytes();
        CacheKey::of([b"page".as_slice(), code_id, file.as_bytes(), text.as_bytes(), &of_compilation])
    }

    fn stored_index(&self, dir: &FolderPath) -> CompileIndex {
        let stored = self.pages.cache().and_then(|cache| cache.read(&index_key(dir)));
        let parsed = stored.map(|stored| rmp_serde::from_slice::<StoredIndex>(stored.bytes()));
        match parsed {
            Some(Ok(entries)) => {
                CompileIndex(entries.into_iter().map(|(key, used)| (CacheKey::from(key), used)).collect())
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "the code cache's list of pages has an unknown format; it is created again");
                CompileIndex::default()
            }
            None => CompileIndex::default(),
        }
    }

    fn store_index(&self, dir: &FolderPath, index: &CompileIndex) {
        let Some(cache) = self.pages.cache() else { return };
        let entries: Vec<([u8; 32], &Vec<Dependency>)> =
            index.0.iter().map(|(key, used)| ((*key).into(), used)).collect();
        match rmp_serde::to_vec(&entries) {
            Ok(bytes) => {
                cache.write(&index_key(dir), &bytes);
            }
            Err(error) => tracing::warn!(%error, "the code cache's list of pages cannot be stored"),
        }
    }
}

/// Compiles a page whose stored content was lost, from its files as they are now.
pub async fn again(sandbox: &Sandbox, brand: &Brand, page: &Page) -> PageContent {
    let folder = match BrandFolder::new(&brand.dir) {
        Ok(folder) => folder,
        Err(error) => return broken_by(&page.file, &error),
    };
    match folder.source(&page.file) {
        Ok(source) => page::compile(sandbox, source, &folder, &page.limits, &brand.id).await.content,
        Err(error) => broken_by(&page.file, &error),
    }
}

/// The content of the page in `file`, which cannot be compiled because of `error`.
fn broken_by(file: &str, error: &FileError) -> PageContent {
    // The failure names the page's file itself.
    let reason = if error.file == file { error.fault.to_string() } else { error.to_string() };
    CompiledPage::broken(Failure::of_file(file, reason)).content
}

fn page(config: &BrandConfig, file: &str, limits: Limits, content: ContentRef) -> Page {
    let path = url_path(file);
    let own: Option<&PageConfig> = config.page.iter().find(|page| page.path == path);
    Page {
        content,
        file: format!("pages/{file}"),
        route: path,
        rate: own.and_then(|page| page.rate),
        on_error: own.and_then(|page| page.on_error).unwrap_or(config.on_error),
        methods: own.and_then(|page| page.methods).unwrap_or_default(),
        headers: own.map(|page| page.headers.clone()).unwrap_or_default(),
        cors: own.and_then(|page| page.cors.clone()),
        cache: own.and_then(PageConfig::cache_rules),
        raw_body: own.is_some_and(|page| page.raw_body),
        uploads: own.and_then(|page| page.uploads.as_ref()).map(|uploads| {
            Arc::new(UploadRules {
                files_max: uploads.files_max,
                bytes_max: uploads.bytes_max,
                types: uploads.types.clone(),
                fields_bytes_max: limits.body_bytes_max,
            })
        }),
        cross_origin: own.is_some_and(|page| page.cross_origin),
        limits,
    }
}

/// The text of `public/500.html`. If there is none, or it cannot be used, visitors get a plain page.
fn error_page(id: &str, dir: &FolderPath) -> Option<Arc<str>> {
    const FILE: &str = "public/500.html";
    match files::read(dir, FILE) {
        Ok(source) if source.text.len() <= ERROR_PAGE_BYTES_MAX => Some(source.text.into()),
        Ok(_) => {
            tracing::error!(
                brand = id,
                "{FILE} has more than {ERROR_PAGE_BYTES_MAX} bytes: visitors get a plain page when a page fails"
            );
            None
        }
        Err(error) if error.is_missing() => None,
        Err(error) => {
            tracing::error!(brand = id, "{}", printable(&error.to_string()));
            None
        }
    }
}

/// The tags of all pages, each once.
fn cache_tags(pages: &PageTable<Arc<Page>>) -> Arc<[String]> {
    let tags = pages.pages().filter_map(|page| page.cache.as_ref()).flat_map(|cache| &cache.tags);
    tags.collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

impl BrandLoad<'_> {
    /// Notes the result of a compilation.
    fn take(&mut self, page: Compiled) -> ContentRef {
        self.compiled.push(page.file.clone());
        match page.made {
            Made::Stored(content, used) => {
                self.fresh.0.insert(page.key, used);
                content
            }
            Made::Broken(content) => self.broken(&page.file, page.key, *content),
        }
    }

    /// Notes the mistakes in a page. Returns its last good content, or the broken content if
    /// there is none.
    fn broken(&mut self, file: &str, key: CacheKey, content: PageContent) -> ContentRef {
        let last_good = self.old.get(file).map(|old| old.content.clone()).filter(ContentRef::is_whole);
        let kept = last_good.is_some();
        let problem = |failure: Failure| PageProblem {
            page: file.to_owned(),
            // QuickJS does not always know the position.
            reason: if failure.file.is_empty() { format!("{file}: {failure}") } else { failure.to_string() },
            failure,
            kept,
        };
        self.problems.extend(content.problems().into_iter().map(problem));
        last_good.unwrap_or_else(|| ContentRef { key, held: Some(Arc::new(content)) })
    }
}

/// The key under which the code cache stores the index of the brand in `dir`.
pub fn index_key(dir: &FolderPath) -> CacheKey {
    let place = dir.pinned().unwrap_or_else(|_| dir.clone()).path();
    CacheKey::of([b"index".as_slice(), place.as_os_str().as_encoded_bytes()])
}

/// Logs settings of `brand.toml` that are ignored or reduced.
fn log_setting_warnings(limits: &LimitPolicy, id: &str, config: &BrandConfig, folder: &BrandFolder) {
    let brand = BrandLayers { brand: id, own: &config.limits.own, page: None };
    let sentence = |clamped: ClampedLimit| format!("{}: {clamped}", clamped.origin);
    let mut warnings: Vec<String> = limits.clamped(brand).into_iter().map(sentence).collect();
    let paths: Vec<String> = folder.pages.iter().map(|file| url_path(file)).collect();
    for page in &config.page {
        let clamped = limits.clamped(limit_layers(id, config, &page.path));
        let own = clamped.into_iter().filter(|clamped| matches!(clamped.origin, Origin::Page { .. }));
        warnings.extend(own.map(sentence));
        if !paths.contains(&page.path) {
            let hint = suggest::hint(&page.path, paths.iter().map(String::as_str));
            warnings
                .push(format!("brands/{id}/brand.toml, [[page]] {}: there is no such page{hint}", page.path));
        }
    }
    for warning in warnings {
        tracing::warn!(brand = id, "{}", printable(&warning));
    }
}
