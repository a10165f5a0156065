//! What lives as long as the process.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

use crate::config::SiteConfig;
use crate::crm::access::CrmAccess;
use crate::keys::Keys;
use crate::rate::Rates;
use crate::request::ReadRules;
use crate::script::{Sandbox, SandboxConfig};
use crate::secrets::Secrets;
use crate::session::handoff::Handoff;
use crate::session::storage::Sessions;
use crate::site::Site;
use crate::static_file::CompressedFiles;
use crate::store::Store;
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Metrics;

/// The running program, shared by every worker.
pub struct App {
    pub site: Site,
    pub sandbox: Sandbox,
    pub sessions: Sessions,
    pub store: Arc<dyn Store>,
    pub secrets: Secrets,
    pub read_rules: ReadRules,
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
        let sandbox = tokio::task::spawn_blocking(move || Sandbox::new(&sandbox_config)).await??;
        tracing::info!(how = ?sandbox.memory_reset, "sandbox memory is cleaned: {}", sandbox.memory_reset_reason);
        let site = Site::load(&sandbox, &site_dir, config).await?;
        for brand in site.brands() {
            for (page, reason) in brand.broken_pages() {
                tracing::error!(brand = brand.id, page, "{}", crate::run_log::printable(&reason));
            }
            apply_crm(store.as_ref(), &brand.id, &brand.crm_toml).await?;
        }
        let pages = site.brands().flat_map(|brand| brand.pages.pages());
        let body_bytes_max = pages.map(|page| page.limits.body_bytes_max).max().unwrap_or(0);
        let read_rules = ReadRules {
            body_bytes_max,
            body_timeout: config.server.body_timeout,
            trusted_proxies: config.server.trusted_proxies.clone(),
        };
        let brands: Vec<&str> = site.brands().map(|brand| brand.id.as_str()).collect();
        let secrets_dir = config.secrets.dir.clone().or_else(|| Some(data_dir?.join("secrets")));
        let secrets = Secrets::load(&brands, std::env::vars(), secrets_dir.as_deref())?;
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
            site,
            sandbox,
            sessions,
            store,
            secrets,
            read_rules,
            rates,
            compressed_files,
            telemetry,
            stopping,
        }))
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

async fn apply_crm(store: &dyn Store, brand: &str, text: &str) -> anyhow::Result<()> {
    let file = format!("brands/{brand}/crm.toml");
    let schema = crate::crm::CrmSchema::parse(text, &file)?;
    let changes = store.apply_crm_schema(brand, schema).await.with_context(|| file.clone())?;
    for change in changes {
        tracing::info!(brand, "crm: {change}");
    }
    Ok(())
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
