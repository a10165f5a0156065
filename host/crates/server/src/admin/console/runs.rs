//! The list of a brand's runs, and one run.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use serde_json::{Value, json};

use sluice_runs::execution_log::Execution;
use sluice_sandbox::tier::Tier;
use sluice_site::Brand;
use sluice_site::table::url_path;

use super::frame::{Section, render_of};
use super::{or_error_page, reloads};
use crate::admin::error::AdminError;
use crate::admin::flash::Said;
use crate::admin::views::range::Range;
use crate::admin::views::{failures, find_brand, find_page, pages, runs};
use crate::admin::{AdminState, phases};

/// Runs on one page of the list.
const RUNS: u32 = 25;

pub(super) async fn runs(
    state: Data<AdminState>,
    brand: Path<String>,
    query: Query<runs::Query>,
    range: Query<Range>,
) -> HttpResponse {
    or_error_page(&state, list(&state, &brand, query.into_inner(), *range).await)
}

async fn list(
    state: &AdminState,
    brand: &str,
    mut query: runs::Query,
    range: Range,
) -> Result<HttpResponse, AdminError> {
    query.limit = Some(RUNS);
    query.within = range.is_given().then(|| range.exact());
    // A filter that cannot match is said beside the form, which keeps it.
    let (found, wrong) = match runs::search(state, brand, &query).await {
        Ok(found) => (found, None),
        Err(error @ AdminError::InvalidRequest(_)) => (runs::Found::default(), Some(error)),
        Err(error) => return Err(error),
    };
    let of_brand = find_brand(state, brand)?;
    let chosen =
        |value: &str, asked: Option<&str>| json!({ "value": value, "is_chosen": asked == Some(value) });
    let choices = |values: &[String]| -> Vec<Value> {
        values.iter().map(|value| chosen(value, query.page.as_deref())).collect()
    };
    let outcomes = runs::OUTCOMES.map(|outcome| chosen(outcome, query.outcome.as_deref()));
    let shown = range.exact_view();
    let range_fields = if range.is_given() { shown.fields() } else { Vec::new() };
    let view = json!({
        "title": "Runs", "of_page": query.page, "runs": found.runs, "paths": choices(&paths(&of_brand)), "modules": choices(&modules(&of_brand)),
        "outcomes": outcomes, "only_failed": query.only_failed(), "status": query.status,
        "text": query.text, "older": found.next, "asked": query.asked(), "scanned": found.scanned,
        "before": query.before, "wrong": wrong.as_ref().map(AdminError::to_string), "is_live": query.before.is_none(),
        "range_keep": query.fields(), "range_fields": range_fields, "is_all": !range.is_given(), "has_all": true,
    });
    let mut response = render_of(state, brand, ("runs", Section::Runs), shown, view)?;
    if let Some(error) = wrong {
        *response.status_mut() = error.status();
    }
    Ok(response)
}

fn paths(brand: &Brand) -> Vec<String> {
    let mut paths: Vec<String> = brand.pages.pages().map(|page| page.route.clone()).collect();
    paths.sort_unstable();
    paths
}

/// The modules whose functions can be jobs.
fn modules(brand: &Brand) -> Vec<String> {
    brand.jobs.modules().map(|module| format!("modules/{module}")).collect()
}

pub(super) async fn run(
    state: Data<AdminState>,
    at: Path<(String, i64)>,
    range: Query<Range>,
    said: Said,
) -> HttpResponse {
    or_error_page(&state, show(&state, &at.0, at.1, (*range, said)).await)
}

async fn show(
    state: &AdminState,
    brand: &str,
    id: i64,
    (range, said): (Range, Said),
) -> Result<HttpResponse, AdminError> {
    let run = runs::find(state, brand, id).await?;
    let of_brand = find_brand(state, brand)?;
    let path = run.page.strip_prefix("pages/").map(url_path).unwrap_or_default();
    let is_there = find_page(&of_brand, &path).is_ok();
    let source = runs::source(&of_brand, &run);
    let kind = failures::kind_of(state, &run).await?;
    let last_ms = kind.map_or(run.at_ms, |kind| kind.last_ms);
    let here = format!("/brands/{brand}/runs/{id}?{}", range.view().query());
    let mark = super::failures::of_run(failures::mark_of(state, &run, last_ms).await?, &here);
    let others = failures::like(state, &run).await?;
    let module = pages::is_of_jobs(&run.page).then(|| run.page.clone());
    let view = json!({
        "title": title(&run), "path": is_there.then_some(path), "module": module, "source": source, "others": others,
        "kind": kind, "failure": mark, "done": said.0, "ago_ms": reloads::ago(run.at_ms), "phases": phases::of(&run),
        "is_compiled": run.tier == Tier::Compiled.name(), "run": run,
    });
    render_of(state, brand, ("run", Section::Runs), range.view(), view)
}

fn title(run: &Execution) -> String {
    format!("Run {} of {} {}", run.id, run.method, run.path)
}
