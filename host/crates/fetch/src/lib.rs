//! HTTP calls of scripts: which addresses they may reach, and the client that makes them.
//!
//! [`Rules`] is the one place that decides what may be reached. [`Client`] checks a call, and its redirects
//! and addresses, with them, so nothing that a script or a component says can get around them.

#![deny(unsafe_code)]

mod address;
mod body;
mod call;
mod client;
pub mod endpoint;
mod error;
mod headers;
mod host;
mod pool;
mod resolve;
mod rules;
mod stream;
mod tls;
mod turn;

#[cfg(test)]
mod tests;

pub use call::{Call, CallLimits, Ended, Placeholders, Record, Redirects, Response};
pub use client::{Client, Examined, HEAD_BYTES_MAX, Pending, examine, reason};
pub use error::{CallError, ErrorKind};
pub use host::{HostError, HostPattern};
pub use resolve::{Resolve, Resolved, SystemResolver};
pub use rules::{Denied, OperatorRules, Rules};
pub use tls::TlsError;
