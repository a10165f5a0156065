//! A visitor's session during one request, handoff tokens, and request rates.
//!
//! A [`Session`] keeps the changes of its request apart from the stored values. At the end of
//! the request, the changes are applied to the current row, so that two requests at the same
//! time do not lose each other's keys.

#![deny(unsafe_code)]

pub mod cookie;
mod customer;
pub mod handoff;
mod lazy;
pub mod quota;
pub mod rate;
mod returning;
pub mod storage;
mod store;
mod token;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use customer::{CustomerError, Identity};
pub use lazy::LazySession;
pub use returning::ReturningCookies;
pub use store::{
    Committed, RunCommit, SessionAddress, SessionChange, SessionCommit, SessionEdit, SessionKey, SessionKind,
    SessionRow, SessionRowId, SessionStamp, SessionStore, SessionUsage,
};
pub use token::{TokenStore, UsedToken};

use handoff::HandedOver;
use sluice_crm::access::Visitor;
use sluice_kit::value;
use sluice_limits::Limits;

/// Keys that scripts can neither read nor write. Keys that start with `_` are reserved, too.
const RESERVED: [&str; 10] = [
    "is_customer",
    "customer",
    "customer_id",
    "email",
    "brand_id",
    "id",
    "csrf",
    "__proto__",
    "constructor",
    "prototype",
];

/// Keys that are kept when a handoff token logs a visitor in. All other keys may belong to
/// another customer.
const KEPT_BY_HANDOFF: [&str; 16] = [
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
    "attribution",
    "affiliate_id",
    "aff_id",
    "subid",
    "click_id",
    "visitor_id",
    "first_visit_at",
    "cart",
    "locale",
    "theme_preview",
    "flash",
];

/// The memory that a session may take on the host for each byte of `session_bytes_max`. Every
/// request loads its session, and a byte of MessagePack can take 72 bytes.
const MEMORY_PER_BYTE: usize = 16;

/// Why a change was rejected. The text goes to the execution log.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionRefusal {
    /// The key of this name is reserved.
    #[error("the key `{0}` is reserved")]
    Reserved(String),
    /// The number of keys, and the limit.
    #[error("the session would hold {0} keys; the limit is {1}")]
    Keys(usize, usize),
    /// The size in bytes, and the limit.
    #[error("the session would hold {0} bytes; the limit is {1}")]
    Bytes(usize, usize),
    /// The memory that the values take on the host, and the limit.
    #[error("the session would take {0} bytes of memory; the limit is {1}, 16 times session_bytes_max")]
    Memory(usize, usize),
    /// The fields of `setCustomer` are invalid.
    #[error(transparent)]
    Customer(#[from] CustomerError),
    /// This request has used the handoff token already.
    #[error("the token was used before")]
    TokenUsed,
    /// The session could not be loaded when the request started.
    #[error("the session could not be loaded; this request cannot change it")]
    Unavailable,
}

/// The content of a session row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SessionData {
    pub(crate) values: Map<String, Value>,
    pub(crate) identity: Option<Identity>,
}

impl SessionData {
    /// The size that counts for `session_bytes_max`: keys, and values as MessagePack.
    fn bytes(&self) -> usize {
        let values: usize =
            self.values.iter().map(|(key, value)| key.len() + value::encode(value).len()).sum();
        values + self.identity.as_ref().map_or(0, Identity::bytes)
    }

    /// The bytes of memory that its values hold.
    fn held_bytes(&self) -> usize {
        value::held_by_object(&self.values) + self.identity.as_ref().map_or(0, Identity::held_bytes)
    }

    /// Checks that the session does not exceed its limits of size.
    fn check_size(bytes: usize, held: usize, limits: &Limits) -> Result<(), SessionRefusal> {
        if bytes > limits.session_bytes_max {
            return Err(SessionRefusal::Bytes(bytes, limits.session_bytes_max));
        }
        let memory_max = limits.session_bytes_max.saturating_mul(MEMORY_PER_BYTE);
        if held > memory_max {
            return Err(SessionRefusal::Memory(held, memory_max));
        }
        Ok(())
    }

    /// Applies the changes of one request.
    fn apply(&mut self, changes: &SessionChanges) {
        if changes.begins_anew {
            keep_for_handoff(&mut self.values);
        }
        for (key, value) in &changes.values {
            match value {
                Value::Null => drop(self.values.shift_remove(key)),
                value => drop(self.values.insert(key.clone(), value.clone())),
            }
        }
        match &changes.identity {
            Some(IdentityChange::Login(identity)) => self.identity = Some(identity.clone()),
            Some(IdentityChange::Logout) => self.identity = None,
            None => {}
        }
    }

    /// Applies the changes of one request within the limits. Each request is within the limits
    /// by itself, but several at the same time may exceed them together. Returns the keys for
    /// which there was no room.
    pub(crate) fn apply_within(&mut self, changes: &SessionChanges, limits: &Limits) -> Vec<String> {
        let (removed, set): (Vec<_>, Vec<_>) =
            changes.values.clone().into_iter().partition(|(_, value)| value.is_null());
        let values = Map::from_iter(removed);
        let (identity, begins_anew) = (changes.identity.clone(), changes.begins_anew);
        self.apply(&SessionChanges { values, identity, begins_anew });
        let mut left_out = Vec::new();
        for (key, value) in set {
            match check_room(self, &key, &value, limits) {
                Ok(()) => drop(self.values.insert(key, value)),
                Err(_) => left_out.push(key),
            }
        }
        left_out
    }
}

fn keep_for_handoff(values: &mut Map<String, Value>) {
    values.retain(|key, _| KEPT_BY_HANDOFF.contains(&key.as_str()));
}

/// Checks that `value` under `key` does not exceed the limits.
fn check_room(data: &SessionData, key: &str, value: &Value, limits: &Limits) -> Result<(), SessionRefusal> {
    let replaced = data.values.get(key);
    let keys = data.values.len() + usize::from(replaced.is_none());
    if keys > limits.session_keys_max {
        return Err(SessionRefusal::Keys(keys, limits.session_keys_max));
    }
    let freed = replaced.map_or(0, |old| key.len() + value::encode(old).len());
    let bytes = data.bytes() - freed + key.len() + value::encode(value).len();
    let freed = replaced.map_or(0, |old| value::held_by_entry(key, old));
    let held = data.held_bytes() - freed + value::held_by_entry(key, value);
    SessionData::check_size(bytes, held, limits)
}

/// A login or logout.
#[derive(Debug, Clone, PartialEq)]
pub enum IdentityChange {
    /// This customer logged in.
    Login(Identity),
    /// The customer logged out.
    Logout,
}

/// The changes of one request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionChanges {
    /// New values by key. `null` removes the key.
    pub values: Map<String, Value>,
    /// A login or logout, if there was one.
    pub identity: Option<IdentityChange>,
    /// A handoff token logged the visitor in. All keys but those of [`KEPT_BY_HANDOFF`] are
    /// removed before the other changes are applied.
    pub(crate) begins_anew: bool,
}

impl SessionChanges {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.identity.is_none()
    }
}

/// The session as this request sees it.
#[derive(Debug, Clone, Default)]
pub struct Session {
    now: SessionData,
    changes: SessionChanges,
    /// The handoff tokens that logged customers in. They are used up when the session is saved.
    tokens: Vec<UsedToken>,
    /// The row that it was loaded from, or `None` for a visitor without a session.
    pub(crate) origin: Option<storage::Origin>,
    /// The visitor has a session, but the database failed to load it. All changes are rejected,
    /// because a script that sees an empty session must not overwrite the stored one.
    is_unavailable: bool,
    /// A customer may be logged in, in the session that could not be loaded, and should be logged out.
    has_lost_logout: bool,
}

impl Session {
    pub(crate) fn stored(data: SessionData, origin: storage::Origin) -> Self {
        Self { now: data, origin: Some(origin), ..Self::default() }
    }

    /// A session that the database failed to load. It is empty and rejects all changes.
    pub fn unavailable() -> Self {
        Self { is_unavailable: true, ..Self::default() }
    }

    /// Whether the visitor has a session that could not be loaded.
    pub fn is_unavailable(&self) -> bool {
        self.is_unavailable
    }

    /// Checks that the session accepts changes.
    ///
    /// # Errors
    /// The session could not be loaded.
    pub fn check_available(&self) -> Result<(), SessionRefusal> {
        if self.is_unavailable { Err(SessionRefusal::Unavailable) } else { Ok(()) }
    }

    /// Returns the value of a key, or `None` if the key is reserved or not set.
    pub fn get(&self, key: &str) -> Option<&Value> {
        if is_reserved(key) { None } else { self.now.values.get(key) }
    }

    /// Sets a key; `null` removes it. It is no change if the key has this value already.
    ///
    /// # Errors
    /// The key is reserved, the session would exceed its limits, or it could not be loaded.
    pub fn set(&mut self, key: &str, value: Value, limits: &Limits) -> Result<(), SessionRefusal> {
        if is_reserved(key) {
            return Err(SessionRefusal::Reserved(key.to_owned()));
        }
        self.check_available()?;
        if !value.is_null() {
            check_room(&self.now, key, &value, limits)?;
        }
        if self.has(key, &value) {
            return Ok(());
        }
        let mut change = SessionChanges::default();
        change.values.insert(key.to_owned(), value);
        self.now.apply(&change);
        self.changes.values.extend(change.values);
        Ok(())
    }

    /// Whether a key has exactly this value, or none if it is `null`. Values can be equal and differ in
    /// the order of their keys or in the sign of zero.
    fn has(&self, key: &str, value: &Value) -> bool {
        match self.now.values.get(key) {
            Some(old) => old == value && value::encode(old) == value::encode(value),
            None => value.is_null(),
        }
    }

    /// The bytes of memory that the session and its changes hold.
    pub fn held_bytes(&self) -> usize {
        self.now.held_bytes() + value::held_by_object(&self.changes.values)
    }

    /// The bytes of memory that a key and its change hold.
    pub fn held_bytes_at(&self, key: &str) -> usize {
        let found = [self.now.values.get(key), self.changes.values.get(key)];
        found.into_iter().flatten().map(|value| value::held_by_entry(key, value)).sum()
    }

    /// Returns all keys that are not reserved, with their values.
    pub fn values(&self) -> Map<String, Value> {
        let visible = self.now.values.iter().filter(|(key, _)| !is_reserved(key));
        visible.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Returns the logged-in customer.
    pub fn identity(&self) -> Option<&Identity> {
        self.now.identity.as_ref()
    }

    /// The visitor as the CRM sees them.
    pub fn visitor(&self) -> Visitor {
        let quiz_visitor_id = self.get("quiz_visitor_id").and_then(Value::as_str);
        Visitor {
            customer_id: self.identity().map(|identity| identity.customer_id.clone()),
            quiz_visitor_id: quiz_visitor_id.map(str::to_owned),
        }
    }

    /// Logs a customer in.
    ///
    /// # Errors
    /// `fields` has no usable email or a field of the wrong type, the session would
    /// exceed its limits, or it could not be loaded.
    pub fn set_customer(&mut self, fields: &Value, limits: &Limits) -> Result<(), SessionRefusal> {
        let identity = Identity::merged(self.now.identity.as_ref(), fields)?;
        self.log_in(identity, false, limits)
    }

    /// Logs in the customer of a handoff token. All values that may belong to another customer
    /// are removed. The token is used up when the session is saved.
    ///
    /// # Errors
    /// This request has used the token already, the session would exceed its limits, or it could
    /// not be loaded.
    pub fn hand_over(&mut self, handed: HandedOver, limits: &Limits) -> Result<(), SessionRefusal> {
        let HandedOver { identity, token } = handed;
        if self.tokens.iter().any(|used| used.token_id == token.token_id) {
            return Err(SessionRefusal::TokenUsed);
        }
        self.log_in(identity, true, limits)?;
        self.tokens.push(token);
        Ok(())
    }

    fn log_in(
        &mut self,
        identity: Identity,
        begins_anew: bool,
        limits: &Limits,
    ) -> Result<(), SessionRefusal> {
        self.check_available()?;
        let identity = Some(IdentityChange::Login(identity));
        let change = SessionChanges { identity, begins_anew, ..SessionChanges::default() };
        let mut after = self.now.clone();
        after.apply(&change);
        SessionData::check_size(after.bytes(), after.held_bytes(), limits)?;
        self.now = after;
        self.changes.identity = change.identity;
        if begins_anew {
            self.changes.begins_anew = true;
            keep_for_handoff(&mut self.changes.values);
        }
        Ok(())
    }

    /// Whether a logout was lost, because the session could not be loaded.
    pub fn has_lost_logout(&self) -> bool {
        self.has_lost_logout
    }

    /// Logs the customer out. Returns false if nobody was logged in.
    pub fn clear_customer(&mut self) -> bool {
        self.has_lost_logout |= self.is_unavailable;
        let was_in = self.now.identity.take().is_some();
        if was_in {
            self.changes.identity = Some(IdentityChange::Logout);
        }
        was_in
    }

    /// Returns the customer that this request logged in with an id. The CRM data of the
    /// customer's email have to be given to that id.
    pub fn new_owner(&self) -> Option<&Identity> {
        let is_new = matches!(self.changes.identity, Some(IdentityChange::Login(_)));
        self.identity().filter(|identity| is_new && identity.customer_id != identity.email_owner())
    }

    /// The handoff tokens that this request has used.
    pub fn used_tokens(&self) -> &[UsedToken] {
        &self.tokens
    }

    /// Returns the changes of this request.
    pub fn changes(&self) -> &SessionChanges {
        &self.changes
    }
}

/// Whether scripts can neither read nor write this key.
pub fn is_reserved(key: &str) -> bool {
    key.starts_with('_') || RESERVED.contains(&key)
}

#[cfg(test)]
mod tests;
