//! The schedules of a brand, with their last and next ticks.

use serde::Serialize;

use sluice_app::schedules::{is_late, new_job};
use sluice_kit::clock::iso_utc;
use sluice_queue::State;
use sluice_site::Brand;
use sluice_site::config::ScheduleConfig;
use sluice_text::suggest;

use super::find_brand;
use crate::admin::AdminState;
use crate::admin::changes::note;
use crate::admin::error::AdminError;

/// A schedule.
#[derive(Debug, Serialize)]
pub(crate) struct ScheduleView {
    pub(crate) name: String,
    pub(crate) cron: String,
    pub(crate) timezone: String,
    pub(crate) module: String,
    pub(crate) function: String,
    pub(crate) catch_up: bool,
    /// The last tick that was started.
    pub(crate) last_tick: Option<String>,
    /// The id of its job.
    pub(crate) last_job: Option<String>,
    /// The state of that job. `None` if it was done more than an hour ago, or dropped.
    pub(crate) last_state: Option<&'static str>,
    pub(crate) is_parked: bool,
    /// No host has started a tick that came minutes ago.
    pub(crate) is_late: bool,
    pub(crate) next_tick: Option<String>,
}

/// The schedules of a brand, in the order of `brand.toml`.
pub(crate) async fn list(state: &AdminState, brand: &str) -> Result<Vec<ScheduleView>, AdminError> {
    let brand = find_brand(state, brand)?;
    let known = state.app.store.list_schedules(Some(&brand.id)).await?;
    let now_ms = state.app.now_ms();
    let view = |schedule: &ScheduleConfig| {
        let (rule, known) = (schedule.rule(), known.iter().find(|known| known.name == schedule.name));
        let last = known.and_then(|known| known.last_job.as_ref());
        ScheduleView {
            name: schedule.name.clone(),
            cron: rule.cron.to_string(),
            timezone: rule.zone.to_string(),
            module: schedule.module.clone(),
            function: schedule.function.clone(),
            catch_up: schedule.catch_up,
            last_tick: last.map(|job| iso_utc(job.tick)),
            last_job: last.map(|job| job.id.clone()),
            last_state: last.and_then(|job| job.state).map(State::as_str),
            is_parked: last.is_some_and(|job| job.state == Some(State::Parked)),
            is_late: known.is_some_and(|known| is_late(schedule, known, now_ms)),
            next_tick: rule.next(now_ms).map(iso_utc),
        }
    };
    Ok(brand.schedules.iter().map(view).collect())
}

/// Runs the function of a schedule at once, beside its ticks. Returns the id of the job.
///
/// # Errors
/// The brand has no such schedule or too many jobs, or the database does not answer.
pub(crate) async fn run(state: &AdminState, brand: &str, name: &str) -> Result<String, AdminError> {
    let brand: &Brand = &*find_brand(state, brand)?;
    let Some(schedule) = brand.schedules.iter().find(|schedule| schedule.name == name) else {
        let hint = suggest::hint(name, brand.schedules.iter().map(|schedule| schedule.name.as_str()));
        return Err(AdminError::NoSchedule { brand: brand.id.clone(), name: name.to_owned(), hint });
    };
    let app = &state.app;
    let job = new_job(brand, schedule, app.now_ms())?;
    let id = job.id.to_string();
    tracing::info!(brand = brand.id, schedule = name, job = id, "an operator runs a schedule at once");
    let jobs_max = brand.job_limits.queue_jobs_max;
    if !app.store.add_queued(&brand.id, job, jobs_max, app.now_ms()).await? {
        return Err(AdminError::QueueFull { brand: brand.id.clone(), jobs_max });
    }
    note(|note| note.item = format!("job {id}"));
    app.queue_bell.notify_one();
    Ok(id)
}
