//! The console: pages made on the server, usable without a script. Every page
//! draws a view that the API gives as JSON, too.

use actix_web::http::header;
use actix_web::web::{self, Data, Form, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use sluice_kit::clock::now_ms;

use super::access::{session_cookie, shown_session};
use super::error::AdminError;
use super::templates::text;
use super::views::{Since, crm, find_brand, find_page, jobs, limits, overview, pages, runs};
use super::{AdminState, charts};

const CSS: &str = include_str!("console/console.css");
const JS: &str = include_str!("console/console.js");
const CHARTS_JS: &str = include_str!("console/charts.js");
/// uPlot 1.6.32, as it is published; its licence is beside it.
const UPLOT_JS: &str = include_str!("console/uplot/uPlot.iife.min.js");
const UPLOT_CSS: &str = include_str!("console/uplot/uPlot.min.css");
const ICON: &str = include_str!("console/icon.svg");
/// Columns of a table of entries.
const COLUMNS_MAX: usize = 16;
/// Runs on one page of the list.
const RUNS: u32 = 25;

pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(overview))
        .route("/login", web::get().to(login_page))
        .route("/login", web::post().to(log_in))
        .route("/logout", web::post().to(log_out))
        .route("/brands/{brand}", web::get().to(pages))
        .route("/brands/{brand}/page", web::get().to(page))
        .route("/brands/{brand}/runs", web::get().to(runs))
        .route("/brands/{brand}/runs/{id}", web::get().to(run))
        .route("/brands/{brand}/crm", web::get().to(entities))
        .route("/brands/{brand}/crm/{entity}", web::get().to(entity))
        .route("/brands/{brand}/jobs", web::get().to(jobs))
        .route("/brands/{brand}/jobs/parked/{action}", web::post().to(act_on_parked))
        .route("/brands/{brand}/jobs/{id}/{action}", web::post().to(act_on_job))
        .route("/brands/{brand}/limits", web::post().to(set_limit))
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

/// Why a page cannot be shown, as a page.
async fn shown(state: &AdminState, page: Result<HttpResponse, AdminError>) -> HttpResponse {
    page.unwrap_or_else(|error| {
        let status = error.status();
        let view = json!({ "title": "Not shown", "reason": error.to_string() });
        let mut response = draw(state, "problem", &view).unwrap_or_else(|error| {
            tracing::error!(%error, "the console cannot be drawn");
            HttpResponse::InternalServerError().finish()
        });
        *response.status_mut() = status;
        response
    })
}

fn draw(state: &AdminState, template: &str, view: &impl Serialize) -> Result<HttpResponse, AdminError> {
    let html = state.templates.render(template, view)?;
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html))
}

fn see(address: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, address)).finish()
}

pub async fn not_found(state: Data<AdminState>, request: HttpRequest) -> HttpResponse {
    if request.path().starts_with("/api/") {
        return actix_web::ResponseError::error_response(&AdminError::NotFound("such address".into()));
    }
    shown(&state, Err(AdminError::NotFound(format!("page {}", request.path())))).await
}

#[derive(Deserialize)]
struct Login {
    token: String,
}

async fn login_page(state: Data<AdminState>) -> HttpResponse {
    shown(&state, draw(&state, "login", &json!({ "title": "Log in" }))).await
}

async fn log_in(state: Data<AdminState>, form: Form<Login>) -> HttpResponse {
    if !state.token.is(form.token.trim()) {
        tracing::warn!("somebody showed a wrong token to the console");
        let view = json!({ "title": "Log in", "wrong": true });
        let mut response = shown(&state, draw(&state, "login", &view)).await;
        *response.status_mut() = actix_web::http::StatusCode::UNAUTHORIZED;
        return response;
    }
    let cookie = session_cookie(&state.token.session(now_ms() / 1_000));
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, "/"))
        .insert_header((header::SET_COOKIE, cookie))
        .finish()
}

async fn log_out(state: Data<AdminState>, request: HttpRequest) -> HttpResponse {
    if let Some(session) = shown_session(request.headers()) {
        state.token.end_session(session, now_ms() / 1_000);
    }
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, "/login"))
        .insert_header((header::SET_COOKIE, session_cookie("")))
        .finish()
}

async fn overview(state: Data<AdminState>, since: Query<Since>) -> HttpResponse {
    let page = async {
        let view = overview::view(&state, *since).await?;
        let charts = json!({
            "runs": charts::runs(&view.history),
            "latency": charts::latency(&view.history),
        });
        draw(
            &state,
            "overview",
            &json!({ "title": "Overview", "view": view, "charts": charts, "hours": since.hours }),
        )
    };
    shown(&state, page.await).await
}

async fn pages(state: Data<AdminState>, brand: Path<String>, since: Query<Since>) -> HttpResponse {
    let page = async {
        let rows = pages::list(&state, &brand, *since).await?;
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| json!({ "row": row, "chart": charts::share_of_quota(row.fuel, row.fuel_quota) }))
            .collect();
        let view = json!({ "title": "Pages", "brand": *brand, "section_pages": true, "rows": rows, "hours": since.hours });
        draw(&state, "pages", &view)
    };
    shown(&state, page.await).await
}

/// `?path=/weight/checkin`, and which limit has just been set.
#[derive(Deserialize)]
struct OfPage {
    path: String,
    set: Option<String>,
}

async fn page(
    state: Data<AdminState>,
    brand: Path<String>,
    of: Query<OfPage>,
    since: Query<Since>,
) -> HttpResponse {
    let page = async {
        let detail = pages::find(&state, &brand, &of.path, *since).await?;
        let limits = limits::of_page(&state, &brand, &of.path)?;
        let query = |failed: Option<&str>, limit| runs::Query {
            page: Some(of.path.clone()),
            failed: failed.map(str::to_owned),
            limit: Some(limit),
            ..runs::Query::default()
        };
        let last_failure = runs::list(&state, &brand, &query(Some("true"), 1)).await?.pop();
        let last_runs = runs::list(&state, &brand, &query(None, 10)).await?;
        let charts = json!({
            "fuel": charts::fuel(&detail),
            "time": charts::latency(&detail.history),
            "memory": charts::memory(&detail.history),
            "spread": charts::fuel_spread(&detail),
        });
        let view = json!({
            "title": of.path, "brand": *brand, "section_pages": true, "page": detail, "limits": limits,
            "charts": charts, "last_failure": last_failure, "last_runs": last_runs, "set": of.set,
            "waits_for_reload": limits.iter().any(|row| row.in_force != row.limit.value),
            "hours": since.hours,
        });
        draw(&state, "page", &view)
    };
    shown(&state, page.await).await
}

async fn set_limit(
    state: Data<AdminState>,
    brand: Path<String>,
    change: Form<limits::Change>,
) -> HttpResponse {
    match limits::apply(&state, &brand, &change).await {
        Ok(_) => {
            let path = encode(&change.page);
            see(&format!("/brands/{brand}/page?path={path}&set={}#limits", encode(&change.limit)))
        }
        Err(error) => shown(&state, Err(error)).await,
    }
}

async fn runs(state: Data<AdminState>, brand: Path<String>, query: Query<runs::Query>) -> HttpResponse {
    let page = async {
        let mut query = query.into_inner();
        query.limit = Some(RUNS);
        let list = runs::list(&state, &brand, &query).await?;
        let older = if list.len() == RUNS as usize { list.last().map(|run| run.id) } else { None };
        let found = find_brand(&state, &brand)?;
        let paths = found.pages.pages();
        let mut paths: Vec<Value> = paths
            .map(
                |page| json!({ "path": page.route, "is_chosen": query.page.as_deref() == Some(&page.route) }),
            )
            .collect();
        paths.sort_by_key(|page| page["path"].to_string());
        let view = json!({
            "title": "Runs", "brand": *brand, "section_runs": true, "runs": list, "paths": paths,
            "only_failed": query.only_failed(), "page": query.page, "older": older,
        });
        draw(&state, "runs", &view)
    };
    shown(&state, page.await).await
}

async fn run(state: Data<AdminState>, at: Path<(String, i64)>) -> HttpResponse {
    let page = async {
        let run = runs::find(&state, &at.0, at.1).await?;
        let path = run.page.strip_prefix("pages/").map(sluice_site::table::url_path).unwrap_or_default();
        let is_there = find_page(&*find_brand(&state, &at.0)?, &path).is_ok();
        let view = json!({
            "title": format!("Run {}", run.id), "brand": at.0, "section_runs": true, "run": run,
            "path": is_there.then_some(path),
        });
        draw(&state, "run", &view)
    };
    shown(&state, page.await).await
}

async fn entities(state: Data<AdminState>, brand: Path<String>) -> HttpResponse {
    let page = async {
        let entities = crm::entities(&state, &brand).await?;
        draw(
            &state,
            "crm",
            &json!({ "title": "CRM", "brand": *brand, "section_crm": true, "entities": entities }),
        )
    };
    shown(&state, page.await).await
}

async fn entity(
    state: Data<AdminState>,
    at: Path<(String, String)>,
    query: Query<crm::Query>,
) -> HttpResponse {
    let page = async {
        let (brand, slug) = at.into_inner();
        let entity = crm::entity(&state, &brand, &slug).await?;
        let boards = crm::boards(&state, &brand, &entity).await?;
        let entries = crm::entries(&state, &brand, &slug, &query).await?;
        let columns = columns(&entity, &entries);
        let cells = |entry: &crm::EntryView| -> Vec<String> {
            let values = columns.iter().map(|(key, _)| entry.values.get(key).map(text).unwrap_or_default());
            values.collect()
        };
        let rows: Vec<Value> =
            entries.iter().map(|entry| json!({ "entry": entry, "cells": cells(entry) })).collect();
        let labels: Vec<Value> = columns.iter().map(|(_, label)| json!({ "label": label })).collect();
        let view = json!({
            "title": entity.name, "brand": brand, "section_crm": true, "entity": entity, "boards": boards,
            "columns": labels, "rows": rows, "older": entries.last().filter(|_| entries.len() == crm::ENTRIES as usize).map(|entry| entry.id.clone()),
        });
        draw(&state, "entity", &view)
    };
    shown(&state, page.await).await
}

async fn jobs(state: Data<AdminState>, brand: Path<String>) -> HttpResponse {
    let page = async {
        let jobs = jobs::list(&state, &brand).await?;
        let has_parked = jobs.iter().any(|job| job.is_parked);
        let view = json!({
            "title": "Jobs", "brand": *brand, "section_jobs": true, "jobs": jobs, "has_parked": has_parked,
        });
        draw(&state, "jobs", &view)
    };
    shown(&state, page.await).await
}

async fn act_on_job(state: Data<AdminState>, at: Path<(String, i64, jobs::Action)>) -> HttpResponse {
    let done = jobs::act(&state, &at.0, at.1, at.2).await;
    shown(&state, done.map(|()| see(&format!("/brands/{}/jobs", at.0)))).await
}

async fn act_on_parked(state: Data<AdminState>, at: Path<(String, jobs::Action)>) -> HttpResponse {
    let done = jobs::act_on_parked(&state, &at.0, at.1).await;
    shown(&state, done.map(|_| see(&format!("/brands/{}/jobs", at.0)))).await
}

/// Keys and labels of a table: declared fields first, then what else there is.
fn columns(entity: &crm::EntityView, entries: &[crm::EntryView]) -> Vec<(String, String)> {
    let mut columns: Vec<(String, String)> =
        entity.fields.iter().map(|field| (field.key.clone(), field.label.clone())).collect();
    for key in entries.iter().flat_map(|entry| entry.values.keys()) {
        if !columns.iter().any(|(known, _)| known == key) {
            columns.push((key.clone(), key.clone()));
        }
    }
    columns.truncate(COLUMNS_MAX);
    columns
}

/// For a query string.
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                out.push(byte.into())
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
