//! The names of headers that neither scripts nor the settings of a site can set, and the names of those
//! that a page can let its script see.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::cookies::is_token;

/// Headers of one connection, in requests and responses.
const OF_CONNECTION: [&str; 6] =
    ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// Further headers that control connections, other origins or proxies.
const REFUSED: [&str; 17] = [
    "set-cookie",
    "set-cookie2",
    "content-length",
    "host",
    "date",
    "server",
    "strict-transport-security",
    "content-encoding",
    "location",
    "refresh",
    "edge-control",
    "x-esi",
    "alt-svc",
    "clear-site-data",
    "service-worker-allowed",
    "content-range",
    "proxy-connection",
];
/// Proxies and servers in front of the host obey headers of these families: they send a file, or ask
/// another server, instead of the response.
const REFUSED_PREFIXES: [&str; 8] = [
    "access-control-",
    "proxy-",
    "surrogate-",
    "x-accel-",
    "x-lighttpd-",
    "x-litespeed-",
    "x-reproxy-",
    "x-sendfile",
];

/// Whether scripts and sites are forbidden to set the header of this lower-case name.
pub fn is_refused(name: &str) -> bool {
    OF_CONNECTION.contains(&name)
        || REFUSED.contains(&name)
        || REFUSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Further request headers that no script sees: cookies, which may contain the session, and what proxies
/// write, which a visitor can write, too, if no proxy overwrites it.
const HIDDEN: [&str; 16] = [
    "cookie",
    "cookie2",
    "expect",
    "via",
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
    "client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-envoy-external-address",
];
const HIDDEN_PREFIXES: [&str; 4] = ["proxy-", "x-forwarded-", "x-accel-", "x-appengine-"];

/// A page cannot name more headers.
const NAMED_MAX: usize = 32;

/// The further request headers that a page lets its script see, by names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<String>")]
#[schemars(with = "Vec<String>")]
pub struct NamedHeaders(Vec<String>);

/// Why a page cannot let its script see a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamedHeaderError {
    /// The text is not a name of a header.
    #[error("`{0}` is not the name of a header")]
    NoName(String),
    /// No script sees this header.
    #[error(
        "scripts cannot see the header `{0}`: they read cookies with `request.cookies` and the visitor's \
         address with `request.ip`, and headers of proxies and connections are for the host only"
    )]
    Hidden(String),
    /// The list is too long.
    #[error("a page can name at most {NAMED_MAX} headers, not {0}")]
    TooMany(usize),
}

/// Whether no script may see the request header of this lower-case name.
pub fn is_hidden(name: &str) -> bool {
    OF_CONNECTION.contains(&name)
        || HIDDEN.contains(&name)
        || HIDDEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

impl NamedHeaders {
    /// The names in lower case.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether the page names the header of this lower-case name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }
}

impl TryFrom<Vec<String>> for NamedHeaders {
    type Error = NamedHeaderError;

    fn try_from(names: Vec<String>) -> Result<Self, NamedHeaderError> {
        if names.len() > NAMED_MAX {
            return Err(NamedHeaderError::TooMany(names.len()));
        }
        let mut known = Vec::new();
        for name in names {
            if !is_token(&name) {
                return Err(NamedHeaderError::NoName(name));
            }
            let name = name.to_ascii_lowercase();
            if is_hidden(&name) {
                return Err(NamedHeaderError::Hidden(name));
            }
            if !known.contains(&name) {
                known.push(name);
            }
        }
        Ok(Self(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Result<Vec<String>, NamedHeaderError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        NamedHeaders::try_from(names).map(|headers| headers.iter().map(str::to_owned).collect())
    }

    #[test]
    fn page_names_headers_in_any_case() {
        let known = named(&["Stripe-Signature", "authorization", "STRIPE-signature", "content-type"]);
        assert_eq!(known.unwrap(), ["stripe-signature", "authorization", "content-type"]);
    }

    #[test]
    fn no_page_can_name_cookies_or_headers_of_proxies() {
        for name in [
            "cookie",
            "Cookie",
            "X-Forwarded-For",
            "x-forwarded-host",
            "forwarded",
            "x-real-ip",
            "via",
            "proxy-authorization",
            "cf-connecting-ip",
            "transfer-encoding",
        ] {
            assert_eq!(named(&[name]), Err(NamedHeaderError::Hidden(name.to_ascii_lowercase())), "{name}");
        }
        for name in ["", "a b", "a:b", "a\r\nb", "\u{e9}"] {
            assert_eq!(named(&[name]), Err(NamedHeaderError::NoName(name.into())), "{name:?}");
        }
        let names: Vec<String> = (0..33).map(|number| format!("x-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(named(&names), Err(NamedHeaderError::TooMany(33)));
        assert!(named(&names[..32]).is_ok());
    }
}
