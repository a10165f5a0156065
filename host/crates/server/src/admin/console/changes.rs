//! The pages that say who changed what: of the whole host, and of a brand.

use actix_web::web::{self, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use sluice_site::table::url_path;

use super::frame::{Section, render_of};
use super::{or_error_page, reloads, render};
use crate::admin::AdminState;
use crate::admin::changes::operator;
use crate::admin::error::AdminError;
use crate::admin::templates::encode_query;
use crate::admin::views;
use crate::admin::views::brand_state::Reason;
use crate::admin::views::changes::{self, ChangeView, GROUPS, OUTCOMES};
use crate::admin::views::changes_csv;
use crate::admin::views::range::Range;

/// Brands to choose from.
const BRANDS_MAX: usize = 100;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/changes", web::get().to(of_host))
        .route("/changes.csv", web::get().to(csv_of_host))
        .route("/brands/{brand}/changes.csv", web::get().to(csv_of_brand))
        .route("/brands/{brand}/changes", web::get().to(of_brand));
}

async fn of_host(
    state: Data<AdminState>,
    query: Query<changes::Query>,
    range: Query<Range>,
    request: HttpRequest,
) -> HttpResponse {
    let page = async {
        let query = query.into_inner().within(*range);
        let mut view = view(&state, &query, "/changes", (*range, &request)).await?;
        let live = state.app.live();
        let brands =
            live.site.brands().take(BRANDS_MAX).map(|brand| choice(&brand.id, &brand.id, &query.brand));
        let of_host = json!({
            "title": "Changes", "brands": brands.collect::<Vec<_>>(), "is_changes": true, "range": range.view_of_any_length(),
        });
        merge(&mut view, of_host);
        render(&state, "changes", &view)
    };
    or_error_page(&state, page.await)
}

async fn of_brand(
    state: Data<AdminState>,
    brand: Path<String>,
    query: Query<changes::Query>,
    range: Query<Range>,
    request: HttpRequest,
) -> HttpResponse {
    let page = async {
        let mut query = query.into_inner().within(*range);
        query.brand = Some(brand.clone());
        let address = format!("/brands/{}/changes", encode_query(&brand));
        let mut view = view(&state, &query, &address, (*range, &request)).await?;
        merge(&mut view, json!({ "title": format!("Changes of {}", *brand) }));
        render_of(&state, &brand, ("changes", Section::Changes), range.view_of_any_length(), view)
    };
    or_error_page(&state, page.await)
}

async fn csv_of_host(
    state: Data<AdminState>,
    query: Query<changes::Query>,
    range: Query<Range>,
) -> HttpResponse {
    or_error_page(&state, changes_csv::export(&state, &query.into_inner().within(*range)).await)
}

async fn csv_of_brand(
    state: Data<AdminState>,
    brand: Path<String>,
    query: Query<changes::Query>,
    range: Query<Range>,
) -> HttpResponse {
    let mut query = query.into_inner().within(*range);
    query.brand = Some(brand.into_inner());
    or_error_page(&state, changes_csv::export(&state, &query).await)
}

fn merge(view: &mut Value, more: Value) {
    if let (Value::Object(view), Value::Object(more)) = (view, more) {
        view.extend(more);
    }
}

async fn view(
    state: &AdminState,
    query: &changes::Query,
    address: &str,
    (range, request): (Range, &HttpRequest),
) -> Result<Value, AdminError> {
    let (changes, older) = changes::list(state, query).await?;
    let groups = GROUPS.map(|(value, label)| choice(value, label, &query.action));
    let outcomes = OUTCOMES.map(|outcome| choice(outcome, outcome, &query.outcome));
    let is_of_host = address == "/changes";
    let given = query.given(is_of_host);
    let part = |(name, value): &(&str, &str)| format!("{name}={}&", encode_query(value));
    let asked: String = given.iter().map(part).collect();
    let asked_of_any: String = given.iter().filter(|(name, _)| *name != "operator").map(part).collect();
    let fields = views::fields(given);
    let shown = range.view_of_any_length();
    let reload = reloads::changed(state, query.brand.as_deref().filter(|_| !is_of_host));
    // What is asked for is kept by the links, and the range by the form.
    let (range_query, range_fields) = match range.is_given() {
        true => (format!("{}&", shown.query()), shown.fields()),
        false => (String::new(), Vec::new()),
    };
    let rows: Vec<Value> = changes.iter().map(|change| row(change, range)).collect();
    Ok(json!({
        "rows": rows, "older": older, "address": address, "groups": groups, "outcomes": outcomes, "asked": asked,
        "asked_of_any": asked_of_any,
        "by_operator": query.operator, "of_target": query.target, "me": operator(request), "is_of_host": is_of_host,
        "reload": reload, "text": query.text, "range_query": range_query, "range_fields": range_fields, "range_keep": fields,
        "is_all": !range.is_given(), "has_all": true, "is_filtered": !asked.is_empty() || range.is_given(),
    }))
}

fn choice(value: &str, label: &str, asked: &Option<String>) -> Value {
    json!({ "value": value, "label": label, "is_chosen": asked.as_deref() == Some(value) })
}

/// A change, with the address of the page about what was changed.
fn row(change: &ChangeView, range: Range) -> Value {
    let link = change.brand.as_ref().and_then(|brand| link(change, brand, range));
    let is_value = !change.was.is_empty() || !change.becomes.is_empty();
    json!({
        "change": change, "link": link, "is_refused": change.outcome != "done",
        "why": (!change.said.is_empty()).then(|| Reason::from(change.said.as_str())),
        "values": is_value.then(|| json!({
            "was": change.value(&change.was), "becomes": change.value(&change.becomes),
            "is_exact": change.value(&change.was) != change.was || change.value(&change.becomes) != change.becomes,
        })),
    })
}

fn link(change: &ChangeView, brand: &str, range: Range) -> Option<String> {
    let (brand, target) = (encode_query(brand), encode_query(&change.target));
    let range = range.view();
    let range = range.query();
    let (group, verb) = change.action.split_once('.')?;
    match group {
        "limit" => {
            Some(format!("/brands/{brand}/page?path={target}&{range}#limit-{}", encode_query(&change.item)))
        }
        // An entry that is deleted has no page.
        "entry" if verb != "delete" => Some(format!("/brands/{brand}/crm/{target}?{range}")),
        "failure" => {
            let page = change.target.strip_prefix("pages/").map(url_path);
            let page = page.map_or(target, |path| encode_query(&path));
            Some(format!("/brands/{brand}/runs?page={page}&failed=true&{range}"))
        }
        "job" | "write" | "schedule" => Some(format!("/brands/{brand}/jobs?{range}")),
        _ => None,
    }
}
