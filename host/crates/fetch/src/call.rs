//! A call, its quotas, and what comes of it.

use std::time::Duration;

use bytes::Bytes;

use crate::error::CallError;

/// A call as a script makes it.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The method, in any case.
    pub method: String,
    /// The URL.
    pub url: String,
    /// Names and values. Values can contain placeholders of secrets.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Bytes>,
    /// What a redirect does.
    pub redirect: Redirects,
    /// The time that the script gives the call.
    pub timeout: Option<Duration>,
}

/// What a redirect does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Redirects {
    /// It is followed.
    #[default]
    Follow,
    /// It is the response.
    Manual,
    /// It is an error.
    Error,
}

/// The quotas of a call.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// The time of the call, redirects and waiting included.
    pub wall: Duration,
    /// The size of the request's body.
    pub request_bytes_max: usize,
    /// The size of the response's body, decoded.
    pub response_bytes_max: usize,
}

/// A response, read to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The reason phrase that belongs to the status.
    pub status_text: &'static str,
    /// The URL that answered.
    pub url: String,
    /// Whether a redirect was followed.
    pub is_redirected: bool,
    /// Names in lower case, and values. Without `set-cookie`.
    pub headers: Vec<(String, String)>,
    /// The values of `set-cookie`.
    pub cookies: Vec<String>,
    /// The body, decoded.
    pub body: Vec<u8>,
}

/// A call that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The response, or why there is none.
    pub result: Result<Response, CallError>,
    /// What may be logged of it.
    pub record: Record,
}

/// What may be logged of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The method.
    pub method: &'static str,
    /// The host that was called first, with its port unless that is the usual one.
    pub host: String,
    /// The status of the response.
    pub status: Option<u16>,
    /// How long the call took.
    pub wall: Duration,
    /// The size of the request's body.
    pub bytes_sent: usize,
    /// The size of the response's body, decoded.
    pub bytes_received: usize,
}

/// The secrets that headers may contain as placeholders.
pub trait Placeholders: Send + Sync {
    /// Replaces the placeholders in a header for a host and a port. `None` if there is none in it.
    ///
    /// # Errors
    /// The name of a secret that may not be sent there.
    fn filled(&self, value: &str, host: &str, port: u16) -> Result<Option<String>, String>;
}
