//! Which pages of other origins may call a page from a browser (CORS).

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use schemars::JsonSchema;
use serde::Deserialize;

/// The origins whose scripts may call a page, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "CorsSetting")]
#[schemars(with = "CorsSetting")]
pub struct Cors {
    origins: Origins,
    credentials: bool,
    max_age_s: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Origins {
    Any,
    Listed(BTreeSet<String>),
}

/// `cors` of a page.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct CorsSetting {
    /// The origins whose pages may call this page from a browser, such as `https://app.example`, or
    /// only `*` for every origin.
    origins: Vec<String>,
    /// Whether these requests may carry the visitor's cookies. Not possible with `*`.
    #[serde(default)]
    credentials: bool,
    /// How many seconds a browser may remember the answer to its preflight request.
    #[serde(default = "default_max_age")]
    max_age: u32,
}

/// Why `cors` of a page is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorsError {
    /// A text is not an origin.
    #[error(
        "`{0}` is not an origin: write the scheme and the host, and the port unless it is the usual one, as a \
         browser does, in lower case and without a path, such as `https://app.example`"
    )]
    Origin(String),
    /// The list is empty.
    #[error("cors needs at least one origin, such as `https://app.example`; remove cors if there is none")]
    NoOrigin,
    /// `*` is not the only origin.
    #[error("the origin `*` means every origin, so it must be the only one in the list")]
    AnyAndOthers,
    /// `*` with credentials.
    #[error(
        "`credentials = true` is not possible with the origin `*`: every site could act as the visitor; list \
         the origins that you trust"
    )]
    AnyWithCredentials,
}

fn default_max_age() -> u32 {
    600
}

impl Cors {
    /// Whether scripts of `origin` may call the page. It is the value of the header `Origin`.
    pub fn allows(&self, origin: &str) -> bool {
        match &self.origins {
            Origins::Any => true,
            Origins::Listed(listed) => listed.contains(origin),
        }
    }

    /// Whether a request that changes something may come from another origin. A request with cookies
    /// may not unless the setting says so: browsers send simple requests without asking.
    pub fn admits(&self, origin: &str, has_cookies: bool) -> bool {
        self.allows(origin) && (self.credentials || !has_cookies)
    }

    /// The headers that every response needs for a request of `origin`, by names in lower case.
    pub fn headers_for(&self, origin: Option<&str>) -> Vec<(&'static str, String)> {
        let value = match (&self.origins, origin) {
            (Origins::Any, _) => "*".to_owned(),
            (Origins::Listed(listed), Some(origin)) if listed.contains(origin) => origin.to_owned(),
            (Origins::Listed(_), _) => return Vec::new(),
        };
        let mut headers = vec![("access-control-allow-origin", value)];
        if self.credentials {
            headers.push(("access-control-allow-credentials", "true".to_owned()));
        }
        headers
    }

    /// Whether the headers depend on the request, so that caches must keep responses apart.
    pub fn depends_on_origin(&self) -> bool {
        matches!(self.origins, Origins::Listed(_))
    }

    /// How many seconds a browser may remember the answer to its preflight request.
    pub fn max_age_s(&self) -> u32 {
        self.max_age_s
    }
}

impl TryFrom<CorsSetting> for Cors {
    type Error = CorsError;

    fn try_from(setting: CorsSetting) -> Result<Self, CorsError> {
        let CorsSetting { origins, credentials, max_age } = setting;
        let is_any = origins.iter().any(|origin| origin == "*");
        let origins = match origins.len() {
            0 => return Err(CorsError::NoOrigin),
            1 if is_any && credentials => return Err(CorsError::AnyWithCredentials),
            1 if is_any => Origins::Any,
            _ if is_any => return Err(CorsError::AnyAndOthers),
            _ => Origins::Listed(origins.into_iter().map(checked).collect::<Result<_, _>>()?),
        };
        Ok(Self { origins, credentials, max_age_s: max_age })
    }
}

/// Checks that a text is an origin in the form in which browsers send it.
fn checked(text: String) -> Result<String, CorsError> {
    if is_origin(&text) { Ok(text) } else { Err(CorsError::Origin(text)) }
}

fn is_origin(text: &str) -> bool {
    let (rest, usual_port) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, 443),
        (None, Some(rest)) => (rest, 80),
        (None, None) => return false,
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let is_port = |port: &str| {
        let number = port.parse::<u16>();
        number.is_ok_and(|number| number.to_string() == port && number != usual_port && number != 0)
    };
    port.is_none_or(is_port) && is_host(host)
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address);
    }
    let of_label = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_');
    host.len() <= 253 && host.split('.').all(|label| !label.is_empty() && label.chars().all(of_label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str], credentials: bool) -> Result<Cors, CorsError> {
        let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        CorsSetting { origins, credentials, max_age: 600 }.try_into()
    }

    #[test]
    fn knows_origins_as_browsers_send_them() {
        for origin in [
            "https://app.example",
            "http://localhost:3000",
            "https://127.0.0.1:8443",
            "http://[::1]:8080",
            "https://xn--bcher-kva.example",
        ] {
            assert!(cors(&[origin], true).unwrap().allows(origin), "{origin}");
        }
        for text in [
            "https://app.example/",
            "https://App.example",
            "app.example",
            "https://*.app.example",
            "https://app.example:443",
            "http://app.example:80",
            "https://app.example:",
            "https://app.example:08443",
            "https://app.example:65536",
            "https://user@app.example",
            "https://b\u{fc}cher.example",
            "https://app.example.",
            "https://",
            "https://[::1",
            "https://[0:0::1]",
            "ftp://app.example",
            "null",
            "",
        ] {
            assert_eq!(cors(&[text], false), Err(CorsError::Origin(text.into())), "{text}");
        }
    }

    #[test]
    fn any_origin_never_gets_credentials() {
        assert_eq!(cors(&["*"], true), Err(CorsError::AnyWithCredentials));
        assert_eq!(cors(&["*", "https://a.example"], false), Err(CorsError::AnyAndOthers));
        assert_eq!(cors(&[], false), Err(CorsError::NoOrigin));
        let any = cors(&["*"], false).unwrap();
        assert_eq!(any.headers_for(Some("https://a.example")), [("access-control-allow-origin", "*".into())]);
        assert!(any.admits("https://a.example", false) && !any.admits("https://a.example", true));
        assert!(!any.depends_on_origin());
    }

    #[test]
    fn only_listed_origins_get_headers() {
        let one = cors(&["https://a.example"], true).unwrap();
        assert_eq!(one.headers_for(Some("https://b.example")), []);
        assert_eq!(one.headers_for(Some("null")), []);
        assert_eq!(one.headers_for(None), []);
        let headers = one.headers_for(Some("https://a.example"));
        assert_eq!(
            headers,
            [
                ("access-control-allow-origin", "https://a.example".to_owned()),
                ("access-control-allow-credentials", "true".to_owned()),
            ]
        );
        assert!(one.admits("https://a.example", true) && !one.admits("https://b.example", false));
    }
}
