//! From cookie to [`Session`] and back: loaded once, changes saved once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sluice_kit::StoreError;
use sluice_kit::keys::{self, Keys};
use sluice_limits::Limits;

use super::cookie::SessionId;
use super::{Session, SessionChanges, SessionData};
use crate::{SessionAddress, SessionChange, SessionKey, SessionRow, SessionRowId, SessionStore};

/// The row that a session was loaded from.
#[derive(Debug, Clone)]
pub struct Origin {
    row_id: SessionRowId,
    /// The id that the visitor came with.
    id_hash: [u8; 32],
}

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the session could not be sealed: {0}")]
    Seal(String),
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// A session cookie that the response must set.
#[derive(Debug, PartialEq, Eq)]
pub struct IssuedCookie {
    pub id: String,
    pub max_age: Duration,
}

/// What sessions need, for as long as the process lives.
pub struct Sessions {
    pub store: Arc<dyn SessionStore>,
    pub keys: Arc<Keys>,
    pub lifetime: Duration,
}

impl Sessions {
    /// The session of a cookie; an empty one for an unknown or expired id.
    ///
    /// # Errors
    /// The database did not answer.
    pub async fn load(
        &self,
        brand: &str,
        id: Option<&SessionId>,
        now_ms: i64,
    ) -> Result<Session, SessionError> {
        let Some(id) = id else { return Ok(Session::default()) };
        let key = SessionKey { brand: brand.to_owned(), id_hash: id.hash() };
        let Some(row) = self.store.load_session(key, now_ms).await? else { return Ok(Session::default()) };
        Ok(match open(&self.keys, brand, &row) {
            Some(data) => Session::stored(data, Origin { row_id: row.row_id, id_hash: row.id_hash }),
            None => {
                tracing::warn!(brand, "a session row does not open with the application key; it is ignored");
                Session::default()
            }
        })
    }

    /// Applies the session's changes to its row as it is now. Gives the cookie
    /// to set when the session has a new id.
    ///
    /// # Errors
    /// The database did not answer; nothing is stored then.
    pub async fn save(
        &self,
        brand: &str,
        session: &Session,
        limits: &Limits,
        now_ms: i64,
    ) -> Result<Option<IssuedCookie>, SessionError> {
        let changes = session.changes();
        let only_removes =
            changes.identity.is_none() && changes.values.values().all(serde_json::Value::is_null);
        if changes.is_empty() || (session.origin.is_none() && only_removes) {
            return Ok(None);
        }
        // Who logs in or out gets a new id: the one from before is dead at once.
        let issue = session.origin.is_none() || changes.identity.is_some();
        let id = if issue { Some(SessionId::random()?) } else { None };
        let row_id = match &session.origin {
            Some(origin) => origin.row_id,
            None => SessionRowId::random()?,
        };
        let (failure, left_out) = (Arc::new(OnceLock::new()), Arc::new(OnceLock::new()));
        let edit = Edit {
            keys: Arc::clone(&self.keys),
            brand: brand.to_owned(),
            row_id,
            loaded_by: session.origin.as_ref().map(|origin| origin.id_hash),
            changes: changes.clone(),
            issue: id.as_ref().map(|id| (id.hash(), now_ms.saturating_add(millis(self.lifetime)))),
            limits: limits.clone(),
            left_out: Arc::clone(&left_out),
            failure: Arc::clone(&failure),
        };
        let at = SessionAddress { brand: brand.to_owned(), row_id };
        let stamp = self.store.commit_session(at, now_ms, Box::new(move |row| edit.apply(row))).await?;
        if let Some(reason) = failure.get() {
            return Err(SessionError::Seal(String::clone(reason)));
        }
        if let Some(keys) = left_out.get().filter(|keys: &&Vec<String>| !keys.is_empty()) {
            let keys = keys.join(", ");
            tracing::warn!(brand, keys, "parallel requests filled the session; these keys were not stored");
        }
        // Another request's login may have won: then this one issues nothing.
        let issued = id.filter(|id| stamp.is_some_and(|stamp| stamp.id_hash == id.hash()));
        Ok(issued.map(|id| IssuedCookie { id: id.as_str().to_owned(), max_age: self.lifetime }))
    }
}

/// One request's changes, to be applied inside the write transaction.
struct Edit {
    keys: Arc<Keys>,
    brand: String,
    row_id: SessionRowId,
    /// The id hash that the session was loaded by.
    loaded_by: Option<[u8; 32]>,
    changes: SessionChanges,
    /// Hash and expiry of a new id.
    issue: Option<([u8; 32], i64)>,
    limits: Limits,
    /// Keys for which there was no room.
    left_out: Arc<OnceLock<Vec<String>>>,
    failure: Arc<OnceLock<String>>,
}

impl Edit {
    fn apply(mut self, row: Option<&SessionRow>) -> SessionChange {
        // Another request logged in or out meanwhile: who the visitor is has been
        // decided there; only what is not identity is added.
        if row.is_some_and(|row| self.loaded_by.is_some_and(|hash| hash != row.id_hash)) {
            self.changes.identity = None;
            self.changes.begins_anew = false;
            self.issue = None;
        }
        let mut data = row.and_then(|row| open(&self.keys, &self.brand, row)).unwrap_or_default();
        // Set once: this closure runs at most once.
        let _ = self.left_out.set(data.apply_within(&self.changes, &self.limits));
        match (seal(&self.keys, &self.brand, self.row_id, &data), self.issue) {
            (Ok(sealed), Some((id_hash, expires_at))) => SessionChange::Issue { id_hash, sealed, expires_at },
            (Ok(sealed), None) => SessionChange::Write { sealed },
            (Err(reason), _) => {
                let _ = self.failure.set(reason);
                SessionChange::Keep
            }
        }
    }
}

/// Session rows are MessagePack inside a sealed box that belongs to one row of
/// one brand.
fn seal(keys: &Keys, brand: &str, row: SessionRowId, data: &SessionData) -> Result<Vec<u8>, String> {
    let plain = rmp_serde::to_vec_named(data).map_err(|error| error.to_string())?;
    keys.seal(keys::SESSION_ROW, row.as_bytes(), brand.as_bytes(), &plain).map_err(|error| error.to_string())
}

fn open(keys: &Keys, brand: &str, row: &SessionRow) -> Option<SessionData> {
    let plain = keys.open(keys::SESSION_ROW, row.row_id.as_bytes(), brand.as_bytes(), &row.sealed)?;
    rmp_serde::from_slice(&plain).ok()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
