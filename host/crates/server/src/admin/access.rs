//! Who may ask the admin listener for what. Three checks, in this order: the
//! Host (against DNS rebinding), the token, and for changes the Origin.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};

use sluice_kit::clock::now_ms;

use super::AdminState;
use super::token::SESSION_SECONDS;

/// The console's cookie.
const COOKIE: &str = "sluice_console";
/// Open to whoever reaches the listener: what probes and collectors need, and the
/// page that asks for the token with its style.
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

/// In front of every handler of the admin listener.
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let refusal = request.app_data::<web::Data<AdminState>>().and_then(|state| check(state, &request));
    let mut response = match refusal {
        Some(refusal) => request.into_response(refusal),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Ok(response)
}

/// The answer to a request that may not pass.
fn check(state: &AdminState, request: &ServiceRequest) -> Option<HttpResponse> {
    let headers = request.headers();
    let host = text(headers, &header::HOST).unwrap_or_default();
    if !is_own_host(host, &state.hosts) {
        return Some(refused(421, "This name is not one of this server's: add it to admin.hosts"));
    }
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
    let is_open = OPEN.contains(&request.path());
    if !is_open && !is_operator(state, request) {
        return Some(unauthorized(request));
    }
    // A login is a change, too: nobody is to be logged in by another site.
    if is_change && !is_own_origin(headers, host) {
        return Some(refused(403, "This request comes from another site"));
    }
    None
}

fn is_operator(state: &AdminState, request: &ServiceRequest) -> bool {
    let bearer = text(request.headers(), &header::AUTHORIZATION)
        .and_then(|value| value.split_once(' '))
        .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()));
    match bearer {
        Some(token) => state.token.is(token),
        None => shown_session(request.headers())
            .is_some_and(|session| state.token.is_session(session, now_ms() / 1_000)),
    }
}

/// The console session that a browser shows.
pub fn shown_session(headers: &HeaderMap) -> Option<&str> {
    let mut pairs = text(headers, &header::COOKIE)?.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(name, value)| (name == COOKIE).then_some(value))
}

fn unauthorized(request: &ServiceRequest) -> HttpResponse {
    if request.path().starts_with("/api/") || *request.method() != Method::GET {
        let error = serde_json::json!({ "error": "the operators' token is missing or wrong" });
        return HttpResponse::Unauthorized().insert_header((header::WWW_AUTHENTICATE, "Bearer")).json(error);
    }
    HttpResponse::SeeOther().insert_header((header::LOCATION, "/login")).finish()
}

fn refused(status: u16, message: &'static str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default();
    HttpResponse::build(status).json(serde_json::json!({ "error": message }))
}

/// The cookie of a console session; an empty one ends it.
pub fn session_cookie(session: &str) -> String {
    let seconds = if session.is_empty() { 0 } else { SESSION_SECONDS };
    format!("{COOKIE}={session}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict")
}

/// Browsers send an Origin with every change; other clients do not.
fn is_own_origin(headers: &HeaderMap, host: &str) -> bool {
    match text(headers, &header::ORIGIN) {
        Some(origin) => {
            let own = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            own.is_some_and(|own| own.eq_ignore_ascii_case(host))
        }
        None => !headers.contains_key(header::ORIGIN) && !headers.contains_key(header::COOKIE),
    }
}

/// Loopback, or one of the listed names; whatever the port.
fn is_own_host(host: &str, listed: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(literal) => literal.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_loopback = name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    is_loopback || listed.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_are_answered() {
        let listed = ["ops.example".to_owned()];
        for host in
            ["localhost", "LOCALHOST:9090", "127.0.0.1:1", "127.9.9.9", "[::1]:9090", "Ops.example:443"]
        {
            assert!(is_own_host(host, &listed), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example", "10.0.0.1", "[::2]:1", "127.0.0.1.evil.example"]
        {
            assert!(!is_own_host(host, &listed), "{host}");
        }
    }

    #[test]
    fn changes_come_from_the_console_or_from_no_browser() {
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
