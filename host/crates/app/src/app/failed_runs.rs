//! Tells the hooks of brands about failed runs.

use std::sync::Arc;

use sluice_site::Brand;

use super::App;
use crate::hooks::{FailedRun, JobPlace};

impl App {
    /// Lets the hook of a brand know that a run of `page` failed, a file relative to the brand's folder.
    pub fn run_failed(&self, brand: &Arc<Brand>, page: &str, outcome: &str, message: &str) {
        let place = JobPlace { store: Arc::clone(&self.store), bell: Arc::clone(&self.queue_bell) };
        let run = FailedRun { brand, page, outcome, message, at: self.now_ms() };
        self.hooks.tell(&run, place, &self.runtime);
    }

    /// Waits until the jobs of hooks are stored.
    pub async fn hooks_stored(&self) {
        self.hooks.stored().await;
    }
}
