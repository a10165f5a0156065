//! Compiles the pages of a brand that have changed, on all cores, with low priority.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;
use tokio::runtime::{Handle, RuntimeFlavor};

use sluice_kit::progress::Progress;
use sluice_kit::thread::lower_priority;
use sluice_limits::Limits;
use sluice_page::bundle::Header;
use sluice_page::store::PageStore;
use sluice_page::{self as page, CompiledPage, ContentRef, PageContent};
use sluice_sandbox::Sandbox;
use sluice_sandbox::cache::CacheKey;
use sluice_text::source::Source;

use crate::SiteError;
use crate::folder::{BrandFolder, Dependency, Recorder, content_key};

/// A page whose files have changed since an earlier compilation.
pub(crate) struct ToCompile {
    pub(crate) source: Source,
    /// The key of the page by itself, without the files that it uses.
    pub(crate) key: CacheKey,
    pub(crate) limits: Limits,
}

/// The result of compiling a page.
pub(crate) struct Compiled {
    /// The page's file, such as `pages/index.html`.
    pub(crate) file: String,
    /// As in [`ToCompile`].
    pub(crate) key: CacheKey,
    pub(crate) made: Made,
}

/// What a compilation produced.
pub(crate) enum Made {
    /// The content was stored. The page used these files.
    Stored(ContentRef, Vec<Dependency>),
    /// The page has mistakes, which the content contains.
    Broken(Box<PageContent>),
}

/// Compiles pages of one brand.
pub(crate) struct Compiler<'a> {
    pub(crate) sandbox: &'a Sandbox,
    pub(crate) pages: &'a PageStore,
    pub(crate) folder: &'a BrandFolder,
    /// The brand's id.
    pub(crate) brand: &'a str,
    pub(crate) progress: &'a Progress,
}

impl Compiler<'_> {
    /// Compiles `pages` and returns the results in the same order.
    ///
    /// # Errors
    /// A thread panicked, which is a defect of this program.
    pub(crate) async fn compile(&self, pages: Vec<ToCompile>) -> Result<Vec<Compiled>, SiteError> {
        if pages.is_empty() {
            return Ok(Vec::new());
        }
        self.progress.begin("compiling pages", pages.len());
        let runtime = Handle::current();
        let threads = thread::available_parallelism().map_or(1, usize::from).min(pages.len());
        if runtime.runtime_flavor() == RuntimeFlavor::MultiThread {
            return tokio::task::block_in_place(|| self.on_threads(threads, &runtime, pages));
        }
        let mut compiled = Vec::new();
        for page in pages {
            compiled.push(self.page(page).await);
        }
        Ok(compiled)
    }

    fn on_threads(
        &self,
        threads: usize,
        runtime: &Handle,
        pages: Vec<ToCompile>,
    ) -> Result<Vec<Compiled>, SiteError> {
        let next = AtomicUsize::new(0);
        let places: Vec<Mutex<Option<ToCompile>>> =
            pages.into_iter().map(|page| Mutex::new(Some(page))).collect();
        let take = || {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let page = places.get(index)?.lock().take()?;
            Some((index, page))
        };
        let work = || {
            // The other brands of the host are served meanwhile.
            lower_priority();
            let mut compiled = Vec::new();
            while let Some((index, page)) = take() {
                compiled.push((index, runtime.block_on(self.page(page))));
            }
            compiled
        };
        let mut compiled = thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let ended = workers.into_iter().map(thread::ScopedJoinHandle::join);
            ended.collect::<Result<Vec<_>, _>>().map(|parts| parts.into_iter().flatten().collect::<Vec<_>>())
        })
        .map_err(|_| SiteError::CompilerThread)?;
        compiled.sort_by_key(|(index, _)| *index);
        Ok(compiled.into_iter().map(|(_, page)| page).collect())
    }

    async fn page(&self, page: ToCompile) -> Compiled {
        let ToCompile { source, key, limits } = page;
        let (file, text) = (source.file.clone(), source.text.clone());
        let recorder = Recorder::new(self.folder);
        let CompiledPage { content, machine_code } =
            page::compile(self.sandbox, source, &recorder, &limits, self.brand).await;
        let used = recorder.used();
        self.progress.step();
        if !content.problems().is_empty() {
            return Compiled { file, key, made: Made::Broken(Box::new(content)) };
        }
        let dependencies: Vec<Dependency> = used.iter().map(Dependency::from).collect();
        let header = Header { file: file.clone(), text, used };
        let content = self.pages.keep(content_key(&key, &dependencies), &header, &machine_code, content);
        Compiled { file, key, made: Made::Stored(content, dependencies) }
    }
}
