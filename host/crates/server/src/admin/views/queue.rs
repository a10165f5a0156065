//! Jobs of scripts that are not done, or that are parked until an operator acts on them.

use serde::Serialize;
use serde_json::Value;

use sluice_kit::clock::{iso_utc, now_ms};
use sluice_kit::value::{self, Room};
use sluice_queue::{JobId, QueueChoice, QueuedJob, State};
use sluice_store::changes::NAMED_MAX;

use super::find_brand;
use super::jobs::{Acted, Action, note_chosen, note_parked};
use crate::admin::AdminState;
use crate::admin::error::AdminError;

/// Jobs of each state that the list contains at most.
const JOBS: u32 = 200;

/// A job of a script.
#[derive(Debug, Serialize)]
pub(crate) struct QueuedView {
    pub(crate) id: String,
    pub(crate) module: String,
    pub(crate) function: String,
    /// `pending`, `running` or `parked`.
    pub(crate) state: &'static str,
    pub(crate) is_parked: bool,
    pub(crate) is_running: bool,
    pub(crate) tag: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) payload_bytes: u64,
    /// The payload as JSON, unless it is longer than 4 KB. Only the console shows it.
    #[serde(skip)]
    pub(crate) payload: Option<String>,
    pub(crate) outcome: Option<String>,
    pub(crate) last_error: Option<String>,
    /// The lines that the last try logged.
    pub(crate) console: Vec<String>,
    pub(crate) created_at: String,
    /// When it is tried next.
    pub(crate) due_at: Option<String>,
}

impl From<QueuedJob> for QueuedView {
    fn from(job: QueuedJob) -> Self {
        let console = job.console.unwrap_or_default();
        let is_whole = u64::try_from(job.payload_head.len()).is_ok_and(|head| head == job.payload_bytes);
        let payload = is_whole.then(|| decoded(&job.payload_head)).flatten();
        Self {
            id: job.id,
            module: job.module,
            function: job.function,
            state: job.state.as_str(),
            is_parked: job.state == State::Parked,
            is_running: job.state == State::Running,
            tag: job.tag,
            key: job.key,
            attempts: job.attempts,
            payload_bytes: job.payload_bytes,
            payload: payload.map(|payload| payload.to_string()),
            outcome: job.outcome,
            last_error: job.last_error,
            console: console.lines().map(str::to_owned).collect(),
            created_at: iso_utc(job.created_at),
            due_at: job.due_at.map(iso_utc),
        }
    }
}

/// The brand's jobs that are not done: parked jobs first, then running and pending ones, each from the oldest.
pub(crate) async fn list(state: &AdminState, brand: &str) -> Result<Vec<QueuedView>, AdminError> {
    let brand = &find_brand(state, brand)?.id;
    let mut views = Vec::new();
    for wanted in [State::Parked, State::Running, State::Pending] {
        let jobs = state.app.store.list_queued(Some(brand), Some(wanted), JOBS).await?;
        views.extend(jobs.into_iter().map(QueuedView::from));
    }
    Ok(views)
}

fn decoded(payload: &[u8]) -> Option<Value> {
    value::decode(payload, &Room::new(usize::MAX)).ok()
}

/// The payload of a job of the brand.
///
/// # Errors
/// The brand has no such job, or the database does not answer.
pub(crate) async fn arguments(state: &AdminState, brand: &str, id: &str) -> Result<Value, AdminError> {
    let brand = find_brand(state, brand)?.id.clone();
    let no_job = || AdminError::NoQueuedJob { brand: brand.clone(), id: id.to_owned() };
    let id = JobId::parse(id).ok_or_else(no_job)?;
    // The job may belong to another brand.
    state.app.store.queued_status(&brand, &id).await?.ok_or_else(no_job)?;
    let payload = state.app.store.queued_payload(&id).await?.ok_or_else(no_job)?;
    Ok(decoded(&payload).unwrap_or_default())
}

/// Applies the action to one job of the brand.
///
/// # Errors
/// The brand has no such job, it runs at the moment, or the database does not answer.
pub(crate) async fn act(state: &AdminState, brand: &str, id: &str, action: Action) -> Result<(), AdminError> {
    let brand = find_brand(state, brand)?.id.clone();
    let no_job = || AdminError::NoQueuedJob { brand: brand.clone(), id: id.to_owned() };
    let id = JobId::parse(id).ok_or_else(no_job)?;
    // The job may belong to another brand.
    state.app.store.queued_status(&brand, &id).await?.ok_or_else(no_job)?;
    match act_on(state, &brand, QueueChoice::One(id), action).await? {
        0 => Err(no_job()),
        _ => Ok(()),
    }
}

/// Applies the action to all parked jobs of the brand and returns their number.
pub(crate) async fn act_on_parked(
    state: &AdminState,
    brand: &str,
    action: Action,
) -> Result<u32, AdminError> {
    let brand = find_brand(state, brand)?.id.clone();
    let parked = state.app.store.list_queued(Some(&brand), Some(State::Parked), NAMED_MAX).await?;
    let count = act_on(state, &brand, QueueChoice::Parked { brand: Some(brand.clone()) }, action).await?;
    note_parked(count, parked.iter().map(QueuedJob::brief));
    Ok(count)
}

/// Applies the action to chosen jobs of the brand. One that runs at the moment is left alone.
///
/// # Errors
/// The database does not answer. The jobs before were retried or dropped.
pub(crate) async fn act_on_chosen(
    state: &AdminState,
    brand: &str,
    ids: &[String],
    action: Action,
) -> Result<Acted, AdminError> {
    let brand = find_brand(state, brand)?.id.clone();
    tracing::info!(brand, ?ids, ?action, "an operator retries or drops chosen jobs of scripts");
    note_chosen(ids.iter().cloned());
    let mut acted = Acted::default();
    for id in ids {
        let count = match JobId::parse(id) {
            // The job may belong to another brand.
            Some(id) if state.app.store.queued_status(&brand, &id).await?.is_some() => {
                apply(state, QueueChoice::One(id), action).await?
            }
            _ => 0,
        };
        acted.count += count;
        acted.missing += u32::from(count == 0);
    }
    Ok(acted)
}

async fn act_on(
    state: &AdminState,
    brand: &str,
    which: QueueChoice,
    action: Action,
) -> Result<u32, AdminError> {
    tracing::info!(brand, ?which, ?action, "an operator retries or drops jobs of scripts");
    apply(state, which, action).await
}

async fn apply(state: &AdminState, which: QueueChoice, action: Action) -> Result<u32, AdminError> {
    let store = &state.app.store;
    let count = match action {
        Action::Retry => {
            let count = store.retry_queued(which, now_ms()).await?;
            state.app.queue_bell.notify_one();
            count
        }
        Action::Drop => store.drop_queued(which).await?,
    };
    Ok(count)
}
