//! Dropping kept answers of pages, on all hosts.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use sluice_kit::StoreError;
use sluice_page_cache::{PageCache, PurgeAccess, Purger};
use sluice_site::Brand;
use sluice_store::Store;

use super::App;
use crate::page_cache::Answer;

/// How often a host asks the database which answers other hosts have dropped.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after the database failed to answer.
const FAULT_WAIT: Duration = Duration::from_secs(5);

/// What drops answers of `cache`, and of those of all hosts on `store`.
pub(super) fn purger(store: &Arc<dyn Store>, cache: &Arc<PageCache<Answer>>) -> Arc<Purger> {
    let cache = Arc::clone(cache);
    let here = Arc::new(move |brand: &str, tag: &str| cache.purge(brand, tag));
    Arc::new(Purger::new(Arc::clone(store) as _, here))
}

impl App {
    /// Drops the cached answers of `brand`, for one run or an operator.
    pub fn purge_access(&self, brand: &Brand) -> PurgeAccess {
        PurgeAccess { purger: Arc::clone(&self.purger), tags: Arc::clone(&brand.cache_tags) }
    }

    /// Drops what other hosts have dropped since the last call.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn follow_purges(&self) -> Result<(), StoreError> {
        // Without such pages, there is nothing to drop and no reason to ask.
        if !self.live().site.brands().any(|brand| brand.has_cache) {
            return Ok(());
        }
        if !self.purger.follow(self.now_ms()).await? {
            tracing::warn!("this host did not reach the database for long: it drops all cached answers");
            self.page_cache.forget();
        }
        Ok(())
    }
}

/// Drops what other hosts drop, as long as the process serves.
pub async fn follow_purges(app: Arc<App>) {
    loop {
        let pause = match app.follow_purges().await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(%error, "the purges of other hosts could not be read");
                FAULT_WAIT
            }
        };
        sleep(pause).await;
    }
}
