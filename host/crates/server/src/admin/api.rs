//! The JSON API, described in `docs/admin-api.md`.

use actix_web::web::{self, Data, Json, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use sluice_app::reload::{ReloadCause, reload_and_log};

use super::AdminState;
use super::changes::{note, operator};
use super::error::AdminError;
use super::views::failures::Kinds;
use super::views::limits::PageLimits;
use super::views::range::Range;
use super::views::table_order::Order;
use super::views::{
    calls, changes, changes_csv, crm, crm_csv, crm_edit, jobs, limits, marks, overview, page_cache, pages,
    queue, runs, schedules, search,
};

/// Adds the routes of the API.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/overview", web::get().to(get_overview))
        .route("/api/brands/{brand}/pages", web::get().to(get_pages))
        .route("/api/brands/{brand}/page", web::get().to(get_page))
        .route("/api/brands/{brand}/runs", web::get().to(get_runs))
        .route("/api/brands/{brand}/runs/{id}", web::get().to(get_run))
        .route("/api/brands/{brand}/crm", web::get().to(get_entities))
        .route("/api/brands/{brand}/crm/{entity}", web::get().to(get_entries))
        .route("/api/brands/{brand}/crm/{entity}", web::post().to(post_entry))
        .route("/api/brands/{brand}/crm/{entity}/entries.csv", web::get().to(get_csv))
        .route("/api/brands/{brand}/crm/{entity}/entries.csv", web::post().to(post_csv))
        .route("/api/brands/{brand}/crm/{entity}/{entry}", web::get().to(get_entry))
        .route("/api/brands/{brand}/crm/{entity}/{entry}", web::patch().to(patch_entry))
        .route("/api/brands/{brand}/crm/{entity}/{entry}", web::delete().to(delete_entry))
        .route("/api/brands/{brand}/schedules", web::get().to(get_schedules))
        .route("/api/brands/{brand}/schedules/{name}/run", web::post().to(post_schedule))
        .route("/api/brands/{brand}/queue", web::get().to(get_queue))
        .route("/api/brands/{brand}/queue/parked/{action}", web::post().to(post_parked_queued))
        .route("/api/brands/{brand}/queue/{id}/{action}", web::post().to(post_queued))
        .route("/api/brands/{brand}/jobs", web::get().to(get_jobs))
        .route("/api/brands/{brand}/jobs/parked/{action}", web::post().to(post_parked))
        .route("/api/brands/{brand}/jobs/{id}/{action}", web::post().to(post_job))
        .route("/api/brands/{brand}/calls", web::get().to(get_calls))
        .route("/api/brands/{brand}/page-cache", web::get().to(get_page_cache))
        .route("/api/brands/{brand}/page-cache/purge", web::post().to(post_purge))
        .route("/api/brands/{brand}/failures/marks", web::get().to(get_marks))
        .route("/api/brands/{brand}/failures/{failure}/{action}", web::post().to(post_failure))
        .route("/api/brands/{brand}/limits", web::get().to(get_limits))
        .route("/api/brands/{brand}/limits", web::put().to(put_limit))
        .route("/api/changes", web::get().to(get_changes))
        .route("/api/changes.csv", web::get().to(get_changes_csv))
        .route("/api/search", web::get().to(get_search))
        .route("/api/reload", web::post().to(post_reload));
}

/// `?path=/weight/checkin`
#[derive(Deserialize)]
struct PageQuery {
    path: String,
}

async fn get_overview(
    state: Data<AdminState>,
    range: Query<Range>,
    kinds: Query<Kinds>,
) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(overview::view(&state, *range, *kinds).await?))
}

async fn get_changes(
    state: Data<AdminState>,
    query: Query<changes::Query>,
    range: Query<Range>,
) -> Result<HttpResponse, AdminError> {
    let query = query.into_inner().within(*range);
    Ok(HttpResponse::Ok().json(changes::list(&state, &query).await?.0))
}

async fn get_changes_csv(
    state: Data<AdminState>,
    query: Query<changes::Query>,
    range: Query<Range>,
) -> Result<HttpResponse, AdminError> {
    changes_csv::export(&state, &query.into_inner().within(*range)).await
}

async fn get_search(
    state: Data<AdminState>,
    query: Query<search::Query>,
    range: Query<Range>,
) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(search::search(&state, &query, *range).await?))
}

async fn get_calls(
    state: Data<AdminState>,
    brand: Path<String>,
    range: Query<Range>,
    order: Query<Order>,
) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(calls::list(&state, &brand, *range, &order).await?))
}

async fn get_pages(
    state: Data<AdminState>,
    brand: Path<String>,
    range: Query<Range>,
) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(pages::list(&state, &brand, *range).await?))
}

async fn get_page(
    state: Data<AdminState>,
    brand: Path<String>,
    page: Query<PageQuery>,
    range: Query<Range>,
) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(pages::find(&state, &brand, &page.path, *range).await?))
}

async fn get_runs(
    state: Data<AdminState>,
    brand: Path<String>,
    query: Query<runs::Query>,
    range: Query<Range>,
) -> Result<HttpResponse, AdminError> {
    let mut query = query.into_inner();
    query.within = range.is_given().then(|| range.exact());
    Ok(HttpResponse::Ok().json(runs::search(&state, &brand, &query).await?.runs))
}

async fn get_run(state: Data<AdminState>, at: Path<(String, i64)>) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(runs::find(&state, &at.0, at.1).await?))
}

async fn get_entities(state: Data<AdminState>, brand: Path<String>) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(crm::entities(&state, &brand).await?))
}

async fn get_entries(
    state: Data<AdminState>,
    at: Path<(String, String)>,
    query: Query<crm::Query>,
) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(crm::entries(&state, &at.0, &at.1, &query).await?))
}

async fn get_entry(
    state: Data<AdminState>,
    at: Path<(String, String, String)>,
) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(crm::find_entry(&state, &at.0, &at.1, &at.2).await?))
}

/// `{"reference_type": "customer", "reference_id": "7", "values": {"name": "Ann"}, "stage": "sales/new"}`
async fn post_entry(
    state: Data<AdminState>,
    at: Path<(String, String)>,
    new: Json<crm_edit::New>,
) -> Result<HttpResponse, AdminError> {
    let id = crm_edit::create(&state, &at.0, &at.1, &new).await?.to_string();
    Ok(HttpResponse::Created().json(crm::find_entry(&state, &at.0, &at.1, &id).await?))
}

/// `{"values": {"name": "Ann", "note": null}, "stage": "sales/won", "if_updated_at": "…"}`
async fn patch_entry(
    state: Data<AdminState>,
    at: Path<(String, String, String)>,
    change: Json<crm_edit::Change>,
) -> Result<HttpResponse, AdminError> {
    crm_edit::change(&state, &at.0, &at.1, &at.2, &change).await?;
    Ok(HttpResponse::Ok().json(crm::find_entry(&state, &at.0, &at.1, &at.2).await?))
}

async fn delete_entry(
    state: Data<AdminState>,
    at: Path<(String, String, String)>,
) -> Result<HttpResponse, AdminError> {
    let id = crm_edit::delete(&state, &at.0, &at.1, &at.2).await?;
    Ok(HttpResponse::Ok().json(json!({ "id": id.to_string() })))
}

async fn get_csv(state: Data<AdminState>, at: Path<(String, String)>) -> Result<HttpResponse, AdminError> {
    crm_csv::export(&state, &at.0, &at.1).await
}

async fn post_csv(
    state: Data<AdminState>,
    at: Path<(String, String)>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, AdminError> {
    let done = crm_csv::import(&state, &at.0, &at.1, request.headers(), payload).await?;
    Ok(HttpResponse::Ok().json(done))
}

async fn get_jobs(state: Data<AdminState>, brand: Path<String>) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(jobs::list(&state, &brand).await?))
}

async fn post_job(
    state: Data<AdminState>,
    at: Path<(String, i64, jobs::Action)>,
) -> Result<HttpResponse, AdminError> {
    jobs::act(&state, &at.0, at.1, at.2).await?;
    Ok(HttpResponse::Ok().json(json!({ "jobs": 1 })))
}

async fn post_parked(
    state: Data<AdminState>,
    at: Path<(String, jobs::Action)>,
) -> Result<HttpResponse, AdminError> {
    let count = jobs::act_on_parked(&state, &at.0, at.1).await?;
    Ok(HttpResponse::Ok().json(json!({ "jobs": count })))
}

async fn get_queue(state: Data<AdminState>, brand: Path<String>) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(queue::list(&state, &brand).await?))
}

async fn get_schedules(state: Data<AdminState>, brand: Path<String>) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(schedules::list(&state, &brand).await?))
}

async fn post_schedule(
    state: Data<AdminState>,
    at: Path<(String, String)>,
) -> Result<HttpResponse, AdminError> {
    let id = schedules::run(&state, &at.0, &at.1).await?;
    Ok(HttpResponse::Ok().json(json!({ "job": id })))
}

async fn post_queued(
    state: Data<AdminState>,
    at: Path<(String, String, jobs::Action)>,
) -> Result<HttpResponse, AdminError> {
    queue::act(&state, &at.0, &at.1, at.2).await?;
    Ok(HttpResponse::Ok().json(json!({ "jobs": 1 })))
}

async fn post_parked_queued(
    state: Data<AdminState>,
    at: Path<(String, jobs::Action)>,
) -> Result<HttpResponse, AdminError> {
    let count = queue::act_on_parked(&state, &at.0, at.1).await?;
    Ok(HttpResponse::Ok().json(json!({ "jobs": count })))
}

async fn get_page_cache(state: Data<AdminState>, brand: Path<String>) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(page_cache::view(&state, &brand)?))
}

/// `{"tag": "posts"}`; `{}` drops all answers of the brand.
async fn post_purge(
    state: Data<AdminState>,
    brand: Path<String>,
    asked: Json<Value>,
) -> Result<HttpResponse, AdminError> {
    let tag = match asked.get("tag") {
        None | Some(Value::Null) => None,
        Some(Value::String(tag)) => Some(tag.as_str()),
        Some(_) => return Err(AdminError::NotAString("tag")),
    };
    page_cache::purge(&state, &brand, tag).await?;
    Ok(HttpResponse::Ok().json(json!({ "tag": tag })))
}

async fn get_marks(state: Data<AdminState>, brand: Path<String>) -> Result<HttpResponse, AdminError> {
    Ok(HttpResponse::Ok().json(marks::list(&state, &brand).await?))
}

/// `?for=7d`
async fn post_failure(
    state: Data<AdminState>,
    at: Path<(String, String, marks::Action)>,
    length: Query<marks::Length>,
    request: HttpRequest,
) -> Result<HttpResponse, AdminError> {
    marks::act(&state, (&at.0, &at.1), (at.2, &length), operator(&request)).await?;
    Ok(HttpResponse::Ok().json(json!({ "kind": at.1 })))
}

async fn get_limits(
    state: Data<AdminState>,
    brand: Path<String>,
    page: Query<PageQuery>,
) -> Result<HttpResponse, AdminError> {
    let PageLimits { rows, version } = limits::of_page(&state, &brand, &page.path)?;
    Ok(HttpResponse::Ok().insert_header(("etag", format!("\"{version}\""))).json(rows))
}

/// `{"page": "/weight/checkin", "limit": "fuel", "value": 250000000}`, or `null` to remove the limit, with the `ETag` of the limits in
/// `If-Match` if the client has seen them.
async fn put_limit(
    state: Data<AdminState>,
    brand: Path<String>,
    change: Json<Value>,
    request: HttpRequest,
) -> Result<HttpResponse, AdminError> {
    let seen = request.headers().get("if-match").filter(|seen| *seen != "*");
    // A value that is not text is no version, either.
    let seen = seen.map(|seen| seen.to_str().unwrap_or_default().trim_matches('"').to_owned());
    let text = |name: &'static str| {
        change.get(name).and_then(Value::as_str).map(str::to_owned).ok_or(AdminError::NotAString(name))
    };
    let value = match change.get("value") {
        Some(Value::Null) => None,
        value => Some(value.and_then(Value::as_u64).ok_or(AdminError::NotANumber)?),
    };
    let change = limits::Change {
        page: text("page")?,
        limit: text("limit")?,
        value: value.map(|value| value.to_string()).unwrap_or_default(),
        seen,
        act: value.is_none().then(|| "unset".to_owned()),
        ..limits::Change::default()
    };
    let value = limits::apply(&state, &brand, &change).await?;
    Ok(HttpResponse::Ok().json(json!({ "page": change.page, "limit": change.limit, "value": value })))
}

/// Reloads the site from its files. The report lists what could not be reloaded.
async fn post_reload(state: Data<AdminState>) -> Result<HttpResponse, AdminError> {
    let report = reload_and_log(&state.app, ReloadCause::Files).await?;
    if !report.problems.is_empty() {
        note(|note| note.item = format!("parts that cannot be loaded: {}", report.problems.len()));
    }
    Ok(HttpResponse::Ok().json(report))
}
