//! The whole journey of requests without a server: the site of the clients on any store.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sluice_app::app::App;
use sluice_app::observe::Observation;
use sluice_app::request::described::Described;
use sluice_app::response::ReplyBody;
use sluice_author::scratch::{Fixed, Scratch};
use sluice_crm::{CrmSchema, JobEnd};
use sluice_journey::JourneyService;
use sluice_kit::{StoreError, clock};
use sluice_store::location::Location;
use sluice_store::sqlite::{SqliteOptions, SqliteStore};
use sluice_store::{PoolUsage, Store};
use tempfile::TempDir;
use tokio::runtime::{Handle, Runtime};

use super::client::{Answer, PAGE, SCHEMA, Site};
use crate::harness::TestSite;

const BRAND: &str = "demo";
const JOBS_PER_BATCH: u32 = 8;

/// The loaded site. It is loaded once, because compiling it takes a second.
pub(crate) struct Loaded {
    pub runtime: Runtime,
    app: Arc<App>,
    _site: TestSite,
    _scratch: Scratch,
}

impl Loaded {
    pub(crate) fn new() -> Self {
        let site = TestSite::with(&[("pages/index.html", PAGE), ("crm.toml", SCHEMA)]);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (scratch, app) = runtime.block_on(async {
            let service = Arc::new(JourneyService::default());
            let scratch =
                Scratch::load(site.path(), Fixed::default(), Arc::default(), service).await.unwrap();
            let app = scratch.host().await.unwrap();
            (scratch, app)
        });
        Self { runtime, app, _site: site, _scratch: scratch }
    }

    /// The site on another database. A request may wait for the database for `wait_max` in all.
    pub(crate) fn on(&self, store: Arc<dyn Store>, wait_max: Duration) -> Journey {
        let mut app = self.app.on_store(store);
        app.database_wait = wait_max;
        Journey { runtime: self.runtime.handle().clone(), app: Arc::new(app) }
    }

    /// Opens the database in a folder, and declares what the clients write.
    pub(crate) fn open(&self, folder: &Path) -> Result<Arc<dyn Store>, StoreError> {
        let mut options = SqliteOptions::new(folder.join("sluice.db"));
        (options.busy_ms_max, options.wait_ms_max) = (200, 2_000);
        self.runtime.block_on(async {
            let store: Arc<dyn Store> = Arc::new(SqliteStore::open(options).await?);
            if let Err(error) = declare(&*store).await {
                store.close().await;
                return Err(error);
            }
            Ok(store)
        })
    }

    /// Opens a database on PostgreSQL, and declares what the clients write.
    pub(crate) fn open_postgres(&self, url: &str) -> Arc<dyn Store> {
        self.runtime.block_on(async {
            let store = Location::of(url, 4).unwrap().open().await.unwrap();
            declare(&*store).await.unwrap();
            store
        })
    }
}

async fn declare(store: &dyn Store) -> Result<(), StoreError> {
    let schema = CrmSchema::parse(SCHEMA, "crm.toml").unwrap();
    store.apply_crm_schema(BRAND, schema).await.map(drop)
}

/// A folder in memory if there is one, so that a sync costs nothing.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// The site on one database.
pub(crate) struct Journey {
    runtime: Handle,
    app: Arc<App>,
}

impl Journey {
    /// Applies some queued writes. Returns how many were applied or tried, and `None` if the database
    /// failed.
    pub(crate) fn run_jobs(&self) -> Option<usize> {
        let (app, now_ms) = (&self.app, clock::now_ms());
        let runs =
            self.runtime.block_on(app.store.run_jobs(app.caps_of_brand(), JOBS_PER_BATCH, now_ms)).ok()?;
        let is_parked = runs.iter().any(|run| matches!(run.end, JobEnd::Parked { .. }));
        assert!(!is_parked, "no rule rejects the writes of the clients: {runs:?}");
        Some(runs.len())
    }

    /// Waits for calls that are under way although nobody waits for them, and applies all queued writes.
    /// The database must answer.
    pub(crate) fn settle(&self) {
        let is_busy = |usage: PoolUsage| usage.in_use + usage.waiting > 0;
        while is_busy(self.app.store.pool_usage()) {
            thread::sleep(Duration::from_millis(1));
        }
        // SQLite's writer takes one write after the other, so this one is the last.
        let last = self.get("/?op=set&line=settled&n=1", None);
        assert!(last.is_some_and(|answer| answer.is_acknowledged()), "the database answers");
        while self.run_jobs().unwrap() > 0 {}
    }

    /// Closes the database.
    pub(crate) fn close(&self) {
        self.runtime.block_on(self.app.store.close());
    }
}

impl Site for Journey {
    fn get(&self, path: &str, cookie: Option<&str>) -> Option<Answer> {
        let cookies = cookie.and_then(|cookie| cookie.split_once('='));
        let described = Described {
            address: path.to_owned(),
            cookies: cookies.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect(),
            ..Described::default()
        };
        let request = described.into_request(&self.app.live().read_rules).unwrap();
        let reply = self.runtime.block_on(self.app.serve(request, Observation::default()));
        let cookie = reply.cookies.iter().find(|cookie| cookie.starts_with("sluice_session="));
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
        let ReplyBody::Bytes(bytes) = reply.body else { panic!("the page is not a file") };
        Some(Answer { status: reply.status, body: String::from_utf8_lossy(&bytes).into_owned(), cookie })
    }
}
