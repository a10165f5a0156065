//! What a test asks about jobs: those that pages have pushed, and running them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use sluice_app::app::App;
use sluice_app::queue::{JobEnd, run_job};
use sluice_kit::StoreError;
use sluice_kit::value::{self, Room};
use sluice_queue::{JobId, State};
use sluice_site::Brand;

/// How many jobs are listed, and how many run in one call.
const JOBS_MAX: u32 = 1_000;
/// The memory that a payload may take.
const PAYLOAD_BYTES_MAX: usize = 16 << 20;
/// How many queued writes are applied in one call of the store.
const WRITES_PER_BATCH: u32 = 32;

/// Why jobs did not run.
#[derive(Debug, thiserror::Error)]
pub(super) enum JobsError {
    /// A job failed.
    #[error("the job {what} failed: {error}")]
    Failed { what: String, error: String },
    /// Jobs push further jobs without an end.
    #[error("{JOBS_MAX} jobs have run and others are due: does a job push itself?")]
    TooMany,
    /// The job did not get a sandbox.
    #[error("the job {0} could not be run")]
    NotRun(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The jobs of the brand that are still to run, in the order in which they are due.
pub(super) async fn pushed(app: &App, brand: &str) -> Result<Value, JobsError> {
    let jobs = app.store.list_queued(Some(brand), Some(State::Pending), JOBS_MAX).await?;
    let mut listed = Vec::with_capacity(jobs.len());
    for job in jobs {
        let payload = match JobId::parse(&job.id) {
            Some(id) => app.store.queued_payload(&id).await?.unwrap_or_default(),
            None => Vec::new(),
        };
        let payload = value::decode(&payload, &Room::new(PAYLOAD_BYTES_MAX)).unwrap_or_default();
        listed.push(json!({
            "jobId": job.id, "module": job.module, "fn": job.function, "payload": payload, "tag": job.tag,
            "key": job.key, "at": job.scheduled_for,
        }));
    }
    Ok(listed.into())
}

/// Runs the jobs that are due, and those that they push.
pub(super) async fn run(app: &Arc<App>, brand: &Brand) -> Result<Value, JobsError> {
    for count in 0..JOBS_MAX {
        let claimed = app.store.claim_queued(&brand.id, app.now_ms(), i64::MAX).await?;
        let Some(job) = claimed else { return Ok(count.into()) };
        let what = job.what();
        match run_job(app, job, Duration::ZERO).await {
            JobEnd::Done => {}
            JobEnd::Retry(error) | JobEnd::Parked(error) => return Err(JobsError::Failed { what, error }),
            JobEnd::Released => return Err(JobsError::NotRun(what)),
        }
        // What it has queued with `async: true`.
        while !app.store.run_jobs(app.caps_of_brand(), WRITES_PER_BATCH, app.now_ms()).await?.is_empty() {}
    }
    Err(JobsError::TooMany)
}
