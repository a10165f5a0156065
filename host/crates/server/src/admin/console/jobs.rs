//! The jobs of a brand: schedules, jobs of scripts, and background writes. What an operator does with them is said on
//! the page afterwards.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Path, Query};
use serde::Deserialize;
use serde_json::json;

use super::frame::{Section, render_of};
use super::{or_error_page, redirect_to};
use crate::admin::AdminState;
use crate::admin::error::AdminError;
use crate::admin::templates::encode_query;
use crate::admin::views::range::Range;
use crate::admin::views::{jobs, queue, schedules};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/brands/{brand}/jobs", web::get().to(show))
        .route("/brands/{brand}/schedules/{name}/run", web::post().to(run_schedule))
        .route("/brands/{brand}/queue/parked/{action}", web::post().to(act_on_parked_queued))
        .route("/brands/{brand}/queue/{id}/{action}", web::post().to(act_on_queued))
        .route("/brands/{brand}/jobs/parked/{action}", web::post().to(act_on_parked))
        .route("/brands/{brand}/jobs/{id}/{action}", web::post().to(act_on_job));
}

/// `?did=retry&count=2` or `?did=retry&job=17`: what the operator has just done.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Did {
    did: String,
    job: Option<String>,
    schedule: Option<String>,
    count: Option<u32>,
}

impl Did {
    fn text(&self) -> Option<String> {
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
