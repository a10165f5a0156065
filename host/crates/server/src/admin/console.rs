//! The console: pages that the server renders and that work without JavaScript. Every page renders
//! data that the API also returns as JSON.

mod calls;
mod changes;
mod crm;
mod failures;
mod frame;
mod jobs;
mod limits;
mod page;
mod reloads;
mod runs;
mod search;

use actix_web::error::InternalError;
use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Data, Form, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use sluice_app::request::Client;
use sluice_kit::clock::now_ms;

use self::frame::{Section, render_of};
use super::AdminState;
use super::changes::{note, note_refusal};
use super::charts::{self, Span};
use super::console_cookie::{console_session, session_cookie};
use super::error::AdminError;
use super::flash::{Operator, Said};
use super::own_address::own_address;
use super::throttle::Attempt;
use super::token::session_name;
use super::views::brand_state::Reason;
use super::views::failures::Kinds;
use super::views::range::Range;
use super::views::table_order::Order;
use super::views::{overview, page_cache, pages};
use super::who::Who;

const CSS: &str = include_str!("console/console.css");
const JS: &str = include_str!("console/console.js");
const CHARTS_JS: &str = include_str!("console/charts.js");
/// uPlot 1.6.32 as published. Its licence is in the same folder.
const UPLOT_JS: &str = include_str!("console/uplot/uPlot.iife.min.js");
const UPLOT_CSS: &str = include_str!("console/uplot/uPlot.min.css");
const ICON: &str = include_str!("console/icon.svg");

/// Adds the routes of the console and its assets.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(overview))
        .route("/search", web::get().to(search::show))
        .route("/login", web::get().to(login_page))
        .route("/login", web::post().to(log_in))
        .route("/logout", web::post().to(log_out))
        .route("/brands/{brand}", web::get().to(pages))
        .route("/brands/{brand}/page", web::get().to(page::page))
        .route("/brands/{brand}/calls", web::get().to(calls::show))
        .configure(changes::routes)
        .configure(failures::routes)
        .configure(limits::routes)
        .route("/brands/{brand}/runs", web::get().to(runs::runs))
        .route("/brands/{brand}/runs/{id}", web::get().to(runs::run))
        .configure(crm::routes)
        .configure(jobs::routes)
        .route("/brands/{brand}/page-cache/purge", web::post().to(purge_page_cache))
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
        note_refusal(&error.without_values());
        let status = error.status();
        let view =
            json!({ "title": error.title(), "reason": Reason::from(sentence(&error.to_string()).as_str()) });
        let mut response = render(state, "problem", &view).unwrap_or_else(|error| {
            tracing::error!(%error, "the console's error page cannot be rendered");
            HttpResponse::InternalServerError().finish()
        });
        *response.status_mut() = status;
        response
    })
}

/// `text` with a capital letter, if it begins with words. Names, paths and settings stay as they are.
fn sentence(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    let follows = text.get(first.len()..).unwrap_or_default().trim_start();
    let is_word = !first.is_empty() && first.bytes().all(|b| b.is_ascii_lowercase());
    match is_word && follows.starts_with(|c: char| c.is_alphabetic()) {
        true => text.get(..1).unwrap_or_default().to_uppercase() + text.get(1..).unwrap_or_default(),
        false => text.to_owned(),
    }
}

/// A page with what depends on the operator.
#[derive(Serialize)]
struct Shown<'a, V> {
    #[serde(flatten)]
    view: &'a V,
    /// The name of the operator. None for the token that operators share.
    who_name: Option<&'a str>,
    /// Forms are shown only to those who may send them.
    can_change: bool,
}

fn render(state: &AdminState, template: &str, view: &impl Serialize) -> Result<HttpResponse, AdminError> {
    let who = Who::asking().unwrap_or_default();
    let shown = Shown { view, who_name: who.name.as_deref(), can_change: who.may_change() };
    let html = state.templates.render(template, &shown)?;
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html))
}

/// Sends the browser to `address` after a form was processed.
fn redirect_to(address: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, address)).finish()
}

/// Whether the answer at a path is read by programs. The script of the console asks for previews.
fn is_for_programs(path: &str) -> bool {
    path.starts_with("/api/") || path.ends_with("/limits/preview")
}

/// The response to a request that an extractor of actix rejects: a page of the console, or JSON for programs.
pub(crate) fn rejected(error: impl Into<AdminError>, request: &HttpRequest) -> actix_web::Error {
    let error = error.into();
    let state = request.app_data::<Data<AdminState>>().filter(|_| !is_for_programs(request.path()));
    match state {
        Some(state) => {
            let said = error.to_string();
            InternalError::from_response(said, or_error_page(state, Err(error))).into()
        }
        None => error.into(),
    }
}

/// The response to every path that has no route.
pub(crate) async fn not_found(state: Data<AdminState>, request: HttpRequest) -> HttpResponse {
    if is_for_programs(request.path()) {
        return actix_web::ResponseError::error_response(&AdminError::NoSuchAddress);
    }
    or_error_page(&state, Err(AdminError::NoConsolePage(request.path().to_owned())))
}

#[derive(Deserialize)]
struct Login {
    token: String,
    /// The page for which the operator logs in.
    next: Option<String>,
}

/// `?next=/brands/shop`
#[derive(Deserialize)]
struct Next {
    next: Option<String>,
}

impl Next {
    /// The address, if it is one of the console.
    fn own(&self) -> Option<&str> {
        self.next.as_deref().filter(|next| own_address(next))
    }
}

async fn login_page(state: Data<AdminState>, next: Query<Next>) -> HttpResponse {
    or_error_page(&state, render(&state, "login", &json!({ "title": "Log in", "next": next.own() })))
}

async fn log_in(state: Data<AdminState>, request: HttpRequest, form: Form<Login>) -> HttpResponse {
    let Login { token, next } = form.into_inner();
    let next = Next { next };
    let (status, wait_seconds) = match state.attempt(&request, token.trim()) {
        Ok(who) => return logged_in(&state, &request, &who, next.own().unwrap_or("/")),
        Err(Attempt::Throttled { seconds }) => (StatusCode::TOO_MANY_REQUESTS, Some(seconds)),
        Err(_) => (StatusCode::UNAUTHORIZED, None),
    };
    let view = json!({
        "title": "Log in", "wrong": wait_seconds.is_none(), "wait_seconds": wait_seconds, "next": next.own(),
    });
    let mut response = or_error_page(&state, render(&state, "login", &view));
    *response.status_mut() = status;
    if let Some(seconds) = wait_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    }
    response
}

/// Begins a console session, and leads to the address `next`.
fn logged_in(state: &AdminState, request: &HttpRequest, who: &Who, next: &str) -> HttpResponse {
    let session = match state.tokens.session(who, now_ms() / 1_000) {
        Ok(session) => session,
        Err(error) => return or_error_page(state, Err(AdminError::Session(error))),
    };
    let cookie = session_cookie(&session, is_https(state, request));
    let operator = who.name.as_deref().map_or_else(|| session_name(&session), str::to_owned);
    note(|note| note.operator = Some(operator));
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, next))
        .insert_header((header::SET_COOKIE, cookie))
        .finish()
}

async fn log_out(state: Data<AdminState>, request: HttpRequest) -> HttpResponse {
    let session = console_session(request.headers());
    let ended = session.map_or(Ok(()), |session| state.tokens.end_session(&session, now_ms() / 1_000));
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

async fn overview(
    state: Data<AdminState>,
    range: Query<Range>,
    kinds: Query<Kinds>,
    said: Said,
) -> HttpResponse {
    let page = async {
        let view = overview::view(&state, *range, *kinds).await?;
        let bounds = range.bounds();
        let marks = reloads::marks(&view.reloads);
        let span = Span { bounds, marks: &marks };
        let by_minute = state.load.in_steps(bounds.0, bounds.1, charts::MINUTE_MS);
        let charts = json!({
            "runs": match range.is_short() && !by_minute.is_empty() {
                true => charts::runs_by_minute(&by_minute, span),
                false => charts::runs(&view.history, span),
            },
            "latency": charts::latency(&view.history, span),
            "load": charts::load(&state.load.between(bounds.0, bounds.1), span),
        });
        let rows = reloads::with_trends(&view.failure_groups, &view.reloads);
        let loads = reloads::list(&state, &view.reloads);
        let hidden = view.failure_groups_all.saturating_sub(view.failure_groups.len());
        let view = json!({
            "title": "Overview", "is_overview": true, "view": view, "charts": charts, "range": range.view(), "is_live": true,
            "failures": rows, "failures_hidden": hidden, "show_links": failures::show_links(*kinds, view.failure_kinds),
            "done": said.0, "order_query": kinds.queries().0, "show_query": kinds.queries().1, "loads": loads, "states": view.faulty,
            "rows_of_failures": rows.len(), "hosts_more": view.hosts_all.saturating_sub(view.slowest_hosts.len()),
            "hidden_said": view.failure_kinds.hidden(), "is_unknown": reloads::is_unknown(&view.failure_groups),
            "rest": {
                "failures": rest(rows.len(), 5), "brands": rest(view.brands.len(), 5), "close": rest(view.close.len(), 3),
                "heaviest": rest(view.heaviest.len(), 3), "slowest": rest(view.slowest.len(), 3),
            },
            "has_marks": !marks.is_empty(), "kinds": kinds.links(), "last_load": reloads::last_load(&view.reloads),
            "range_keep": failures::fields(*kinds),
            "is_short": range.is_short(),
        });
        render(&state, "overview", &view)
    };
    or_error_page(&state, page.await)
}

/// Which rows of a table with this many are behind a link first: those beyond the tenth, and on a small screen those
/// beyond `small`. The names are classes of the style sheet.
fn rest(rows: usize, small: usize) -> Option<String> {
    let over = |most: usize| format!("over{most}");
    (rows > small).then(|| if rows > 10 { over(small) + " " + &over(10) } else { over(small) })
}

async fn pages(
    state: Data<AdminState>,
    brand: Path<String>,
    range: Query<Range>,
    order: Query<Order>,
    said: Said,
) -> HttpResponse {
    let page = async {
        let (mut rows, jobs) = pages::list_with_jobs(&state, &brand, *range).await?;
        pages::sort(&mut rows, &order);
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| json!({ "row": row, "chart": charts::share_of_quota(row.fuel, row.fuel_quota) }))
            .collect();
        let view = json!({
            "title": "Pages", "rows": rows, "columns": order.headings(&pages::COLUMNS), "is_live": true, "jobs_of_pages": jobs,
            "range_keep": order.fields(), "cache": page_cache::view(&state, &brand)?, "done": said.0,
        });
        render_of(&state, &brand, ("pages", Section::Pages), range.view(), view)
    };
    or_error_page(&state, page.await)
}

/// The form that drops cached answers.
#[derive(Deserialize)]
struct Purge {
    /// All answers of the brand if it is empty.
    #[serde(default)]
    tag: String,
}

async fn purge_page_cache(
    state: Data<AdminState>,
    brand: Path<String>,
    form: Form<Purge>,
    operator: Operator,
) -> HttpResponse {
    let tag = Some(form.tag.as_str()).filter(|tag| !tag.is_empty());
    let done = page_cache::purge(&state, &brand, tag).await;
    let said = match tag {
        Some(tag) => format!("The cached answers with the tag {tag} were dropped."),
        None => "All cached answers were dropped.".to_owned(),
    };
    let address = format!("/brands/{brand}#cache");
    or_error_page(&state, done.map(|()| redirect_to(&state.flashes.address(&operator, &address, &said))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_get_a_capital_letter() {
        for (text, shown) in [
            ("there is no brand x", "There is no brand x"),
            ("/tmp/site/brand.toml: wrong", "/tmp/site/brand.toml: wrong"),
            ("brand.toml: wrong", "brand.toml: wrong"),
            ("fuel = 5: too much", "fuel = 5: too much"),
            ("", ""),
        ] {
            assert_eq!(sentence(text), shown);
        }
    }
}
