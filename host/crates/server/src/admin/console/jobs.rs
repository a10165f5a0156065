//! The jobs of a brand: schedules, jobs of scripts, and background writes. What an operator does with them is said on
//! the page afterwards.

use actix_web::HttpResponse;
use actix_web::guard;
use actix_web::web::{self, Data, Form, FormConfig, Path, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use super::frame::{Section, render_of};
use super::{or_error_page, redirect_to};
use crate::admin::AdminState;
use crate::admin::error::AdminError;
use crate::admin::flash::{Operator, Said};
use crate::admin::templates::encode_query;
use crate::admin::views::jobs::{self, Action};
use crate::admin::views::range::Range;
use crate::admin::views::{queue, runs, schedules};

/// A form with the ids of the most jobs.
const FORM_BYTES_MAX: usize = 64 << 10;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let chosen = web::resource("/brands/{brand}/{kind:jobs|queue}/chosen/{action}").guard(guard::Post());
    config
        .service(
            chosen.app_data(FormConfig::default().limit(FORM_BYTES_MAX)).route(web::post().to(act_on_chosen)),
        )
        .route("/brands/{brand}/{kind:jobs|queue}/chosen/{action}", web::get().to(to_jobs))
        .route("/brands/{brand}/jobs", web::get().to(show))
        .route("/brands/{brand}/schedules/{name}/run", web::post().to(run_schedule))
        .route("/brands/{brand}/queue/parked/{action}", web::post().to(act_on_parked_queued))
        .route("/brands/{brand}/queue/{id}/arguments", web::get().to(arguments))
        .route("/brands/{brand}/queue/{id}/{action}", web::post().to(act_on_queued))
        .route("/brands/{brand}/jobs/parked/{action}", web::post().to(act_on_parked))
        .route("/brands/{brand}/jobs/{id}/{action}", web::post().to(act_on_job));
}

/// `?state=parked`: only parked jobs.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Shown {
    state: String,
}

impl Shown {
    fn only_parked(&self) -> bool {
        self.state == "parked"
    }

    /// The part of an address that keeps the choice and the time: `state=parked&hours=24`.
    fn query(&self, range: Range) -> String {
        let range = range.view();
        if self.only_parked() { format!("state=parked&{}", range.query()) } else { range.query().to_owned() }
    }
}

/// What an operator has done to some jobs, in words.
fn did(action: Action, what: &str, are_many: bool) -> String {
    let was = if are_many { "were" } else { "was" };
    match action {
        Action::Retry => format!(
            "{what} {was} started again. A job that succeeds is no longer listed; one that keeps failing is parked \
             again, with its new error."
        ),
        Action::Drop => format!("{what} {was} dropped."),
    }
}

fn did_to_parked(action: Action, count: u32) -> String {
    let what = if count == 1 { "1 parked job".to_owned() } else { format!("{count} parked jobs") };
    did(action, &what, count != 1)
}

fn did_to_chosen(action: Action, done: jobs::Acted) -> String {
    let what = if done.count == 1 { "1 job was".to_owned() } else { format!("{} jobs were", done.count) };
    let said = match action {
        Action::Retry => format!("{what} started again. Those that keep failing are parked again."),
        Action::Drop => format!("{what} dropped."),
    };
    match done.missing {
        0 => said,
        missing => format!("{said} Not there any more, or running: {missing}."),
    }
}

async fn show(
    state: Data<AdminState>,
    brand: Path<String>,
    shown: Query<Shown>,
    range: Query<Range>,
    said: Said,
) -> HttpResponse {
    or_error_page(&state, list(&state, &brand, &shown, (*range, said)).await)
}

async fn list(
    state: &AdminState,
    brand: &str,
    shown: &Shown,
    (range, said): (Range, Said),
) -> Result<HttpResponse, AdminError> {
    let is_shown = |is_parked: bool| is_parked || !shown.only_parked();
    let mut jobs = jobs::list(state, brand).await?;
    let parked = jobs.iter().filter(|job| job.is_parked).count();
    jobs.retain(|job| is_shown(job.is_parked));
    let mut queued = queue::list(state, brand).await?;
    let parked_queued = queued.iter().filter(|job| job.is_parked).count();
    queued.retain(|job| is_shown(job.is_parked));
    let schedules = schedules::list(state, brand).await?;
    let ids = queued.iter().map(|job| job.id.clone());
    let ids = ids.chain(schedules.iter().filter_map(|schedule| schedule.last_job.clone()));
    let runs = runs::of_jobs(state, brand, ids.collect()).await?;
    let run_of = |id: Option<&String>| id.and_then(|id| runs.get(id));
    let queued: Vec<Value> = queued
        .iter()
        .map(|job| json!({ "job": job, "run": run_of(Some(&job.id)), "tries": tries(job.attempts), "payload": job.payload }))
        .collect();
    let schedules: Vec<Value> = schedules
        .iter()
        .map(|schedule| json!({ "schedule": schedule, "run": run_of(schedule.last_job.as_ref()) }))
        .collect();
    let title = if shown.only_parked() { "Parked jobs" } else { "Jobs" };
    let view = json!({
        "title": title, "jobs": jobs, "parked": parked, "queued": queued, "parked_queued": parked_queued,
        "one_parked": parked == 1, "one_parked_queued": parked_queued == 1, "parked_all": parked + parked_queued, "only_parked": shown.only_parked(), "keep": shown.query(range),
        "schedules": schedules, "did": said.0, "is_live": true,
    });
    render_of(state, brand, ("jobs", Section::Jobs), range.view(), view)
}

fn tries(count: u32) -> String {
    if count == 1 { "1 try".to_owned() } else { format!("{count} tries") }
}

/// The arguments of a job, for those that are too long for the list.
async fn arguments(state: Data<AdminState>, at: Path<(String, String)>) -> HttpResponse {
    let found = queue::arguments(&state, &at.0, &at.1).await;
    or_error_page(&state, found.map(|value| HttpResponse::Ok().json(value)))
}

/// Who has sent a form, and what the list showed: what [`back`] needs to lead back to it.
type Back<'a> = (&'a AdminState, &'a Operator, &'a Shown, Range);

/// Back to the list, which says what was done and keeps the time of the links.
fn back(
    (state, operator, shown, range): Back<'_>,
    brand: &str,
    done: Result<String, AdminError>,
) -> HttpResponse {
    let address = format!("/brands/{}/jobs?{}", encode_query(brand), shown.query(range));
    or_error_page(state, done.map(|said| redirect_to(&state.flashes.address(operator, &address, &said))))
}

async fn run_schedule(
    state: Data<AdminState>,
    at: Path<(String, String)>,
    (shown, range): (Query<Shown>, Query<Range>),
    operator: Operator,
) -> HttpResponse {
    let job = schedules::run(&state, &at.0, &at.1).await;
    let said = job.map(|job| format!("Schedule {} was started as job {job}.", at.1));
    back((&state, &operator, &shown, *range), &at.0, said)
}

async fn act_on_job(
    state: Data<AdminState>,
    at: Path<(String, i64, Action)>,
    (shown, range): (Query<Shown>, Query<Range>),
    operator: Operator,
) -> HttpResponse {
    let done = jobs::act(&state, &at.0, at.1, at.2).await;
    let said = done.map(|()| did(at.2, &format!("Job {}", at.1), false));
    back((&state, &operator, &shown, *range), &at.0, said)
}

async fn act_on_queued(
    state: Data<AdminState>,
    at: Path<(String, String, Action)>,
    (shown, range): (Query<Shown>, Query<Range>),
    operator: Operator,
) -> HttpResponse {
    let done = queue::act(&state, &at.0, &at.1, at.2).await;
    let said = done.map(|()| did(at.2, &format!("Job {}", at.1), false));
    back((&state, &operator, &shown, *range), &at.0, said)
}

async fn act_on_parked_queued(
    state: Data<AdminState>,
    at: Path<(String, Action)>,
    (shown, range): (Query<Shown>, Query<Range>),
    operator: Operator,
) -> HttpResponse {
    let done = queue::act_on_parked(&state, &at.0, at.1).await;
    back((&state, &operator, &shown, *range), &at.0, done.map(|count| did_to_parked(at.1, count)))
}

async fn act_on_parked(
    state: Data<AdminState>,
    at: Path<(String, Action)>,
    (shown, range): (Query<Shown>, Query<Range>),
    operator: Operator,
) -> HttpResponse {
    let done = jobs::act_on_parked(&state, &at.0, at.1).await;
    back((&state, &operator, &shown, *range), &at.0, done.map(|count| did_to_parked(at.1, count)))
}

/// Leads to the list. A browser asks for this address if an operator loads the answer to the form again.
async fn to_jobs(at: Path<(String, String, String)>) -> HttpResponse {
    redirect_to(&format!("/brands/{}/jobs", encode_query(&at.0)))
}

/// Retries or drops the jobs that are ticked in a list. Asks before it drops them, on a page that names their number.
async fn act_on_chosen(
    state: Data<AdminState>,
    at: Path<(String, String, Action)>,
    form: Form<Vec<(String, String)>>,
    (shown, range): (Query<Shown>, Query<Range>),
    operator: Operator,
) -> HttpResponse {
    let (brand, kind, action) = at.into_inner();
    let mut ids: Vec<&str> = Vec::new();
    for (_, id) in form.iter().filter(|(name, _)| name == "id") {
        if !ids.contains(&id.as_str()) {
            ids.push(id);
        }
    }
    let is_sure = form.iter().any(|(name, value)| name == "sure" && value == "yes");
    let page = async {
        match ids.len() {
            0 => {
                let said = "no job is chosen: tick those in the list".to_owned();
                return Err(AdminError::InvalidRequest(said));
            }
            // The list has this many of each state.
            count if count > 2 * jobs::JOBS as usize => {
                let said = format!("at most {} jobs can be chosen at once", 2 * jobs::JOBS);
                return Err(AdminError::InvalidRequest(said));
            }
            _ => {}
        }
        if action == Action::Drop && !is_sure {
            let title =
                if ids.len() == 1 { "Drop 1 job".to_owned() } else { format!("Drop {} jobs", ids.len()) };
            let view = json!({ "title": title, "ids": ids, "kind": kind, "of_scripts": kind == "queue", "keep": shown.query(*range) });
            return render_of(&state, &brand, ("jobs_drop", Section::Jobs), range.view(), view);
        }
        let done = if kind == "queue" {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            queue::act_on_chosen(&state, &brand, &ids, action).await?
        } else {
            // What is no number is the id of no job.
            let numbers: Vec<i64> = ids.iter().map(|id| id.parse().unwrap_or(-1)).collect();
            jobs::act_on_chosen(&state, &brand, &numbers, action).await?
        };
        Ok(back((&state, &operator, &shown, *range), &brand, Ok(did_to_chosen(action, done))))
    };
    or_error_page(&state, page.await)
}
