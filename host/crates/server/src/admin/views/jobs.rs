//! Background writes that wait or need an operator.

use serde::{Deserialize, Serialize};

use sluice_crm::{Job, JobChoice, JobState};
use sluice_kit::clock::{iso_utc, now_ms};

use super::find_brand;
use crate::admin::AdminState;
use crate::admin::error::AdminError;

const JOBS: u32 = 200;

#[derive(Debug, Serialize)]
pub struct JobView {
    pub id: i64,
    /// `setCrmField leads customer/7`; never a value.
    pub what: String,
    /// `waiting`, `parked` or `done`.
    pub state: &'static str,
    pub is_parked: bool,
    /// It was retried after it was parked, so it is applied late.
    pub is_late: bool,
    pub tries: u32,
    pub last_error: Option<String>,
    pub created_at: String,
    pub due_at: String,
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

/// What an operator has done with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Tried again at once.
    Retry,
    /// Forgotten: what it would have written is lost.
    Drop,
}

/// The brand's jobs that are not done, parked ones first, then the oldest.
pub async fn list(state: &AdminState, brand: &str) -> Result<Vec<JobView>, AdminError> {
    let brand = &find_brand(state, brand)?.id;
    let mut views = Vec::new();
    for wanted in [JobState::Parked, JobState::Waiting] {
        let jobs = state.app.store.list_jobs(Some(brand), Some(wanted), JOBS).await?;
        views.extend(jobs.into_iter().map(JobView::from));
    }
    Ok(views)
}

/// Does it with one job of the brand.
pub async fn act(state: &AdminState, brand: &str, id: i64, action: Action) -> Result<(), AdminError> {
    // Ids count over all brands: another brand's job is not there.
    if !list(state, brand).await?.iter().any(|job| job.id == id) {
        return Err(AdminError::NotFound(format!("job {id} of brand {brand} that is not done")));
    }
    act_on(state, brand, JobChoice::One(id), action).await?;
    Ok(())
}

/// Does it with all parked jobs of the brand, and says how many.
pub async fn act_on_parked(state: &AdminState, brand: &str, action: Action) -> Result<u32, AdminError> {
    let brand = find_brand(state, brand)?.id.clone();
    act_on(state, &brand, JobChoice::Parked { brand: Some(brand.clone()) }, action).await
}

async fn act_on(
    state: &AdminState,
    brand: &str,
    which: JobChoice,
    action: Action,
) -> Result<u32, AdminError> {
    tracing::info!(brand, ?which, ?action, "an operator acts on jobs");
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
