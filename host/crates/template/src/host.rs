//! What a template asks the host for: the session, and calls of the CRM.
//!
//! A rendering cannot wait. If a template calls the CRM, the rendering stops and says what it needs.
//! The host makes the call, and renders the page again from the beginning, with the answer. A call
//! whose answer is known is not made again, and everything that a rendering computes is the same each
//! time, so each call happens once.

use std::fmt::Debug;
use std::sync::Arc;

use serde_json::Value;

use crate::source::Pos;
use crate::value::Val;

/// What a template can do besides printing values. One rendering uses it.
pub trait Host: Debug + Sync {
    /// The value of a key of the session when the rendering began. `None` if it has none, or if
    /// templates must not see it.
    fn session_item(&self, key: &str) -> Option<&Value>;

    /// Sets a key of the session; `null` removes it.
    ///
    /// # Errors
    /// Why the session does not change, as a sentence for the author.
    fn set_session_item(&self, key: &str, value: Value) -> Result<(), String>;

    /// The size of the session in bytes, which each change reads.
    fn session_bytes(&self) -> usize;

    /// The answer to the rendering's CRM call with this number, counted from 0, if it is known.
    fn answer(&self, number: usize) -> Option<&Answer>;
}

/// The answer to a CRM call.
#[derive(Debug)]
pub struct Answer {
    /// What the call gives.
    pub value: Value,
    /// The size of the value as it came from the CRM, in bytes.
    pub bytes: usize,
}

/// A CRM call that a rendering needs in order to continue.
#[derive(Debug)]
pub struct PendingCall {
    /// The name of the call in scripts.
    pub name: &'static str,
    /// Its argument.
    pub options: Value,
    pub(super) pos: Pos,
    /// The fuel that the rendering used until it stopped. The next one continues counting there.
    pub fuel: u64,
}

/// The state of a rendering's calls.
#[derive(Default)]
pub(super) struct CallState<'a> {
    /// What the rendering has changed in the session.
    pub changed: Vec<(Arc<str>, Val<'a>)>,
    /// How many CRM calls it has made, answered or not.
    pub crm_calls: usize,
    /// The call for which the rendering has stopped.
    pub pending: Option<PendingCall>,
    /// Warnings for the log, with their places.
    pub notes: Vec<(Pos, String)>,
}
