//! Which requests the admin listener admits. Each request passes these checks, in this order: the
//! Host (against DNS rebinding), a token of operators or a console session, and, if the request
//! changes something, the Origin and the role of the operator.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpResponse, web};

use sluice_app::request::requested_host;
use sluice_kit::clock::now_ms;

use super::console_cookie::console_session;
use super::error::AdminError;
use super::own_address::own_address;
use super::templates::encode_query;
use super::throttle::Attempt;
use super::who::Who;
use super::{AdminState, changes, console};
use crate::own_host::is_own_host;

/// Paths that need no token: those for probes and collectors, and the login page with its assets.
const OPEN: [&str; 7] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/login",
    "/assets/console.css",
    "/assets/console.js",
    "/assets/icon.svg",
];

const SECURITY_HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// Runs before every handler of the admin listener: rejects the request or passes it on.
pub(crate) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let state = request.app_data::<web::Data<AdminState>>().cloned();
    let rejection = state.as_ref().and_then(|state| check(state, &request));
    let who = Who::of(request.request());
    let mut response = match (rejection, state) {
        (Some(rejection), _) => request.into_response(rejection),
        (None, Some(state)) if is_change(request.method()) => match &who {
            Some(who) if !may_send(who, &request) => refused(&state, request, who).await,
            _ => changes::kept(state, request, next, who).await?,
        },
        (None, _) => Who::answer(who, next.call(request)).await?.map_into_boxed_body(),
    };
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Ok(response)
}

fn is_change(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// Whether an operator may send this request, which changes something. Everybody may log out.
fn may_send(who: &Who, request: &ServiceRequest) -> bool {
    who.may_change() || request.path() == "/logout"
}

/// The response to a request that changes something, from an operator who may only read.
async fn refused(
    state: &web::Data<AdminState>,
    request: ServiceRequest,
    who: &Who,
) -> ServiceResponse<BoxBody> {
    let error = AdminError::ReadOnly { name: who.name.as_deref().unwrap_or_default().to_owned() };
    changes::keep_refused(state, request.request(), error.to_string()).await;
    let page = async { console::rejected(error, request.request()) };
    let error = Who::answer(Some(who.clone()), page).await;
    request.error_response(error)
}

/// Who sends a request.
enum Sender {
    Operator(Who),
    Unknown,
    /// The client has sent too many wrong tokens. It may try again after this many seconds.
    Throttled(u64),
}

/// The response to a request that is rejected, or none if the request is admitted.
fn check(state: &AdminState, request: &ServiceRequest) -> Option<HttpResponse> {
    let headers = request.headers();
    let host = requested_host(request.uri(), headers).unwrap_or_default();
    if !is_own_host(&host, &state.hosts) {
        return Some(rejection(421, "The Host is neither a loopback name nor listed in admin.hosts"));
    }
    let is_open = OPEN.contains(&request.path());
    if !is_open {
        match sender(state, request) {
            Sender::Operator(who) => {
                request.extensions_mut().insert(who);
            }
            Sender::Unknown => return Some(unauthorized(request)),
            Sender::Throttled(seconds) => {
                let mut response =
                    rejection(429, "This client has sent too many wrong tokens: try again later");
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                return Some(response);
            }
        }
    }
    // This includes the login, so that another site cannot log an operator in.
    if is_change(request.method()) && !is_own_origin(headers, &host) {
        if !is_open {
            changes::keep_foreign(state, request.request());
        }
        return Some(rejection(403, "This request comes from another site"));
    }
    None
}

fn sender(state: &AdminState, request: &ServiceRequest) -> Sender {
    let bearer = text(request.headers(), &header::AUTHORIZATION)
        .and_then(|value| value.split_once(' '))
        .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()));
    match bearer {
        Some(token) => match state.attempt(request.request(), token) {
            Ok(who) => Sender::Operator(who),
            Err(Attempt::Throttled { seconds }) => Sender::Throttled(seconds),
            Err(_) => Sender::Unknown,
        },
        None => {
            let session = console_session(request.headers());
            let who = session.and_then(|session| state.tokens.of_session(&session, now_ms() / 1_000));
            who.map_or(Sender::Unknown, Sender::Operator)
        }
    }
}

fn unauthorized(request: &ServiceRequest) -> HttpResponse {
    if request.path().starts_with("/api/") || *request.method() != Method::GET {
        let error = serde_json::json!({ "error": "the operators' token is missing or wrong" });
        return HttpResponse::Unauthorized().insert_header((header::WWW_AUTHENTICATE, "Bearer")).json(error);
    }
    let asked = request.uri().path_and_query().map_or("/", |asked| asked.as_str());
    let next = if asked == "/" || !own_address(asked) {
        String::new()
    } else {
        format!("?next={}", encode_query(asked))
    };
    HttpResponse::SeeOther().insert_header((header::LOCATION, format!("/login{next}"))).finish()
}

fn rejection(status: u16, message: &'static str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default();
    HttpResponse::build(status).json(serde_json::json!({ "error": message }))
}

/// Whether a request that changes something comes from the console or from a client that is not a
/// browser. Browsers send an Origin with every such request; a cookie without an Origin is rejected.
fn is_own_origin(headers: &HeaderMap, host: &str) -> bool {
    match text(headers, &header::ORIGIN) {
        Some(origin) => {
            let own = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            own.is_some_and(|own| own.eq_ignore_ascii_case(host))
        }
        None => !headers.contains_key(header::ORIGIN) && !headers.contains_key(header::COOKIE),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_change_with_foreign_origin_or_cookie_without_origin() {
        let sent = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter();
            let headers: HeaderMap = pairs
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            is_own_origin(&headers, "localhost:9090")
        };
        assert!(sent(&[("origin", "http://localhost:9090"), ("cookie", "a=b")]));
        assert!(sent(&[("origin", "https://localhost:9090")]));
        assert!(sent(&[]));
        assert!(!sent(&[("cookie", "a=b")]), "a cookie without an Origin");
        for origin in ["null", "http://localhost", "http://evil.example", "localhost:9090"] {
            assert!(!sent(&[("origin", origin)]), "{origin}");
        }
    }
}
