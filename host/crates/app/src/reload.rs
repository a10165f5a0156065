//! Reloads the site while it is served. Requests finish on the state with which they started.

use std::sync::Arc;

use tokio::task::JoinError;

use sluice_site::config::{self, ConfigError};
use sluice_text::printable::printable;

use crate::app::App;
use crate::load::{LoadError, ReloadReport, cache_keys, load};

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
/// last good version, and the report names them.
///
/// # Errors
/// Nothing could be reloaded. Everything is served as before.
pub async fn reload(app: &Arc<App>) -> Result<ReloadReport, ReloadError> {
    // Compiling blocks its thread, so it must not run on a thread that serves a listener.
    let of_task = Arc::clone(app);
    app.runtime.spawn(async move { reload_here(&of_task).await }).await.map_err(ReloadError::Task)?
}

async fn reload_here(app: &Arc<App>) -> Result<ReloadReport, ReloadError> {
    let mut settings = app.settings.lock().await;
    let fresh = config::read_site(&app.site_dir, std::env::vars()).map_err(ReloadError::Settings)?;
    let (new, restarts) = settings.with(fresh);
    let old = app.live();
    let loaded = load(&app.load_context(), &new.in_use, Some(&old)).await;
    let (live, mut report) = loaded.map_err(ReloadError::Load)?;
    *settings = new;
    report.problems.splice(0..0, restarts);
    let keys = cache_keys(&live.site);
    app.go_live(live);
    let of_eviction = Arc::clone(app);
    let evicted = tokio::task::spawn_blocking(move || of_eviction.pages.evict(&keys)).await;
    evicted.map_err(ReloadError::Task)?;
    Ok(report)
}

/// Calls [`reload`] and logs the result.
///
/// # Errors
/// The same as those of [`reload`].
pub async fn reload_and_log(app: &Arc<App>) -> Result<ReloadReport, ReloadError> {
    let done = reload(app).await;
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
