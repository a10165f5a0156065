//! The state that lives as long as the process.

mod emptied;
mod failed_runs;
mod parts;
pub mod purges;
pub mod service;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinError;

use sluice_crm::access::CrmAccess;
use sluice_crm::{CapsOfBrand, CrmCaps, CrmShared};
use sluice_fetch::TlsError;
use sluice_files::{FileStore, FilesError};
use sluice_kit::clock::Clock;
use sluice_kit::keys::{KEY_FILE, KeyError, Keys};
use sluice_kit::progress::Progress;
use sluice_page::store::PageStore;
use sluice_page::{Page, PageContent};
use sluice_page_cache::{PageCache, Purger};
use sluice_queue::QueueAccess;
use sluice_runs::execution_log::ExecutionLog;
use sluice_sandbox::cache::CodeCache;
use sluice_sandbox::http_calls::HttpCalls;
use sluice_sandbox::{Sandbox, SandboxError};
use sluice_session::ReturningCookies;
use sluice_session::handoff::Handoff;
use sluice_session::rate::Rates;
use sluice_session::storage::Sessions;
use sluice_site::config::{self, ConfigError, SiteConfig};
use sluice_site::places::Places;
use sluice_site::{Brand, load, user_cache};
use sluice_storage::StorageAccess;
use sluice_store::Store;
use sluice_store::location::{Location, LocationError, OpenError};
use sluice_telemetry::Telemetry;
use sluice_telemetry::metrics::{BrandState, Metrics};
use sluice_telemetry::process;

use crate::hooks::Hooks;
use crate::load::{self as loading, Live, LoadContext, LoadError};
use crate::observe::{ExecutionObserver, Observation, Observer, RunLogObserver};
use crate::page_cache::{self, Answer};
use crate::past_reloads::{PastReload, PastReloads};
use crate::reloads::Reloads;
use crate::request::{PageRequest, UploadPlace};
use crate::response::Reply;
use crate::settings::Settings;
use crate::{job_metrics, pool_metrics};
use emptied::refuse_emptied;
use parts::{http_calls, log_load, open_cache, prepare_engine, start_execution_log, warn_of_little_memory};
use service::Service;

/// The running program. All workers share it.
pub struct App {
    live: ArcSwap<Live>,
    /// The site's folder.
    pub site_dir: PathBuf,
    /// Where the operator's files are.
    pub places: Places,
    pub(crate) settings: Arc<tokio::sync::Mutex<Settings>>,
    pub(crate) reloads: Arc<Reloads>,
    pub(crate) past_reloads: Arc<PastReloads>,
    pub(crate) pages: Arc<PageStore>,
    /// Runs and compiles scripts.
    pub sandbox: Arc<Sandbox>,
    /// Loads and saves sessions.
    pub sessions: Arc<Sessions>,
    /// The cookies that have come back, whose sessions are confirmed in the background.
    pub returning: Arc<ReturningCookies>,
    /// The database.
    pub store: Arc<dyn Store>,
    /// What all CRM calls share.
    pub crm: Arc<CrmShared>,
    /// Notified when this host queues a CRM write.
    pub bell: Arc<Notify>,
    /// Notified when this host stores a job of a script.
    pub queue_bell: Arc<Notify>,
    pub(crate) hooks: Hooks,
    /// How many pushes of jobs the quotas of brands have refused.
    pub(crate) pushes_refused: Arc<AtomicU64>,
    /// Counts requests for pages with a rate.
    pub rates: Rates,
    /// Where runs are recorded.
    pub executions: Arc<ExecutionLog>,
    service: Arc<dyn Service>,
    /// Traces and metrics.
    pub telemetry: Arc<Telemetry>,
    progress: Arc<Progress>,
    observers: Vec<Arc<dyn Observer>>,
    /// The runtime for work that would occupy a worker's thread for too long.
    pub runtime: Handle,
    /// Set when the process has been asked to stop.
    pub stopping: AtomicBool,
    /// How long one request may wait for the database, in all.
    pub database_wait: Duration,
    /// The time that scripts, sessions and tokens see.
    pub clock: Clock,
    /// The seed of the scripts' random numbers. `None` takes them from the system.
    pub seed: Option<u64>,
    /// Makes the calls of scripts to other servers.
    pub http: Arc<dyn HttpCalls>,
    /// The files that scripts keep.
    pub files: Arc<FileStore>,
    /// Where files are while they arrive.
    pub uploads: Arc<UploadPlace>,
    /// The answers of pages that are kept for other visitors.
    pub page_cache: Arc<PageCache<Answer>>,
    pub(crate) purger: Arc<Purger>,
}

/// What [`App::start_on`] builds an [`App`] from.
pub struct AppParts {
    /// The application keys.
    pub keys: Keys,
    /// The database.
    pub store: Arc<dyn Store>,
    /// Where the operator's files are.
    pub places: Places,
    /// The time that scripts, sessions and tokens see.
    pub clock: Clock,
    /// The seed of the scripts' random numbers. `None` takes them from the system.
    pub seed: Option<u64>,
    /// Compiled code of earlier starts. Without it, pages are compiled at each start.
    pub cache: Option<CodeCache>,
    /// Notified of the progress of the start.
    pub progress: Arc<Progress>,
    /// The observer of `sluice dev`.
    pub dev: Option<Arc<dyn Observer>>,
    /// Answers requests.
    pub service: Arc<dyn Service>,
    /// Whether calls of scripts to other servers are refused.
    pub offline: bool,
}

/// Why the program cannot start. The text names the cause.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `sluice.toml` or a variable that overrides it is invalid.
    #[error("{0}")]
    Settings(ConfigError),
    /// `database.url` or `database.connections_max` is invalid.
    #[error("{0}")]
    Location(LocationError),
    /// The file of the embedded database has lost its contents.
    #[error(
        "{}: the database is empty, but {KEY_FILE} beside it shows that this host has had one. Restore a \
         backup of the database. If this host never served visitors, delete the empty file",
        .0.display()
    )]
    Emptied(PathBuf),
    /// There is no application key, or an invalid one.
    #[error("{0}")]
    Keys(KeyError),
    /// The database cannot be opened.
    #[error("{0}")]
    Database(OpenError),
    /// The engine cannot be prepared.
    #[error("{0}")]
    Sandbox(SandboxError),
    /// The task that prepares the engine panicked, or the runtime is shutting down.
    #[error("{0}")]
    Task(JoinError),
    /// The site cannot be loaded.
    #[error("{0}")]
    Load(LoadError),
    /// The certificates for calls to other servers cannot be used.
    #[error("{0}")]
    Certificates(#[from] TlsError),
    /// The store of files cannot be used.
    #[error("{0}")]
    Files(#[from] FilesError),
    /// The thread of the execution log cannot be started.
    #[error("the execution log: {0}")]
    ExecutionLog(std::io::Error),
}

impl App {
    /// Opens the database, prepares the engine and loads the site. `dev` is the observer of
    /// `sluice dev`, and `service` answers requests.
    ///
    /// # Errors
    /// A mistake or failure that would keep every page from being served.
    pub async fn start(
        site_dir: PathBuf,
        config: &SiteConfig,
        places: Places,
        telemetry: Arc<Telemetry>,
        progress: Arc<Progress>,
        dev: Option<Arc<dyn Observer>>,
        service: Arc<dyn Service>,
    ) -> Result<Arc<Self>, StartError> {
        let location =
            Location::of(&places.database, config.database.connections_max).map_err(StartError::Location)?;
        telemetry.set_database_system(location.system());
        if let Location::Sqlite(path) = &location {
            refuse_emptied(path, &places.data).await?;
        }
        // Hosts that share a database share no folder.
        let of_keys = matches!(location, Location::Sqlite(_)).then_some(&places.data);
        // The key is made after the database: an empty database beside a key has lost its contents.
        let store = location.open_or_join_later().await.map_err(StartError::Database)?;
        let [current, previous] = ["APP_KEY", "APP_KEYS_PREVIOUS"].map(|name| std::env::var(name).ok());
        let keys = Keys::load(current.as_deref(), previous.as_deref(), of_keys).map_err(StartError::Keys)?;
        // `sluice dev` shares its compiled code with the other tools for authors.
        let cache = match dev {
            Some(_) => user_cache::code_cache(&site_dir, config),
            None => open_cache(config, &places.cache, &keys),
        };
        let clock = Clock::Host;
        let seed = None;
        let offline = false;
        let parts = AppParts { keys, store, places, clock, seed, cache, progress, dev, service, offline };
        Self::start_on(parts, site_dir, config, telemetry).await
    }

    /// Does the same as [`App::start`] with the database and the keys of the caller.
    ///
    /// # Errors
    /// The same as those of [`App::start`].
    pub async fn start_on(
        parts: AppParts,
        site_dir: PathBuf,
        config: &SiteConfig,
        telemetry: Arc<Telemetry>,
    ) -> Result<Arc<Self>, StartError> {
        let AppParts { keys, store, places, clock, seed, cache, progress, dev, service, offline } = parts;
        let http = http_calls(config, &places, offline)?;
        let (sandbox, cache) = prepare_engine(config, cache, &progress).await?;
        let (files, uploads) = parts::files(config, &places, &sandbox.memory)?;
        let pages = PageStore::new(cache, sandbox.memory.usage().limit);
        let context = LoadContext {
            sandbox: &sandbox,
            pages: &pages,
            store: store.as_ref(),
            site_dir: &site_dir,
            data_dir: &places.data,
            secrets_dir: places.secrets.as_ref(),
            progress: &progress,
            service: service.as_ref(),
        };
        let (live, report) = loading::load(&context, config).await.map_err(StartError::Load)?;
        pages.evict(&loading::cache_keys(&live.site));
        log_load(&report);
        progress.end();
        let in_file =
            config::read_site_as(config.reader, &site_dir, std::env::vars()).map_err(StartError::Settings)?;
        let settings = Arc::new(tokio::sync::Mutex::new(Settings::new(in_file, config.clone())));
        let sessions = Sessions {
            store: Arc::clone(&store) as _,
            keys: Arc::new(keys),
            lifetime: config.session.lifetime,
            unconfirmed_lifetime: config.session.unconfirmed_lifetime,
            quota: config.session.quota(),
        };
        let executions = Arc::new(start_execution_log(config, places.log.clone())?);
        let mut observers: Vec<Arc<dyn Observer>> =
            vec![Arc::new(RunLogObserver), Arc::new(ExecutionObserver(Arc::clone(&executions)))];
        observers.extend(dev);
        // The log creates its file now. If it cannot, it says so in the server's log at start.
        executions.flush().await;
        executions.observe(&telemetry.meter());
        pool_metrics::observe(&telemetry.meter(), &store);
        let slots = sandbox.slots.clone();
        Metrics::observe_sandboxes(&telemetry.meter(), move || slots.usage());
        // Without requests, the process takes what it takes now.
        sandbox.memory.set_base(process::resident_bytes().unwrap_or(0));
        warn_of_little_memory(sandbox.memory.usage(), config);
        let reserved = Arc::clone(&sandbox.memory);
        Metrics::observe_memory(&telemetry.meter(), move || reserved.usage());
        let pages = Arc::new(pages);
        let loaded = Arc::clone(&pages);
        Metrics::observe_pages(&telemetry.meter(), move || loaded.loaded());
        let database = Arc::clone(&store);
        Metrics::observe_database(&telemetry.meter(), move || database.outage().is_none());
        let meter = telemetry.meter();
        let page_cache = page_cache::sized(&config.page_cache, sandbox.memory.usage().limit);
        page_cache::observe(&meter, &page_cache);
        let purger = purges::purger(&store, &page_cache);
        let app = Arc::new(Self {
            live: ArcSwap::from_pointee(live),
            site_dir,
            places,
            settings,
            reloads: Arc::default(),
            past_reloads: Arc::new(PastReloads::since(&report)),
            pages,
            sandbox: Arc::new(sandbox),
            sessions: Arc::new(sessions),
            returning: Arc::new(ReturningCookies::new(config.session.unconfirmed_lifetime)),
            rates: Rates::new(Arc::clone(&store) as _),
            crm: job_metrics::watch(&telemetry.meter(), Arc::clone(&store)),
            store,
            bell: Arc::default(),
            queue_bell: Arc::default(),
            hooks: Hooks::default(),
            pushes_refused: Arc::default(),
            executions,
            service,
            telemetry,
            progress,
            observers,
            runtime: Handle::current(),
            stopping: AtomicBool::new(false),
            database_wait: config.database.request_wait,
            clock,
            seed,
            http,
            files,
            uploads: Arc::new(uploads),
            purger,
            page_cache,
        });
        job_metrics::observe_refused_pushes(&meter, &app.pushes_refused);
        let seen = Arc::downgrade(&app);
        Metrics::observe_brands(&meter, move || seen.upgrade().map(|app| app.brand_states()));
        Ok(app)
    }

    /// The same site on another database.
    pub fn on_store(&self, store: Arc<dyn Store>) -> Self {
        let page_cache = Arc::new(self.page_cache.emptied());
        let purger = purges::purger(&store, &page_cache);
        Self {
            live: ArcSwap::new(self.live()),
            site_dir: self.site_dir.clone(),
            places: self.places.clone(),
            settings: Arc::clone(&self.settings),
            reloads: Arc::clone(&self.reloads),
            past_reloads: Arc::clone(&self.past_reloads),
            pages: Arc::clone(&self.pages),
            sandbox: Arc::clone(&self.sandbox),
            sessions: Arc::new(self.sessions.on(Arc::clone(&store) as _)),
            returning: Arc::new(ReturningCookies::new(self.sessions.unconfirmed_lifetime)),
            rates: Rates::new(Arc::clone(&store) as _),
            store,
            crm: Arc::default(),
            bell: Arc::default(),
            queue_bell: Arc::default(),
            hooks: Hooks::default(),
            pushes_refused: Arc::default(),
            executions: Arc::clone(&self.executions),
            service: Arc::clone(&self.service),
            telemetry: Arc::clone(&self.telemetry),
            progress: Arc::clone(&self.progress),
            observers: self.observers.clone(),
            runtime: self.runtime.clone(),
            stopping: AtomicBool::new(false),
            database_wait: self.database_wait,
            clock: self.clock.clone(),
            seed: self.seed,
            http: Arc::clone(&self.http),
            files: Arc::clone(&self.files),
            uploads: Arc::clone(&self.uploads),
            purger,
            page_cache,
        }
    }

    /// The state that is served now. A caller that holds it keeps it when the site is reloaded.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// The start of the process and the reloads since, oldest first. Old ones are forgotten.
    pub fn past_reloads(&self) -> Arc<Vec<PastReload>> {
        self.past_reloads.all()
    }

    /// Whether each brand is served, and as its files are.
    fn brand_states(&self) -> Vec<(String, BrandState)> {
        let live = self.live();
        let state = |id: &str| match live.faults.get(id) {
            None => BrandState::Served,
            Some(fault) if fault.is_served => BrandState::Outdated,
            Some(_) => BrandState::Unavailable,
        };
        live.site.brands().map(|brand| (brand.id.clone(), state(&brand.id))).collect()
    }

    /// Serves `live` from now on.
    pub(crate) fn go_live(&self, live: Live) {
        self.live.store(Arc::new(live));
        self.page_cache.forget();
    }

    /// Answers one request.
    pub async fn serve(self: &Arc<Self>, request: PageRequest, observation: Observation) -> Reply {
        self.service.serve(self, request, observation).await
    }

    /// Lets every observer watch a request.
    pub fn begin_observation(&self, observation: &mut Observation, request: &PageRequest) {
        for observer in &self.observers {
            let begun = observer.begin(request, observation.trace());
            observation.add(begun);
        }
    }

    /// What loading the site uses.
    pub(crate) fn load_context(&self) -> LoadContext<'_> {
        LoadContext {
            sandbox: &self.sandbox,
            pages: &self.pages,
            store: self.store.as_ref(),
            site_dir: &self.site_dir,
            data_dir: &self.places.data,
            secrets_dir: self.places.secrets.as_ref(),
            progress: &self.progress,
            service: self.service.as_ref(),
        }
    }

    /// The content of a page. Loads it unless it is in memory.
    pub async fn content(&self, brand: &Arc<Brand>, page: &Arc<Page>) -> Arc<PageContent> {
        let compile = || async {
            let (sandbox, of_thread, of_page) =
                (Arc::clone(&self.sandbox), Arc::clone(brand), Arc::clone(page));
            let again = async move { load::again(&sandbox, &of_thread, &of_page).await };
            match self.sandbox.long_calls.run(&brand.id, again).await {
                Some(done) => done.value,
                // The threads have ended, because the process stops.
                None => load::again(&self.sandbox, brand, page).await,
            }
        };
        self.pages.content(&self.sandbox, &brand.id, page, compile).await
    }

    /// The time in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Makes and takes the handoff tokens of `brand` in one run.
    pub fn handoff(&self, brand: &str) -> Handoff {
        Handoff {
            keys: Arc::clone(&self.sessions.keys),
            tokens: Arc::clone(&self.store) as _,
            brand: brand.to_owned(),
        }
    }

    /// Access to the CRM of `brand` for one run.
    pub fn crm_access(&self, brand: &str) -> CrmAccess {
        CrmAccess::new(Arc::clone(&self.store) as _, Arc::clone(&self.crm), brand)
    }

    /// The values of `brand`, for one run.
    pub fn storage_access(&self, brand: &str) -> StorageAccess {
        StorageAccess::new(Arc::clone(&self.store) as _, brand)
    }

    /// The jobs of `brand`, for one run.
    pub fn queue_access(&self, brand: &Brand) -> QueueAccess {
        QueueAccess::new(Arc::clone(&self.store) as _, Arc::clone(&brand.jobs) as _, &brand.id)
            .counting(&self.pushes_refused)
    }

    /// Wakes what applies CRM writes and what runs jobs, if a request has stored some.
    pub fn ring(&self, has_writes: bool, has_pushes: bool) {
        if has_writes {
            self.bell.notify_one();
        }
        if has_pushes {
            self.queue_bell.notify_one();
        }
    }

    /// The CRM quotas of each brand. Jobs use them, because they run without a page.
    pub fn caps_of_brand(self: &Arc<Self>) -> CapsOfBrand {
        let app = Arc::clone(self);
        Arc::new(move |id| {
            let live = app.live();
            let brand = live.site.brands().find(|brand| brand.id == id);
            brand.map(|brand| CrmCaps::from(&brand.limits)).unwrap_or_default()
        })
    }
}
