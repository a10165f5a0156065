//! The requests to the certificate authority: over TLS only, bounded in time and size.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body as _;
use hyper::header::{CONNECTION, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use parking_lot::Mutex;
use url::Url;

use sluice_fetch::endpoint::{Endpoint, Outgoing};

use crate::failure::Seen;

/// The largest response that is accepted, in bytes. Chains of certificates have a few kilobytes.
const RESPONSE_BYTES_MAX: usize = 256 << 10;
/// A longer `Retry-After` counts as this one.
const RETRY_AFTER_MAX_S: u64 = 7 * 24 * 60 * 60;

const AGENT: &str = concat!("Sluice/", env!("CARGO_PKG_VERSION"), " instant-acme");

type Wrong = Box<dyn std::error::Error + Send + Sync>;

/// Makes requests, and notes what came back. One order has one transport.
#[derive(Clone)]
pub(crate) struct Transport {
    authority: Authority,
    seen: Arc<Mutex<Seen>>,
}

/// How the certificate authority is reached.
#[derive(Clone)]
pub struct Authority {
    /// Connects to it.
    pub endpoint: Endpoint,
    /// How long one request may take.
    pub request_max: Duration,
}

impl Authority {
    /// With the usual time for a request.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, request_max: Duration::from_secs(30) }
    }
}

impl Transport {
    pub(crate) fn new(authority: &Authority) -> Self {
        Self { authority: authority.clone(), seen: Arc::default() }
    }

    /// What the last request has shown.
    pub(crate) fn seen(&self) -> Seen {
        *self.seen.lock()
    }

    async fn send(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Wrong> {
        let (parts, mut body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string())?;
        if url.scheme() != "https" {
            return Err("the certificate authority has URLs without https".into());
        }
        // The library's body is one frame that is there already.
        let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let sent = frame.and_then(Result::ok).and_then(|frame| frame.into_data().ok()).unwrap_or_default();
        let kept = parts.headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
        let mut headers: Vec<_> = kept.filter(|(name, _)| name != USER_AGENT).collect();
        headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
        headers.push((CONNECTION, HeaderValue::from_static("close")));
        let mut answer =
            self.authority.endpoint.send(parts.method, &url, headers, Outgoing::Bytes(sent)).await?;
        // The library adds it to the time, and that must not overflow.
        let retry_after = answer.headers.remove(RETRY_AFTER).as_ref().and_then(seconds);
        if let Some(seconds) = retry_after {
            answer.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        *self.seen.lock() =
            Seen { status: Some(answer.status), retry_after: retry_after.map(Duration::from_secs) };
        let body = Bytes::from(answer.whole(RESPONSE_BYTES_MAX).await?);
        let (mut parts, ()) = Response::builder().status(answer.status).body(())?.into_parts();
        parts.headers = answer.headers;
        Ok(BytesResponse { parts, body: Box::new(body) })
    }
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let transport = self.clone();
        *self.seen.lock() = Seen::default();
        Box::pin(async move {
            let limit = transport.authority.request_max;
            let sent = tokio::time::timeout(limit, transport.send(request)).await;
            let late = || format!("it did not answer within {} s", limit.as_secs_f32()).into();
            sent.unwrap_or_else(|_| Err(late())).map_err(Error::Other)
        })
    }
}

/// The seconds of a `Retry-After`, which can be a date.
fn seconds(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => u64::MAX,
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            date.duration_since(std::time::SystemTime::now()).unwrap_or_default().as_secs()
        }
    };
    Some(seconds.min(RETRY_AFTER_MAX_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_dates_of_retry_after() {
        let read = |text: &str| seconds(&HeaderValue::from_str(text).unwrap());
        assert_eq!(read("120"), Some(120));
        assert_eq!(read(" 0 "), Some(0));
        assert_eq!(read("99999999999999999999999"), Some(RETRY_AFTER_MAX_S));
        assert_eq!(read("Fri, 31 Dec 1999 23:59:59 GMT"), Some(0));
        assert_eq!(read("Fri, 31 Dec 9999 23:59:59 GMT"), Some(RETRY_AFTER_MAX_S));
        assert_eq!(read("soon"), None);
        assert_eq!(read(""), None);
        assert_eq!(read("-1"), None);
    }
}
