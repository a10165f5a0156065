//! Background writes that are waiting, or that are parked until an operator acts on them.

use serde::{Deserialize, Serialize};

use sluice_crm::{Job, JobChoice, JobState};
use sluice_kit::clock::{iso_utc, now_ms};
use sluice_store::changes::{NAMED_MAX, counted};

use super::find_brand;
use crate::admin::AdminState;
use crate::admin::changes::note;
use crate::admin::error::AdminError;

/// Jobs of each state that the list contains at most.
pub(crate) const JOBS: u32 = 200;

/// A job that is not done.
#[derive(Debug, Serialize)]
pub(crate) struct JobView {
    pub(crate) id: i64,
    /// The write without its value: `setCrmField leads customer/7`.
    pub(crate) what: String,
    /// `waiting`, `parked` or `done`.
    pub(crate) state: &'static str,
    pub(crate) is_parked: bool,
    /// The job was retried after it had been parked, so its write is applied late.
    pub(crate) is_late: bool,
    pub(crate) tries: u32,
    pub(crate) last_error: Option<String>,
    pub(crate) created_at: String,
    pub(crate) due_at: String,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            what: job.what,
            state: job.state.as_str(),
            is_parked: job.state == JobState::Parked,
            is_late: job.is_late,
            tries: job.tries,
            last_error: job.last_error,
            created_at: iso_utc(job.created_at),
            due_at: iso_utc(job.due_at),
        }
    }
}

/// What an operator can do with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Try the write again at once.
    Retry,
    /// Delete the job. Its write is lost.
    Drop,
}

/// The brand's jobs that are not done: parked jobs first, then waiting ones, each from the oldest.
pub(crate) async fn list(state: &AdminState, brand: &str) -> Result<Vec<JobView>, AdminError> {
    let brand = &find_brand(state, brand)?.id;
    let mut views = Vec::new();
    for wanted in [JobState::Parked, JobState::Waiting] {
        let jobs = state.app.store.list_jobs(Some(brand), Some(wanted), JOBS).await?;
        views.extend(jobs.into_iter().map(JobView::from));
    }
    Ok(views)
}

/// Applies the action to one job of the brand.
///
/// # Errors
/// The brand has no such job, or the database does not answer.
pub(crate) async fn act(state: &AdminState, brand: &str, id: i64, action: Action) -> Result<(), AdminError> {
    // All brands share one sequence of ids, so the job may belong to another brand.
    if !list(state, brand).await?.iter().any(|job| job.id == id) {
        return Err(AdminError::NoJob { brand: brand.to_owned(), id });
    }
    act_on(state, brand, JobChoice::One(id), action).await?;
    Ok(())
}

/// Applies the action to all parked jobs of the brand and returns their number.
pub(crate) async fn act_on_parked(
    state: &AdminState,
    brand: &str,
    action: Action,
) -> Result<u32, AdminError> {
    let brand = find_brand(state, brand)?.id.clone();
    let parked = state.app.store.list_jobs(Some(&brand), Some(JobState::Parked), NAMED_MAX).await?;
    let count = act_on(state, &brand, JobChoice::Parked { brand: Some(brand.clone()) }, action).await?;
    note_parked(count, parked.iter().map(Job::brief));
    Ok(count)
}

/// Notes that an action was about all parked jobs, which began with `names`.
pub(super) fn note_parked(count: u32, names: impl Iterator<Item = String>) {
    note(|note| {
        note.target = Some("all parked".to_owned());
        note.item = counted(count, names);
    });
}

/// Notes which jobs were chosen.
pub(super) fn note_chosen(ids: impl Iterator<Item = String>) {
    let ids: Vec<String> = ids.collect();
    note(|note| {
        note.item = format!("jobs: {}", ids.len());
        note.target = Some(ids.join(" "));
    });
}

/// What became of chosen jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acted {
    /// Jobs that were retried or dropped.
    pub(crate) count: u32,
    /// Jobs that were not there any more.
    pub(crate) missing: u32,
}

/// Applies the action to chosen jobs of the brand.
///
/// # Errors
/// The database does not answer. The jobs before were retried or dropped.
pub(crate) async fn act_on_chosen(
    state: &AdminState,
    brand: &str,
    ids: &[i64],
    action: Action,
) -> Result<Acted, AdminError> {
    let brand = find_brand(state, brand)?.id.clone();
    tracing::info!(brand, ?ids, ?action, "an operator retries or drops chosen jobs");
    note_chosen(ids.iter().map(ToString::to_string));
    // All brands share one sequence of ids, so a job may belong to another brand.
    let known = list(state, &brand).await?;
    let mut acted = Acted::default();
    for id in ids {
        let count = match known.iter().any(|job| job.id == *id) {
            true => apply(state, JobChoice::One(*id), action).await?,
            false => 0,
        };
        acted.count += count;
        acted.missing += u32::from(count == 0);
    }
    Ok(acted)
}

async fn act_on(
    state: &AdminState,
    brand: &str,
    which: JobChoice,
    action: Action,
) -> Result<u32, AdminError> {
    tracing::info!(brand, ?which, ?action, "an operator retries or drops jobs");
    apply(state, which, action).await
}

async fn apply(state: &AdminState, which: JobChoice, action: Action) -> Result<u32, AdminError> {
    let store = &state.app.store;
    let count = match action {
        Action::Retry => {
            let count = store.retry_jobs(which, now_ms()).await?;
            state.app.bell.notify_one();
            count
        }
        Action::Drop => store.drop_jobs(which).await?,
    };
    Ok(count)
}
