//! The names that this host works on. Other hosts leave them alone.

use sluice_kit::StoreError;

use super::Keeper;
use crate::store::Pause;

impl Keeper {
    /// Makes this host the only one that works on a name. Returns false if another one does, if it is not time
    /// to try again, or if the certificate is not the one that this host has `seen`. `before` is what was known
    /// of the name, which is stored again if nothing comes of the work.
    pub(super) async fn lease(
        &self,
        name: &str,
        length_ms: i64,
        seen: Option<i64>,
        before: Pause,
    ) -> Result<bool, StoreError> {
        let now = (self.options.now)();
        // First, so that a lease which is granted while this task is dropped can be ended.
        self.leased.lock().insert(name.to_owned(), before);
        let until = now.saturating_add(length_ms);
        let leased = self.options.store.lease_name(&self.key(name), self.holder, until, seen, now).await;
        if leased != Ok(true) {
            self.leased.lock().remove(name);
        }
        leased
    }

    /// Ends a lease. Other hosts try again when `pause` is over.
    pub(super) async fn postpone(&self, name: &str, pause: Pause) {
        self.leased.lock().remove(name);
        if let Err(error) = self.options.store.postpone_name(&self.key(name), self.holder, pause).await {
            // The lease expires by itself.
            tracing::warn!(name, %error, "other hosts do not know yet that this host has ended its work on a name");
        }
    }

    /// Ends a lease as if nothing had been tried.
    pub(super) async fn release(&self, name: &str) {
        let before = self.leased.lock().get(name).cloned();
        if let Some(before) = before {
            self.postpone(name, before).await;
        }
    }

    /// Begins nothing new from now on. What is in progress continues.
    pub fn end_orders(&self) {
        self.is_ending.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Ends all leases, so that other hosts continue at once. Call it when [`run`](Self::run) was dropped.
    pub async fn give_back(&self) {
        let names: Vec<String> = self.leased.lock().keys().cloned().collect();
        for name in names {
            self.release(&name).await;
        }
    }
}
