//! A site without listeners, on an empty database in a temporary folder. The site's own
//! data are never opened; `crm.toml` is applied, and secrets are those of the site.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use sluice_app::app::{App, AppParts};
use sluice_kit::clock::Clock;
use sluice_kit::keys::Keys;
use sluice_kit::progress::Progress;
use sluice_site::{Brand, config, user_cache};
use sluice_store::Store;
use sluice_store::location::Location;
use sluice_store::sqlite::{self, SqliteOptions, SqliteStore};
use sluice_telemetry::Telemetry;
use sluice_text::suggest;

/// A test's run and the page that it visits; the others wait for nobody.
const CONCURRENT_RUNS: u32 = 4;

/// Time and chance of what runs here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fixed {
    pub clock: Clock,
    pub seed: Option<u64>,
}

/// A loaded site, and the empty database that its hosts begin with.
pub struct Scratch {
    /// Its database is closed: hosts are made of it.
    base: App,
    folder: TempDir,
    hosts: AtomicUsize,
}

impl Scratch {
    /// Loads the site.
    ///
    /// # Errors
    /// What would keep a server from starting. Pages that do not compile do not.
    pub async fn load(site_dir: &Path, fixed: Fixed, progress: Arc<Progress>) -> anyhow::Result<Self> {
        let mut config = config::read_site(site_dir, std::env::vars())?;
        let folder = tempfile::tempdir().context("a temporary folder")?;
        if config.secrets.dir.is_none() {
            let data_dir = Location::of(&config.database.url, config.database.connections_max)?.data_dir();
            config.secrets.dir = data_dir.map(|dir| dir.join("secrets"));
        }
        config.log.path = Some(folder.path().join("runs.db"));
        config.limits.max.concurrent_runs = Some(CONCURRENT_RUNS);
        let parts = AppParts {
            keys: Keys::of_dir(folder.path())?,
            cache: user_cache::code_cache(&config),
            store: open(&prepared(&folder)).await?,
            data_dir: None,
            clock: fixed.clock,
            seed: fixed.seed,
            progress,
            dev: None,
        };
        let telemetry = Telemetry::start(|_| None)?;
        let app = App::start_on(parts, site_dir.to_owned(), &config, telemetry).await?;
        app.store.close().await;
        // Readers are closed behind it, and the last one moves its log into the file: only
        // SQLite can tell what is in it meanwhile.
        let (from, to) = (prepared(&folder), empty(&folder));
        tokio::task::spawn_blocking(move || sqlite::backup(&from, &to))
            .await?
            .context("the scratch database")?;
        let base = Arc::into_inner(app).context("the site is held by somebody")?;
        Ok(Self { base, folder, hosts: AtomicUsize::new(0) })
    }

    /// A host of the site with an empty database of its own.
    ///
    /// # Errors
    /// The database cannot be made.
    pub async fn host(&self) -> anyhow::Result<Arc<App>> {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed);
        let database = self.folder.path().join(format!("{number}.db"));
        std::fs::copy(empty(&self.folder), &database).context("the scratch database")?;
        Ok(Arc::new(self.base.on_store(open(&database).await?)))
    }

    pub fn brands(&self) -> Vec<Arc<Brand>> {
        self.base.live().site.brands().cloned().collect()
    }

    /// The brand `id`; where none is given, the only one, else the default one.
    ///
    /// # Errors
    /// A sentence that names the brands.
    pub fn brand(&self, id: Option<&str>) -> anyhow::Result<Arc<Brand>> {
        let brands = self.brands();
        let names: Vec<&str> = brands.iter().map(|brand| brand.id.as_str()).collect();
        let Some(id) = id else {
            let only = if let [only] = brands.as_slice() { Some(only) } else { None };
            let default = || brands.iter().find(|brand| brand.is_default());
            let brand = only.or_else(default).cloned();
            return brand.with_context(|| format!("name the brand with --brand: {}", names.join(", ")));
        };
        match brands.iter().find(|brand| brand.id == id) {
            Some(brand) => Ok(Arc::clone(brand)),
            None => bail!(
                "there is no brand \"{id}\"{}; there is {}",
                suggest::hint(id, names.iter().copied()),
                names.join(", ")
            ),
        }
    }
}

fn prepared(folder: &TempDir) -> PathBuf {
    folder.path().join("prepared.db")
}

/// The same, at rest: what hosts begin with.
fn empty(folder: &TempDir) -> PathBuf {
    folder.path().join("empty.db")
}

async fn open(path: &Path) -> anyhow::Result<Arc<dyn Store>> {
    let store = SqliteStore::open(SqliteOptions::new(path)).await;
    Ok(Arc::new(store.context("the scratch database")?))
}
