//! What lives as long as the process.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::cache::CodeCache;
use crate::config::SiteConfig;
use crate::crm::access::CrmAccess;
use crate::keys::Keys;
use crate::page::store::PageStore;
use crate::page::{Page, PageContent};
use crate::rate::Rates;
use crate::reload::{self, Live, Loading, ReloadReport, Settings};
use crate::script::{Sandbox, SandboxConfig};
use crate::session::handoff::Handoff;
use crate::session::storage::Sessions;
use crate::site::Brand;
use crate::site::load;
use crate::static_file::CompressedFiles;
use crate::store::Store;
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Metrics;

/// The running program, shared by every worker.
pub struct App {
    live: RwLock<Arc<Live>>,
    pub site_dir: PathBuf,
    secrets_dir: Option<PathBuf>,
    pub settings: tokio::sync::Mutex<Settings>,
    pub pages: PageStore,
    pub sandbox: Sandbox,
    pub sessions: Sessions,
    pub store: Arc<dyn Store>,
    pub rates: Rates,
    pub compressed_files: CompressedFiles,
    pub telemetry: Arc<Telemetry>,
    /// Set when the process has been asked to stop.
    pub stopping: AtomicBool,
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
    ) -> anyhow::Result<Arc<Self>> {
        let database = sqlite_path(&config.database.url)?;
        let data_dir = database.parent().map(PathBuf::from);
        let environment = |name: &str| std::env::var(name).ok();
        let keys = Keys::load(
            environment("APP_KEY").as_deref(),
            environment("APP_KEYS_PREVIOUS").as_deref(),
            data_dir.as_deref(),
        )?;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(SqliteOptions::new(&database)).await?);
        let sandbox_config = SandboxConfig {
            concurrent_runs_max: config.limits.max.concurrent_runs(),
            memory_bytes_max: config.limits.max.memory_bytes(),
            memory_reset: config.server.memory_reset,
            queue_requests_max: config.server.queue_requests_max,
            queue_wait: config.server.queue_wait,
        };
        let cache = open_cache(config, data_dir.as_deref(), &keys);
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
        };
        let (live, report) = reload::load(&loading, config, None).await?;
        for problem in &report.problems {
            tracing::error!("{}", crate::run_log::printable(problem));
        }
        pages.evict(&reload::contents(&live.site));
        let ReloadReport { brands, pages: page_count, pages_compiled, .. } = report;
        tracing::info!(brands, pages = page_count, pages_compiled, "the site is loaded");
        let as_written = crate::config::read_site(&site_dir, std::env::vars())?;
        let settings = tokio::sync::Mutex::new(Settings::new(as_written, config.clone()));
        let sessions = Sessions {
            store: Arc::clone(&store) as _,
            keys: Arc::new(keys),
            lifetime: config.session.lifetime,
        };
        let rates = Rates::new(Arc::clone(&store) as _);
        Metrics::observe_slots(&telemetry.meter(), &sandbox.slots);
        let stopping = AtomicBool::new(false);
        let compressed_files = CompressedFiles::default();
        Ok(Arc::new(Self {
            live: RwLock::new(Arc::new(live)),
            site_dir,
            secrets_dir,
            settings,
            pages,
            sandbox,
            sessions,
            store,
            rates,
            compressed_files,
            telemetry,
            stopping,
        }))
    }

    /// What is served now. Whoever holds it goes on with it when the site is reloaded.
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
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
        }
    }

    /// The content of a page, loaded if need be.
    pub async fn content(&self, brand: &Brand, page: &Page) -> Arc<PageContent> {
        let compile = || load::again(&self.sandbox, brand, page);
        self.pages.content(&self.sandbox, page, compile).await
    }

    /// Unix time in milliseconds.
    pub fn now_ms(&self) -> i64 {
        now_ms()
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
        CrmAccess::new(Arc::clone(&self.store), brand)
    }
}

/// Unix time in milliseconds; a clock before 1970 reads as 0.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
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

fn sqlite_path(url: &str) -> anyhow::Result<PathBuf> {
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(PathBuf::from(path)),
        Some(("postgres" | "postgresql", _)) => {
            anyhow::bail!(
                "database.url: PostgreSQL is not available in this version of Sluice; use sqlite:PATH"
            )
        }
        _ => anyhow::bail!("database.url must be sqlite:PATH, not `{url}`"),
    }
}
