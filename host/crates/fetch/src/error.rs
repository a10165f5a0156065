//! Why a call has no response. The texts are for authors: they name the host, and never the rest of the URL,
//! a header or a body.

use crate::pool::{BRAND_CALLS_MAX, HOST_CALLS_MAX};
use crate::rules::Denied;

/// Why a call has no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The URL or an address of its host may not be called.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The method is not one that can be sent.
    #[error("the method must be GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS, not {0}")]
    Method(String),
    /// A GET or HEAD request with a body.
    #[error("a {0} request cannot have a body")]
    BodyOfGet(&'static str),
    /// A name is not a name of a header.
    #[error("\"{0}\" is not the name of a header")]
    HeaderName(String),
    /// Only the host sends this header.
    #[error("the header {0} cannot be set: the host sends it itself, or it would change the connection")]
    HeaderRefused(String),
    /// The value of a header contains something else than ASCII text in one line.
    #[error("the value of the header {0} may contain only printable ASCII characters, in one line")]
    HeaderValue(String),
    /// The call has more headers.
    #[error("a call may have {0} headers")]
    TooManyHeaders(usize),
    /// The headers have more bytes.
    #[error("the headers of a call may have {0} bytes")]
    HeaderBytes(usize),
    /// A header has the placeholder of a secret that is not for this host and port.
    #[error(
        "the secret {secret} may not be sent to {host}: `[secrets.{secret}] hosts` in brand.toml does not name it"
    )]
    SecretHost {
        /// The name of the secret.
        secret: String,
        /// The host of the URL, with its port unless that is the usual one.
        host: String,
    },
    /// A header has the placeholder of a secret, and the connection is not encrypted.
    #[error("a secret can be sent to {0} only over https")]
    SecretInClear(String),
    /// The body of the request is larger than the quota.
    #[error("the body of a request may have {0} bytes (http_request_bytes_max)")]
    RequestBytes(usize),
    /// The body of the response is larger than the quota.
    #[error("the response of {host} is larger than {bytes} bytes (http_response_bytes_max)")]
    ResponseBytes {
        /// The host of the URL.
        host: String,
        /// The quota.
        bytes: usize,
    },
    /// The server sends more than any response within the quota needs, such as interim responses without end.
    #[error("{host} sent more than {bytes} bytes for one response (2 × http_response_bytes_max + 320 KB)")]
    WireBytes {
        /// The host of the URL.
        host: String,
        /// What a connection reads for one response.
        bytes: usize,
    },
    /// The time of the call is over.
    #[error("{host} did not answer within {ms} ms (http_wall_ms_max)")]
    Wall {
        /// The host of the URL.
        host: String,
        /// The quota.
        ms: u64,
    },
    /// The time that the script gave the call is over.
    #[error("{host} did not answer within {ms} ms")]
    Aborted {
        /// The host of the URL.
        host: String,
        /// The time of the script.
        ms: u64,
    },
    /// The time of the call was over before it was its turn, because the brand's other calls take longer.
    #[error(
        "the call to {host} waited {ms} ms for its turn: a brand makes {BRAND_CALLS_MAX} calls at a time, and \
         {HOST_CALLS_MAX} to one host"
    )]
    NoTurn {
        /// The host of the URL.
        host: String,
        /// The time of the call.
        ms: u64,
        /// Whether the time is that of the script, and not the quota.
        is_own: bool,
    },
    /// The host redirects too often.
    #[error("{0} redirects more than 5 times")]
    TooManyRedirects(String),
    /// The host redirects, and the script asked for an error then.
    #[error("{0} redirects, and the call has redirect: \"error\"")]
    Redirected(String),
    /// The name has no address.
    #[error("the name {0} cannot be resolved")]
    NotResolved(String),
    /// No connection could be made.
    #[error("{host} cannot be reached: {reason}")]
    NotConnected {
        /// The host of the URL.
        host: String,
        /// The reason in a few words.
        reason: String,
    },
    /// The certificate is not valid for the host, or the host does not speak TLS.
    #[error("there is no secure connection to {host}: {reason}")]
    Tls {
        /// The host of the URL.
        host: String,
        /// What rustls says about it.
        reason: String,
    },
    /// What came back is not HTTP, or ended too early.
    #[error("{host} did not answer as HTTP requires: {reason}")]
    Broken {
        /// The host of the URL.
        host: String,
        /// The reason in a few words.
        reason: String,
    },
    /// The tool makes no calls.
    #[error("calls to other servers are switched off (--offline)")]
    Offline,
    /// The test has no fake for the call.
    #[error("a test calls no server: write `http.fake(\"{0}\", {{ body: … }})` before the visit")]
    NoFake(String),
    /// The host failed.
    #[error("calls are not available at the moment")]
    Unavailable,
}

/// How a script learns of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The call was wrong: it always throws a `TypeError`.
    Mistake,
    /// A quota was reached: it always throws a `RangeError`.
    Quota,
    /// There was no answer.
    NoAnswer,
    /// The time that the script gave is over.
    Aborted,
}

impl CallError {
    /// How a script learns of it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Denied(_)
            | Self::Method(_)
            | Self::BodyOfGet(_)
            | Self::HeaderName(_)
            | Self::HeaderRefused(_)
            | Self::HeaderValue(_)
            | Self::SecretHost { .. }
            | Self::SecretInClear(_) => ErrorKind::Mistake,
            Self::TooManyHeaders(_)
            | Self::HeaderBytes(_)
            | Self::RequestBytes(_)
            | Self::ResponseBytes { .. }
            | Self::WireBytes { .. } => ErrorKind::Quota,
            Self::Offline | Self::NoFake(_) => ErrorKind::Mistake,
            Self::Aborted { .. } | Self::NoTurn { is_own: true, .. } => ErrorKind::Aborted,
            Self::NoTurn { .. }
            | Self::Wall { .. }
            | Self::TooManyRedirects(_)
            | Self::Redirected(_)
            | Self::NotResolved(_)
            | Self::NotConnected { .. }
            | Self::Tls { .. }
            | Self::Broken { .. }
            | Self::Unavailable => ErrorKind::NoAnswer,
        }
    }
}
