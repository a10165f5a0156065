//! The heads of requests and responses, between the types of h2 and those of actix-http.

use std::net::SocketAddr;

use actix_http::{Payload, Request, Response, Version};
use actix_web::body::BodySize;
use actix_web::http as web_http;
use actix_web::http::header::{self as web_header, HeaderMap};
use h2::RecvStream;
use http::uri::Authority;
use http::{HeaderName, HeaderValue, StatusCode};

use super::body::Received;

/// As many headers as the parser of HTTP/1.1 accepts.
const HEADERS_MAX: usize = 96;

/// The status of a request that the application does not get.
pub(super) struct InvalidHead(pub(super) StatusCode);

const BAD: InvalidHead = InvalidHead(StatusCode::BAD_REQUEST);

/// The request as the rest of the server knows it: with the target and the `Host` header of HTTP/1.1, so that both
/// protocols lead to the same host and page.
///
/// # Errors
/// There is no such request in HTTP/1.1.
pub(super) fn request(
    request: http::Request<RecvStream>,
    peer: Option<SocketAddr>,
) -> Result<Request, InvalidHead> {
    let (parts, body) = request.into_parts();
    // h2 has checked that there are no headers of the connection, and that the length is that of the body.
    if parts.headers.len() > HEADERS_MAX {
        return Err(InvalidHead(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
    let target = parts.uri.path_and_query().filter(|target| target.as_str().starts_with('/')).ok_or(BAD)?;
    // Without an authority, h2 does not pass on the scheme.
    if parts.uri.authority().is_some() && !matches!(parts.uri.scheme_str(), Some("https" | "http")) {
        return Err(BAD);
    }
    let host = host(parts.uri.authority(), &parts.headers)?;
    let payload = match body.is_end_stream() {
        true => Payload::None,
        false => Payload::Stream { payload: Box::pin(Received(body)) as _ },
    };
    let mut request = Request::with_payload(payload);
    let head = request.head_mut();
    head.method =
        web_http::Method::from_bytes(parts.method.as_str().as_bytes()).ok().filter(is_accepted).ok_or(BAD)?;
    head.uri = target.as_str().parse().map_err(|_: web_http::uri::InvalidUri| BAD)?;
    head.version = Version::HTTP_2;
    head.peer_addr = peer;
    copy_headers(&parts.headers, head.headers_mut()).ok_or(BAD)?;
    head.headers_mut().insert(web_header::HOST, host);
    Ok(request)
}

fn is_accepted(method: &web_http::Method) -> bool {
    *method != web_http::Method::CONNECT
}

/// The host that is asked for. The client must not name two, because a proxy might choose the other one.
fn host(
    authority: Option<&Authority>,
    headers: &http::HeaderMap,
) -> Result<web_header::HeaderValue, InvalidHead> {
    let mut hosts = headers.get_all(http::header::HOST).iter();
    let host = match (authority.map(|authority| authority.as_str().as_bytes()), hosts.next(), hosts.next()) {
        (_, _, Some(_)) | (None, None, None) => return Err(BAD),
        (None, Some(host), None) => host.as_bytes(),
        (Some(authority), host, None) => {
            let differs = |host: &HeaderValue| !host.as_bytes().eq_ignore_ascii_case(authority);
            // User names and passwords do not belong there (RFC 9113, 8.3.1).
            if authority.contains(&b'@') || host.is_some_and(differs) {
                return Err(BAD);
            }
            authority
        }
    };
    web_header::HeaderValue::from_bytes(host).map_err(|_| BAD)
}

/// `None` if a name or a value is invalid.
fn copy_headers(from: &http::HeaderMap, to: &mut HeaderMap) -> Option<()> {
    for name in from.keys() {
        let to_name = web_header::HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        if *name == http::header::COOKIE {
            // Clients may send each cookie as a header of its own (RFC 9113, 8.2.3).
            let pairs: Vec<_> = from.get_all(name).iter().map(HeaderValue::as_bytes).collect();
            to.insert(to_name, web_header::HeaderValue::from_bytes(&pairs.join(&b"; "[..])).ok()?);
            continue;
        }
        for value in from.get_all(name) {
            to.append(to_name.clone(), web_header::HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
    }
    Some(())
}

/// The head of a response whose body has this size.
///
/// # Errors
/// A header is invalid.
pub(super) fn response(from: &Response<()>, size: BodySize) -> Result<http::Response<()>, http::Error> {
    // As over HTTP/1.1, the length is that of the body, or one that was set if there is no such length.
    let (length, keeps_length) = match (from.status(), size) {
        (web_http::StatusCode::NO_CONTENT, _) => (None, false),
        (web_http::StatusCode::NOT_MODIFIED, _) => (None, true),
        (_, BodySize::Sized(bytes)) => (Some(bytes), false),
        (_, BodySize::Stream) => (None, !from.head().chunked()),
        (_, BodySize::None) => (None, false),
    };
    let mut head = http::Response::builder().status(from.status().as_u16());
    for (name, value) in from.headers() {
        // Headers of the connection do not exist in HTTP/2 (RFC 9113, 8.2.2).
        if *name == web_header::CONTENT_LENGTH && !keeps_length || is_of_connection(name.as_str()) {
            continue;
        }
        head = head.header(
            HeaderName::from_bytes(name.as_str().as_bytes())?,
            HeaderValue::from_bytes(value.as_bytes())?,
        );
    }
    if let Some(bytes) = length {
        head = head.header(http::header::CONTENT_LENGTH, bytes);
    }
    if !from.headers().contains_key(web_header::DATE) {
        let now = web_header::HttpDate::from(std::time::SystemTime::now()).to_string();
        head = head.header(http::header::DATE, HeaderValue::from_str(&now)?);
    }
    head.body(())
}

fn is_of_connection(name: &str) -> bool {
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"].contains(&name)
}
