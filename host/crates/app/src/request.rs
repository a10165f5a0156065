//! The visitor's request: read from actix within bounds, in the host's own terms.

mod accept;
mod body;
pub mod conditions;
pub mod described;
mod fault;
mod files;
mod forwarded;
mod pairs;
mod parts;
mod target;
mod upload;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Version;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, web};
use ipnet::IpNet;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use sluice_files::Upload;
use sluice_http::cookies;
use sluice_http::headers::NamedHeaders;
use sluice_page::Page;
use sluice_sandbox::memory::{Memory, Reserved};
use sluice_site::Brand;
use sluice_site::config::TrustedHostHeader;
use sluice_site::table::RouteMatch;

pub use sluice_http::method::Method;

pub use body::Body;
pub use fault::BodyFault;
pub use parts::TooManyParts;
pub use target::requested_host;
pub use upload::{Upcoming, UploadPlace};

use body::read_body;
use conditions::Conditions;
use forwarded::Peer;
use pairs::{form_pairs, last_and_all, last_and_all_of};
use upload::{Announced, boundary_of};

/// Query parameters that contain a handoff token. The first overrides the second.
const URL_TOKENS: [&str; 2] = ["ef_session", "setSessionToken"];

/// How requests are read, for all brands.
#[derive(Debug, Clone)]
pub struct ReadRules {
    /// The time within which a body must arrive.
    pub body_timeout: Duration,
    /// The proxies whose headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which these proxies name the visitor's host, if they do.
    pub trusted_host_header: Option<TrustedHostHeader>,
}

/// A request, bounded and decoded. It contains no actix type.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// Its method.
    pub method: Method,
    /// The host that a trusted proxy names, that of an absolute target, or the `Host` header.
    pub host: String,
    /// The path as it was sent, still percent-encoded.
    pub raw_path: String,
    /// The query as it was sent, without the question mark.
    pub raw_query: String,
    /// `user-agent`, `referer`, `accept-language` and `host`.
    pub headers: Vec<(&'static str, String)>,
    /// The headers that the page names, by names in lower case. A described request has all its headers
    /// here.
    pub named_headers: Vec<(String, String)>,
    /// The `Cookie` headers. [`PageRequest::cookies`] has their parts.
    pub cookie_lines: Vec<String>,
    /// What was sent after the headers.
    pub body: Body,
    /// The visitor's address, if it is known.
    pub ip: Option<IpAddr>,
    /// Whether the visitor uses https, according to the connection or a trusted proxy.
    pub is_https: bool,
    /// What the browser says about the origin of the request.
    pub origin: Origin,
    /// The headers that decide how, and whether, a body is sent.
    pub conditions: Conditions,
    /// Whether the client asks for JSON and not for HTML.
    pub prefers_json: bool,
}

/// A request, and what belongs to its connection.
pub struct Read {
    /// The request.
    pub request: PageRequest,
    /// The memory that its body takes.
    pub memory: Option<Reserved>,
    /// The files that the request has announced.
    pub files: Option<Upcoming>,
}

/// The request line and the headers of a request.
struct Head<'a> {
    method: Method,
    /// As it was sent, still percent-encoded.
    path: &'a str,
    query: &'a str,
    /// The host that the client asked for.
    host: Option<String>,
    headers: &'a HeaderMap,
    /// The address that opened the connection.
    peer: Peer,
}

/// What the browser says about where a request comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// `Sec-Fetch-Site`: how the page that caused the request relates to this site.
    pub sec_fetch_site: Option<String>,
    /// `Sec-Fetch-Dest`: what the browser wants the response for, such as `document`, or `empty`
    /// for the request of a script.
    pub sec_fetch_dest: Option<String>,
    /// `Origin`: the origin of the page that caused the request.
    pub origin: Option<String>,
    /// Whether the request has `Access-Control-Request-Method`: a browser asks whether it may send
    /// another request.
    pub asks_for_method: bool,
}

/// How scripts see a request.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The brand's setting: whether scripts see the bodies of HTML forms.
    pub form_bodies: bool,
    /// The further headers that the page names.
    pub headers: &'a NamedHeaders,
}

/// Marks the connections that the server itself encrypts (`Extensions` of the connection).
#[derive(Debug, Clone, Copy)]
pub struct OverTls;

/// Marks the connections over the Unix socket, to which only a proxy of the operator can connect (`Extensions` of the
/// connection).
#[derive(Debug, Clone, Copy)]
pub struct FromProxy;

/// Who opened the connection of a request.
fn peer_of(request: &HttpRequest) -> Peer {
    match request.conn_data::<FromProxy>() {
        Some(FromProxy) => Peer::Proxy,
        None => Peer::Address(request.peer_addr().map(|address| address.ip())),
    }
}

fn is_over_tls(request: &HttpRequest) -> bool {
    // Only encrypted connections can have HTTP/2.
    request.version() == Version::HTTP_2 || request.conn_data::<OverTls>().is_some()
}

/// The client of a request, as far as the connection and trusted proxies tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Its address, if it is known.
    pub ip: Option<IpAddr>,
    /// Whether it uses https.
    pub is_https: bool,
}

impl Client {
    /// The client of `request`.
    pub fn of(request: &HttpRequest, rules: &ReadRules) -> Self {
        let client = forwarded::client(peer_of(request), request.headers(), rules);
        Self { ip: client.ip, is_https: client.is_https || is_over_tls(request) }
    }
}

impl PageRequest {
    /// Reads `request` and its body, if the method has one. Files are announced only. `page_at` finds the page
    /// that answers a host and a path: it decides which headers and how much of a body are kept.
    ///
    /// # Errors
    /// The body is incomplete. The request must be rejected, because scripts never see a part of a body.
    pub async fn read(
        method: Method,
        request: &HttpRequest,
        payload: web::Payload,
        rules: &ReadRules,
        page_at: impl FnOnce(&str, &str) -> Option<(Arc<Brand>, Arc<Page>)>,
        memory: &Arc<Memory>,
        uploads: &UploadPlace,
    ) -> Result<Read, BodyFault> {
        let headers = request.headers();
        let uri = request.uri();
        let peer = peer_of(request);
        let head = Head {
            method,
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            host: requested_host(uri, headers),
            headers,
            peer,
        };
        let mut read = Self { conditions: Conditions::read(request), ..Self::of(head, Body::None, rules) };
        read.is_https |= is_over_tls(request);
        let found = page_at(&read.host, &read.raw_path);
        if let Some((_, page)) = &found {
            read.named_headers = page.headers.iter().filter_map(|name| named_header(headers, name)).collect();
        }
        if !method.may_change() {
            return Ok(Read { request: read, memory: None, files: None });
        }
        // Nothing but a page that accepts the method reads a body.
        let found = found.filter(|(_, page)| page.methods.accept(method));
        if let Some((brand, page)) = &found
            && let (Some(takes), Some(boundary)) = (&page.uploads, boundary_of(headers))
        {
            let (announced, upcoming) = Announced::of(headers, payload, boundary, (&brand.id, takes));
            read.body = Body::Announced(announced);
            return Ok(Read { request: read, memory: None, files: Some(upcoming) });
        }
        let of_brand = uploads.room.enter(found.as_ref().map_or("", |(brand, _)| &brand.id));
        let page = found.map(|(_, page)| page);
        let bytes_max = page.as_ref().map_or(0, |page| page.limits.body_bytes_max);
        let (body, mut reserved) = read_body(headers, payload, bytes_max, rules, memory, of_brand).await?;
        read.body = body;
        if matches!(read.body, Body::Other(_)) && !page.is_some_and(|page| page.raw_body) {
            read.body = Body::OtherType;
            reserved.shrink_to(0);
        }
        Ok(Read { request: read, memory: Some(reserved), files: None })
    }

    /// A request whose body was read. It has no conditions.
    fn of(head: Head<'_>, body: Body, rules: &ReadRules) -> Self {
        let headers = head.headers;
        let text = |name: header::HeaderName| {
            headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let client = forwarded::client(head.peer, headers, rules);
        let host = client.host.or(head.host).unwrap_or_default();
        let seen = [
            ("user-agent", text(header::USER_AGENT)),
            ("referer", text(header::REFERER)),
            ("accept-language", text(header::ACCEPT_LANGUAGE)),
            ("host", Some(host.clone())),
        ];
        Self {
            method: head.method,
            host,
            raw_path: head.path.to_owned(),
            raw_query: head.query.to_owned(),
            headers: seen.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
            named_headers: Vec::new(),
            cookie_lines: cookie_lines(headers),
            body,
            ip: client.ip,
            is_https: client.is_https,
            conditions: Conditions::default(),
            prefers_json: accept::prefers_json(headers),
            origin: Origin {
                sec_fetch_site: text(header::HeaderName::from_static("sec-fetch-site")),
                sec_fetch_dest: text(header::HeaderName::from_static("sec-fetch-dest")),
                origin: text(header::ORIGIN),
                asks_for_method: headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD),
            },
        }
    }

    /// The names and raw values of the cookies, in the order in which they were sent.
    pub fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        self.cookie_lines.iter().flat_map(|line| cookies::pairs(line))
    }

    /// Whether the request has a cookie.
    pub fn has_cookies(&self) -> bool {
        self.cookies().next().is_some()
    }

    /// Drops a body that is larger than the page allows.
    pub fn bound_body(&mut self, bytes_max: usize) {
        if self.body.bytes().is_some_and(|bytes| bytes.len() > bytes_max) {
            self.body = Body::Dropped;
        }
    }

    /// Path and query as they were sent. Starts with one slash.
    pub fn address(&self) -> String {
        self.with_query(&self.raw_path)
    }

    /// The address without slashes at the end of the path.
    pub fn address_without_slash(&self) -> String {
        self.with_query(self.raw_path.trim_end_matches('/'))
    }

    fn with_query(&self, path: &str) -> String {
        if self.raw_query.is_empty() { path.to_owned() } else { format!("{path}?{}", self.raw_query) }
    }

    /// Whether a browser asks whether it may send a request for a page of another origin (CORS).
    pub fn is_preflight(&self) -> bool {
        self.method == Method::Options && self.origin.origin.is_some() && self.origin.asks_for_method
    }

    /// Whether another site made the visitor's browser send the request.
    pub fn is_cross_origin(&self) -> bool {
        match (&self.origin.sec_fetch_site, &self.origin.origin) {
            (Some(site), _) => site != "same-origin" && site != "none",
            (None, Some(origin)) => {
                let scheme = if self.is_https { "https://" } else { "http://" };
                origin.strip_prefix(scheme).is_none_or(|host| !host.eq_ignore_ascii_case(&self.host))
            }
            (None, None) => false,
        }
    }

    /// Removes the handoff token from the query, so that neither the script nor the template sees
    /// it.
    pub fn take_url_token(&mut self) -> Option<String> {
        let mut tokens = [None, None];
        let mut rest = Vec::new();
        for pair in self.raw_query.split('&') {
            let decoded = form_pairs(pair).next();
            let which = decoded.as_ref().and_then(|(key, _)| URL_TOKENS.iter().position(|name| name == key));
            match which.and_then(|index| tokens.get_mut(index)) {
                Some(token) => *token = decoded.map(|(_, value)| value),
                None => rest.push(pair),
            }
        }
        let [first, second] = tokens;
        let token = first.or(second)?;
        self.raw_query = rest.join("&");
        Some(token)
    }

    /// `request` as scripts and templates see it. `route` is what the wildcards of the page's path
    /// matched.
    pub fn as_value(&self, path: &str, route: Option<&RouteMatch>, view: View<'_>) -> Value {
        let (query, queries) = last_and_all(&self.raw_query);
        let (body, bodies) = self.body_values(view.form_bodies);
        let files = match &self.body {
            Body::Upload(received) => {
                Some(received.files.iter().enumerate().map(file_value).collect::<Value>())
            }
            _ => None,
        };
        // A reload may have changed the page's list since the request was read.
        let named = self.named_headers.iter().map(|(name, value)| (name.as_str(), value));
        let named = named.filter(|(name, _)| view.headers.contains(name));
        let always = self.headers.iter().map(|(name, value)| (*name, value));
        // The four headers have precedence: `host` is the one that decides the brand.
        let headers: Map<_, _> =
            named.chain(always).map(|(name, value)| (name.to_owned(), value.clone().into())).collect();
        let agent =
            self.headers.iter().find(|(name, _)| *name == "user-agent").map_or("", |(_, agent)| agent);
        let (is_mobile, is_tablet) = device(agent);
        let (ip, ip6) = match self.ip {
            Some(IpAddr::V4(ip)) => (Value::String(ip.to_string()), Value::Null),
            Some(IpAddr::V6(ip)) => (Value::Null, Value::String(ip.to_string())),
            None => (Value::Null, Value::Null),
        };
        let params = route.map(|route| {
            let params = route.params.iter().map(|(name, value)| (name.clone(), value.clone().into()));
            Value::Object(params.collect())
        });
        let mut value = json!({
            "method": self.method.seen_by_scripts(),
            "path": path,
            "query": query,
            "queries": queries,
            "headers": headers,
            "cookies": self.visible_cookies(),
            "body": body,
            "bodies": bodies,
            "ip": ip,
            "ip6": ip6,
            "is_mobile": is_mobile,
            "is_tablet": is_tablet,
            "route_params": params,
            "route_slug": route.map(|route| route.slug.as_str()),
        });
        if let (Some(object), Some(files)) = (value.as_object_mut(), files) {
            object.insert("files".to_owned(), files);
        }
        value
    }

    fn visible_cookies(&self) -> Map<String, Value> {
        let visible = self.cookies().filter(|(name, _)| !cookies::is_reserved(name));
        visible.map(|(name, value)| (name.to_owned(), cookies::decode_value(value).into())).collect()
    }

    /// Why scripts see `null` instead of the body that was sent, as a sentence for authors. `None`
    /// if they see the body, or there is none.
    pub fn body_unread(&self, form_bodies: bool, has_raw_body: bool) -> Option<&'static str> {
        match &self.body {
            Body::Json(_) | Body::Form(_) if has_raw_body => None,
            Body::Json(bytes) => {
                let is_json = serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
                (!is_json).then_some("the request's body was not read: it is not valid JSON")
            }
            Body::Form(_) if !form_bodies => {
                Some("the request's form was not read: brand.toml needs `form_bodies = true`")
            }
            Body::Other(_) | Body::OtherType if !has_raw_body => Some(
                "the request's body was not read: it is neither JSON nor `application/x-www-form-urlencoded`; \
                 a page with `raw_body = true` reads it with `request.text()`, and one with `uploads` takes files",
            ),
            Body::Dropped => Some("the request's body was not read: it is larger than the page allows"),
            Body::None
            | Body::Form(_)
            | Body::Other(_)
            | Body::OtherType
            | Body::Announced(_)
            | Body::Upload(_) => None,
        }
    }

    /// `request.body` and `request.bodies`.
    fn body_values(&self, form_bodies: bool) -> (Value, Value) {
        match &self.body {
            Body::Json(bytes) => (serde_json::from_slice(bytes).unwrap_or(Value::Null), Value::Null),
            Body::Form(bytes) if form_bodies => {
                let (last, all) = last_and_all(&String::from_utf8_lossy(bytes));
                (Value::Object(last), Value::Object(all))
            }
            Body::Upload(received) => {
                let (last, all) = last_and_all_of(received.fields.iter().cloned());
                (Value::Object(last), Value::Object(all))
            }
            Body::None
            | Body::Form(_)
            | Body::Other(_)
            | Body::OtherType
            | Body::Announced(_)
            | Body::Dropped => (Value::Null, Value::Null),
        }
    }
}

/// A file in `request.files`. Its id counts from 1.
fn file_value((index, file): (usize, &Upload)) -> Value {
    json!({
        "name": file.name,
        "filename": file.filename,
        "type": file.media.name,
        "size": file.bytes,
        "id": (index + 1).to_string(),
    })
}

/// The header with this name in lower case. Several with the same name are one, as in the standard `fetch`.
fn named_header(headers: &HeaderMap, name: &str) -> Option<(String, String)> {
    let values: Vec<_> =
        headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| (name.to_owned(), values.join(", ")))
}

fn cookie_lines(headers: &HeaderMap) -> Vec<String> {
    // One cookie with bytes that are no text must not take the others with it.
    let lines = headers.get_all(header::COOKIE);
    lines.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

/// Whether the user agent is of a phone, and whether it is of a tablet.
fn device(agent: &str) -> (bool, bool) {
    let has = |text: &str| agent.contains(text);
    let is_tablet = has("iPad") || has("Tablet") || (has("Android") && !has("Mobile"));
    (!is_tablet && (has("Mobi") || has("iPhone") || has("Android")), is_tablet)
}

#[cfg(test)]
mod tests;
