//! Turns HTML and effects into an HTTP response, once.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use sluice_http::compress::{self, Encoding};
use sluice_http::cookies::{SameSite, SetCookie};
use sluice_http::redirect;
use sluice_sandbox::long_work::LongWork;
use sluice_sandbox::memory::{Memory, Reserved};
use sluice_sandbox::outcome::{CookieEffect, Effects, Stop};
use sluice_session::cookie;
use sluice_session::storage::IssuedCookie;
use sluice_site::headers::StandingHeaders;

/// How much of a file is in memory for each client that downloads it.
const CHUNK_BYTES: u64 = 64 << 10;
/// Nothing is reserved for smaller bodies: the connection itself takes more.
const SMALL_BYTES: usize = 4 << 10;

/// The result of a request's journey.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The values of `Set-Cookie`.
    pub cookies: Vec<String>,
    /// The body.
    pub body: ReplyBody,
    /// The brand's headers. `headers` overrides them.
    pub standing: StandingHeaders,
    /// The memory that is reserved for the reply until it is sent.
    pub memory: Option<Reserved>,
}

/// The body of a reply.
#[derive(Debug)]
pub enum ReplyBody {
    /// The bytes themselves.
    Bytes(Bytes),
    /// A part of a file, which is read while it is sent.
    File(FilePart),
    /// Bytes of another server, which arrive while they are sent.
    Incoming(Incoming),
}

/// Bytes that arrive from another server.
pub struct Incoming {
    /// How many they are.
    pub bytes: u64,
    /// The bytes.
    pub chunks: Pin<Box<dyn stream::Stream<Item = io::Result<Bytes>> + Send>>,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({})", self.bytes)
    }
}

/// A part of an open file.
#[derive(Debug)]
pub struct FilePart {
    /// The file.
    pub file: File,
    /// The offset of the first byte.
    pub start: u64,
    /// How many bytes are sent.
    pub bytes: u64,
}

impl Default for ReplyBody {
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl From<String> for ReplyBody {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

impl ReplyBody {
    /// Its size.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(part) => part.bytes,
            Self::Incoming(incoming) => incoming.bytes,
        }
    }

    /// `bytes` bytes of this body, starting at the offset `start`.
    pub fn part(self, start: u64, bytes: u64) -> Self {
        match self {
            Self::File(part) => Self::File(FilePart { start: part.start + start, bytes, ..part }),
            Self::Incoming(incoming) => Self::Incoming(incoming),
            Self::Bytes(all) => {
                let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(all.len());
                Self::Bytes(all.slice(at(start)..at(start.saturating_add(bytes))))
            }
        }
    }
}

impl Reply {
    /// A page that the host itself writes. It has no details and no markup of the site.
    pub fn plain(status: u16, title: &str) -> Self {
        let body = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
             <style>body{{font:16px/1.5 system-ui,sans-serif;margin:20vh auto;max-width:32rem;padding:0 1rem}}</style>\
             <h1>{title}</h1></html>"
        );
        Self::html(status, body)
    }

    /// A reply with HTML.
    pub fn html(status: u16, body: String) -> Self {
        let mut reply = Self::of_body(status, body.into());
        reply.set_header("content-type", "text/html; charset=utf-8".into());
        reply
    }

    /// A reply without headers.
    pub fn of_body(status: u16, body: ReplyBody) -> Self {
        let standing = StandingHeaders::default();
        Self { status, headers: Vec::new(), cookies: Vec::new(), body, standing, memory: None }
    }

    /// A redirect to `location`.
    pub fn redirect(status: u16, location: &str) -> Self {
        let mut reply = Self::of_body(status, ReplyBody::default());
        reply.set_header("location", location.into());
        reply
    }

    /// The reply to a run. `html` is the rendered page. A stop call in `effects` replaces it.
    pub fn of_effects(effects: Effects, html: Option<String>, is_https: bool) -> Self {
        let mut reply = match (effects.stop, html) {
            (Some(Stop::Redirect { url, status }), _) => Self::redirect(status, &redirect::location(&url)),
            (Some(Stop::Json(text)), _) => {
                let mut reply = Self::of_body(effects.status.unwrap_or(200), text.into());
                reply.set_header("content-type", "application/json; charset=utf-8".into());
                reply
            }
            (Some(Stop::Html(html)), _) => Self::html(effects.status.unwrap_or(200), html),
            (None, html) => Self::html(effects.status.unwrap_or(200), html.unwrap_or_default()),
        };
        for (name, value) in effects.headers {
            reply.set_header(&name, value);
        }
        reply.cookies = effects.cookies.iter().map(|cookie| set_cookie(cookie, is_https)).collect();
        reply
    }

    /// Sets a header. `name` is in lower case. An earlier value is replaced.
    pub fn set_header(&mut self, name: &str, value: String) {
        match self.headers.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.headers.push((name.to_owned(), value)),
        }
    }

    /// The value of a header, without the brand's headers. `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Says that the response depends on the request header with this lower-case name.
    pub fn vary_by(&mut self, name: &str) {
        let value = match self.header("vary") {
            Some(known) => format!("{known}, {name}"),
            None => name.to_owned(),
        };
        self.set_header("vary", value);
    }

    /// Compresses the body of a page of `brand`, if it is text and long enough. The caller decides
    /// whether compressing is safe.
    pub async fn compress(&mut self, encoding: Encoding, threads: &LongWork, brand: &str) {
        let ReplyBody::Bytes(bytes) = &self.body else { return };
        let is_text = self.header("content-type").is_some_and(compress::is_compressible);
        let is_final = self.header("cache-control").is_some_and(|value| value.contains("no-transform"));
        if self.header("content-encoding").is_some()
            || self.status == 206
            || !is_text
            || is_final
            || bytes.len() < compress::BYTES_MIN
        {
            return;
        }
        let shorter = compressed(bytes, encoding, threads, brand).await;
        self.vary_by("accept-encoding");
        if let (Some(name), Some(shorter)) = (encoding.name(), shorter) {
            self.set_header("content-encoding", name.into());
            self.body = ReplyBody::Bytes(shorter.into());
        }
    }

    /// The memory that the body takes while it is sent.
    fn body_memory(&self) -> usize {
        let bytes = match &self.body {
            ReplyBody::Bytes(bytes) => bytes.len() as u64,
            ReplyBody::File(part) => part.bytes.min(CHUNK_BYTES),
            ReplyBody::Incoming(incoming) => incoming.bytes.min(CHUNK_BYTES),
        };
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Reserves at least what the body takes until it is sent. Returns false if there is no memory for
    /// that.
    pub fn reserve_body(&mut self, memory: &Arc<Memory>) -> bool {
        let bytes = self.body_memory();
        match &mut self.memory {
            Some(reserved) => reserved.grow_to(bytes),
            None if bytes <= SMALL_BYTES => true,
            None => {
                self.memory = memory.try_reserve(bytes);
                self.memory.is_some()
            }
        }
    }

    /// Releases what was reserved and the body does not take.
    pub fn release_unused(&mut self) {
        self.shrink_to(self.body_memory());
    }

    /// Releases what was reserved, except for the body, its compressed copy and `bytes` more.
    pub fn keep_memory(&mut self, bytes: usize) {
        self.shrink_to(self.body_memory().saturating_mul(2).saturating_add(bytes));
    }

    fn shrink_to(&mut self, bytes: usize) {
        if let Some(reserved) = &mut self.memory {
            reserved.shrink_to(bytes);
        }
    }

    /// Adds the cookie of a session that has a new id.
    pub fn issue_session(&mut self, issued: &IssuedCookie, is_https: bool) {
        let line = SetCookie {
            name: cookie::name(is_https),
            value: &issued.id,
            path: "/",
            max_age_s: Some(i64::try_from(issued.max_age.as_secs()).unwrap_or(i64::MAX)),
            http_only: true,
            same_site: SameSite::Lax,
            is_secure: is_https,
        };
        self.cookies.push(line.to_string());
    }

    /// All headers that are sent, except `Set-Cookie`.
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let unless_set = |(name, _): &(&str, &str)| self.header(name).is_none();
        let no_store = [("cache-control", "no-store")];
        let standing = no_store.into_iter().chain(self.standing.iter()).filter(unless_set);
        standing.chain(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Whether a response with this status can have a body.
    pub fn has_body(&self) -> bool {
        !matches!(self.status, 204 | 205 | 304)
    }

    /// The response for actix.
    pub fn into_response(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        for (name, value) in self.all_headers() {
            // actix manages connections and would drop the header.
            if name == "connection" && value == "close" {
                response.force_close();
                continue;
            }
            // Names and values were checked when they were written or recorded.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                response.insert_header((name, value));
            }
        }
        for cookie in &self.cookies {
            if let Ok(value) = HeaderValue::from_str(cookie) {
                response.append_header(("set-cookie", value));
            }
        }
        let has_body = self.has_body();
        match self.body {
            _ if !has_body => response.finish(),
            ReplyBody::Bytes(bytes) if bytes.len() as u64 <= CHUNK_BYTES => response.body(bytes),
            // actix copies a body that it gets in one piece.
            ReplyBody::Bytes(bytes) => {
                response.body(SizedStream::new(bytes.len() as u64, slices(bytes, self.memory)))
            }
            ReplyBody::File(part) => response.body(SizedStream::new(part.bytes, chunks(part, self.memory))),
            ReplyBody::Incoming(Incoming { bytes, chunks }) => {
                response.body(SizedStream::new(bytes, held(chunks, self.memory)))
            }
        }
    }
}

/// Compresses `bytes`, on one of `threads` if there are many. `None` if the result would not be
/// shorter.
pub async fn compressed(
    bytes: &Bytes,
    encoding: Encoding,
    threads: &LongWork,
    brand: &str,
) -> Option<Vec<u8>> {
    if !compress::is_long(bytes.len()) {
        return compress::compressed(bytes, encoding);
    }
    let bytes = bytes.clone();
    threads.call(brand, move || compress::compressed(&bytes, encoding)).await.flatten()
}

/// The bytes of a file, read as fast as the client receives them.
fn chunks(part: FilePart, memory: Option<Reserved>) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((part, memory), |(part, memory)| async move {
        let FilePart { mut file, start, bytes } = part;
        let count = bytes.min(CHUNK_BYTES);
        if count == 0 {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; usize::try_from(count).map_err(io::Error::other)?];
            file.seek(SeekFrom::Start(start))?;
            file.read_exact(&mut chunk)?;
            Ok::<_, io::Error>((file, Bytes::from(chunk)))
        });
        let (file, chunk) = read.await.map_err(io::Error::other)??;
        Ok(Some((chunk, (FilePart { file, start: start + count, bytes: bytes - count }, memory))))
    })
}

/// The bytes in slices, as fast as the client receives them. `memory` is reserved until the end.
fn slices(bytes: Bytes, memory: Option<Reserved>) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::unfold((bytes, memory), |(mut bytes, memory)| async move {
        let count = bytes.len().min(usize::try_from(CHUNK_BYTES).unwrap_or(usize::MAX));
        let slice = bytes.split_to(count);
        (count > 0).then_some((Ok(slice), (bytes, memory)))
    })
}

/// The chunks as they arrive. `memory` is reserved until the end.
fn held(
    chunks: impl stream::Stream<Item = io::Result<Bytes>> + Unpin,
    memory: Option<Reserved>,
) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::unfold((chunks, memory), |(mut chunks, memory)| async move {
        let chunk = chunks.next().await?;
        Some((chunk, (chunks, memory)))
    })
}

fn set_cookie(cookie: &CookieEffect, is_https: bool) -> String {
    let line = SetCookie {
        name: &cookie.name,
        value: cookie.value.as_deref().unwrap_or_default(),
        path: &cookie.path,
        max_age_s: if cookie.value.is_none() { Some(0) } else { cookie.max_age_s },
        http_only: cookie.http_only,
        same_site: cookie.same_site,
        is_secure: cookie.secure.unwrap_or(is_https),
    };
    line.to_string()
}

/// The reason phrase of a status, such as `Not Found`. Empty if the status has none.
pub fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_cookies_are_secure_on_https_by_default() {
        let cookie = CookieEffect {
            name: "a".into(),
            value: Some("b".into()),
            path: "/".into(),
            max_age_s: Some(60),
            http_only: true,
            same_site: SameSite::Lax,
            secure: None,
        };
        assert_eq!(set_cookie(&cookie, false), "a=b; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
        assert_eq!(set_cookie(&cookie, true), "a=b; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        let gone = CookieEffect { value: None, max_age_s: None, ..cookie };
        assert_eq!(set_cookie(&gone, false), "a=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
}
