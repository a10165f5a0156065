//! `sluice check` in the background of `sluice dev`: what can be known without a run is
//! told soon after it was written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;

use sluice_app::app::App;
use sluice_check::Site;

use super::Dev;

/// The browser comes first: it loads the page anew when the site has changed.
const CHECK_AFTER: Duration = Duration::from_millis(300);

/// Checks the site after each change; a further change ends a check that goes on.
pub struct Checker {
    app: Arc<App>,
    dev: Arc<Dev>,
    running: Option<AbortHandle>,
    /// Counts the checks: what an older one has found is of no interest.
    latest: Arc<AtomicU64>,
}

impl Checker {
    pub fn new(app: Arc<App>, dev: Arc<Dev>) -> Self {
        Self { app, dev, running: None, latest: Arc::default() }
    }

    /// Checks the site as it is now.
    pub fn begin(&mut self) {
        self.end();
        let number = self.latest.fetch_add(1, Ordering::Relaxed) + 1;
        let (app, dev, latest) = (Arc::clone(&self.app), Arc::clone(&self.dev), Arc::clone(&self.latest));
        let checking = tokio::spawn(async move {
            tokio::time::sleep(CHECK_AFTER).await;
            let live = app.live();
            let site = Site::read(&app.site_dir, std::env::vars());
            match site.check(&app.sandbox, None).await {
                Ok(_) if latest.load(Ordering::Relaxed) != number => {}
                Ok(found) => dev.checked(&found, &live.site, &app.site_dir),
                Err(error) => tracing::warn!(%error, "the site could not be checked"),
            }
        });
        self.running = Some(checking.abort_handle());
    }

    fn end(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.end();
    }
}
