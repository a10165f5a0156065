//! The hook of a brand for failed runs: the default export of `modules/on-error.js` runs as a job.
//!
//! At most one job a minute is stored for a brand, by all hosts together: the database keeps the time of the last
//! one as it keeps the last tick of a schedule.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use sluice_kit::StoreError;
use sluice_queue::{NewJob, Tick, TickStart};
use sluice_site::Brand;
use sluice_store::Store;
use sluice_text::bounded::bounded;

/// The module of the hook.
pub(crate) const ON_ERROR: &str = "on-error";
/// What the database calls it. No schedule has a name with a colon.
const NAME: &str = "hook:on-error";
const GAP_MS: i64 = 60_000;
/// The most bytes of a message that the hook gets.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// What this host remembers about hooks.
#[derive(Default)]
pub(crate) struct Hooks {
    /// When it last tried to store a job of each brand. It does not ask the database again within the gap.
    last: Mutex<HashMap<String, i64>>,
    storing: Mutex<Vec<JoinHandle<()>>>,
}

/// A run that failed.
pub(crate) struct FailedRun<'a> {
    pub(crate) brand: &'a Arc<Brand>,
    /// A file, relative to the brand's folder.
    pub(crate) page: &'a str,
    pub(crate) outcome: &'a str,
    pub(crate) message: &'a str,
    pub(crate) at: i64,
}

/// Where jobs are stored, and what is rung then.
pub(crate) struct JobPlace {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bell: Arc<Notify>,
}

impl Hooks {
    /// Lets the brand's hook know, unless it was told within the last minute.
    pub(crate) fn tell(&self, run: &FailedRun<'_>, place: JobPlace, runtime: &Handle) {
        let FailedRun { brand, page, outcome, message, at } = *run;
        if !brand.jobs.has(ON_ERROR, "default") {
            return;
        }
        {
            let mut last = self.last.lock();
            let last = last.entry(brand.id.clone()).or_insert(i64::MIN);
            // A clock that was set back must not silence it.
            if (at.saturating_sub(GAP_MS - 1)..=at).contains(last) {
                return;
            }
            *last = at;
        }
        let message = bounded(message, MESSAGE_BYTES_MAX);
        let payload = json!({ "page": page, "outcome": outcome, "message": message, "at": at });
        let brand = Arc::clone(brand);
        let task = runtime.spawn(async move {
            match store_job(&*place.store, &brand, &payload, at).await {
                Ok(TickStart::Started) => place.bell.notify_one(),
                // Another host has told it.
                Ok(TickStart::Taken | TickStart::Unknown) => {}
                Ok(TickStart::Full) => tracing::warn!(
                    brand = brand.id,
                    "modules/on-error cannot run, because the brand has queue_jobs_max jobs that are not done; see \
                     `sluice jobs list`"
                ),
                Err(error) => {
                    tracing::warn!(brand = brand.id, %error, "modules/on-error is not told about a failed run")
                }
            }
        });
        let mut storing = self.storing.lock();
        storing.retain(|task| !task.is_finished());
        storing.push(task);
    }

    /// Waits until the jobs are stored.
    pub(crate) async fn stored(&self) {
        let storing = std::mem::take(&mut *self.storing.lock());
        for task in storing {
            if let Err(error) = task.await {
                tracing::error!(%error, "the task that stores the job of a hook panicked");
            }
        }
    }
}

async fn store_job(
    store: &dyn Store,
    brand: &Brand,
    payload: &serde_json::Value,
    now_ms: i64,
) -> Result<TickStart, StoreError> {
    // The first one needs no gap.
    store.see_schedule(&brand.id, NAME, "", i64::MIN).await?;
    let job = NewJob::of_host(ON_ERROR.to_owned(), "default", payload, now_ms)?;
    let tick =
        Tick { brand: brand.id.clone(), name: NAME.to_owned(), at: now_ms, gap_ms: GAP_MS, job: Some(job) };
    store.start_tick(tick, brand.job_limits.queue_jobs_max, now_ms).await
}
