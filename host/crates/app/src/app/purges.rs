//! Dropping kept answers of pages, on all hosts.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use sluice_kit::StoreError;
use sluice_page_cache::{PurgeAccess, SeenPurges};
use sluice_site::Brand;

use super::App;

/// How often a host asks the database which answers other hosts have dropped.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after the database failed to answer.
const FAULT_WAIT: Duration = Duration::from_secs(5);

impl App {
    /// Drops the cached answers of `brand`, for one run or an operator.
    pub fn purge_access(&self, brand: &Brand) -> PurgeAccess {
        let cache = Arc::clone(&self.page_cache);
        PurgeAccess {
            store: Arc::clone(&self.store) as _,
            brand: brand.id.clone(),
            tags: Arc::clone(&brand.cache_tags),
            here: Arc::new(move |brand: &str, tag: &str| cache.purge(brand, tag)),
        }
    }

    /// Drops what other hosts have dropped since the last call.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn follow_purges(&self, seen: &mut SeenPurges) -> Result<(), StoreError> {
        // Without such pages, there is nothing to drop and no reason to ask.
        if !self.live().site.brands().any(|brand| brand.has_cache) {
            return Ok(());
        }
        let now_ms = self.now_ms();
        let purges = self.store.purges_since(SeenPurges::since(now_ms)).await?;
        match seen.take_new(purges, now_ms) {
            Some(new) => new.iter().for_each(|purge| self.page_cache.purge(&purge.brand, &purge.tag)),
            None => {
                tracing::warn!("this host did not reach the database for long: it drops all cached answers");
                self.page_cache.forget();
            }
        }
        Ok(())
    }
}

/// Drops what other hosts drop, as long as the process serves.
pub async fn follow_purges(app: Arc<App>) {
    let mut seen = SeenPurges::default();
    loop {
        let pause = match app.follow_purges(&mut seen).await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(%error, "the purges of other hosts could not be read");
                FAULT_WAIT
            }
        };
        sleep(pause).await;
    }
}
