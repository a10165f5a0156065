//! The trait that a database implements to store sessions, and all that a request leaves behind.
//! A session is a sealed box under a hash of the visitor's cookie.

use std::fmt;

use sluice_crm::{CrmCaps, CrmWrite};
use sluice_kit::{BoxFuture, Cause, StoreError, StoreFault};
use sluice_queue::QueueCommit;

use crate::storage::SessionError;
use crate::token::UsedToken;

/// How a request finds its session: the brand and the SHA-256 of the cookie's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// The brand's id.
    pub brand: String,
    /// The SHA-256 of the cookie's id. The database never sees the id itself.
    pub id_hash: [u8; 32],
}

/// A row's own id. It stays the same when a login gives the session a new cookie id, so that
/// a request that started with the old cookie id still finds the row when it commits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionRowId([u8; 16]);

impl SessionRowId {
    /// Makes an id for a new session.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn random() -> Result<Self, StoreError> {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| StoreError::Failed(StoreFault::NoRandom(Cause::of(error))))?;
        Ok(Self(bytes))
    }

    /// Makes an id from the bytes of [`SessionRowId::as_bytes`].
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id's bytes. They are also the salt with which the row's content is sealed.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for SessionRowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionRowId(…)")
    }
}

/// The row to which a request commits. A commit never uses a cookie id, because that would
/// revive an id that a login has ended in the meantime.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionAddress {
    /// The brand's id.
    pub brand: String,
    /// The loaded row's id, or a random one for a new session.
    pub row_id: SessionRowId,
}

/// A stored session that has not expired.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The row's id.
    pub row_id: SessionRowId,
    /// The hash of the current cookie id. If it differs in a commit from the hash at loading,
    /// another request has logged a customer in or out.
    pub id_hash: [u8; 32],
    /// The sealed content.
    pub sealed: Vec<u8>,
    /// Unix milliseconds of the last [`SessionChange::Issue`].
    pub created_at: i64,
    /// Unix milliseconds. From then on the row is ignored.
    pub expires_at: i64,
    /// Whether no request has come with the cookie of this session yet.
    pub is_unconfirmed: bool,
}

/// Whose session a row is. Sessions that are over a brand's quota are deleted in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// A new visitor's, whose cookie has not come back yet. It may be a bot's, which sends no
    /// cookies, so it is kept for a short time only.
    Unconfirmed {
        /// When the session expires once the cookie has come back, in Unix milliseconds.
        until: i64,
    },
    /// An anonymous visitor's.
    Anonymous,
    /// That of a customer who is logged in.
    Customer,
}

impl SessionKind {
    /// The number by which databases sort the kinds.
    pub fn rank(self) -> i16 {
        match self {
            Self::Unconfirmed { .. } => Self::UNCONFIRMED_RANK,
            Self::Anonymous => 1,
            Self::Customer => 2,
        }
    }

    /// The rank of an unconfirmed session.
    pub const UNCONFIRMED_RANK: i16 = 0;

    /// What a database stores as the end of a confirmed session.
    pub fn until(self) -> i64 {
        match self {
            Self::Unconfirmed { until } => until,
            Self::Anonymous | Self::Customer => 0,
        }
    }
}

/// How many sessions there are, and how large their contents are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionUsage {
    /// Sessions.
    pub rows: u64,
    /// The bytes of their sealed contents.
    pub bytes: u64,
}

impl fmt::Debug for SessionRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRow")
            .field("sealed_bytes", &self.sealed.len())
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// What a commit does to the row.
pub enum SessionChange {
    /// Changes nothing.
    Keep,
    /// Writes new content. The cookie id and the lifetime stay the same. An unconfirmed session is
    /// confirmed, because only a request with its cookie changes it. If there is no row, nothing is
    /// written: a request must not restore a session that ended while it ran.
    Write {
        /// The new content.
        sealed: Vec<u8>,
    },
    /// Writes new content, a new cookie id and a new lifetime. If there is no row, it is made.
    /// The old cookie id is invalid at once.
    Issue {
        /// Hash of the new cookie id.
        id_hash: [u8; 32],
        /// The new content.
        sealed: Vec<u8>,
        /// Unix milliseconds.
        expires_at: i64,
        /// Whose session it is from now on.
        kind: SessionKind,
    },
    /// Deletes the row.
    Delete,
    /// Makes the whole commit fail, so that nothing of it is stored.
    Fail(SessionError),
}

/// Decides what a commit does, from the row at the moment of writing. It runs inside the
/// write transaction, at most once. It should be short and must not call the store.
pub type SessionEdit = Box<dyn FnOnce(Option<&SessionRow>) -> SessionChange + Send>;

/// A row after a commit, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionStamp {
    /// The hash of the current cookie id.
    pub id_hash: [u8; 32],
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub expires_at: i64,
}

/// What one request changes, to be stored in one transaction: all of it or nothing.
pub struct RunCommit {
    /// The brand's id.
    pub brand: String,
    /// The change of the visitor's session.
    pub session: Option<SessionCommit>,
    /// The handoff tokens that the request used up.
    pub tokens: Vec<UsedToken>,
    /// The writes that the run queued. Each becomes a job, in this order.
    pub jobs: Vec<CrmWrite>,
    /// The quotas for the jobs.
    pub caps: CrmCaps,
    /// The jobs of scripts that the run pushed, and the one that it was.
    pub queue: QueueCommit,
}

/// The change of one session.
pub struct SessionCommit {
    /// The loaded row's id, or a random one for a new session.
    pub row_id: SessionRowId,
    /// Decides what happens to the row.
    pub edit: SessionEdit,
}

impl RunCommit {
    /// A commit that changes nothing.
    pub fn new(brand: impl Into<String>) -> Self {
        Self {
            brand: brand.into(),
            session: None,
            tokens: Vec::new(),
            jobs: Vec::new(),
            caps: CrmCaps::default(),
            queue: QueueCommit::default(),
        }
    }

    /// A commit that changes only a session.
    pub fn of_session(at: SessionAddress, edit: SessionEdit) -> Self {
        Self { session: Some(SessionCommit { row_id: at.row_id, edit }), ..Self::new(at.brand) }
    }
}

/// What a commit has stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The session after the commit, or `None` if there is none.
    pub session: Option<SessionStamp>,
    /// The ids of the jobs.
    pub jobs: Vec<i64>,
}

/// The sessions of all brands.
pub trait SessionStore: Send + Sync {
    /// Loads the session of a cookie id. Returns `None` if there is none or it has expired.
    fn load_session(
        &self,
        key: SessionKey,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Option<SessionRow>, StoreError>>;

    /// Stores what one request changes, in one transaction. The session's edit is applied to the
    /// current row, and no other commit changes the row in between. Fails with
    /// [`SessionError::TokenUsed`] if a token was used before, on any host.
    fn commit_run(&self, commit: RunCommit, now_ms: i64) -> BoxFuture<'_, Result<Committed, SessionError>>;

    /// Keeps an unconfirmed session for as long as a session lasts. Other sessions stay as they are.
    fn confirm_session(&self, at: SessionAddress) -> BoxFuture<'_, Result<(), StoreError>>;

    /// What each brand stores. Reads every row, so it is for the background.
    fn session_usage(&self) -> BoxFuture<'_, Result<Vec<(String, SessionUsage)>, StoreError>>;

    /// Deletes at most `rows_max` sessions of the brand, and returns what was deleted: unconfirmed
    /// ones first, then those of anonymous visitors, then those of customers, each from the oldest.
    fn evict_sessions(&self, brand: String, rows_max: u32)
    -> BoxFuture<'_, Result<SessionUsage, StoreError>>;

    /// Deletes at most `rows_max` expired sessions, the longest expired first, and returns how
    /// many. A number below `rows_max` means that there are no more.
    fn delete_expired_sessions(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>>;
}
