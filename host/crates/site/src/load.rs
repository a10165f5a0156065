//! From a brand's folder to what is served. Pages whose files are those of an earlier
//! compilation are not compiled again; pages that no longer compile keep their last
//! good content.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use sluice_kit::progress::Progress;
use sluice_limits::Limits;
use sluice_limits::policy::{BrandLayers, LimitPolicy};
use sluice_page::store::PageStore;
use sluice_page::{self as page, CompiledPage, ContentRef, Page, PageContent};
use sluice_sandbox::Sandbox;
use sluice_sandbox::cache::CacheKey;
use sluice_sandbox::outcome::Failure;
use sluice_text::printable::printable;
use sluice_text::suggest;

use super::compile::{Compiled, Compiler, ToCompile};
use super::files::{self, FileError};
use super::folder::{BrandFolder, Dependency};
use super::public::PublicFiles;
use super::table::{PageTable, url_path};
use super::{Brand, SiteError, limit_layers};
use crate::config::{self, BrandConfig, PageConfig};

/// What pages used when they were compiled, by what they are made of themselves.
#[derive(Debug, Clone, Default)]
pub struct CompileIndex(HashMap<CacheKey, Vec<Dependency>>);

/// As the code cache has it.
type StoredIndex = Vec<([u8; 32], Vec<Dependency>)>;

/// A page that does not compile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageProblem {
    pub page: String,
    pub reason: String,
    /// The same, in parts.
    #[serde(skip)]
    pub failure: Failure,
    /// Visitors still get the version before.
    pub kept: bool,
}

/// Loads brands.
pub struct Loader<'a> {
    pub sandbox: &'a Sandbox,
    pub pages: &'a PageStore,
    pub limits: &'a LimitPolicy,
    pub progress: &'a Progress,
}

/// One brand while it is loaded.
struct Loading<'a> {
    folder: BrandFolder,
    known: CompileIndex,
    fresh: CompileIndex,
    old: HashMap<&'a str, &'a Arc<Page>>,
    problems: Vec<PageProblem>,
    compiled: Vec<String>,
}

/// What is known of a page before anything is compiled.
enum Found {
    /// Its content of before is still right, or there is nothing to compile.
    Known(ContentRef),
    Changed(Box<ToCompile>),
}

impl Loader<'_> {
    /// Loads the brand in `dir`; `old` is what is served of it now.
    ///
    /// # Errors
    /// Its settings or its folders cannot be used. Pages that do not compile are in
    /// [`Brand::problems`].
    pub async fn brand(&self, id: &str, dir: &Path, old: Option<&Brand>) -> Result<Brand, SiteError> {
        let config = config::read_brand(dir)?;
        let crm_toml = match files::read(dir, "crm.toml") {
            Ok(source) => source.text,
            Err(error) if error.is_not_found() => String::new(),
            Err(error) => return Err(error.into()),
        };
        let folder = BrandFolder::new(dir)?;
        warn_of_settings(self.limits, id, &config, &folder);
        let mut loading = Loading {
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
        for (file, page) in self.pages(&mut loading, id, &config).await? {
            pages.insert(&file, Arc::new(page));
        }
        for problem in loading.folder.include_problems() {
            tracing::error!(brand = id, "{}", printable(&problem.to_string()));
        }
        let (public, problems) = PublicFiles::load(dir, &config.public);
        for problem in problems {
            tracing::error!(brand = id, "{}", printable(&problem.to_string()));
        }
        let Loading { known, fresh, problems, compiled, .. } = loading;
        if old.is_some() || !compiled.is_empty() || known.0.len() != fresh.0.len() {
            self.store_index(dir, &fresh);
        }
        Ok(Brand {
            id: id.to_owned(),
            dir: dir.to_owned(),
            domains: config.domains.clone(),
            is_default: config.default,
            variables: Arc::new(config.variables),
            form_bodies: config.form_bodies,
            compress: config.compress,
            headers: config.headers,
            access: config.access,
            pages,
            public,
            crm_toml,
            limits: self.limits.effective(BrandLayers { brand: id, own: &config.limits, page: None }),
            index: fresh,
            problems,
            compiled,
        })
    }

    /// Every page with its file's name. What has to be compiled is compiled together.
    async fn pages(
        &self,
        loading: &mut Loading<'_>,
        id: &str,
        config: &BrandConfig,
    ) -> Result<Vec<(String, Page)>, SiteError> {
        let mut pages = Vec::new();
        let mut changed = Vec::new();
        for file in loading.folder.pages.clone() {
            let limits = self.limits.effective(limit_layers(id, config, &url_path(&file)));
            let content = match self.look_up(loading, &format!("pages/{file}"), &limits) {
                Found::Known(content) => Some(content),
                Found::Changed(page) => {
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
            progress: self.progress,
        };
        let compiled = compiler.compile(changed).await?;
        let mut compiled =
            compiled.into_iter().map(|page| loading.take(page)).collect::<Vec<_>>().into_iter();
        let pages = pages.into_iter().filter_map(|(file, limits, content)| {
            let content = content.or_else(|| compiled.next())?;
            let page = page(config, &file, limits, content);
            Some((file, page))
        });
        Ok(pages.collect())
    }

    /// What an earlier compilation left of a page.
    fn look_up(&self, loading: &mut Loading<'_>, file: &str, limits: &Limits) -> Found {
        let source = match loading.folder.source(file) {
            Ok(source) => source,
            Err(error) => {
                let broken = CompiledPage::broken(unusable(file, &error)).content;
                return Found::Known(loading.broken(file, CacheKey::of([file.as_bytes()]), broken));
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
                return Found::Known(content);
            }
        }
        Found::Changed(Box::new(ToCompile { source, key: page_key, limits: limits.clone() }))
    }

    /// Names a page by itself, without what it imports and includes.
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

    fn stored_index(&self, dir: &Path) -> CompileIndex {
        let stored = self.pages.cache().and_then(|cache| cache.read(&index_key(dir)));
        let parsed = stored.map(|stored| rmp_serde::from_slice::<StoredIndex>(stored.bytes()));
        match parsed {
            Some(Ok(entries)) => {
                CompileIndex(entries.into_iter().map(|(key, used)| (CacheKey::from(key), used)).collect())
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "the code cache's list of pages is of another form; it is made anew");
                CompileIndex::default()
            }
            None => CompileIndex::default(),
        }
    }

    fn store_index(&self, dir: &Path, index: &CompileIndex) {
        let Some(cache) = self.pages.cache() else { return };
        let entries: Vec<([u8; 32], &Vec<Dependency>)> =
            index.0.iter().map(|(key, used)| ((*key).into(), used)).collect();
        match rmp_serde::to_vec(&entries) {
            Ok(bytes) => {
                cache.write(&index_key(dir), &bytes);
            }
            Err(error) => tracing::warn!(%error, "the code cache's list of pages cannot be kept"),
        }
    }
}

/// The content of a page whose stored content is lost, from its files as they are now.
pub async fn again(sandbox: &Sandbox, brand: &Brand, page: &Page) -> PageContent {
    let folder = match BrandFolder::new(&brand.dir) {
        Ok(folder) => folder,
        Err(error) => return CompiledPage::broken(unusable(&page.file, &error)).content,
    };
    match folder.source(&page.file) {
        Ok(source) => page::compile(sandbox, source, &folder, &page.limits).await.content,
        Err(error) => CompiledPage::broken(unusable(&page.file, &error)).content,
    }
}

/// The failure of a page whose file cannot be used; the fault may be in another file.
fn unusable(page: &str, error: &FileError) -> Failure {
    let is_own = error.file == page;
    Failure::of_file(page, if is_own { error.fault.to_string() } else { error.to_string() })
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
        cross_origin: own.is_some_and(|page| page.cross_origin),
        limits,
    }
}

impl Loading<'_> {
    /// Takes over what a compilation came to.
    fn take(&mut self, page: Compiled) -> ContentRef {
        self.compiled.push(page.file.clone());
        match page.made {
            Ok((content, used)) => {
                self.fresh.0.insert(page.key, used);
                content
            }
            Err(broken) => self.broken(&page.file, page.key, broken),
        }
    }

    /// Notes what is wrong with a page; gives its last good content, else the broken one.
    fn broken(&mut self, file: &str, key: CacheKey, content: PageContent) -> ContentRef {
        let last_good = self.old.get(file).map(|old| old.content.clone()).filter(ContentRef::is_whole);
        let kept = last_good.is_some();
        let problem = |failure: Failure| PageProblem {
            page: file.to_owned(),
            // QuickJS does not always know where.
            reason: if failure.file.is_empty() { format!("{file}: {failure}") } else { failure.to_string() },
            failure,
            kept,
        };
        self.problems.extend(content.problems().into_iter().map(problem));
        last_good.unwrap_or_else(|| ContentRef { key, held: Some(Arc::new(content)) })
    }
}

pub(super) fn content_key(page: &CacheKey, used: &[Dependency]) -> CacheKey {
    CacheKey::of(std::iter::once(page.as_bytes()).chain(used.iter().map(|used| used.hash().as_slice())))
}

/// One list of pages for each folder that is served.
pub fn index_key(dir: &Path) -> CacheKey {
    let place = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    CacheKey::of([b"index".as_slice(), place.as_os_str().as_encoded_bytes()])
}

fn warn_of_settings(limits: &LimitPolicy, id: &str, config: &BrandConfig, folder: &BrandFolder) {
    let brand = BrandLayers { brand: id, own: &config.limits, page: None };
    let mut warnings = limits.warnings(brand);
    let paths: Vec<String> = folder.pages.iter().map(|file| url_path(file)).collect();
    for page in &config.page {
        let own = limits.warnings(limit_layers(id, config, &page.path));
        warnings.extend(own.into_iter().filter(|warning| warning.contains("[[page]]")));
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
