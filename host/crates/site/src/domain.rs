//! The Hosts that a brand names in `brand.toml`.

use std::net::IpAddr;

use serde::Deserialize;

const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// A host name, or with `*.` in front every name below it. Lower case, without a
/// trailing dot: as [`Domain::fit`] gets Hosts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Domain {
    name: String,
    /// Stands for what is below `name`, not for `name`.
    is_wildcard: bool,
}

/// How well a domain fits a Host: the name itself before any wildcard, then the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    is_exact: bool,
    bytes: usize,
}

impl Domain {
    /// None where `host` is not meant.
    pub fn fit(&self, host: &str) -> Option<Fit> {
        let fits = match self.is_wildcard {
            true => host.strip_suffix(&self.name).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            false => host == self.name,
        };
        fits.then_some(Fit { is_exact: !self.is_wildcard, bytes: self.name.len() })
    }

    /// A Host that is meant.
    pub fn example(&self) -> String {
        if self.is_wildcard { format!("www.{}", self.name) } else { self.name.clone() }
    }
}

impl std::fmt::Display for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.is_wildcard { "*." } else { "" }, self.name)
    }
}

impl TryFrom<String> for Domain {
    type Error = String;

    /// What no Host can be is an error: nobody would ever be answered by it.
    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |reason: &str| Err(format!("`{text}` {reason}"));
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
            return wrong("is every host: say `default = true` instead");
        }
        if name.contains('*') {
            return wrong("has a `*` that is not `*.` at the beginning");
        }
        if name.contains('/') {
            return wrong("is an address: only the host name is wanted");
        }
        if name.contains(':') {
            return wrong("has a port: a domain takes every port");
        }
        if !name.is_ascii() {
            return wrong("is not as browsers send it: write it in Punycode (xn--…)");
        }
        let is_label = |label: &str| {
            (1..=LABEL_BYTES_MAX).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if name.len() > NAME_BYTES_MAX || !name.split('.').all(is_label) {
            return wrong("is not a host name");
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
    fn a_name_fits_better_than_any_wildcard() {
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
    fn spellings_of_one_name_are_one_domain() {
        assert_eq!(domain("x.ex"), domain("X.ex."));
        assert_eq!(domain("*.X.ex").to_string(), "*.x.ex");
        assert_ne!(domain("*.x.ex"), domain("x.ex"));
    }

    #[test]
    fn what_no_host_can_be_is_refused() {
        for (text, reason) in [
            ("", "not a host name"),
            (".", "not a host name"),
            (" x.ex", "not a host name"),
            ("a..b", "not a host name"),
            ("*", "default = true"),
            ("a.*.ex", "at the beginning"),
            ("*.*.ex", "at the beginning"),
            ("port.example:8080", "has a port"),
            ("https://url.example", "is an address"),
            ("bücher.example", "Punycode"),
        ] {
            let refused = Domain::try_from(text.to_owned()).unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }
}
