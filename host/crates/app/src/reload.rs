//! Reloads the site while it is served. Requests finish on the state with which they started.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinSet};

use sluice_site::Brand;
use sluice_site::config::{self, ConfigError, SiteConfig};
use sluice_text::printable::printable;

use crate::app::App;
pub use crate::past_reloads::{FailedPart, LimitChange, PastReload, ReloadCause, ReloadedPage};

use crate::past_reloads::{CHANGES_MAX, SiteChanges};
use crate::site_changes;
pub use crate::site_changes::{SiteChange, SitePart};

use crate::load::{Live, LoadError, Loaded, ReloadReport, cache_keys, find_brands, load_brand, report_pages};

/// Why nothing was reloaded. The text names the cause.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// `sluice.toml` or a variable that overrides it is invalid.
    #[error("{0}")]
    Settings(ConfigError),
    /// No part of the site can be served.
    #[error("{0}")]
    Load(LoadError),
    /// The task of the reload panicked, or the runtime is shutting down.
    #[error("{0}")]
    Task(JoinError),
}

impl ReloadError {
    /// The settings file that is invalid, below the site's folder.
    pub fn settings_file(&self) -> Option<String> {
        match self {
            // A variable of the environment is in no file.
            Self::Settings(ConfigError::Environment { .. }) | Self::Load(_) | Self::Task(_) => None,
            Self::Settings(_) => Some("sluice.toml".to_owned()),
        }
    }
}

/// Reloads the site from its files, for a signal or an operator. Parts that are invalid keep their
/// last good version, and the report names them. `cause` is what the list of past reloads says.
///
/// # Errors
/// Nothing could be reloaded. Everything is served as before.
pub async fn reload(app: &Arc<App>, cause: ReloadCause) -> Result<ReloadReport, ReloadError> {
    reload_after(app, cause, None).await
}

/// The same. `limit` is what an operator has changed, if that is the cause.
async fn reload_after(
    app: &Arc<App>,
    cause: ReloadCause,
    limit: Option<LimitChange>,
) -> Result<ReloadReport, ReloadError> {
    // Compiling blocks its thread, so it must not run on a thread that serves a listener.
    let of_task = Arc::clone(app);
    let done = app.runtime.spawn(async move { reload_here(&of_task).await }).await;
    let (report, changes) = done.map_err(ReloadError::Task)??;
    app.past_reloads.remember(cause, limit, &report, changes);
    if cause == ReloadCause::Files {
        app.executions.files_loaded();
    }
    Ok(report)
}

/// Brands are loaded at the same time, each by a task of its own. A brand whose pages take long to
/// compile does not hold up the others: while it is loading, those that are ready go live.
async fn reload_here(app: &Arc<App>) -> Result<(ReloadReport, SiteChanges), ReloadError> {
    let before = app.live();
    let (new, restarts, config, ids, running, names_before) = {
        // The lock keeps the order of the reloads: the one that reads the settings last decides.
        let settings = app.settings.lock().await;
        let reader = settings.in_use.reader;
        let fresh =
            config::read_site_as(reader, &app.site_dir, std::env::vars()).map_err(ReloadError::Settings)?;
        let (new, restarts) = settings.with(fresh);
        let config = Arc::new(new.in_use.clone());
        let ids = find_brands(&app.site_dir).map_err(ReloadError::Load)?;
        let running = app.reloads.begin(&ids, &config);
        (new, restarts, config, ids, running, settings.in_use.names.clone())
    };
    let mut loading: JoinSet<_> =
        ids.into_iter().map(|id| load_one(Arc::clone(app), Arc::clone(&config), id)).collect();
    let mut report = ReloadReport::default();
    report.problems.extend(restarts);
    let mut all = Vec::new();
    let mut are_ready = false;
    let mut next_commit = Instant::now() + EARLY_AFTER;
    loop {
        match tokio::time::timeout_at(next_commit.into(), loading.join_next()).await {
            Ok(None) => break,
            Ok(Some(loaded)) => {
                all.push(loaded.map_err(ReloadError::Task)?);
                are_ready = true;
            }
            Err(_) => {
                let began = Instant::now();
                // The report is that of the end, when all brands are there.
                if are_ready && let Err(error) = commit(app, &mut ReloadReport::default()) {
                    tracing::debug!(%error, "the brands that are ready cannot go live before the others");
                }
                are_ready = false;
                next_commit = Instant::now() + EARLY_AFTER.max(began.elapsed() * 10);
            }
        }
    }
    all.sort_by(|one, other| one.brand.id.cmp(&other.brand.id));
    let new_version = |loaded: &Loaded| loaded.crm_changes.is_ok().then(|| Arc::clone(&loaded.brand));
    let own: Vec<Arc<Brand>> = all.iter().filter_map(new_version).collect();
    all.into_iter().for_each(|loaded| report.add(loaded));
    let live = commit(app, &mut report).map_err(ReloadError::Load)?;
    let (was, is) = ((&before.site, &names_before), (&live.site, &new.in_use.names));
    let changes = site_changes::between(was, is, CHANGES_MAX);
    *app.settings.lock().await = new;
    report_pages(&live.site, |brand| own.iter().any(|own| Arc::ptr_eq(own, brand)), &mut report);
    if running.is_last() {
        let keys = cache_keys(&live.site);
        let of_eviction = Arc::clone(app);
        let evicted = tokio::task::spawn_blocking(move || of_eviction.pages.evict(&keys)).await;
        evicted.map_err(ReloadError::Task)?;
    }
    Ok((report, changes))
}

/// How long a reload waits for all brands before those that are ready go live.
const EARLY_AFTER: Duration = Duration::from_millis(100);

/// Loads one brand. Several reloads load a brand one after the other.
async fn load_one(app: Arc<App>, config: Arc<SiteConfig>, id: String) -> Loaded {
    let gate = app.reloads.gate(&id);
    let _turn = gate.lock().await;
    let _place = app.reloads.place().await;
    let known = app.reloads.newest(&app.live(), &id);
    let loaded = load_brand(&app.load_context(), &config, &id, known.as_ref()).await;
    app.reloads.keep(&loaded);
    loaded
}

/// Serves the newest version of each brand from now on.
fn commit(app: &App, report: &mut ReloadReport) -> Result<Arc<Live>, LoadError> {
    let context = app.load_context();
    app.reloads.commit(&context, report, || app.live(), |live| app.go_live(live))
}

/// Calls [`reload`] and logs the result.
///
/// # Errors
/// The same as those of [`reload`].
pub async fn reload_and_log(app: &Arc<App>, cause: ReloadCause) -> Result<ReloadReport, ReloadError> {
    logged(reload(app, cause).await)
}

/// Reloads the site because an operator has changed a limit in a `brand.toml`, and logs the result.
///
/// # Errors
/// The same as those of [`reload`].
pub async fn reload_for_limit(app: &Arc<App>, change: LimitChange) -> Result<ReloadReport, ReloadError> {
    logged(reload_after(app, ReloadCause::Limit, Some(change)).await)
}

fn logged(done: Result<ReloadReport, ReloadError>) -> Result<ReloadReport, ReloadError> {
    match &done {
        Ok(report) => {
            for problem in &report.problems {
                tracing::error!("reload: {}", printable(&problem.to_string()));
            }
            let ReloadReport { brands, pages, pages_compiled, .. } = *report;
            tracing::info!(brands, pages, pages_compiled, "the site was reloaded");
        }
        Err(error) => {
            tracing::error!("nothing was reloaded: {}", printable(&error.to_string()));
        }
    }
    done
}
