//! Why an answer cannot be kept for other visitors.

use std::fmt;

/// The first thing that makes an answer depend on the visitor, or that would be missing if it came from the
/// cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dependence {
    /// The script reads `request.cookies`.
    Cookies,
    /// The script reads `request.ip` or `request.ip6`.
    Address,
    /// The script reads `request.is_mobile` or `request.is_tablet`.
    Device,
    /// The script reads this request header, which is not in `vary`.
    Header(String),
    /// The script lists the request headers.
    Headers,
    /// Something needs the session, or the customer who is logged in.
    Session,
    /// This CRM call is about the customer who is logged in.
    Crm(&'static str),
    /// The script uses random numbers.
    Random,
    /// The answer sets a cookie.
    SetCookie,
    /// This call changes something, or hands out something that is only for one visitor.
    Call(&'static str),
    /// The template shows this.
    Template(String),
    /// The script or the template failed, or the host could not finish the answer.
    Failed,
    /// A call failed or exceeded a limit, and the script caught that.
    CallFailed,
    /// The answer has this status.
    Status(u16),
    /// The script forbids caches with `Cache-Control`.
    CacheControl,
    /// The answer is too large for the cache.
    TooLarge,
    /// What it was made from may have changed meanwhile: it was dropped, or the site was reloaded.
    Outdated,
}

impl Dependence {
    /// Its label in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Cookies => "cookies",
            Self::Address => "address",
            Self::Device => "device",
            Self::Header(_) | Self::Headers => "header",
            Self::Session => "session",
            Self::Crm(_) => "crm",
            Self::Random => "random",
            Self::SetCookie => "set_cookie",
            Self::Call(_) => "call",
            Self::Template(_) => "template",
            Self::Failed => "failed",
            Self::CallFailed => "call_failed",
            Self::Status(_) => "status",
            Self::CacheControl => "cache_control",
            Self::TooLarge => "too_large",
            Self::Outdated => "outdated",
        }
    }

    /// Whether the next request for the same may well have an answer that can be kept.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Failed | Self::CallFailed | Self::Outdated)
    }
}

/// A sentence for the author.
impl fmt::Display for Dependence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookies => f.write_str("the script reads `request.cookies`"),
            Self::Address => f.write_str("the script reads the visitor's address (`request.ip`)"),
            Self::Device => f.write_str(
                "the script reads `request.is_mobile` or `request.is_tablet`; with `user-agent` in `vary`, it \
                 may",
            ),
            Self::Header(name) => write!(
                f,
                "the script reads the header `{name}`; with `{name}` in `vary`, it may, and each value of the \
                 header has an answer of its own"
            ),
            Self::Headers => f.write_str("the script lists `request.headers`; it may read single ones in `vary`"),
            Self::Session => f.write_str("it depends on the session, the customer or the visitor's language"),
            Self::Crm(call) => write!(f, "`{call}` is about the customer who is logged in"),
            Self::Random => f.write_str("the script uses random numbers"),
            Self::SetCookie => f.write_str("the answer sets a cookie"),
            Self::Call(call) => {
                write!(f, "the script calls `{call}`, which must happen for each visitor")
            }
            Self::Template(what) => write!(f, "the template uses `{what}`"),
            Self::Failed => f.write_str("the page failed"),
            Self::CallFailed => {
                f.write_str("a call failed or exceeded a limit; the answer may lack something, although the script caught that")
            }
            Self::Status(status) => {
                write!(f, "the answer has status {status}; only 200, 404 and redirects are kept")
            }
            Self::CacheControl => f.write_str("the script sets `Cache-Control` to `no-store` or `private`"),
            Self::TooLarge => f.write_str("the answer is too large for the cache"),
            Self::Outdated => f.write_str("the answers of the page were dropped while it was made"),
        }
    }
}
