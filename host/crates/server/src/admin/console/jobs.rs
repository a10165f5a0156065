//! The jobs of a brand: schedules, jobs of scripts, and background writes. What an operator does with them is said on
//! the page afterwards.

use actix_web::HttpResponse;
use actix_web::guard;
use actix_web::web::{self, Data, Form, FormConfig, Path, Query};
use serde::Deserialize;
use serde_json::json;

use super::frame::{Section, render_of};
use super::{or_error_page, redirect_to};
use crate::admin::AdminState;
use crate::admin::error::AdminError;
use crate::admin::templates::encode_query;
use crate::admin::views::range::Range;
use crate::admin::views::{jobs, queue, schedules};

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
        .route("/brands/{brand}/queue/{id}/{action}", web::post().to(act_on_queued))
        .route("/brands/{brand}/jobs/parked/{action}", web::post().to(act_on_parked))
        .route("/brands/{brand}/jobs/{id}/{action}", web::post().to(act_on_job));
}

/// `?did=retry&count=2`, `?did=retry&job=17` or `?did=drop&chosen=3&missing=1`: what the operator has just done.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Did {
    did: String,
    job: Option<String>,
    schedule: Option<String>,
    count: Option<u32>,
    chosen: Option<u32>,
    missing: Option<u32>,
}

impl Did {
    fn text(&self) -> Option<String> {
        if let Some(chosen) = self.chosen {
            return self.chosen_text(chosen);
        }
        let what = match (&self.schedule, &self.job, self.count) {
            (Some(schedule), Some(job), _) => {
                return Some(format!("Schedule {schedule} was started as job {job}."));
            }
            (_, Some(job), _) => format!("Job {job}"),
            (_, _, Some(1)) => "1 parked job".to_owned(),
            (_, _, Some(count)) => format!("{count} parked jobs"),
            _ => return None,
        };
        let was = if self.count.is_some_and(|count| count != 1) { "were" } else { "was" };
        match self.did.as_str() {
            "retry" => Some(format!(
                "{what} {was} started again. A job that succeeds is no longer listed; one that fails is listed with its new error."
            )),
            "drop" => Some(format!("{what} {was} dropped.")),
            _ => None,
        }
    }

    fn chosen_text(&self, chosen: u32) -> Option<String> {
        let what = if chosen == 1 { "1 job was".to_owned() } else { format!("{chosen} jobs were") };
        let done = match self.did.as_str() {
            "retry" => format!("{what} started again. Those that fail are listed with their new error."),
            "drop" => format!("{what} dropped."),
            _ => return None,
        };
        Some(match self.missing.filter(|missing| *missing > 0) {
            Some(missing) => format!("{done} Not there any more, or running: {missing}."),
            None => done,
        })
    }
}

async fn show(
    state: Data<AdminState>,
    brand: Path<String>,
    did: Query<Did>,
    range: Query<Range>,
) -> HttpResponse {
    let page = async {
        let jobs = jobs::list(&state, &brand).await?;
        let parked = jobs.iter().filter(|job| job.is_parked).count();
        let queued = queue::list(&state, &brand).await?;
        let parked_queued = queued.iter().filter(|job| job.is_parked).count();
        let schedules = schedules::list(&state, &brand).await?;
        let view = json!({
            "title": "Jobs", "jobs": jobs, "parked": parked, "queued": queued, "parked_queued": parked_queued,
            "schedules": schedules, "did": did.text(), "is_live": true,
        });
        render_of(&state, &brand, ("jobs", Section::Jobs), range.view(), view)
    };
    or_error_page(&state, page.await)
}

fn word(action: jobs::Action) -> &'static str {
    match action {
        jobs::Action::Retry => "retry",
        jobs::Action::Drop => "drop",
    }
}

/// Back to the list, which says what was done and keeps the time of the links.
fn back(state: &AdminState, brand: &str, range: Range, done: Result<String, AdminError>) -> HttpResponse {
    let (brand, range) = (encode_query(brand), range.view());
    let range = range.query();
    or_error_page(state, done.map(|did| redirect_to(&format!("/brands/{brand}/jobs?{did}&{range}"))))
}

async fn run_schedule(
    state: Data<AdminState>,
    at: Path<(String, String)>,
    range: Query<Range>,
) -> HttpResponse {
    let job = schedules::run(&state, &at.0, &at.1).await;
    back(&state, &at.0, *range, job.map(|job| format!("schedule={}&job={job}", encode_query(&at.1))))
}

async fn act_on_job(
    state: Data<AdminState>,
    at: Path<(String, i64, jobs::Action)>,
    range: Query<Range>,
) -> HttpResponse {
    let done = jobs::act(&state, &at.0, at.1, at.2).await;
    back(&state, &at.0, *range, done.map(|()| format!("did={}&job={}", word(at.2), at.1)))
}

async fn act_on_queued(
    state: Data<AdminState>,
    at: Path<(String, String, jobs::Action)>,
    range: Query<Range>,
) -> HttpResponse {
    let done = queue::act(&state, &at.0, &at.1, at.2).await;
    back(&state, &at.0, *range, done.map(|()| format!("did={}&job={}", word(at.2), encode_query(&at.1))))
}

async fn act_on_parked_queued(
    state: Data<AdminState>,
    at: Path<(String, jobs::Action)>,
    range: Query<Range>,
) -> HttpResponse {
    let done = queue::act_on_parked(&state, &at.0, at.1).await;
    back(&state, &at.0, *range, done.map(|count| format!("did={}&count={count}", word(at.1))))
}

async fn act_on_parked(
    state: Data<AdminState>,
    at: Path<(String, jobs::Action)>,
    range: Query<Range>,
) -> HttpResponse {
    let done = jobs::act_on_parked(&state, &at.0, at.1).await;
    back(&state, &at.0, *range, done.map(|count| format!("did={}&count={count}", word(at.1))))
}

/// Leads to the list. A browser asks for this address if an operator loads the answer to the form again.
async fn to_jobs(at: Path<(String, String, String)>) -> HttpResponse {
    redirect_to(&format!("/brands/{}/jobs", encode_query(&at.0)))
}

/// Retries or drops the jobs that are ticked in a list. Asks before it drops them, on a page that names their number.
async fn act_on_chosen(
    state: Data<AdminState>,
    at: Path<(String, String, jobs::Action)>,
    form: Form<Vec<(String, String)>>,
    range: Query<Range>,
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
        if action == jobs::Action::Drop && !is_sure {
            let title =
                if ids.len() == 1 { "Drop 1 job".to_owned() } else { format!("Drop {} jobs", ids.len()) };
            let view = json!({ "title": title, "ids": ids, "kind": kind, "of_scripts": kind == "queue" });
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
        let did = format!("did={}&chosen={}&missing={}", word(action), done.count, done.missing);
        Ok(back(&state, &brand, *range, Ok(did)))
    };
    or_error_page(&state, page.await)
}
