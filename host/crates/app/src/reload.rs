//! Reads the site again while it is served. Requests finish on the state that they began
//! with.

use std::sync::Arc;

use sluice_site::config;
use sluice_text::printable::printable;

use crate::app::App;
use crate::load::{ReloadReport, contents, load};

/// Reads the site anew and serves it. Whoever calls: the signal, an operator. What is
/// broken keeps its last good version, and the report says so.
///
/// # Errors
/// Nothing could be taken over; everything is served as before.
pub async fn reload(app: &Arc<App>) -> anyhow::Result<ReloadReport> {
    // Pages are compiled where no listener waits for the thread.
    let mine = Arc::clone(app);
    app.runtime.spawn(async move { reload_here(&mine).await }).await?
}

async fn reload_here(app: &Arc<App>) -> anyhow::Result<ReloadReport> {
    let mut settings = app.settings.lock().await;
    let fresh = config::read_site(&app.site_dir, std::env::vars())?;
    let sentences = settings.take_over(fresh);
    let old = app.live();
    let (live, mut report) = load(&app.loading(), &settings.in_use, Some(&old)).await?;
    report.problems.splice(0..0, sentences.iter().cloned());
    report.restarts = sentences;
    let keep = contents(&live.site);
    app.go_live(live);
    let tidied = Arc::clone(app);
    tokio::task::spawn_blocking(move || tidied.pages.evict(&keep)).await?;
    Ok(report)
}

/// [`reload`], and what came of it in the log.
///
/// # Errors
/// As [`reload`].
pub async fn reload_and_log(app: &Arc<App>) -> anyhow::Result<ReloadReport> {
    let done = reload(app).await;
    match &done {
        Ok(report) => {
            for problem in &report.problems {
                tracing::error!("reload: {}", printable(problem));
            }
            let ReloadReport { brands, pages, pages_compiled, .. } = *report;
            tracing::info!(brands, pages, pages_compiled, "the site was reloaded");
        }
        Err(error) => {
            tracing::error!("nothing was reloaded: {}", printable(&format!("{error:#}")));
        }
    }
    done
}
