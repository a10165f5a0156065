//! The one place that decides what a script may reach. Every URL goes through [`Rules::target`], and every
//! address through [`Rules::check_address`]: of a call, of each redirect, and of each connection.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use ipnet::IpNet;
use url::Url;

use crate::address::not_public;
use crate::host::{HostPattern, Named};

/// A URL that is longer is rejected.
const URL_BYTES_MAX: usize = 8 << 10;

/// What the operator decides, for all brands.
#[derive(Debug, Clone, Default)]
pub struct OperatorRules {
    /// The most that brands can allow. `None` is everything.
    pub allow_max: Option<Vec<HostPattern>>,
    /// What no brand can reach. An address also stands for every name that resolves to it.
    pub deny: Vec<HostPattern>,
    /// Networks that are not public, and that brands can reach if they allow a host in them.
    pub private_networks: Vec<IpNet>,
}

/// What the scripts of one brand may reach.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    operator: Arc<OperatorRules>,
    allow: Vec<HostPattern>,
}

/// Why a script may not reach something. The texts are for authors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The address of a redirect is not a URL. Its text is not shown: logs have no paths of other servers.
    #[error("the redirect does not lead to a URL")]
    Redirect,
    /// The text is not a URL.
    #[error("\"{0}\" is not a URL; write one such as \"https://api.example/path\"")]
    NotAUrl(String),
    /// The URL is too long.
    #[error("a URL may have {URL_BYTES_MAX} bytes, not {0}")]
    TooLong(usize),
    /// The scheme is neither http nor https.
    #[error("only http: and https: URLs can be called, not {0}:")]
    Scheme(String),
    /// The URL has a name or password in it.
    #[error("a URL with a user name or a password cannot be called; send the header authorization instead")]
    UserInfo,
    /// The brand allows no host at all.
    #[error("no host can be called yet: write `[http]` and `allow = [\"{0}\"]` into brand.toml")]
    NothingAllowed(String),
    /// The brand does not allow the host.
    #[error("{0} is not allowed: add it to `allow` in `[http]` of brand.toml")]
    NotAllowed(String),
    /// The operator does not allow the host.
    #[error("{0} cannot be called: the operator of the host does not allow it")]
    ByOperator(String),
    /// An address of the host is not public.
    #[error("{host} cannot be called: its address is not public ({kind})")]
    NotPublic {
        /// The host of the URL.
        host: String,
        /// What the address is.
        kind: &'static str,
    },
}

/// Where a call goes, after the URL was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) url: Url,
    pub(crate) host: Named,
    pub(crate) port: u16,
    pub(crate) is_https: bool,
}

impl Target {
    /// Host and port as the header `Host` has them.
    pub(crate) fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// Whether two calls go to the same scheme, host and port.
    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        (self.is_https, &self.host, self.port) == (other.is_https, &other.host, other.port)
    }
}

impl Rules {
    /// The rules of a brand that allows these hosts.
    pub fn new(operator: Arc<OperatorRules>, allow: Vec<HostPattern>) -> Self {
        Self { operator, allow }
    }

    /// Checks a URL. The addresses of its host are not known yet.
    pub(crate) fn target(&self, text: &str) -> Result<Target, Denied> {
        if text.len() > URL_BYTES_MAX {
            return Err(Denied::TooLong(text.len()));
        }
        let url = Url::parse(text).map_err(|_| Denied::NotAUrl(shown(text)))?;
        self.checked(url)
    }

    /// Checks the URL of a redirect, relative to the one that redirects.
    pub(crate) fn redirected(&self, from: &Target, location: &str) -> Result<Target, Denied> {
        if location.len() > URL_BYTES_MAX {
            return Err(Denied::TooLong(location.len()));
        }
        let url = from.url.join(location).map_err(|_| Denied::Redirect)?;
        self.checked(url).map_err(|denied| match denied {
            Denied::NotAUrl(_) => Denied::Redirect,
            other => other,
        })
    }

    fn checked(&self, mut url: Url) -> Result<Target, Denied> {
        let is_https = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(Denied::Scheme(shown(other))),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Denied::UserInfo);
        }
        url.set_fragment(None);
        let host = url.host().and_then(Named::of).ok_or_else(|| Denied::NotAUrl(shown(url.as_str())))?;
        let port = url.port().unwrap_or(if is_https { 443 } else { 80 });
        let target = Target { url, host, port, is_https };
        self.check_host(&target)?;
        if let Named::Address(address) = &target.host {
            self.check_address(&target, *address)?;
        }
        Ok(target)
    }

    fn check_host(&self, target: &Target) -> Result<(), Denied> {
        let (host, port) = (&target.host, target.port);
        let shown = || target.authority();
        let allows = |list: &[HostPattern]| list.iter().any(|pattern| pattern.allows(host, port));
        if self.allow.is_empty() {
            return Err(Denied::NothingAllowed(shown()));
        }
        if !allows(&self.allow) {
            return Err(Denied::NotAllowed(shown()));
        }
        if self.is_denied(host, port) || !self.operator.allow_max.as_deref().is_none_or(allows) {
            return Err(Denied::ByOperator(shown()));
        }
        Ok(())
    }

    /// Checks an address to which the name of a target resolves.
    pub(crate) fn check_address(&self, target: &Target, address: IpAddr) -> Result<(), Denied> {
        // Whatever name leads to it: the operator names an address to keep calls away from what is there.
        if self.is_denied(&Named::Address(address), target.port) {
            return Err(Denied::ByOperator(target.authority()));
        }
        let denied = |kind| Err(Denied::NotPublic { host: target.host.to_string(), kind });
        if self.is_private(address) {
            // `*` stands for public hosts: a script that calls what visitors name must not get here.
            let is_named =
                |pattern: &HostPattern| pattern.is_named() && pattern.allows(&target.host, target.port);
            let is_allowed = self.allow.iter().any(is_named);
            return if is_allowed { Ok(()) } else { denied("of a network that `*` does not contain") };
        }
        match not_public(address) {
            Some(kind) => denied(kind),
            None if is_own(address) => denied("of this machine"),
            None => Ok(()),
        }
    }

    fn is_denied(&self, host: &Named, port: u16) -> bool {
        self.operator.deny.iter().any(|pattern| pattern.denies(host, port))
    }

    /// Whether an address is in a network that the operator calls private.
    pub(crate) fn is_private(&self, address: IpAddr) -> bool {
        self.operator.private_networks.iter().any(|network| network.contains(&address))
    }

    /// Checks a URL that a script names, as a call would before it connects.
    ///
    /// # Errors
    /// A call of it would be refused.
    pub fn check(&self, url: &str) -> Result<(), Denied> {
        self.target(url).map(drop)
    }
}

/// Whether an address belongs to this machine: then its own listeners would answer. The system sends from
/// an address of its own to itself. Connecting a UDP socket sends nothing.
fn is_own(address: IpAddr) -> bool {
    let any: SocketAddr = match address {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let local = UdpSocket::bind(any).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    // Without a way to the address, there is no connection either.
    local.is_ok_and(|local| local.ip() == address)
}

/// What a message shows of a text from a script.
fn shown(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}
