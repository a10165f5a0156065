//! Runs `sluice check` in the background of `sluice dev`, so that mistakes are printed soon
//! after they were saved, even in pages that nobody requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;

use sluice_app::app::App;
use sluice_check::Site;

use super::Dev;

/// How long a check waits, so that it does not slow down the browser's reload.
const CHECK_AFTER: Duration = Duration::from_millis(300);

/// Checks the site after each change. A new check cancels the one that is running.
pub struct Checker {
    app: Arc<App>,
    dev: Arc<Dev>,
    running: Option<AbortHandle>,
    /// The number of the newest check. The findings of older ones are not printed.
    latest: Arc<AtomicU64>,
}

impl Checker {
    /// A checker that has not checked anything yet.
    pub fn new(app: Arc<App>, dev: Arc<Dev>) -> Self {
        Self { app, dev, running: None, latest: Arc::default() }
    }

    /// Starts to check the site as it is now.
    pub fn begin(&mut self) {
        self.cancel();
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

    fn cancel(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.cancel();
    }
}
