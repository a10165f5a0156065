//! The host names that a brand lists in `brand.toml`.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// A host name, or `*.` and a host name for every subdomain of it. It has no port and no
/// scheme, and international names are written in Punycode.
// The name is in lower case and without a trailing dot, as the Hosts that `fit` gets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", example = "shop.example", example = "*.shop.example")]
pub struct Domain {
    name: String,
    /// Whether this matches the subdomains of `name`, and not `name` itself.
    is_wildcard: bool,
}

/// How well a domain matches a Host: an exact match is better than any wildcard, and then the
/// longer name is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fit {
    is_exact: bool,
    bytes: usize,
}

impl Domain {
    /// How well this domain matches `host`. `None` if it does not match.
    pub(crate) fn fit(&self, host: &str) -> Option<Fit> {
        let fits = match self.is_wildcard {
            true => host.strip_suffix(&self.name).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            false => host == self.name,
        };
        fits.then_some(Fit { is_exact: !self.is_wildcard, bytes: self.name.len() })
    }

    /// Whether every Host that `other` matches also matches this domain.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match other.is_wildcard {
            true => self.is_wildcard && (self.name == other.name || self.fit(&other.name).is_some()),
            false => self.fit(&other.name).is_some(),
        }
    }

    /// A Host that this domain matches.
    pub(crate) fn example(&self) -> String {
        if self.is_wildcard { format!("www.{}", self.name) } else { self.name.clone() }
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::fmt::Display for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.is_wildcard { "*." } else { "" }, self.name)
    }
}

/// A domain that cannot match any Host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {fault}")]
pub struct DomainError {
    /// The domain as it is written in the file.
    pub text: String,
    /// What is wrong with it.
    pub fault: DomainFault,
}

/// Why a domain cannot match any Host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DomainFault {
    /// It is `*`.
    #[error("matches every host: set `default = true` instead")]
    EveryHost,
    /// It has a `*` in another place than at the beginning.
    #[error("may contain `*` only as `*.` at the beginning")]
    MisplacedWildcard,
    /// It is a URL.
    #[error("is a URL: write only the host name")]
    Address,
    /// It has a port.
    #[error("has a port: a domain matches every port")]
    Port,
    /// It has a character that is not ASCII.
    #[error("is not in the form that browsers send: write it in Punycode (xn--…)")]
    NotAscii,
    /// It is not a host name of RFC 1123.
    #[error("is not a host name")]
    NotAName,
}

impl TryFrom<String> for Domain {
    type Error = DomainError;

    /// A domain that cannot match any Host is an error, because it would have no effect.
    fn try_from(text: String) -> Result<Self, DomainError> {
        let invalid = |fault| Err(DomainError { text: text.clone(), fault });
        let (name, is_wildcard) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text.as_str(), false),
        };
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        if !is_wildcard && bare.parse::<IpAddr>().is_ok() {
            return Ok(Self { name: bare.to_ascii_lowercase(), is_wildcard });
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        if text == "*" {
            return invalid(DomainFault::EveryHost);
        }
        if name.contains('*') {
            return invalid(DomainFault::MisplacedWildcard);
        }
        if name.contains('/') {
            return invalid(DomainFault::Address);
        }
        if name.contains(':') {
            return invalid(DomainFault::Port);
        }
        if !name.is_ascii() {
            return invalid(DomainFault::NotAscii);
        }
        let is_label = |label: &str| {
            (1..=LABEL_BYTES_MAX).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if name.len() > NAME_BYTES_MAX || !name.split('.').all(is_label) {
            return invalid(DomainFault::NotAName);
        }
        Ok(Self { name: name.to_ascii_lowercase(), is_wildcard })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn exact_name_takes_precedence_over_wildcards() {
        let host = "m.shop.example";
        let exact = domain("M.Shop.Example.").fit(host).unwrap();
        let near = domain("*.shop.example").fit(host).unwrap();
        let far = domain("*.example").fit(host).unwrap();
        assert!(exact > near && near > far);
        assert_eq!(domain("*.shop.example").fit("shop.example"), None);
        assert_eq!(domain("*.shop.example").fit(".shop.example"), None);
        assert_eq!(domain("*.shop.example").fit("ashop.example"), None);
        assert_eq!(domain("[::1]").fit("::1"), domain("::1").fit("::1"));
    }

    #[test]
    fn case_and_trailing_dot_do_not_matter() {
        assert_eq!(domain("x.ex"), domain("X.ex."));
        assert_eq!(domain("*.X.ex").to_string(), "*.x.ex");
        assert_ne!(domain("*.x.ex"), domain("x.ex"));
    }

    #[test]
    fn rejects_domains_that_match_no_host() {
        for (text, reason) in [
            ("", "not a host name"),
            (".", "not a host name"),
            (" x.ex", "not a host name"),
            ("a..b", "not a host name"),
            ("*", "default = true"),
            ("a.*.ex", "at the beginning"),
            ("*.*.ex", "at the beginning"),
            ("port.example:8080", "has a port"),
            ("https://url.example", "is a URL"),
            ("bücher.example", "Punycode"),
        ] {
            let error = Domain::try_from(text.to_owned()).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
