//! What lives as long as the process.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use sluice_crm::access::CrmAccess;
use sluice_crm::{CapsOfBrand, CrmCaps};
use sluice_kit::clock::Clock;
use sluice_kit::keys::Keys;
use sluice_kit::progress::Progress;
use sluice_page::store::PageStore;
use sluice_page::{Page, PageContent};
use sluice_runs::execution_log::{ExecutionLog, ExecutionLogOptions};
use sluice_sandbox::cache::CodeCache;
use sluice_sandbox::{Sandbox, SandboxConfig};
use sluice_session::handoff::Handoff;
use sluice_session::rate::Rates;
use sluice_session::storage::Sessions;
use sluice_site::config::SiteConfig;
use sluice_site::{Brand, load, user_cache};
use sluice_store::Store;
use sluice_store::location::Location;
use sluice_telemetry::Telemetry;
use sluice_telemetry::metrics::Metrics;

use crate::observe::{ExecutionObserver, Observation, Observer, RunLogObserver};
use crate::reload::{self, Live, Loading, ReloadReport, Settings};
use crate::request::PageRequest;
use crate::static_file::CompressedFiles;

/// The running program, shared by every worker.
pub struct App {
    live: RwLock<Arc<Live>>,
    pub site_dir: PathBuf,
    secrets_dir: Option<PathBuf>,
    pub settings: Arc<tokio::sync::Mutex<Settings>>,
    pub pages: Arc<PageStore>,
    pub sandbox: Arc<Sandbox>,
    pub sessions: Sessions,
    pub store: Arc<dyn Store>,
    /// Rung when a job was queued here.
    pub bell: Arc<Notify>,
    pub rates: Rates,
    pub executions: Arc<ExecutionLog>,
    pub compressed_files: CompressedFiles,
    pub telemetry: Arc<Telemetry>,
    pub progress: Arc<Progress>,
    /// Told what happens to each request.
    observers: Vec<Arc<dyn Observer>>,
    /// What runs longer than a worker can spare runs here.
    pub runtime: Handle,
    /// Set when the process has been asked to stop.
    pub stopping: AtomicBool,
    pub clock: Clock,
    /// What runs' random numbers follow from, if not from the system's.
    pub seed: Option<u64>,
}

/// What an [`App`] stands on.
pub struct Ground {
    pub keys: Keys,
    pub store: Arc<dyn Store>,
    /// Where what the settings do not place elsewhere is kept.
    pub data_dir: Option<PathBuf>,
    pub clock: Clock,
    pub seed: Option<u64>,
    /// Compiled code of earlier starts; without it pages stay in memory.
    pub cache: Option<CodeCache>,
    /// Told how far starting is.
    pub progress: Arc<Progress>,
    /// Development mode, while a site is worked on.
    pub dev: Option<Arc<dyn Observer>>,
}

impl App {
    /// Opens the database, compiles the engine and the site.
    ///
    /// # Errors
    /// Anything that would keep every page from being served.
    pub async fn start(
        site_dir: PathBuf,
        config: &SiteConfig,
        telemetry: Arc<Telemetry>,
        progress: Arc<Progress>,
        dev: Option<Arc<dyn Observer>>,
    ) -> anyhow::Result<Arc<Self>> {
        let location = Location::of(&config.database.url, config.database.connections_max)?;
        telemetry.set_database_system(location.system());
        let data_dir = location.data_dir();
        let environment = |name: &str| std::env::var(name).ok();
        let keys = Keys::load(
            environment("APP_KEY").as_deref(),
            environment("APP_KEYS_PREVIOUS").as_deref(),
            data_dir.as_deref(),
        )?;
        let store = location.open().await?;
        // While a site is worked on, the tools share what they compile.
        let is_shared = dev.is_some() && config.cache.dir.is_none();
        let of_tools = if is_shared { user_cache::code_cache(config) } else { None };
        let cache = of_tools.or_else(|| open_cache(config, data_dir.as_deref(), &keys));
        let ground = Ground { keys, store, data_dir, clock: Clock::Host, seed: None, cache, progress, dev };
        Self::start_on(ground, site_dir, config, telemetry).await
    }

    /// The same with a database and keys of the caller's.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_on(
        ground: Ground,
        site_dir: PathBuf,
        config: &SiteConfig,
        telemetry: Arc<Telemetry>,
    ) -> anyhow::Result<Arc<Self>> {
        let Ground { keys, store, data_dir, clock, seed, cache, progress, dev } = ground;
        let sandbox_config = SandboxConfig {
            concurrent_runs_max: config.limits.max.concurrent_runs(),
            memory_bytes_max: config.limits.max.memory_bytes(),
            memory_reset: config.server.memory_reset,
            queue_requests_max: config.server.queue_requests_max,
            queue_wait: config.server.queue_wait,
        };
        progress.begin("preparing the engine", 0);
        let (sandbox, cache) = tokio::task::spawn_blocking(move || {
            Sandbox::with_cache(&sandbox_config, cache.as_ref()).map(|sandbox| (sandbox, cache))
        })
        .await??;
        tracing::info!(how = ?sandbox.memory_reset, "sandbox memory is cleaned: {}", sandbox.memory_reset_reason);
        let pages = PageStore::new(cache);
        let secrets_dir = config.secrets.dir.clone().or_else(|| Some(data_dir?.join("secrets")));
        let loading = Loading {
            sandbox: &sandbox,
            pages: &pages,
            store: store.as_ref(),
            site_dir: &site_dir,
            secrets_dir: secrets_dir.as_deref(),
            progress: &progress,
        };
        let (live, report) = reload::load(&loading, config, None).await?;
        for problem in &report.problems {
            tracing::error!("{}", sluice_text::printable::printable(problem));
        }
        pages.evict(&reload::contents(&live.site));
        let ReloadReport { brands, pages: page_count, pages_compiled, .. } = report;
        tracing::info!(brands, pages = page_count, pages_compiled, "the site is loaded");
        progress.end();
        let as_written = sluice_site::config::read_site(&site_dir, std::env::vars())?;
        let settings = Arc::new(tokio::sync::Mutex::new(Settings::new(as_written, config.clone())));
        let sessions = Sessions {
            store: Arc::clone(&store) as _,
            keys: Arc::new(keys),
            lifetime: config.session.lifetime,
        };
        let bell = Arc::new(Notify::new());
        let rates = Rates::new(Arc::clone(&store) as _);
        let executions = ExecutionLog::start(ExecutionLogOptions {
            path: config.execution_log_path(),
            keep: config.log.keep,
            rows_max: config.log.rows_max,
            sample: config.log.sample,
        })
        .context("the execution log")?;
        let executions = Arc::new(executions);
        let mut observers: Vec<Arc<dyn Observer>> =
            vec![Arc::new(RunLogObserver), Arc::new(ExecutionObserver(Arc::clone(&executions)))];
        observers.extend(dev);
        // Its file is there from the start, or the log says why not.
        executions.flush().await;
        executions.observe(&telemetry.meter());
        crate::job_metrics::watch(&telemetry.meter(), Arc::clone(&store));
        let slots = sandbox.slots.clone();
        Metrics::observe_sandboxes(&telemetry.meter(), move || slots.usage());
        let stopping = AtomicBool::new(false);
        let compressed_files = CompressedFiles::default();
        Ok(Arc::new(Self {
            live: RwLock::new(Arc::new(live)),
            site_dir,
            secrets_dir,
            settings,
            pages: Arc::new(pages),
            sandbox: Arc::new(sandbox),
            sessions,
            store,
            bell,
            rates,
            executions,
            compressed_files,
            telemetry,
            progress,
            observers,
            runtime: Handle::current(),
            stopping,
            clock,
            seed,
        }))
    }

    /// The same site on another database.
    pub fn on_store(&self, store: Arc<dyn Store>) -> Self {
        let sessions = Sessions {
            store: Arc::clone(&store) as _,
            keys: Arc::clone(&self.sessions.keys),
            lifetime: self.sessions.lifetime,
        };
        Self {
            live: RwLock::new(self.live()),
            site_dir: self.site_dir.clone(),
            secrets_dir: self.secrets_dir.clone(),
            settings: Arc::clone(&self.settings),
            pages: Arc::clone(&self.pages),
            sandbox: Arc::clone(&self.sandbox),
            sessions,
            rates: Rates::new(Arc::clone(&store) as _),
            store,
            bell: Arc::new(Notify::new()),
            executions: Arc::clone(&self.executions),
            compressed_files: CompressedFiles::default(),
            telemetry: Arc::clone(&self.telemetry),
            progress: Arc::clone(&self.progress),
            observers: self.observers.clone(),
            runtime: self.runtime.clone(),
            stopping: AtomicBool::new(false),
            clock: self.clock,
            seed: self.seed,
        }
    }

    /// What is served now. Whoever holds it goes on with it when the site is reloaded.
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets every observer watch a request.
    pub(crate) fn begin_observation(&self, observation: &mut Observation, request: &PageRequest) {
        for observer in &self.observers {
            let begun = observer.begin(request, observation.trace());
            observation.add(begun);
        }
    }

    /// Serves `live` from now on.
    pub fn go_live(&self, live: Live) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
    }

    /// What loading the site needs.
    pub fn loading(&self) -> Loading<'_> {
        Loading {
            sandbox: &self.sandbox,
            pages: &self.pages,
            store: self.store.as_ref(),
            site_dir: &self.site_dir,
            secrets_dir: self.secrets_dir.as_deref(),
            progress: &self.progress,
        }
    }

    /// The content of a page, loaded if need be.
    pub async fn content(&self, brand: &Brand, page: &Page) -> Arc<PageContent> {
        let compile = || load::again(&self.sandbox, brand, page);
        self.pages.content(&self.sandbox, page, compile).await
    }

    /// Unix time in milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Handoff tokens of `brand`, for one run.
    pub fn handoff(&self, brand: &str) -> Handoff {
        Handoff {
            keys: Arc::clone(&self.sessions.keys),
            tokens: Arc::clone(&self.store) as _,
            brand: brand.to_owned(),
        }
    }

    /// CRM data of `brand`, for one run.
    pub fn crm_access(&self, brand: &str) -> CrmAccess {
        CrmAccess::new(Arc::clone(&self.store) as _, brand, Arc::clone(&self.bell))
    }

    /// The CRM quotas of each brand, for writes that no page makes.
    pub fn caps_of_brand(self: &Arc<Self>) -> CapsOfBrand {
        let app = Arc::clone(self);
        Arc::new(move |id| {
            let live = app.live();
            let brand = live.site.brands().find(|brand| brand.id == id);
            brand.map(|brand| CrmCaps::from(&brand.limits)).unwrap_or_default()
        })
    }
}

/// The code cache, or none where its folder cannot be used: pages then stay in memory.
fn open_cache(config: &SiteConfig, data_dir: Option<&Path>, keys: &Keys) -> Option<CodeCache> {
    let dir = config.cache.dir.clone().or_else(|| Some(data_dir?.join("cache")))?;
    match CodeCache::open(&dir, keys, config.cache.bytes_max) {
        Ok(cache) => Some(cache),
        Err(error) => {
            tracing::warn!(folder = %dir.display(), %error, "compiled code cannot be kept; every start compiles anew");
            None
        }
    }
}
