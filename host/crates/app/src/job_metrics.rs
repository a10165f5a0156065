//! Metrics of queued CRM writes, of CRM writes that limits refused, and of the jobs of scripts. A task counts
//! writes and jobs in the database at an interval, because metrics must be readable without waiting for the
//! database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use sluice_crm::CrmShared;
use sluice_kit::StoreError;
use sluice_kit::clock::now_ms;
use sluice_store::Store;

const ASK_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicU64,
    parked: AtomicU64,
    /// When the oldest waiting job was queued, in Unix milliseconds. 0 if no job waits.
    oldest_at: AtomicI64,
    /// Jobs of scripts by state.
    pending: AtomicU64,
    running: AtomicU64,
    parked_scripts: AtomicU64,
    /// When the oldest due job became due, in Unix milliseconds. 0 if none is due.
    oldest_due_at: AtomicI64,
}

impl Counts {
    async fn ask(&self, store: &dyn Store) -> Result<(), StoreError> {
        let found = store.count_jobs().await?;
        self.waiting.store(found.waiting, Ordering::Relaxed);
        self.parked.store(found.parked, Ordering::Relaxed);
        self.oldest_at.store(found.oldest_waiting_at.unwrap_or(0), Ordering::Relaxed);
        let found = store.count_queued(now_ms()).await?;
        self.pending.store(found.pending, Ordering::Relaxed);
        self.running.store(found.running, Ordering::Relaxed);
        self.parked_scripts.store(found.parked, Ordering::Relaxed);
        self.oldest_due_at.store(found.oldest_due_at.unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }
}

/// How long ago a time is, in seconds. 0 stands for no time.
fn age(at: &AtomicI64) -> f64 {
    match at.load(Ordering::Relaxed) {
        0 => 0.0,
        at => now_ms().saturating_sub(at).max(0) as f64 / 1e3,
    }
}

/// Publishes how many CRM writes limits have refused. There is no label for the brand, so that the series
/// begins at 0 and `increase()` sees the first one.
fn observe_refused(meter: &Meter, crm: Arc<CrmShared>) {
    meter
        .u64_observable_counter("sluice.crm.writes.refused")
        .with_description("CRM writes that a limit refused")
        .with_unit("{write}")
        .with_callback(move |observer| observer.observe(crm.refused.total(), &[]))
        .build();
}

/// Publishes how many pushes of jobs the quotas of brands have refused.
pub(crate) fn observe_refused_pushes(meter: &Meter, refused: &Arc<AtomicU64>) {
    let refused = Arc::clone(refused);
    meter
        .u64_observable_counter("sluice.queue.pushes.refused")
        .with_description(
            "Jobs that were refused because their brand has queue_jobs_max jobs that are not done",
        )
        .with_unit("{job}")
        .with_callback(move |observer| observer.observe(refused.load(Ordering::Relaxed), &[]))
        .build();
}

/// Counts the jobs of `store` on the current Tokio runtime until the runtime stops. Returns what its CRM calls
/// share, whose refused writes are published.
pub(crate) fn watch(meter: &Meter, store: Arc<dyn Store>) -> Arc<CrmShared> {
    let crm: Arc<CrmShared> = Arc::default();
    observe_refused(meter, Arc::clone(&crm));
    let counts = Arc::new(Counts::default());
    let seen = Arc::clone(&counts);
    meter
        .u64_observable_gauge("sluice.jobs")
        .with_description("Jobs that are not done, by state")
        .with_unit("{job}")
        .with_callback(move |observer| {
            for (state, count) in [("waiting", &seen.waiting), ("parked", &seen.parked)] {
                observer.observe(count.load(Ordering::Relaxed), &[KeyValue::new("state", state)]);
            }
        })
        .build();
    let seen = Arc::clone(&counts);
    meter
        .f64_observable_gauge("sluice.jobs.lag")
        .with_description("How long the oldest waiting job has waited")
        .with_unit("s")
        .with_callback(move |observer| {
            observer.observe(age(&seen.oldest_at), &[]);
        })
        .build();
    let seen = Arc::clone(&counts);
    meter
        .u64_observable_gauge("sluice.queue.jobs")
        .with_description("Jobs of scripts that are not done, by state")
        .with_unit("{job}")
        .with_callback(move |observer| {
            let states =
                [("pending", &seen.pending), ("running", &seen.running), ("parked", &seen.parked_scripts)];
            for (state, count) in states {
                observer.observe(count.load(Ordering::Relaxed), &[KeyValue::new("state", state)]);
            }
        })
        .build();
    let seen = Arc::clone(&counts);
    meter
        .f64_observable_gauge("sluice.queue.lag")
        .with_description("How long the job of a script has been due that has been due the longest")
        .with_unit("s")
        .with_callback(move |observer| observer.observe(age(&seen.oldest_due_at), &[]))
        .build();
    tokio::spawn(async move {
        loop {
            // If it fails, the metrics keep their old values. Calls of requests count the database's
            // failures.
            if let Err(error) = counts.ask(&*store).await {
                tracing::debug!(%error, "the jobs cannot be counted at the moment");
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    });
    crm
}
