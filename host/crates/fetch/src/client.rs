//! Makes calls: checks them, waits for its turn, connects, follows redirects, and reads the response.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HOST, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::body::{self, Unread, Whole};
use crate::call::{Call, CallLimits, Ended, Placeholders, Record, Redirects, Response};
use crate::error::CallError;
use crate::headers::{self, Headers};
use crate::host::Named;
use crate::pool::{BrandCalls, Connection, Origin};
use crate::resolve::Resolve;
use crate::rules::{Rules, Target};
use crate::stream::{Meter, Stream, Wire};
use crate::tls::{self, TlsError};
use crate::turn::{self, Turn};

/// How many redirects a call follows.
const REDIRECTS_MAX: usize = 5;
/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 4;
/// How long connecting to one address may take, if there is another one.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// The headers of a response cannot have more bytes.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// Nor be more than this.
const HEADERS_MAX: usize = 128;
/// What else a connection may read for a response, next to its head and twice the size of its body: certificates,
/// and interim responses.
const WIRE_BYTES_MORE: usize = 256 << 10;

const AGENT: &str = concat!("Sluice/", env!("CARGO_PKG_VERSION"));

/// Makes the calls of all brands.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    /// Where calls and connections live. They go on while their run does something else.
    runtime: Handle,
    resolver: Box<dyn Resolve>,
    tls: Arc<ClientConfig>,
    brands: Mutex<HashMap<String, Arc<BrandCalls>>>,
}

/// A call that has begun. Dropping it ends the call.
pub struct Pending {
    task: JoinHandle<Ended>,
    record: Record,
}

/// What is known of a call before it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The method in upper case.
    pub method: &'static str,
    /// The URL in the form in which it is sent.
    pub url: String,
    /// The host, with its port unless that is the usual one.
    pub host: String,
}

/// Checks a call as [`Client::begin`] does, without beginning it.
///
/// # Errors
/// The call is wrong, or a quota does not allow it.
pub fn examine(
    rules: &Rules,
    call: &Call,
    limits: CallLimits,
    secrets: &dyn Placeholders,
) -> Result<Examined, CallError> {
    let Parts { method_name, target, .. } = Parts::checked(rules, call, limits, secrets)?;
    Ok(Examined { method: method_name, host: target.authority(), url: target.url.into() })
}

/// The reason phrase of a status. Empty if the status has none.
pub fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

/// The parts of a call, checked.
struct Parts {
    method: Method,
    method_name: &'static str,
    target: Target,
    headers: Headers,
}

impl Parts {
    fn checked(
        rules: &Rules,
        call: &Call,
        limits: CallLimits,
        secrets: &dyn Placeholders,
    ) -> Result<Self, CallError> {
        let (method, method_name) = known_method(&call.method)?;
        let target = rules.target(&call.url)?;
        let headers = Headers::checked(call.headers.clone())?;
        if call.body.is_some() && matches!(method, Method::GET | Method::HEAD) {
            return Err(CallError::BodyOfGet(method_name));
        }
        if call.body.as_ref().map_or(0, Bytes::len) > limits.request_bytes_max {
            return Err(CallError::RequestBytes(limits.request_bytes_max));
        }
        // Whether a secret may be sent is known before anything is.
        for (_, value) in headers.iter() {
            fill(secrets, value, &target)?;
        }
        Ok(Self { method, method_name, target, headers })
    }
}

/// A call that was checked.
struct Checked {
    rules: Arc<Rules>,
    secrets: Arc<dyn Placeholders>,
    target: Target,
    method: Method,
    headers: Headers,
    body: Option<Bytes>,
    redirect: Redirects,
    response_bytes_max: usize,
    turn: Arc<Turn>,
}

impl Checked {
    /// What a connection may read for one response.
    fn wire_bytes_max(&self) -> usize {
        self.response_bytes_max.saturating_mul(2).saturating_add(HEAD_BYTES_MAX + WIRE_BYTES_MORE)
    }

    /// Why a connection ended early: it has read too much, or what is said here.
    fn broken(&self, meter: &Meter, reason: String) -> CallError {
        let host = self.target.host.to_string();
        match meter.is_over() {
            true => CallError::WireBytes { host, bytes: self.wire_bytes_max() },
            false => CallError::Broken { host, reason },
        }
    }
}

impl Client {
    /// Makes a client whose calls live on `runtime`. Reads the certificates of the system and those in
    /// `ca_file`.
    ///
    /// # Errors
    /// The certificates cannot be used.
    pub fn new(
        runtime: Handle,
        resolver: Box<dyn Resolve>,
        ca_file: Option<&Path>,
    ) -> Result<Self, TlsError> {
        let tls = tls::config("http.ca_file", ca_file)?;
        Ok(Self { inner: Arc::new(Inner { runtime, resolver, tls, brands: Mutex::default() }) })
    }

    /// Checks a call of a brand and begins it.
    ///
    /// # Errors
    /// The call is wrong, or a quota does not allow it.
    pub fn begin(
        &self,
        brand: &str,
        rules: &Arc<Rules>,
        call: Call,
        limits: CallLimits,
        secrets: &Arc<dyn Placeholders>,
    ) -> Result<Pending, CallError> {
        let Parts { method, method_name, target, headers } =
            Parts::checked(rules, &call, limits, secrets.as_ref())?;
        let Call { body, redirect, timeout, .. } = call;
        let (host, bytes_sent) = (target.authority(), body.as_ref().map_or(0, Bytes::len));
        let checked = Checked {
            rules: Arc::clone(rules),
            secrets: Arc::clone(secrets),
            target,
            method,
            headers,
            body,
            redirect,
            response_bytes_max: limits.response_bytes_max,
            turn: Arc::default(),
        };
        let record = Record { method: method_name, host, bytes_sent, ..Record::default() };
        let calls = Arc::clone(self.inner.brands.lock().entry(brand.to_owned()).or_default());
        let inner = Arc::clone(&self.inner);
        let for_task = record.clone();
        let task = self.inner.runtime.spawn(async move {
            let began = Instant::now();
            let host = checked.target.host.to_string();
            let turn = Arc::clone(&checked.turn);
            let result = turn::within(limits.wall, timeout, host, &turn, async {
                let permit = checked.turn.wait(calls.admit()).await;
                let Some(_permit) = permit else { return Err(CallError::Unavailable) };
                inner.travel(&calls, checked).await
            });
            let result = result.await;
            let record = Record {
                status: result.as_ref().ok().map(|response| response.status),
                wall: began.elapsed(),
                bytes_received: result.as_ref().map_or(0, |response| response.body.len()),
                ..for_task
            };
            Ended { result, record }
        });
        Ok(Pending { task, record })
    }
}

impl Future for Pending {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended> {
        let ended = ready!(Pin::new(&mut self.task).poll(context));
        Poll::Ready(
            ended.unwrap_or_else(|_| Ended {
                result: Err(CallError::Unavailable),
                record: self.record.clone(),
            }),
        )
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn known_method(text: &str) -> Result<(Method, &'static str), CallError> {
    let known = [
        (Method::GET, "GET"),
        (Method::HEAD, "HEAD"),
        (Method::POST, "POST"),
        (Method::PUT, "PUT"),
        (Method::PATCH, "PATCH"),
        (Method::DELETE, "DELETE"),
        (Method::OPTIONS, "OPTIONS"),
    ];
    let found = known.into_iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
    found.ok_or_else(|| CallError::Method(text.chars().take(20).flat_map(char::escape_debug).collect()))
}

/// Replaces the placeholders of secrets in a header.
fn fill(secrets: &dyn Placeholders, value: &str, target: &Target) -> Result<Option<String>, CallError> {
    let filled = secrets.filled(value, &target.host.to_string(), target.port);
    filled.map_err(|secret| CallError::SecretHost { secret, host: target.authority() })
}

impl Inner {
    /// Makes a call and follows its redirects.
    async fn travel(&self, calls: &Arc<BrandCalls>, mut call: Checked) -> Result<Response, CallError> {
        let mut followed = 0;
        loop {
            let (response, location) = self.exchange(calls, &call).await?;
            let is_redirect = matches!(response.status, 301 | 302 | 303 | 307 | 308);
            let Some(location) = location.filter(|_| is_redirect && call.redirect != Redirects::Manual)
            else {
                return Ok(Response { is_redirected: followed > 0, ..response });
            };
            let host = || call.target.host.to_string();
            if call.redirect == Redirects::Error {
                return Err(CallError::Redirected(host()));
            }
            followed += 1;
            if followed > REDIRECTS_MAX {
                return Err(CallError::TooManyRedirects(host()));
            }
            let target = call.rules.redirected(&call.target, &location)?;
            if !target.is_same_origin(&call.target) {
                call.headers.leave_origin();
            }
            call.target = target;
            // Before a connection to the new host is made.
            for (_, value) in call.headers.iter() {
                fill(call.secrets.as_ref(), value, &call.target)?;
            }
            let becomes_get = match response.status {
                303 => call.method != Method::HEAD,
                301 | 302 => call.method == Method::POST,
                _ => false,
            };
            if becomes_get {
                call.method = Method::GET;
                call.body = None;
                call.headers.drop_body();
            }
        }
    }

    /// Sends one request. Returns the response, and the address to which it redirects.
    async fn exchange(
        &self,
        calls: &Arc<BrandCalls>,
        call: &Checked,
    ) -> Result<(Response, Option<String>), CallError> {
        let host = &call.target.host;
        let _permit = call.turn.wait(calls.admit_to(host)).await.ok_or(CallError::Unavailable)?;
        let origin = Origin::of(&call.target);
        let mut kept = calls.take(&origin);
        loop {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => self.connect(calls, call).await?,
            };
            let request = request(call, connection.is_private)?;
            let meter = Arc::clone(&connection.meter);
            meter.allow(call.wire_bytes_max());
            let broken = |reason: String| call.broken(&meter, reason);
            if connection.sender.ready().await.is_err() {
                if connection.is_used {
                    continue;
                }
                return Err(broken("the connection was closed".into()));
            }
            let response = match connection.sender.try_send_request(request).await {
                Ok(response) => response,
                // The server has closed a connection that was not used for a while.
                Err(mut failed) => {
                    let was_sent = failed.take_message().is_none();
                    let may_repeat = !was_sent || call.method.is_idempotent();
                    if connection.is_used && may_repeat && !meter.is_over() {
                        continue;
                    }
                    return Err(broken(body::reason(failed.error())));
                }
            };
            let (head, incoming) = response.into_parts();
            if head.status.is_informational() {
                return Err(broken("it changes to another protocol".into()));
            }
            let encoding = head.headers.get(CONTENT_ENCODING).map(text);
            let location = head.headers.get(LOCATION).map(text);
            let body = body::read(incoming, encoding.as_deref(), call.response_bytes_max).await;
            let body = body.map_err(|unread| match unread {
                Unread::TooLarge => {
                    CallError::ResponseBytes { host: host.to_string(), bytes: call.response_bytes_max }
                }
                Unread::Broken(reason) => broken(reason),
                // The name of the encoding comes from the server, and this text gets into the log.
                Unread::Encoding => broken("its body has an encoding that was not asked for".into()),
            })?;
            calls.keep(origin, connection, &self.runtime);
            let (headers, cookies) = headers::seen(&head.headers);
            let response = Response {
                status: head.status.as_u16(),
                status_text: StatusCode::canonical_reason(&head.status).unwrap_or_default(),
                url: call.target.url.to_string(),
                is_redirected: false,
                headers,
                cookies,
                body,
            };
            return Ok((response, location));
        }
    }

    /// Connects to a host: looks up its addresses once, checks each, and connects to one of those.
    async fn connect(&self, calls: &BrandCalls, call: &Checked) -> Result<Connection, CallError> {
        let target = &call.target;
        let host = target.host.to_string();
        let addresses = match &target.host {
            Named::Address(address) => vec![*address],
            Named::Domain(name) => {
                let place = calls.admit_lookup().await.ok_or(CallError::Unavailable)?;
                let found = self.resolver.resolve(name, place).await;
                found.map_err(|_| CallError::NotResolved(host.clone()))?
            }
        };
        // If one of several is not allowed, the name is not trustworthy.
        for address in &addresses {
            call.rules.check_address(target, *address)?;
        }
        let (stream, address) = reach(&addresses, target.port, &host).await?;
        let meter = Arc::new(Meter::default());
        meter.allow(call.wire_bytes_max());
        let stream = Wire { stream, meter: Arc::clone(&meter) };
        let stream = if target.is_https {
            let name = match &target.host {
                Named::Address(address) => address.to_string(),
                Named::Domain(name) => name.clone(),
            };
            let secured = Stream::secure(stream, &name, Arc::clone(&self.tls)).await;
            secured.map_err(|error| match meter.is_over() {
                true => call.broken(&meter, String::new()),
                false => CallError::Tls { host: host.clone(), reason: tls_reason(&error) },
            })?
        } else {
            Stream::Plain(stream)
        };
        let mut settings = http1::Builder::new();
        settings.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
        let shaken = settings.handshake::<_, Whole>(stream).await;
        let (sender, connection) = shaken.map_err(|error| call.broken(&meter, body::reason(&error)))?;
        self.runtime.spawn(async move {
            // The call that uses the connection gets its errors.
            drop(connection.await);
        });
        Ok(Connection { sender, meter, is_private: call.rules.is_private(address), is_used: false })
    }
}

/// Connects to the first address that answers.
async fn reach(addresses: &[IpAddr], port: u16, host: &str) -> Result<(TcpStream, IpAddr), CallError> {
    let mut reason = "its name has no address".to_owned();
    let mut rest = addresses.iter().take(ADDRESSES_MAX).peekable();
    while let Some(address) = rest.next() {
        let connecting = Stream::connect(SocketAddr::new(*address, port));
        let connected = match rest.peek() {
            None => connecting.await,
            Some(_) => {
                let connected = tokio::time::timeout(CONNECT_TIME, connecting).await;
                connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            }
        };
        match connected {
            Ok(stream) => return Ok((stream, *address)),
            Err(error) => reason = error.kind().to_string(),
        }
    }
    Err(CallError::NotConnected { host: host.to_owned(), reason })
}

/// The request of a call, with its secrets.
fn request(call: &Checked, is_private: bool) -> Result<Request<Whole>, CallError> {
    let target = &call.target;
    let path = target.url.path();
    let address = target.url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let wrong =
        || CallError::Broken { host: target.host.to_string(), reason: "its URL cannot be sent".into() };
    let mut request = Request::builder().method(call.method.clone()).uri(address);
    request = request.header(HOST, target.authority()).header(ACCEPT_ENCODING, "gzip");
    if !call.headers.has("user-agent") {
        request = request.header(USER_AGENT, AGENT);
    }
    if !call.headers.has("accept") {
        request = request.header(ACCEPT, "*/*");
    }
    for (name, value) in call.headers.iter() {
        let filled = fill(call.secrets.as_ref(), value, target)?;
        if filled.is_some() && !target.is_https && !is_private {
            return Err(CallError::SecretInClear(target.host.to_string()));
        }
        let parsed = HeaderValue::from_str(filled.as_deref().unwrap_or(value));
        let mut value = parsed.map_err(|_| CallError::HeaderValue(name.as_str().to_owned()))?;
        value.set_sensitive(filled.is_some());
        request = request.header(name, value);
    }
    request.body(Whole(call.body.clone())).map_err(|_| wrong())
}

/// What rustls says, which names no content.
fn tls_reason(error: &std::io::Error) -> String {
    let of_rustls = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match of_rustls {
        Some(rustls::Error::InvalidCertificate(fault)) => format!("its certificate is not valid ({fault})"),
        Some(_) => "it does not speak TLS as the host does".to_owned(),
        None => error.kind().to_string(),
    }
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
