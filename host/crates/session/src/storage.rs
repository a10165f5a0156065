//! Loads a [`Session`] by its cookie when a request starts, and saves the changes when the
//! request ends.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sluice_crm::{CrmCaps, CrmFault, QueuedWrites};
use sluice_kit::StoreError;
use sluice_kit::keys::{self, KeyError, Keys};
use sluice_limits::Limits;
use sluice_queue::{Pushes, QueueCommit};

use super::cookie::SessionId;
use super::{Session, SessionChanges, SessionData};
use crate::quota::SessionQuota;
use crate::{
    RunCommit, SessionAddress, SessionChange, SessionCommit, SessionKey, SessionKind, SessionRow,
    SessionRowId, SessionStamp, SessionStore,
};

/// The row that a session was loaded from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    row_id: SessionRowId,
    /// The hash of the cookie id that the request sent.
    pub(crate) id_hash: [u8; 32],
}

/// The session of a cookie. It is empty if there is none.
#[derive(Default)]
pub(crate) struct FoundSession {
    pub(crate) session: Session,
    /// The row that is to be confirmed, because its cookie has come back.
    pub(crate) unconfirmed: Option<SessionRowId>,
}

/// Why a session could not be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The session could not be loaded, so the customer could not be logged out.
    #[error("the session could not be loaded, so the customer could not be logged out")]
    LogoutLost,
    /// Another request used the handoff token while this one ran.
    #[error("another request used the handoff token")]
    TokenUsed,
    /// A write that the run queued was rejected.
    #[error("a queued write was rejected: {0}")]
    Job(CrmFault),
    /// The brand has too many jobs.
    #[error("the brand has too many jobs that are not done (queue_jobs_max)")]
    QueueFull,
    /// Another host has taken over the job that was run.
    #[error("another host has taken over the job")]
    ClaimLost,
    /// The content could not be written as MessagePack.
    #[error("the session could not be encrypted: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    /// The content could not be sealed.
    #[error("the session could not be encrypted: {0}")]
    Seal(#[from] KeyError),
    /// The system gave no random numbers for a new id.
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// A session cookie that the response must set.
#[derive(Debug, PartialEq, Eq)]
pub struct IssuedCookie {
    /// The cookie's value.
    pub id: String,
    /// How long the browser keeps the cookie.
    pub max_age: Duration,
}

/// Loads and saves sessions. There is one for the whole process.
pub struct Sessions {
    /// The database.
    pub store: Arc<dyn SessionStore>,
    /// The keys that seal and open rows.
    pub keys: Arc<Keys>,
    /// How long a session lasts after its last login or logout.
    pub lifetime: Duration,
    /// How long an anonymous visitor's session lasts until a request comes with its cookie.
    pub unconfirmed_lifetime: Duration,
    /// What each brand may store.
    pub quota: SessionQuota,
}

impl Sessions {
    /// Loads the session of a cookie. An unknown or expired id gives an empty session.
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
        let found = self.find(key, now_ms).await?;
        if let Some(row_id) = found.unconfirmed {
            self.confirm(brand, row_id).await;
        }
        Ok(found.session)
    }

    /// Loads the session of a cookie and leaves it to the caller to confirm it.
    ///
    /// # Errors
    /// The database did not answer.
    pub(crate) async fn find(&self, key: SessionKey, now_ms: i64) -> Result<FoundSession, SessionError> {
        let brand = key.brand.clone();
        let Some(row) = self.store.load_session(key, now_ms).await? else {
            return Ok(FoundSession::default());
        };
        let Some(data) = open(&self.keys, &brand, &row) else {
            tracing::warn!(
                brand,
                "a stored session cannot be decrypted with the application key; it is ignored"
            );
            return Ok(FoundSession::default());
        };
        let session = Session::stored(data, Origin { row_id: row.row_id, id_hash: row.id_hash });
        Ok(FoundSession { session, unconfirmed: row.is_unconfirmed.then_some(row.row_id) })
    }

    /// The same on another database.
    #[must_use]
    pub fn on(&self, store: Arc<dyn SessionStore>) -> Self {
        Self { store, keys: Arc::clone(&self.keys), ..*self }
    }

    /// Keeps the session for its whole lifetime, because its cookie has come back.
    async fn confirm(&self, brand: &str, row_id: SessionRowId) {
        let at = SessionAddress { brand: brand.to_owned(), row_id };
        // If this fails, the next request tries again.
        if let Err(error) = self.store.confirm_session(at).await {
            tracing::warn!(brand, %error, "a session could not be prolonged when its cookie came back");
        }
    }

    /// Stores what one request changes, in one transaction: applies the session's changes to its
    /// current row, uses up handoff tokens, makes jobs of the queued writes, and
    /// stores the jobs that were pushed. Returns the cookie
    /// to set if the session has a new id.
    ///
    /// # Errors
    /// The database failed, another request used a token meanwhile, a job would exceed a quota, or
    /// the session could not be sealed. Nothing is stored then.
    pub async fn commit(
        &self,
        brand: &str,
        session: &Session,
        (queued, pushes): (QueuedWrites, Pushes),
        limits: &Limits,
        now_ms: i64,
    ) -> Result<Option<IssuedCookie>, SessionError> {
        let edit = self.edit(brand, session, limits, now_ms)?;
        if edit.is_none() && queued.is_empty() && pushes.is_empty() {
            return Ok(None);
        }
        let (session_commit, pending) = edit.unzip();
        let commit = RunCommit {
            brand: brand.to_owned(),
            session: session_commit,
            tokens: session.used_tokens().to_vec(),
            jobs: queued.into_writes(),
            caps: CrmCaps::from(limits),
            queue: QueueCommit { jobs: pushes.into_jobs(), jobs_max: limits.queue_jobs_max, done: None },
        };
        let committed = self.store.commit_run(commit, now_ms).await?;
        Ok(pending.and_then(|pending| pending.issued(brand, committed.session, self.lifetime)))
    }

    /// The session's part of a commit. `None` if nothing has to be stored.
    fn edit(
        &self,
        brand: &str,
        session: &Session,
        limits: &Limits,
        now_ms: i64,
    ) -> Result<Option<(SessionCommit, PendingEdit)>, SessionError> {
        let changes = session.changes();
        let only_removes =
            changes.identity.is_none() && changes.values.values().all(serde_json::Value::is_null);
        if changes.is_empty() || (session.origin.is_none() && only_removes) {
            return Ok(None);
        }
        // A login or logout issues a new id, and the old one is invalid at once.
        let issue = session.origin.is_none() || changes.identity.is_some();
        let is_new_visitor = session.origin.is_none() && session.identity().is_none();
        let id = match (issue, is_new_visitor) {
            (false, _) => None,
            (true, true) => Some(SessionId::issued_at(now_ms)?),
            (true, false) => Some(SessionId::random()?),
        };
        let row_id = match &session.origin {
            Some(origin) => origin.row_id,
            None => SessionRowId::random()?,
        };
        let left_out = Arc::new(OnceLock::new());
        let edit = Edit {
            keys: Arc::clone(&self.keys),
            brand: brand.to_owned(),
            row_id,
            loaded_by: session.origin.as_ref().map(|origin| origin.id_hash),
            changes: changes.clone(),
            issue: id.as_ref().map(|id| Issued {
                id_hash: id.hash(),
                expires_at: now_ms.saturating_add(millis(self.lifetime)),
                unconfirmed_expires_at: now_ms
                    .saturating_add(millis(self.lifetime.min(self.unconfirmed_lifetime))),
            }),
            limits: limits.clone(),
            left_out: Arc::clone(&left_out),
        };
        let commit = SessionCommit { row_id, edit: Box::new(move |row| edit.apply(row)) };
        Ok(Some((commit, PendingEdit { id, left_out })))
    }
}

/// What is known about a session's change before it is committed.
struct PendingEdit {
    /// The new cookie id, if the request issues one.
    id: Option<SessionId>,
    /// Receives the keys for which there was no room.
    left_out: Arc<OnceLock<Vec<String>>>,
}

impl PendingEdit {
    /// The cookie to set after the commit, which left the session as `stamp`.
    fn issued(self, brand: &str, stamp: Option<SessionStamp>, max_age: Duration) -> Option<IssuedCookie> {
        if let Some(keys) = self.left_out.get().filter(|keys: &&Vec<String>| !keys.is_empty()) {
            let keys = keys.join(", ");
            tracing::warn!(brand, keys, "parallel requests filled the session; these keys were not stored");
        }
        // If another request logged a customer in meanwhile, this one issues no id.
        let issued = self.id.filter(|id| stamp.is_some_and(|stamp| stamp.id_hash == id.hash()));
        issued.map(|id| IssuedCookie { id: id.as_str().to_owned(), max_age })
    }
}

/// A new cookie id. Times are in Unix milliseconds.
struct Issued {
    id_hash: [u8; 32],
    expires_at: i64,
    /// When it expires if no request comes with the cookie.
    unconfirmed_expires_at: i64,
}

impl Issued {
    /// The change that stores `sealed` under the new id. `is_known`: a request came with a cookie.
    fn change(self, sealed: Vec<u8>, data: &SessionData, is_known: bool) -> SessionChange {
        let Self { id_hash, expires_at: until, unconfirmed_expires_at } = self;
        let (kind, expires_at) = match (&data.identity, is_known) {
            (Some(_), _) => (SessionKind::Customer, until),
            (None, true) => (SessionKind::Anonymous, until),
            (None, false) => (SessionKind::Unconfirmed { until }, unconfirmed_expires_at),
        };
        SessionChange::Issue { id_hash, sealed, expires_at, kind }
    }
}

/// One request's changes, to be applied inside the write transaction.
struct Edit {
    keys: Arc<Keys>,
    brand: String,
    row_id: SessionRowId,
    /// The hash of the cookie id by which the session was loaded.
    loaded_by: Option<[u8; 32]>,
    changes: SessionChanges,
    /// The new id.
    issue: Option<Issued>,
    limits: Limits,
    /// Receives the keys for which there was no room.
    left_out: Arc<OnceLock<Vec<String>>>,
}

impl Edit {
    fn apply(mut self, row: Option<&SessionRow>) -> SessionChange {
        // If another request logged a customer in or out meanwhile, that decision stands, and
        // only this request's values are applied.
        if row.is_some_and(|row| self.loaded_by.is_some_and(|hash| hash != row.id_hash)) {
            self.changes.identity = None;
            self.changes.begins_anew = false;
            self.issue = None;
        }
        let mut data = row.and_then(|row| open(&self.keys, &self.brand, row)).unwrap_or_default();
        // The closure runs at most once, so the cell is empty.
        let _ = self.left_out.set(data.apply_within(&self.changes, &self.limits));
        match (seal(&self.keys, &self.brand, self.row_id, &data), self.issue) {
            (Ok(sealed), Some(issued)) => issued.change(sealed, &data, self.loaded_by.is_some()),
            (Ok(sealed), None) => SessionChange::Write { sealed },
            (Err(error), _) => SessionChange::Fail(error),
        }
    }
}

/// Writes the content of a row: MessagePack in a sealed box that opens only for this row of
/// this brand.
fn seal(keys: &Keys, brand: &str, row: SessionRowId, data: &SessionData) -> Result<Vec<u8>, SessionError> {
    let plain = rmp_serde::to_vec_named(data)?;
    Ok(keys.seal(keys::SESSION_ROW, row.as_bytes(), brand.as_bytes(), &plain)?)
}

fn open(keys: &Keys, brand: &str, row: &SessionRow) -> Option<SessionData> {
    let plain = keys.open(keys::SESSION_ROW, row.row_id.as_bytes(), brand.as_bytes(), &row.sealed)?;
    rmp_serde::from_slice(&plain).ok()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
