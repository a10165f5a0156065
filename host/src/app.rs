//! What lives as long as the process.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::sync::Notify;

use crate::config::SiteConfig;
use crate::crm::access::CrmAccess;
use crate::execution_log::{ExecutionLog, ExecutionLogOptions};
use crate::keys::Keys;
use crate::rate::Rates;
use crate::request::ReadRules;
use crate::script::{Sandbox, SandboxConfig};
use crate::secrets::Secrets;
use crate::session::handoff::Handoff;
use crate::session::storage::Sessions;
use crate::site::Site;
use crate::store::location::Location;
use crate::store::{CapsOfBrand, Store};
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Metrics;

/// The running program, shared by every worker.
pub struct App {
    pub site: Site,
    pub sandbox: Sandbox,
    pub sessions: Sessions,
    pub store: Arc<dyn Store>,
    /// Rung when a job was queued here.
    pub bell: Arc<Notify>,
    pub secrets: Secrets,
    pub read_rules: ReadRules,
    pub rates: Rates,
    pub executions: ExecutionLog,
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
        let location = Location::of(&config.database)?;
        let data_dir = location.data_dir();
        let environment = |name: &str| std::env::var(name).ok();
        let keys = Keys::load(
            environment("APP_KEY").as_deref(),
            environment("APP_KEYS_PREVIOUS").as_deref(),
            data_dir.as_deref(),
        )?;
        let store = location.open().await?;
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
        let bell = Arc::new(Notify::new());
        let rates = Rates::new(Arc::clone(&store) as _);
        let executions = ExecutionLog::start(ExecutionLogOptions {
            path: config.execution_log_path(),
            keep: config.log.keep,
            rows_max: config.log.rows_max,
            sample: config.log.sample,
        })
        .context("the execution log")?;
        // Its file is there from the start, or the log says why not.
        executions.flush().await;
        executions.observe(&telemetry.meter());
        crate::telemetry::jobs::watch(&telemetry.meter(), Arc::clone(&store));
        Metrics::observe_slots(&telemetry.meter(), &sandbox.slots);
        let stopping = AtomicBool::new(false);
        Ok(Arc::new(Self {
            site,
            sandbox,
            sessions,
            store,
            bell,
            secrets,
            read_rules,
            rates,
            executions,
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
        CrmAccess::new(Arc::clone(&self.store), brand, Arc::clone(&self.bell))
    }

    /// The CRM quotas of each brand, for writes that no page makes.
    pub fn caps_of_brand(self: &Arc<Self>) -> CapsOfBrand {
        let app = Arc::clone(self);
        Arc::new(move |id| {
            let brand = app.site.brands().find(|brand| brand.id == id);
            brand.map(|brand| brand.limits.crm_caps()).unwrap_or_default()
        })
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
