//! Status, headers, and the stop calls. A stop call records its response and returns an error,
//! which unwinds the whole sandbox, so no JavaScript can catch it.

use sluice_http::headers::is_refused;
use sluice_http::{cookies, redirect};

use super::page::sluice::page::response::Host;
use super::page::sluice::page::types::Exception;
use super::{EscapedName, range_error, type_error};
use crate::RunState;
use crate::outcome::Stop;

/// A stop call ended the run. `Effects::stop` has the response.
#[derive(Debug, thiserror::Error)]
#[error("the run was ended by a stop call")]
struct Stopped;

/// Why a header is not set, in the author's terms.
#[derive(Debug, thiserror::Error)]
enum HeaderRefusal {
    #[error("`{0}` is not a header name")]
    Name(EscapedName),
    #[error("the header `{0}` is reserved")]
    Reserved(String),
    #[error("the value of `{name}` has the character {}", bad.escape_unicode())]
    Value { name: EscapedName, bad: char },
    #[error("headers would hold {bytes} bytes; the limit is {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("there are {0} headers already, which is the limit")]
    TooMany(usize),
}

impl Host for RunState {
    async fn status(&mut self, code: f64) -> wasmtime::Result<Result<(), Exception>> {
        self.enter(8).await;
        let valid = code.fract() == 0.0 && (200.0..=599.0).contains(&code);
        if !valid {
            return Ok(Err(range_error(format!("response.status takes 200 to 599, not {code}"))));
        }
        self.effects.status = Some(code as u16);
        Ok(Ok(()))
    }

    async fn set_header(&mut self, name: String, value: String) -> wasmtime::Result<bool> {
        self.enter(name.len() + value.len()).await;
        let done = self.record_header(&name, &value);
        Ok(self.answer("setHeader", done))
    }

    async fn redirect(&mut self, url: String, status: f64) -> wasmtime::Result<Result<(), Exception>> {
        self.enter(url.len()).await;
        let Some(&status) = redirect::STATUSES.iter().find(|known| f64::from(**known) == status) else {
            return Ok(Err(range_error(format!("redirect takes 301, 302, 303, 307 or 308, not {status}"))));
        };
        if let Err(reason) = redirect::check(&url) {
            let url = EscapedName::from(url.as_str());
            return Ok(Err(type_error(format!("redirect to `{url}`: {reason}"))));
        }
        self.effects.stop = Some(Stop::Redirect { url, status });
        Err(Stopped.into())
    }

    async fn json(&mut self, text: String) -> wasmtime::Result<()> {
        self.enter(text.len()).await;
        self.stop(Stop::Json(text))
    }

    async fn send(&mut self, html: String) -> wasmtime::Result<()> {
        self.enter(html.len()).await;
        self.stop(Stop::Html(html))
    }
}

impl RunState {
    fn stop(&mut self, stop: Stop) -> wasmtime::Result<()> {
        self.effects.stop = Some(stop);
        Err(Stopped.into())
    }

    fn record_header(&mut self, name: &str, value: &str) -> Result<(), HeaderRefusal> {
        // Messages show the script's own text, because a secret in lower case would not be masked.
        let shown = name;
        if !cookies::is_token(name) {
            return Err(HeaderRefusal::Name(EscapedName::from(shown)));
        }
        let name = name.to_ascii_lowercase();
        if is_refused(&name) {
            return Err(HeaderRefusal::Reserved(name));
        }
        let value: String = value.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect();
        if let Some(bad) = value.chars().find(|c| c.is_control() && *c != '\t') {
            return Err(HeaderRefusal::Value { name: EscapedName::from(shown), bad });
        }
        let limits = &self.context.limits;
        let headers = &mut self.effects.headers;
        let others = headers.iter().filter(|(known, _)| *known != name);
        let bytes: usize = others.map(|(known, value)| known.len() + value.len()).sum();
        let bytes = bytes + name.len() + value.len();
        let max = limits.header_bytes_max;
        if bytes > max {
            return Err(HeaderRefusal::TooLarge { bytes, max });
        }
        let count = headers.len();
        match headers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, earlier)) => *earlier = value,
            None if count >= limits.headers_max => return Err(HeaderRefusal::TooMany(count)),
            None => headers.push((name, value)),
        }
        Ok(())
    }
}
