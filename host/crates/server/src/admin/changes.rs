//! Who changed what. Every request that may change something passes [`kept`], which stores one line about it in the
//! database, for all hosts: no route has to think of it. A handler only adds what the request alone does not say, with
//! [`note`]. Nothing that is secret is noted: no token, no session, no value of a CRM entry.

use std::cell::RefCell;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, error, rt, web};
use tokio::time::timeout;

use sluice_app::request::Client;
use sluice_kit::clock::now_ms;
use sluice_store::changes::{Class, OperatorChange};

use super::console_cookie::console_session;
use super::token::session_name;
use super::who::Who;
use super::{AdminState, DATABASE_WAIT};

/// A route that changes something: its method, its pattern, and the name of what it does. `{action}` in the name is
/// that of the address.
type Route = (&'static str, &'static str, &'static str);

const ROUTES: [Route; 29] = [
    ("POST", "/login", "login.in"),
    ("POST", "/logout", "login.out"),
    ("POST", "/api/reload", "site.reload"),
    ("PUT", "/api/brands/{brand}/limits", "limit.set"),
    ("POST", "/brands/{brand}/limits", "limit.set"),
    ("POST", "/api/brands/{brand}/failures/{failure}/{action}", "failure.{action}"),
    ("POST", "/brands/{brand}/failures/{failure}/{action}", "failure.{action}"),
    ("POST", "/api/brands/{brand}/page-cache/purge", "cache.purge"),
    ("POST", "/brands/{brand}/page-cache/purge", "cache.purge"),
    ("POST", "/api/brands/{brand}/schedules/{name}/run", "schedule.run"),
    ("POST", "/brands/{brand}/schedules/{name}/run", "schedule.run"),
    ("POST", "/api/brands/{brand}/queue/parked/{action}", "job.{action}"),
    ("POST", "/brands/{brand}/queue/parked/{action}", "job.{action}"),
    ("POST", "/api/brands/{brand}/queue/{id}/{action}", "job.{action}"),
    ("POST", "/brands/{brand}/queue/{id}/{action}", "job.{action}"),
    ("POST", "/api/brands/{brand}/jobs/parked/{action}", "write.{action}"),
    ("POST", "/brands/{brand}/jobs/parked/{action}", "write.{action}"),
    ("POST", "/api/brands/{brand}/jobs/{id}/{action}", "write.{action}"),
    ("POST", "/brands/{brand}/jobs/{id}/{action}", "write.{action}"),
    ("POST", "/brands/{brand}/{kind:jobs|queue}/chosen/{action}", "{kind}.{action}"),
    ("POST", "/api/brands/{brand}/crm/{entity}", "entry.create"),
    ("POST", "/brands/{brand}/crm/{entity}/new", "entry.create"),
    ("PATCH", "/api/brands/{brand}/crm/{entity}/{entry}", "entry.change"),
    ("POST", "/brands/{brand}/crm/{entity}/{entry}", "entry.change"),
    ("DELETE", "/api/brands/{brand}/crm/{entity}/{entry}", "entry.delete"),
    ("POST", "/brands/{brand}/crm/{entity}/{entry}/delete", "entry.delete"),
    ("POST", "/brands/{brand}/crm/{entity}/delete", "entry.delete"),
    ("POST", "/api/brands/{brand}/crm/{entity}/entries.csv", "entry.import"),
    ("POST", "/brands/{brand}/crm/{entity}/entries.csv", "entry.import"),
];

/// The action of a request that no route answers.
const UNKNOWN: &str = "unknown";

/// What a handler adds to the line about its request.
#[derive(Debug, Default)]
pub(crate) struct Note {
    /// Instead of the action of the route.
    pub(crate) action: Option<&'static str>,
    /// Instead of what the address names.
    pub(crate) target: Option<String>,
    pub(crate) item: String,
    pub(crate) was: String,
    pub(crate) becomes: String,
    /// Why the request is refused.
    pub(crate) said: String,
    /// Who has logged in.
    pub(crate) operator: Option<String>,
    /// The request only asks or checks, or would change nothing.
    pub(crate) is_nothing: bool,
}

tokio::task_local! {
    static NOTE: RefCell<Note>;
}

/// Adds to the line about the request that is being answered. Does nothing if the request only reads.
pub(crate) fn note(fill: impl FnOnce(&mut Note)) {
    let _ = NOTE.try_with(|note| note.try_borrow_mut().map(|mut note| fill(&mut note)));
}

/// Notes why the request is refused, if nothing was said about it yet.
pub(crate) fn note_refusal(why: &str) {
    note(|note| {
        if note.said.is_empty() {
            why.clone_into(&mut note.said);
        }
    });
}

/// Answers a request that may change something, and keeps a line about it. Both go on if the client leaves.
pub(crate) async fn kept(
    state: web::Data<AdminState>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    who: Option<Who>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let asked = Asked::of(&state, request.request());
    let answer = async move {
        let answer = Who::answer(who, next.call(request)).await.map(ServiceResponse::map_into_boxed_body);
        let note = NOTE.with(RefCell::take);
        let (status, route) = match &answer {
            Ok(response) => (response.status(), Place::of(response.request())),
            Err(error) => (error.as_response_error().status_code(), Place::default()),
        };
        if let Some(change) = asked.change(route, status, note) {
            keep(&state, change).await;
        }
        answer
    };
    rt::spawn(NOTE.scope(RefCell::default(), answer)).await.map_err(error::ErrorInternalServerError)?
}

/// Stores a line. A database that does not answer does not undo what was done.
async fn keep(state: &AdminState, change: OperatorChange) {
    let OperatorChange { action, brand, target, operator, .. } = change.clone();
    let rows_max = change.class.rows_max();
    let problem = match timeout(DATABASE_WAIT, state.app.store.add_change(change, rows_max)).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the database does not answer in time".to_owned(),
    };
    tracing::warn!(problem, action, brand, target, operator, "a change of an operator could not be kept");
}

/// Keeps a line about wrong tokens of a client: `count` since the last such line.
pub(crate) fn keep_wrong_token(state: &AdminState, request: &HttpRequest, count: u64) {
    let change = OperatorChange {
        at_ms: now_ms(),
        class: Class::Login,
        operator: "unknown".to_owned(),
        client: client(state, request),
        action: "login.in".to_owned(),
        outcome: "refused".to_owned(),
        status: StatusCode::UNAUTHORIZED.as_u16(),
        said: format!("wrong tokens since the last such line, of all clients: {count}"),
        ..OperatorChange::default()
    };
    keep_later(state, change);
}

/// Keeps a line about a request that an operator may not send.
pub(crate) async fn keep_refused(state: &AdminState, request: &HttpRequest, why: String) {
    if let Some(change) = Asked::of(state, request).refused(Place::unrouted(request), why) {
        keep(state, change).await;
    }
}

/// Keeps a line about a request that a page of another site sent in the name of an operator.
pub(crate) fn keep_foreign(state: &AdminState, request: &HttpRequest) {
    let why = "the request came from another site".to_owned();
    if let Some(change) = Asked::of(state, request).refused(Place::default(), why) {
        keep_later(state, change);
    }
}

fn keep_later(state: &AdminState, change: OperatorChange) {
    let store = std::sync::Arc::clone(&state.app.store);
    let rows_max = change.class.rows_max();
    state.app.runtime.spawn(async move {
        if let Err(error) = store.add_change(change, rows_max).await {
            tracing::warn!(%error, "a request that was refused could not be kept");
        }
    });
}

/// What an address names.
#[derive(Debug, Default)]
struct Place {
    pattern: Option<String>,
    /// The names and values in the address.
    parts: Vec<(String, String)>,
}

impl Place {
    fn of(request: &HttpRequest) -> Self {
        let parts = request.match_info().iter();
        Self {
            pattern: request.match_pattern(),
            parts: parts.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    /// The same for a request that no route has answered yet.
    fn unrouted(request: &HttpRequest) -> Self {
        let pattern = request.match_pattern();
        let parts = pattern.as_deref().map(|pattern| parts_of(pattern, request.path())).unwrap_or_default();
        Self { pattern, parts }
    }

    fn part(&self, name: &str) -> Option<&str> {
        self.parts.iter().find(|(part, _)| part == name).map(|(_, value)| value.as_str())
    }

    /// What the address names besides the brand: `leads/0198…`
    fn target(&self) -> String {
        let is_target = |name: &str| !matches!(name, "brand" | "action" | "kind");
        let parts = self.parts.iter().filter(|(name, _)| is_target(name)).map(|(_, value)| value.as_str());
        parts.collect::<Vec<_>>().join("/")
    }

    fn action(&self, method: &Method) -> String {
        let is_it =
            |(of, pattern, _): &&Route| *of == method.as_str() && self.pattern.as_deref() == Some(*pattern);
        let action = ROUTES.iter().find(is_it).map_or(UNKNOWN, |(.., action)| action);
        let kind = match self.part("kind") {
            Some("queue") => "job",
            _ => "write",
        };
        action.replace("{kind}", kind).replace("{action}", self.part("action").unwrap_or_default())
    }
}

/// The names in a pattern with their values in a path: `{brand}` of `/brands/{brand}/limits`.
fn parts_of(pattern: &str, path: &str) -> Vec<(String, String)> {
    let part = |(name, value): (&str, &str)| {
        let name = name.strip_prefix('{')?.strip_suffix('}')?;
        let name = name.split(':').next().unwrap_or_default();
        let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
        Some((name.to_owned(), value.into_owned()))
    };
    pattern.split('/').zip(path.split('/')).filter_map(part).collect()
}

/// A request that may change something.
struct Asked {
    at_ms: i64,
    method: Method,
    path: String,
    operator: String,
    client: String,
}

impl Asked {
    fn of(state: &AdminState, request: &HttpRequest) -> Self {
        Self {
            at_ms: now_ms(),
            method: request.method().clone(),
            path: request.path().to_owned(),
            operator: operator(request),
            client: client(state, request),
        }
    }

    /// The line about a request that no handler gets. It has a class of its own, so that many of them do not replace
    /// the lines about what was changed.
    fn refused(self, place: Place, why: String) -> Option<OperatorChange> {
        let note = Note { said: why, ..Note::default() };
        let change = self.change(place, StatusCode::FORBIDDEN, note)?;
        Some(OperatorChange { class: Class::Refused, ..change })
    }

    /// The line about it. None if it has changed nothing and was not refused.
    fn change(self, place: Place, status: StatusCode, note: Note) -> Option<OperatorChange> {
        let is_refused = status.is_client_error();
        // A form that has done something leads on. One that is shown again asks or complains.
        let is_done = match self.path.starts_with("/api/") {
            true => status.is_success(),
            false => status.is_redirection(),
        };
        let outcome = match () {
            () if is_refused => "refused",
            () if status.is_server_error() => "failed",
            () if is_done && !note.is_nothing => "done",
            () => return None,
        };
        let action = note.action.map_or_else(|| place.action(&self.method), str::to_owned);
        let class = if action.starts_with("login.") { Class::Login } else { Class::Change };
        if class == Class::Login && is_refused {
            // Wrong tokens are kept where they are counted, so that nobody can fill the table with them.
            return None;
        }
        let target = note.target.unwrap_or_else(|| match action == UNKNOWN {
            true => format!("{} {}", self.method, self.path),
            false => place.target(),
        });
        Some(OperatorChange {
            at_ms: self.at_ms,
            took_ms: now_ms().saturating_sub(self.at_ms).max(0),
            class,
            operator: note.operator.unwrap_or(self.operator),
            client: self.client,
            brand: place.part("brand").unwrap_or_default().to_owned(),
            action,
            target,
            item: note.item,
            was: note.was,
            becomes: note.becomes,
            outcome: outcome.to_owned(),
            status: status.as_u16(),
            said: if outcome == "done" { String::new() } else { note.said },
        })
    }
}

/// Who sends a request. Operators who share a token are told apart by their sessions and addresses.
pub(crate) fn operator(request: &HttpRequest) -> String {
    if let Some(name) = Who::of(request).and_then(|who| who.name) {
        return name.to_string();
    }
    let has_token = request.headers().contains_key(header::AUTHORIZATION);
    let session = console_session(request.headers()).filter(|_| !has_token);
    session.map_or_else(|| "token".to_owned(), |session| session_name(&session))
}

fn client(state: &AdminState, request: &HttpRequest) -> String {
    let ip = Client::of(request, &state.app.live().read_rules).ip;
    ip.map(|ip| ip.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(pattern: &str, parts: &[(&str, &str)]) -> Place {
        let parts = parts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Place { pattern: Some(pattern.to_owned()), parts: parts.collect() }
    }

    #[test]
    fn address_names_the_action_and_its_target() {
        let entry = place(
            "/api/brands/{brand}/crm/{entity}/{entry}",
            &[("brand", "shop"), ("entity", "leads"), ("entry", "7")],
        );
        assert_eq!(entry.target(), "leads/7");
        assert_eq!(entry.action(&Method::PATCH), "entry.change");
        assert_eq!(entry.action(&Method::DELETE), "entry.delete");
        assert_eq!(entry.action(&Method::POST), UNKNOWN);
        let chosen = "/brands/{brand}/{kind:jobs|queue}/chosen/{action}";
        let chosen = |kind| place(chosen, &[("brand", "shop"), ("kind", kind), ("action", "drop")]);
        assert_eq!(chosen("queue").action(&Method::POST), "job.drop");
        assert_eq!(chosen("jobs").action(&Method::POST), "write.drop");
        assert_eq!(chosen("jobs").target(), "");
        let parts =
            parts_of("/api/brands/{brand}/{kind:jobs|queue}/{id}/{action}", "/api/brands/a%2Fb/queue/7/drop");
        let unrouted = Place { pattern: None, parts };
        assert_eq!((unrouted.part("brand"), unrouted.part("kind")), (Some("a/b"), Some("queue")));
        assert_eq!(unrouted.target(), "7");
    }

    #[test]
    fn forms_that_ask_are_no_changes_and_those_that_lead_on_are() {
        let outcome = |path: &str, status: u16, is_nothing: bool| {
            let asked = Asked {
                at_ms: 0,
                method: Method::POST,
                path: path.to_owned(),
                operator: String::new(),
                client: String::new(),
            };
            let note = Note { is_nothing, ..Note::default() };
            asked
                .change(Place::default(), StatusCode::from_u16(status).unwrap(), note)
                .map(|change| change.outcome)
        };
        let done = |text: &str| Some(text.to_owned());
        assert_eq!(outcome("/brands/a/limits", 303, false), done("done"));
        assert_eq!(outcome("/brands/a/limits", 303, true), None);
        assert_eq!(outcome("/brands/a/limits", 200, false), None);
        assert_eq!(outcome("/brands/a/limits", 400, true), done("refused"));
        assert_eq!(outcome("/api/reload", 200, false), done("done"));
        assert_eq!(outcome("/api/reload", 503, false), done("failed"));
    }

    #[test]
    fn requests_that_are_not_allowed_replace_no_line_about_a_change() {
        let asked = Asked {
            at_ms: 0,
            method: Method::POST,
            path: "/api/brands/shop/limits".to_owned(),
            operator: "bob".to_owned(),
            client: String::new(),
        };
        let change = asked.refused(Place::default(), "the role of bob is \"read\"".to_owned()).unwrap();
        assert_eq!((change.class, change.outcome.as_str(), change.status), (Class::Refused, "refused", 403));
    }
}
