//! The console: pages that the server renders and that work without JavaScript. Every page renders
//! data that the API also returns as JSON.

mod crm;
mod reloads;

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Data, Form, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use sluice_app::request::Client;
use sluice_kit::clock::now_ms;
use sluice_limits::advice::LimitUse;
use sluice_site::apply::ChangedLine;

use super::access::{console_session, session_cookie};
use super::charts::{self, Span};
use super::error::AdminError;
use super::templates::encode_query;
use super::throttle::Attempt;
use super::views::limits::PageLimits;
use super::views::range::Range;
use super::views::{
    failures, find_brand, find_page, jobs, limits, overview, page_cache, pages, queue, runs, schedules,
};
use super::{AdminState, phases};

const CSS: &str = include_str!("console/console.css");
const JS: &str = include_str!("console/console.js");
const CHARTS_JS: &str = include_str!("console/charts.js");
/// uPlot 1.6.32 as published. Its licence is in the same folder.
const UPLOT_JS: &str = include_str!("console/uplot/uPlot.iife.min.js");
const UPLOT_CSS: &str = include_str!("console/uplot/uPlot.min.css");
const ICON: &str = include_str!("console/icon.svg");
/// Runs on one page of the list.
const RUNS: u32 = 25;

/// Adds the routes of the console and its assets.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(overview))
        .route("/login", web::get().to(login_page))
        .route("/login", web::post().to(log_in))
        .route("/logout", web::post().to(log_out))
        .route("/brands/{brand}", web::get().to(pages))
        .route("/brands/{brand}/page", web::get().to(page))
        .route("/brands/{brand}/runs", web::get().to(runs))
        .route("/brands/{brand}/runs/{id}", web::get().to(run))
        .configure(crm::routes)
        .route("/brands/{brand}/jobs", web::get().to(jobs))
        .route("/brands/{brand}/schedules/{name}/run", web::post().to(run_schedule))
        .route("/brands/{brand}/queue/parked/{action}", web::post().to(act_on_parked_queued))
        .route("/brands/{brand}/queue/{id}/{action}", web::post().to(act_on_queued))
        .route("/brands/{brand}/jobs/parked/{action}", web::post().to(act_on_parked))
        .route("/brands/{brand}/jobs/{id}/{action}", web::post().to(act_on_job))
        .route("/brands/{brand}/page-cache/purge", web::post().to(purge_page_cache))
        .route("/brands/{brand}/limits", web::post().to(set_limit))
        .route("/brands/{brand}/limits/preview", web::get().to(preview_limit))
        .route("/assets/console.css", web::get().to(|| asset("text/css; charset=utf-8", CSS)))
        .route("/assets/console.js", web::get().to(|| asset("text/javascript; charset=utf-8", JS)))
        .route("/assets/charts.js", web::get().to(|| asset("text/javascript; charset=utf-8", CHARTS_JS)))
        .route("/assets/uplot.js", web::get().to(|| asset("text/javascript; charset=utf-8", UPLOT_JS)))
        .route("/assets/uplot.css", web::get().to(|| asset("text/css; charset=utf-8", UPLOT_CSS)))
        .route("/assets/icon.svg", web::get().to(|| asset("image/svg+xml", ICON)));
}

async fn asset(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type(kind).body(text)
}

/// The response `page`, or a page that says why there is none.
fn or_error_page(state: &AdminState, page: Result<HttpResponse, AdminError>) -> HttpResponse {
    page.unwrap_or_else(|error| {
        let status = error.status();
        let view = json!({ "title": error.title(), "reason": error.to_string() });
        let mut response = render(state, "problem", &view).unwrap_or_else(|error| {
            tracing::error!(%error, "the console's error page cannot be rendered");
            HttpResponse::InternalServerError().finish()
        });
        *response.status_mut() = status;
        response
    })
}

fn render(state: &AdminState, template: &str, view: &impl Serialize) -> Result<HttpResponse, AdminError> {
    let html = state.templates.render(template, view)?;
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html))
}

/// Sends the browser to `address` after a form was processed.
fn redirect_to(address: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, address)).finish()
}

/// The response to every path that has no route.
pub(crate) async fn not_found(state: Data<AdminState>, request: HttpRequest) -> HttpResponse {
    if request.path().starts_with("/api/") {
        return actix_web::ResponseError::error_response(&AdminError::NoSuchAddress);
    }
    or_error_page(&state, Err(AdminError::NoConsolePage(request.path().to_owned())))
}

#[derive(Deserialize)]
struct Login {
    token: String,
}

async fn login_page(state: Data<AdminState>) -> HttpResponse {
    or_error_page(&state, render(&state, "login", &json!({ "title": "Log in" })))
}

async fn log_in(state: Data<AdminState>, request: HttpRequest, form: Form<Login>) -> HttpResponse {
    let (status, wait_seconds) = match state.attempt(&request, form.token.trim()) {
        Attempt::Accepted => return logged_in(&state, &request),
        Attempt::Rejected { .. } => (StatusCode::UNAUTHORIZED, None),
        Attempt::Throttled { seconds } => (StatusCode::TOO_MANY_REQUESTS, Some(seconds)),
    };
    let view = json!({ "title": "Log in", "wrong": wait_seconds.is_none(), "wait_seconds": wait_seconds });
    let mut response = or_error_page(&state, render(&state, "login", &view));
    *response.status_mut() = status;
    if let Some(seconds) = wait_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    }
    response
}

/// Begins a console session.
fn logged_in(state: &AdminState, request: &HttpRequest) -> HttpResponse {
    let session = match state.token.session(now_ms() / 1_000) {
        Ok(session) => session,
        Err(error) => return or_error_page(state, Err(AdminError::Session(error))),
    };
    let cookie = session_cookie(&session, is_https(state, request));
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, "/"))
        .insert_header((header::SET_COOKIE, cookie))
        .finish()
}

async fn log_out(state: Data<AdminState>, request: HttpRequest) -> HttpResponse {
    let session = console_session(request.headers());
    let ended = session.map_or(Ok(()), |session| state.token.end_session(&session, now_ms() / 1_000));
    let mut response = match ended {
        Ok(()) => redirect_to("/login"),
        Err(error) => or_error_page(&state, Err(AdminError::Logout(error))),
    };
    let cookie = session_cookie("", is_https(&state, &request));
    if let Ok(cookie) = header::HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Whether the operator uses https, according to a trusted proxy.
fn is_https(state: &AdminState, request: &HttpRequest) -> bool {
    Client::of(request, &state.app.live().read_rules).is_https
}

async fn overview(state: Data<AdminState>, range: Query<Range>) -> HttpResponse {
    let page = async {
        let view = overview::view(&state, *range).await?;
        let bounds = range.bounds();
        let marks: Vec<i64> = view.reloads.iter().map(|reload| reload.at_ms).collect();
        let span = Span { bounds, marks: &marks };
        let charts = json!({
            "runs": charts::runs(&view.history, span),
            "latency": charts::latency(&view.history, span),
            "load": charts::load(&state.load.between(bounds.0, bounds.1), span),
        });
        let failures = reloads::with_trends(&view.failure_groups, &view.reloads);
        let last = reloads::last(&view.reloads);
        let hidden = view.failure_groups_all.saturating_sub(view.failure_groups.len());
        let view = json!({
            "title": "Overview", "view": view, "charts": charts, "range": range.view(), "is_live": true,
            "failures": failures, "failures_hidden": hidden, "last_load": last,
            "has_marks": !marks.is_empty(),
        });
        render(&state, "overview", &view)
    };
    or_error_page(&state, page.await)
}

/// `?sort=time`: which column orders the table of pages.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sort {
    sort: String,
}

async fn pages(
    state: Data<AdminState>,
    brand: Path<String>,
    range: Query<Range>,
    sort: Query<Sort>,
) -> HttpResponse {
    let page = async {
        let mut rows = pages::list(&state, &brand, *range).await?;
        pages::sort(&mut rows, &sort.sort);
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| json!({ "row": row, "chart": charts::share_of_quota(row.fuel, row.fuel_quota) }))
            .collect();
        let view = json!({
            "title": "Pages", "brand": *brand, "section_pages": true, "rows": rows, "range": range.view(),
            "columns": pages::columns(&sort.sort), "is_live": true,
            "cache": page_cache::view(&state, &brand)?,
            "range_keep": [{ "name": "sort", "value": sort.sort }],
        });
        render(&state, "pages", &view)
    };
    or_error_page(&state, page.await)
}

/// `?path=/weight/checkin&set=fuel`
#[derive(Deserialize)]
struct PageQuery {
    path: String,
    /// The limit that the operator has just set.
    set: Option<String>,
}

async fn page(
    state: Data<AdminState>,
    brand: Path<String>,
    query: Query<PageQuery>,
    range: Query<Range>,
) -> HttpResponse {
    let PageQuery { path, set } = query.into_inner();
    or_error_page(&state, show_page(&state, &brand, &path, *range, &Edit { set, ..Edit::default() }).await)
}

/// What an operator has just done to a limit of the page that is shown.
#[derive(Default)]
struct Edit {
    /// The limit that was set.
    set: Option<String>,
    /// A change that is shown before it is made: the limit, what was typed, and the lines.
    preview: Option<(String, String, Vec<ChangedLine>)>,
    /// A change that was rejected: the limit, what was typed, and why.
    wrong: Option<(String, String, String)>,
}

async fn show_page(
    state: &AdminState,
    brand: &str,
    path: &str,
    range: Range,
    edit: &Edit,
) -> Result<HttpResponse, AdminError> {
    let detail = pages::find(state, brand, path, range).await?;
    let groups = failures::of_page(state, brand, path, range).await?;
    let reloads = overview::reloads(state, range.bounds());
    let marks: Vec<i64> = reloads.iter().map(|reload| reload.at_ms).collect();
    let span = Span { bounds: range.bounds(), marks: &marks };
    let PageLimits { rows, version } = limits::of_page(state, brand, path)?;
    let runs_of_page = |failed: Option<&str>, limit| runs::Query {
        page: Some(path.to_owned()),
        failed: failed.map(str::to_owned),
        limit: Some(limit),
        ..runs::Query::default()
    };
    let last_failure = runs::list(state, brand, &runs_of_page(Some("true"), 1)).await?.pop();
    let last_runs = runs::list(state, brand, &runs_of_page(None, 10)).await?;
    let charts = json!({
        "fuel": charts::fuel(&detail, span),
        "time": charts::latency(&detail.history, span),
        "memory": charts::memory(&detail, span),
        "distribution": charts::fuel_distribution(&detail),
    });
    let limits: Vec<Value> = rows.iter().map(|row| limit_row(state, row, &detail.uses, edit)).collect();
    let view = json!({
        "title": path, "brand": brand, "section_pages": true, "page": detail, "limits": limits,
        "charts": charts, "last_failure": last_failure, "last_runs": last_runs, "set": edit.set,
        "waits_for_reload": rows.iter().any(|row| row.in_force != row.limit.value),
        "range": range.view(), "range_keep": [{ "name": "path", "value": path }], "seen": version,
        "failures": reloads::with_trends(&groups, &reloads), "has_marks": !marks.is_empty(),
        "wrong": edit.wrong.as_ref().map(|(limit, _, reason)| {
            let has_row = rows.iter().any(|row| row.limit.kind.name == limit);
            json!({ "limit": limit, "reason": reason, "has_row": has_row })
        }),
    });
    render(state, "page", &view)
}

/// A limit with what runs used of it, and what the field for a new value contains.
fn limit_row(state: &AdminState, row: &limits::LimitRow, uses: &[LimitUse], edit: &Edit) -> Value {
    let name = row.limit.kind.name;
    let used = uses.iter().find(|used| used.limit == name);
    let wrong = edit.wrong.as_ref().filter(|(limit, ..)| limit == name);
    let preview = edit.preview.as_ref().filter(|(limit, ..)| limit == name);
    let typed = wrong.map(|(_, typed, _)| typed).or(preview.map(|(_, typed, _)| typed));
    let suggested = used.and_then(|used| used.suggested);
    let proposed = sluice_limits::grouped(suggested.unwrap_or(row.limit.value));
    json!({
        "row": row, "about": first_sentence(row.limit.kind.about), "used": used, "most": state.app.live().limits.most(name),
        "field": typed.unwrap_or(&proposed), "is_wrong": wrong.is_some(),
        "change": preview.map(|(_, _, lines)| lines.iter().map(changed_line).collect::<Vec<_>>()),
    })
}

/// What a limit is about, in one sentence.
fn first_sentence(text: &str) -> &str {
    let text = text.trim();
    text.find(". ").and_then(|end| text.get(..=end)).unwrap_or(text)
}

fn changed_line(changed: &ChangedLine) -> Value {
    let kind = match changed.sign {
        '+' => "new",
        '-' => "old",
        _ => "same",
    };
    json!({ "kind": kind, "line": format!("{}{}", changed.sign, changed.text) })
}

async fn set_limit(
    state: Data<AdminState>,
    brand: Path<String>,
    change: Form<limits::Change>,
) -> HttpResponse {
    if change.act.as_deref() == Some("preview")
        && let Ok(lines) = limits::preview(&state, &brand, &change)
    {
        let preview = Some((change.limit.clone(), change.value.clone(), lines));
        let edit = Edit { preview, ..Edit::default() };
        return or_error_page(&state, show_page(&state, &brand, &change.page, Range::default(), &edit).await);
    }
    let error = match limits::apply(&state, &brand, &change).await {
        Ok(_) => {
            let path = encode_query(&change.page);
            let set = encode_query(&change.limit);
            return redirect_to(&format!("/brands/{brand}/page?path={path}&set={set}#limits"));
        }
        Err(error) => error,
    };
    // The page again, with what was typed and why it was rejected.
    let wrong = Some((change.limit.clone(), change.value.clone(), error.to_string()));
    let edit = Edit { wrong, ..Edit::default() };
    match show_page(&state, &brand, &change.page, Range::default(), &edit).await {
        Ok(mut response) => {
            *response.status_mut() = error.status();
            response
        }
        Err(_) => or_error_page(&state, Err(error)),
    }
}

/// The lines of `brand.toml` that a change would make, for the script of the page.
async fn preview_limit(
    state: Data<AdminState>,
    brand: Path<String>,
    change: Query<limits::Change>,
) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(limits::preview(&state, &brand, &change)?))
}

async fn runs(state: Data<AdminState>, brand: Path<String>, query: Query<runs::Query>) -> HttpResponse {
    let page = async {
        let mut query = query.into_inner();
        query.limit = Some(RUNS);
        let found = runs::search(&state, &brand, &query).await?;
        let of_brand = find_brand(&state, &brand)?;
        let chosen =
            |value: &str, asked: Option<&str>| json!({ "value": value, "is_chosen": asked == Some(value) });
        let mut paths: Vec<&str> = of_brand.pages.pages().map(|page| page.route.as_str()).collect();
        paths.sort_unstable();
        let paths: Vec<Value> = paths.into_iter().map(|path| chosen(path, query.page.as_deref())).collect();
        let outcomes = runs::OUTCOMES.map(|outcome| chosen(outcome, query.outcome.as_deref()));
        let view = json!({
            "title": "Runs", "brand": *brand, "section_runs": true, "runs": found.runs, "paths": paths,
            "outcomes": outcomes, "only_failed": query.only_failed(), "status": query.status,
            "text": query.text, "older": found.next, "asked": query.asked(), "scanned": found.scanned, "before": query.before,
        });
        render(&state, "runs", &view)
    };
    or_error_page(&state, page.await)
}

async fn run(state: Data<AdminState>, at: Path<(String, i64)>) -> HttpResponse {
    let page = async {
        let run = runs::find(&state, &at.0, at.1).await?;
        let path = run.page.strip_prefix("pages/").map(sluice_site::table::url_path).unwrap_or_default();
        let is_there = find_page(&*find_brand(&state, &at.0)?, &path).is_ok();
        let source = runs::source(&*find_brand(&state, &at.0)?, &run);
        let others = failures::like(&state, &run).await?;
        let view = json!({
            "title": format!("Run {}", run.id), "brand": at.0, "section_runs": true,
            "path": is_there.then_some(path), "source": source, "others": others,
            "phases": phases::of(&run), "run": run,
        });
        render(&state, "run", &view)
    };
    or_error_page(&state, page.await)
}

async fn jobs(state: Data<AdminState>, brand: Path<String>) -> HttpResponse {
    let page = async {
        let jobs = jobs::list(&state, &brand).await?;
        let has_parked = jobs.iter().any(|job| job.is_parked);
        let queued = queue::list(&state, &brand).await?;
        let has_parked_queued = queued.iter().any(|job| job.is_parked);
        let schedules = schedules::list(&state, &brand).await?;
        let view = json!({
            "title": "Jobs", "brand": *brand, "section_jobs": true, "jobs": jobs, "has_parked": has_parked,
            "queued": queued, "has_parked_queued": has_parked_queued, "schedules": schedules,
        });
        render(&state, "jobs", &view)
    };
    or_error_page(&state, page.await)
}

/// The form of a purge.
#[derive(Deserialize)]
struct Purge {
    /// Empty for all answers.
    #[serde(default)]
    tag: String,
}

async fn purge_page_cache(state: Data<AdminState>, brand: Path<String>, form: Form<Purge>) -> HttpResponse {
    let tag = Some(form.tag.as_str()).filter(|tag| !tag.is_empty());
    let done = page_cache::purge(&state, &brand, tag).await;
    or_error_page(&state, done.map(|()| redirect_to(&format!("/brands/{brand}#cache"))))
}

async fn act_on_job(state: Data<AdminState>, at: Path<(String, i64, jobs::Action)>) -> HttpResponse {
    let done = jobs::act(&state, &at.0, at.1, at.2).await;
    or_error_page(&state, done.map(|()| redirect_to(&format!("/brands/{}/jobs", at.0))))
}

async fn run_schedule(state: Data<AdminState>, at: Path<(String, String)>) -> HttpResponse {
    let done = schedules::run(&state, &at.0, &at.1).await;
    or_error_page(&state, done.map(|_| redirect_to(&format!("/brands/{}/jobs", at.0))))
}

async fn act_on_queued(state: Data<AdminState>, at: Path<(String, String, jobs::Action)>) -> HttpResponse {
    let done = queue::act(&state, &at.0, &at.1, at.2).await;
    or_error_page(&state, done.map(|()| redirect_to(&format!("/brands/{}/jobs", at.0))))
}

async fn act_on_parked_queued(state: Data<AdminState>, at: Path<(String, jobs::Action)>) -> HttpResponse {
    let done = queue::act_on_parked(&state, &at.0, at.1).await;
    or_error_page(&state, done.map(|_| redirect_to(&format!("/brands/{}/jobs", at.0))))
}

async fn act_on_parked(state: Data<AdminState>, at: Path<(String, jobs::Action)>) -> HttpResponse {
    let done = jobs::act_on_parked(&state, &at.0, at.1).await;
    or_error_page(&state, done.map(|_| redirect_to(&format!("/brands/{}/jobs", at.0))))
}
