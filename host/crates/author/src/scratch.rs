//! A site without listeners, on an empty database in a temporary folder.
//!
//! The site's own database is never opened. `crm.toml` is applied, and scripts get the site's
//! real secrets.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use sluice_app::app::service::Service;
use sluice_app::app::{App, AppParts};
use sluice_files::FileStore;
use sluice_kit::StoreError;
use sluice_kit::clock::Clock;
use sluice_kit::keys::Keys;
use sluice_kit::operator_dir::OperatorDir;
use sluice_kit::progress::Progress;
use sluice_sandbox::http_calls::HttpCalls;
use sluice_sandbox::secrets::BrandSecrets;
use sluice_site::config::{self, Reader, SiteConfig};
use sluice_site::places::{PlaceError, Places};
use sluice_site::{Brand, user_cache};
use sluice_store::Store;
use sluice_store::sqlite::{self, BackupError, SqliteOptions, SqliteStore};
use sluice_telemetry::Telemetry;
use sluice_text::suggest;

use crate::Cause;

/// Two are needed at once: a test's own run and the run of the page that it visits. The rest
/// is spare.
const CONCURRENT_RUNS: u32 = 4;

/// Replaces the clock and the random numbers of the runs, so that results repeat.
#[derive(Debug, Clone, Default)]
pub struct Fixed {
    /// The time that scripts see.
    pub clock: Clock,
    /// The seed of `Math.random`. Without it, the system's random numbers are used.
    pub seed: Option<u64>,
    /// Whether calls of scripts to other servers are refused.
    pub offline: bool,
}

/// Why a site could not be loaded, or its host not be started.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The settings or the site are invalid. A server would not start either.
    #[error(transparent)]
    Site(Cause),
    /// The temporary folder could not be created.
    #[error("the temporary folder could not be created")]
    Folder(#[source] io::Error),
    /// The empty database could not be copied.
    #[error("the temporary database could not be copied")]
    Copy(#[source] io::Error),
    /// The empty database could not be saved for the hosts that start with it.
    #[error("the temporary database could not be copied")]
    Backup(#[from] BackupError),
    /// The temporary database failed.
    #[error("the temporary database failed")]
    Database(#[from] StoreError),
    /// A background task still uses the site after it was loaded.
    #[error("a background task is still using the loaded site")]
    InUse,
}

impl ScratchError {
    fn site(error: impl Into<Cause>) -> Self {
        Self::Site(error.into())
    }
}

/// Why no brand was chosen. The message names the brands of the site.
#[derive(Debug, thiserror::Error)]
pub enum BrandError {
    /// There are several brands, none of them is the default, and none was named.
    #[error("there are several brands; choose one with --brand: {}", .known.join(", "))]
    Unnamed {
        /// The site's brands.
        known: Vec<String>,
    },
    /// The files of the brand cannot be loaded.
    #[error("brand {id}: {reason}")]
    Unavailable {
        /// The brand.
        id: String,
        /// Why it cannot be loaded.
        reason: String,
    },
    /// No brand has the given name.
    #[error("there is no brand \"{id}\"{}; the brands are {}", hint(.id, .known), .known.join(", "))]
    Unknown {
        /// The name that was given.
        id: String,
        /// The site's brands.
        known: Vec<String>,
    },
}

fn hint(id: &str, known: &[String]) -> String {
    suggest::hint(id, known.iter().map(String::as_str))
}

/// A loaded site, and the empty database that each of its hosts starts with.
pub struct Scratch {
    /// The loaded site. Its own database is closed; hosts are copies of it with another one.
    base: App,
    folder: TempDir,
    hosts: AtomicUsize,
}

impl Scratch {
    /// The secrets of a brand, which must not be printed.
    pub fn secrets(&self, brand: &str) -> Arc<BrandSecrets> {
        self.base.live().secrets.of(brand)
    }

    /// Loads the site at `site_dir`, and tells `progress` about it. `service` answers requests.
    ///
    /// # Errors
    /// Whatever would keep a server from starting. A page that does not compile is not an error.
    pub async fn load(
        site_dir: &Path,
        fixed: Fixed,
        progress: Arc<Progress>,
        service: Arc<dyn Service>,
    ) -> Result<Self, ScratchError> {
        // The site may come from somebody else, so only the environment names private networks.
        let config = config::read_site_as(Reader::Developer, site_dir, std::env::vars());
        let mut config = config.map_err(ScratchError::site)?;
        let folder = tempfile::tempdir().map_err(ScratchError::Folder)?;
        let data = OperatorDir::outside(site_dir, folder.path()).map_err(ScratchError::site)?;
        let places = Places {
            database: format!("sqlite:{}", prepared(&folder).display()),
            secrets: secrets(site_dir, &config)?,
            cache: data.dir("cache").map_err(ScratchError::site)?,
            log: data.file("runs.db").map_err(ScratchError::site)?,
            data,
        };
        config.limits.max.concurrent_runs = Some(CONCURRENT_RUNS);
        // The files of a tool are gone with its folder.
        config.files.s3 = None;
        let parts = AppParts {
            keys: Keys::of_dir(&places.data).map_err(ScratchError::site)?,
            cache: user_cache::code_cache(site_dir, &config),
            store: open(&prepared(&folder)).await?,
            places,
            clock: fixed.clock,
            seed: fixed.seed,
            progress,
            dev: None,
            service,
            offline: fixed.offline,
        };
        let telemetry = Telemetry::start(|_| None).map_err(ScratchError::site)?;
        let app = App::start_on(parts, site_dir.to_owned(), &config, telemetry).await;
        let app = app.map_err(ScratchError::site)?;
        app.store.close().await;
        // SQLite closes its readers in the background, and the last one moves the write-ahead log
        // into the file. Until then only SQLite can read the whole database, so it makes the copy.
        let (from, to) = (prepared(&folder), empty(&folder));
        tokio::task::spawn_blocking(move || sqlite::backup(&from, &to))
            .await
            .map_err(|error| ScratchError::Copy(error.into()))??;
        let base = Arc::into_inner(app).ok_or(ScratchError::InUse)?;
        Ok(Self { base, folder, hosts: AtomicUsize::new(0) })
    }

    /// Starts a host of the site with an empty database of its own.
    ///
    /// # Errors
    /// The database cannot be copied or opened.
    pub async fn host(&self) -> Result<Arc<App>, ScratchError> {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed);
        let database = self.folder.path().join(format!("{number}.db"));
        std::fs::copy(empty(&self.folder), &database).map_err(ScratchError::Copy)?;
        Ok(Arc::new(self.base.on_store(open(&database).await?)))
    }

    /// The same for a test: with `http` instead of calls to other servers, and with a clock that can be set.
    ///
    /// # Errors
    /// As [`Self::host`].
    pub async fn host_calling(&self, http: Arc<dyn HttpCalls>) -> Result<Arc<App>, ScratchError> {
        let host = self.host().await?;
        // Nobody else has it yet.
        let mut host = Arc::into_inner(host).ok_or(ScratchError::InUse)?;
        host.http = http;
        host.clock = self.base.clock.movable();
        host.files = self.files();
        Ok(Arc::new(host))
    }

    /// A store without files.
    fn files(&self) -> Arc<FileStore> {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.path().join(format!("{number}.files"));
        Arc::new(FileStore::in_folder(folder, self.base.files.quota()))
    }

    /// All brands of the site.
    pub fn brands(&self) -> Vec<Arc<Brand>> {
        self.base.live().site.brands().cloned().collect()
    }

    /// The brand `id`. Without an id: the only brand, or else the default brand.
    ///
    /// # Errors
    /// There is no such brand, it cannot be loaded, or the site has several and no default.
    pub fn brand(&self, id: Option<&str>) -> Result<Arc<Brand>, BrandError> {
        let brand = self.chosen(id)?;
        match self.base.live().faults.get(&brand.id) {
            Some(fault) if !fault.is_contested => {
                Err(BrandError::Unavailable { id: brand.id.clone(), reason: fault.reason.clone() })
            }
            _ => Ok(brand),
        }
    }

    fn chosen(&self, id: Option<&str>) -> Result<Arc<Brand>, BrandError> {
        let brands = self.brands();
        let known = || brands.iter().map(|brand| brand.id.clone()).collect();
        let Some(id) = id else {
            let only = if let [only] = brands.as_slice() { Some(only) } else { None };
            let default = || brands.iter().find(|brand| brand.hosts.is_default());
            let brand = only.or_else(default).cloned();
            return brand.ok_or_else(|| BrandError::Unnamed { known: known() });
        };
        let brand = brands.iter().find(|brand| brand.id == id).cloned();
        brand.ok_or_else(|| BrandError::Unknown { id: id.to_owned(), known: known() })
    }
}

/// The folder of the site's real secrets. `None` if there is no folder for data.
fn secrets(site_dir: &Path, config: &SiteConfig) -> Result<Option<OperatorDir>, ScratchError> {
    match Places::of(site_dir, config, None) {
        Ok(places) => Ok(places.secrets),
        Err(PlaceError::NoStateFolder) => Ok(None),
        Err(error) => Err(ScratchError::site(error)),
    }
}

/// The database on which the site was loaded.
fn prepared(folder: &TempDir) -> PathBuf {
    folder.path().join("prepared.db")
}

/// A complete copy of it, which no process has open. Hosts start with copies of this file.
fn empty(folder: &TempDir) -> PathBuf {
    folder.path().join("empty.db")
}

async fn open(path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(SqliteStore::open(SqliteOptions::new(path)).await?))
}
