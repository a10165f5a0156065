//! The servers that a test pretends: calls of pages to other servers get these responses. A test calls no
//! server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};

use sluice_fetch::{Call, CallError, CallLimits, Ended, Examined, Record, Response, Rules, examine, reason};
use sluice_sandbox::http_calls::{HttpCalls, Running};
use sluice_sandbox::secrets::BrandSecrets;

/// How many fakes a test may have, and how many calls are kept.
const FAKES_MAX: usize = 100;
const CALLS_MAX: usize = 1_000;

/// A response that a test pretends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FakeResponse {
    /// The only method that gets this response.
    method: Option<String>,
    status: u16,
    headers: BTreeMap<String, String>,
    /// A text, or a value that is sent as JSON.
    body: Value,
    /// Why there is no answer.
    error: Option<String>,
}

impl Default for FakeResponse {
    fn default() -> Self {
        Self { method: None, status: 200, headers: BTreeMap::new(), body: Value::Null, error: None }
    }
}

/// The fakes of one test, and the calls that its pages have made.
#[derive(Default)]
pub(super) struct Fakes(Mutex<State>);

#[derive(Default)]
struct State {
    /// Patterns and responses.
    fakes: Vec<(String, FakeResponse)>,
    calls: Vec<Value>,
}

impl Fakes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fake. Returns false if there are too many.
    pub(super) fn add(&self, pattern: String, response: FakeResponse) -> bool {
        let mut state = self.state();
        let has_room = state.fakes.len() < FAKES_MAX;
        if has_room {
            state.fakes.push((pattern, response));
        }
        has_room
    }

    /// The calls that the pages of the test have made so far.
    pub(super) fn calls(&self) -> Value {
        self.state().calls.clone().into()
    }

    /// The newest fake for a call.
    fn response_to(&self, method: &str, url: &str) -> Option<FakeResponse> {
        let state = self.state();
        let mut newest_first = state.fakes.iter().rev();
        let found = newest_first.find(|(pattern, response)| {
            let is_method = response.method.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(method));
            is_method && matches(pattern, url)
        });
        found.map(|(_, response)| response.clone())
    }
}

/// Whether a pattern matches a URL. `*` stands for any text.
fn matches(pattern: &str, url: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = url.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(before) = last.replace(part) {
            let Some(at) = rest.find(before) else { return false };
            rest = rest.get(at + before.len()..).unwrap_or_default();
        }
    }
    last.map_or(rest.is_empty(), |last: &str| rest.ends_with(last))
}

impl HttpCalls for Fakes {
    fn begin(
        &self,
        _brand: &str,
        rules: &Arc<Rules>,
        call: Call,
        limits: CallLimits,
        secrets: &Arc<BrandSecrets>,
    ) -> Result<Running, CallError> {
        let Examined { method, url, host } = examine(rules, &call, limits, secrets.as_ref())?;
        let body = call.body.unwrap_or_default();
        let mut state = self.state();
        if state.calls.len() < CALLS_MAX {
            let headers: Vec<_> = call
                .headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().into()))
                .collect();
            let headers = Value::Object(headers.into_iter().collect());
            let text = String::from_utf8_lossy(&body);
            state.calls.push(json!({ "method": method, "url": url, "headers": headers, "body": text }));
        }
        drop(state);
        let fake = self.response_to(method, &url).ok_or_else(|| CallError::NoFake(url.clone()))?;
        let result = response(fake, url, &host, limits);
        let record = Record {
            method,
            host,
            status: result.as_ref().ok().map(|response| response.status),
            bytes_sent: body.len(),
            bytes_received: result.as_ref().map_or(0, |response| response.body.len()),
            ..Record::default()
        };
        Ok(Box::pin(std::future::ready(Ended { result, record })))
    }
}

fn response(fake: FakeResponse, url: String, host: &str, limits: CallLimits) -> Result<Response, CallError> {
    let FakeResponse { status, headers, body, error, .. } = fake;
    if let Some(reason) = error {
        return Err(CallError::NotConnected { host: host.to_owned(), reason });
    }
    let mut headers: Vec<(String, String)> =
        headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let (body, media) = match body {
        Value::Null => (String::new(), None),
        Value::String(text) => (text, None),
        value => (value.to_string(), Some("application/json")),
    };
    if body.len() > limits.response_bytes_max {
        return Err(CallError::ResponseBytes { host: host.to_owned(), bytes: limits.response_bytes_max });
    }
    let has_type = headers.iter().any(|(name, _)| name == "content-type");
    headers.extend(media.filter(|_| !has_type).map(|media| ("content-type".to_owned(), media.to_owned())));
    let (cookies, headers): (Vec<_>, Vec<_>) =
        headers.into_iter().partition(|(name, _)| name == "set-cookie");
    let cookies = cookies.into_iter().map(|(_, value)| value).collect();
    let body = body.into_bytes();
    Ok(Response { status, status_text: reason(status), url, is_redirected: false, headers, cookies, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_stands_for_any_text() {
        for (pattern, url, expected) in [
            ("https://a.example/", "https://a.example/", true),
            ("https://a.example/", "https://a.example/x", false),
            ("https://a.example/*", "https://a.example/", true),
            ("https://a.example/*", "https://a.example/x?y", true),
            ("https://a.example/*/z", "https://a.example/x/y/z", true),
            ("https://a.example/*/z", "https://a.example/x/y", false),
            ("*", "https://a.example/", true),
            ("*.example/*x*", "https://a.example/yxz", true),
            ("*x*x", "https://x.example/", false),
            ("https://a.example/*", "https://b.example/", false),
        ] {
            assert_eq!(matches(pattern, url), expected, "{pattern} and {url}");
        }
    }
}
