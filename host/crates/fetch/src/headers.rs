//! The headers of a call: which a script may send, and what it sees of those that come back.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::error::CallError;

/// A call cannot have more headers.
const HEADERS_MAX: usize = 64;
/// Their names and values together cannot have more bytes.
const HEADER_BYTES_MAX: usize = 16 << 10;

/// Headers that the host itself sends, and headers of one connection.
const REFUSED: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-length",
    "date",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "cookie2",
];
const REFUSED_PREFIXES: [&str; 1] = ["proxy-"];

/// Headers that are dropped if a redirect leads to another origin.
const OF_ORIGIN: [&str; 2] = ["authorization", "cookie"];
/// Headers that describe a body.
const OF_BODY: [&str; 4] = ["content-type", "content-encoding", "content-language", "content-location"];

/// The headers of a call, checked. Values can contain placeholders of secrets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Headers(Vec<(HeaderName, String)>);

impl Headers {
    pub(crate) fn checked(headers: Vec<(String, String)>) -> Result<Self, CallError> {
        if headers.len() > HEADERS_MAX {
            return Err(CallError::TooManyHeaders(HEADERS_MAX));
        }
        let bytes: usize = headers.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
        if bytes > HEADER_BYTES_MAX {
            return Err(CallError::HeaderBytes(HEADER_BYTES_MAX));
        }
        let checked = headers.into_iter().map(|(name, value)| {
            let Ok(parsed) = HeaderName::try_from(name.as_str()) else {
                return Err(CallError::HeaderName(name.escape_debug().to_string()));
            };
            let lower = parsed.as_str();
            if REFUSED.contains(&lower) || REFUSED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
                return Err(CallError::HeaderRefused(lower.to_owned()));
            }
            let value = value.trim_matches([' ', '\t']).to_owned();
            if !value.chars().all(|c| c == '\t' || c == ' ' || c.is_ascii_graphic()) {
                return Err(CallError::HeaderValue(lower.to_owned()));
            }
            Ok((parsed, value))
        });
        checked.collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&HeaderName, &str)> {
        self.0.iter().map(|(name, value)| (name, value.as_str()))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Drops what must not reach another origin.
    pub(crate) fn leave_origin(&mut self) {
        self.0.retain(|(name, _)| !OF_ORIGIN.contains(&name.as_str()));
    }

    /// Drops what describes a body that is no longer sent.
    pub(crate) fn drop_body(&mut self) {
        self.0.retain(|(name, _)| !OF_BODY.contains(&name.as_str()));
    }
}

/// The headers of a response as scripts see them: names in lower case, several values joined, and
/// `set-cookie` by itself.
pub(crate) fn seen(headers: &HeaderMap) -> (Vec<(String, String)>, Vec<String>) {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let of = |name: &HeaderName| headers.get_all(name).iter().map(text).collect::<Vec<_>>();
    let names = headers.keys().filter(|name| name.as_str() != "set-cookie");
    let joined = names.map(|name| (name.as_str().to_owned(), of(name).join(", ")));
    (joined.collect(), of(&hyper::header::SET_COOKIE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> Result<Headers, CallError> {
        Headers::checked(vec![(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn refuses_headers_of_the_connection_and_forged_lines() {
        for name in ["Host", "content-length", "Transfer-Encoding", "connection", "TE", "upgrade", "expect"] {
            assert!(matches!(check(name, "x"), Err(CallError::HeaderRefused(_))), "{name}");
        }
        assert!(matches!(check("proxy-authorization", "x"), Err(CallError::HeaderRefused(_))));
        for name in ["", "a b", "a:b", "a\r\nb", "\u{e9}", "a\0"] {
            assert!(matches!(check(name, "x"), Err(CallError::HeaderName(_))), "{name:?}");
        }
        for value in ["a\r\nhost: evil", "a\nb", "a\rb", "a\0b", "\u{e9}", "a\u{7f}"] {
            assert!(matches!(check("x-a", value), Err(CallError::HeaderValue(_))), "{value:?}");
        }
        assert!(check("x-a", " a\tb ").is_ok());
    }

    #[test]
    fn number_and_size_of_headers_are_bounded() {
        let some = |count: usize, bytes: usize| {
            let headers = (0..count).map(|number| (format!("x-{number:03}"), "a".repeat(bytes)));
            Headers::checked(headers.collect())
        };
        assert!(some(64, 1).is_ok());
        assert!(matches!(some(65, 1), Err(CallError::TooManyHeaders(64))));
        assert!(some(1, HEADER_BYTES_MAX - 5).is_ok());
        assert!(matches!(some(1, HEADER_BYTES_MAX - 4), Err(CallError::HeaderBytes(_))));
    }
}
