//! The hosts in allow and deny lists.

use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Host;

/// A host, or several: `api.example`, `*.example`, `api.example:8443`, `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct HostPattern {
    name: Name,
    /// The only port. Without it, the patterns matches the ports 80 and 443.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Any,
    /// Every name that ends in a dot and this text.
    Below(String),
    Exactly(Named),
}

/// The host of a URL, in the one form in which it is compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Named {
    /// A name in lower case and Punycode, without a dot at its end.
    Domain(String),
    Address(IpAddr),
}

/// A text is not a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a host: write a name or an address, `*.` and a name for everything below it, or `*`; a port \
     other than 80 and 443 follows after a colon, such as `api.example:8443`"
)]
pub struct HostError(String);

impl Named {
    /// The host of a URL. `None` if it is empty.
    pub(crate) fn of(host: Host<&str>) -> Option<Self> {
        Some(match host {
            Host::Ipv4(address) => Self::Address(address.into()),
            Host::Ipv6(address) => Self::Address(address.into()),
            Host::Domain(name) => Self::Domain(bare(name)?.to_ascii_lowercase()),
        })
    }

    /// Whether it is a name without a dot, which only a local network has.
    fn is_local(&self) -> bool {
        matches!(self, Self::Domain(name) if !name.contains('.'))
    }
}

/// A name without the dot at its end, which only says that the name is complete.
fn bare(name: &str) -> Option<&str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    (!name.is_empty() && !name.ends_with('.')).then_some(name)
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(name) => f.write_str(name),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl HostPattern {
    /// Whether the pattern matches a host and a port, as an allow list does: `*` stands for every public
    /// host, and the port must be a usual one unless the pattern names it.
    pub(crate) fn allows(&self, host: &Named, port: u16) -> bool {
        let is_port = self.port.map_or(port == 80 || port == 443, |own| own == port);
        let is_local = self.name == Name::Any && host.is_local();
        is_port && !is_local && self.name.matches(host)
    }

    /// Whether the pattern names hosts, and does not stand for all of them.
    pub(crate) fn is_named(&self) -> bool {
        self.name != Name::Any
    }

    /// Whether the pattern matches a host and a port, as a deny list does: on every port unless the pattern
    /// names one, and an address in each of its forms.
    pub(crate) fn denies(&self, host: &Named, port: u16) -> bool {
        let is_same = match (&self.name, host) {
            (Name::Exactly(Named::Address(own)), Named::Address(address)) => {
                own.to_canonical() == address.to_canonical()
            }
            (name, host) => name.matches(host),
        };
        is_same && self.port.is_none_or(|own| own == port)
    }

    /// Whether the pattern matches the host of a URL and its port, as an allow list does.
    pub fn allows_host(&self, host: &str, port: u16) -> bool {
        let Ok(host) = Host::parse(host) else { return false };
        let host = match &host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        };
        Named::of(host).is_some_and(|host| self.allows(&host, port))
    }
}

impl Name {
    fn matches(&self, host: &Named) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Below(base), Named::Domain(name)) => {
                name.strip_suffix(base.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Self::Below(_), Named::Address(_)) => false,
            (Self::Exactly(own), host) => own == host,
        }
    }
}

impl TryFrom<String> for HostPattern {
    type Error = HostError;

    fn try_from(text: String) -> Result<Self, HostError> {
        match parse(&text) {
            Some(pattern) => Ok(pattern),
            None => Err(HostError(text)),
        }
    }
}

fn parse(text: &str) -> Option<HostPattern> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            let number: u16 = port.parse().ok().filter(|number| *number != 0)?;
            (number.to_string() == port).then_some((host, Some(number)))?
        }
        _ => (text, None),
    };
    if host == "*" {
        return Some(HostPattern { name: Name::Any, port });
    }
    if let Some(base) = host.strip_prefix("*.") {
        let named = exactly(base)?;
        let Named::Domain(base) = named else { return None };
        return Some(HostPattern { name: Name::Below(base), port });
    }
    Some(HostPattern { name: Name::Exactly(exactly(host)?), port })
}

/// A host that is written as URLs have it: no other spelling of an address or a name.
fn exactly(text: &str) -> Option<Named> {
    let bracketed = match text.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => text.to_owned(),
    };
    let parsed = Host::parse(&bracketed).ok()?;
    let named = match &parsed {
        Host::Domain(name) => Named::Domain(name.clone()),
        Host::Ipv4(address) => Named::Address((*address).into()),
        Host::Ipv6(address) => Named::Address((*address).into()),
    };
    let is_name = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
    let is_plain = match &named {
        Named::Domain(name) => name == text && name.chars().all(is_name) && bare(name) == Some(name),
        Named::Address(_) => named.to_string() == bracketed,
    };
    is_plain.then_some(named)
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Name::Any => f.write_str("*")?,
            Name::Below(base) => write!(f, "*.{base}")?,
            Name::Exactly(host) => host.fmt(f)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        HostPattern::try_from(text.to_owned()).unwrap()
    }

    fn host(text: &str) -> Named {
        let url = url::Url::parse(&format!("https://{text}/")).unwrap();
        Named::of(url.host().unwrap()).unwrap()
    }

    #[test]
    fn matches_hosts_and_ports() {
        for (text, name, port, expected) in [
            ("api.example", "api.example", 443, true),
            ("api.example", "API.Example.", 80, true),
            ("api.example", "api.example", 8443, false),
            ("api.example:8443", "api.example", 8443, true),
            ("api.example:8443", "api.example", 443, false),
            ("api.example", "api.example.evil.example", 443, false),
            ("api.example", "xapi.example", 443, false),
            ("*.example", "api.example", 443, true),
            ("*.example", "a.b.example", 443, true),
            ("*.example", "example", 443, false),
            ("*.example", ".example", 443, false),
            ("*.slack.com", "evilslack.com", 443, false),
            ("*", "api.example", 443, true),
            ("*", "localhost", 443, false),
            ("*", "metadata.", 443, false),
            ("*", "1.1.1.1", 443, true),
            ("*", "api.example", 22, false),
            ("localhost", "localhost", 80, true),
            ("1.1.1.1", "0x1010101", 443, true),
            ("[2606:4700::1]:8443", "[2606:4700:0::1]", 8443, true),
            ("2606:4700::1", "[2606:4700::1]", 443, true),
            ("*.1.1.1", "1.1.1.1", 443, false),
        ] {
            if let Ok(pattern) = HostPattern::try_from(text.to_owned())
                && let Ok(url) = url::Url::parse(&format!("https://{name}/"))
                && let Some(host) = Named::of(url.host().unwrap())
            {
                assert_eq!(pattern.allows(&host, port), expected, "{text} and {name}:{port}");
            } else {
                assert!(!expected, "{text} and {name}:{port}");
            }
        }
        assert!(pattern("metadata.example").denies(&host("metadata.example"), 8080));
        assert!(pattern("*").denies(&host("localhost"), 1));
        for (text, name, port, expected) in [
            ("a.example:1", "A.example", 1, true),
            ("a.example:1", "a.example", 2, false),
            ("a.example:1", "a.example", 443, false),
            ("a.example", "a.example", 443, true),
            ("a.example", "a.example", 8443, false),
            ("[::1]:1", "[::1]", 1, true),
            ("*.a.example", "a.example", 443, false),
        ] {
            assert_eq!(pattern(text).allows_host(name, port), expected, "{text} and {name}:{port}");
        }
    }

    #[test]
    fn a_denied_address_is_denied_in_each_form() {
        for (text, address, port, expected) in [
            ("192.0.2.1", "192.0.2.1", 8080, true),
            ("192.0.2.1", "[::ffff:192.0.2.1]", 443, true),
            ("[::ffff:192.0.2.1]", "192.0.2.1", 443, true),
            ("192.0.2.1:443", "[::ffff:192.0.2.1]", 443, true),
            ("192.0.2.1:443", "192.0.2.1", 80, false),
            ("192.0.2.1", "192.0.2.2", 443, false),
        ] {
            assert_eq!(pattern(text).denies(&host(address), port), expected, "{text} and {address}:{port}");
        }
    }

    #[test]
    fn rejects_what_is_not_a_host() {
        for text in [
            "",
            "https://api.example",
            "api.example/path",
            "API.example",
            "api.example.",
            "api.example:",
            "api.example:0",
            "api.example:0443",
            "api.example:65536",
            "user@api.example",
            "*api.example",
            "api.*.example",
            "**.example",
            "*.",
            "0x7f.1",
            "127.1",
            "::1::",
            "b\u{fc}cher.example",
            "a b",
            "*.1.2.3.4",
        ] {
            assert!(HostPattern::try_from(text.to_owned()).is_err(), "{text}");
        }
        for text in ["*", "*:8080", "*.a.example", "a.example:8443", "1.1.1.1", "[2606:4700::1]:1"] {
            assert_eq!(pattern(text).to_string(), text);
        }
    }
}
