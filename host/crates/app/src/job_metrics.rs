//! Metrics of the waiting jobs. A task counts them in the database at an interval, because
//! metrics must be readable without waiting for the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use sluice_kit::clock::now_ms;
use sluice_store::Store;

const ASK_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicU64,
    parked: AtomicU64,
    /// When the oldest waiting job was queued, in Unix milliseconds. 0 if no job waits.
    oldest_at: AtomicI64,
}

/// Counts the jobs of `store` on the current Tokio runtime until the runtime stops.
pub(crate) fn watch(meter: &Meter, store: Arc<dyn Store>) {
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
            let oldest_at = seen.oldest_at.load(Ordering::Relaxed);
            let lag_ms = if oldest_at == 0 { 0 } else { now_ms().saturating_sub(oldest_at).max(0) };
            observer.observe(lag_ms as f64 / 1e3, &[]);
        })
        .build();
    tokio::spawn(async move {
        loop {
            match store.count_jobs().await {
                Ok(found) => {
                    counts.waiting.store(found.waiting, Ordering::Relaxed);
                    counts.parked.store(found.parked, Ordering::Relaxed);
                    counts.oldest_at.store(found.oldest_waiting_at.unwrap_or(0), Ordering::Relaxed);
                }
                // The metrics keep their old values. Calls of requests count the database's
                // failures.
                Err(error) => tracing::debug!(%error, "the jobs cannot be counted at the moment"),
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    });
}
