//! Sessions: sealed boxes under a hash of the visitor's cookie.

use std::fmt;

use sluice_kit::{BoxFuture, StoreError};

/// How a request finds its session: the brand and the SHA-256 of the cookie's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// The brand's id.
    pub brand: String,
    /// The database never sees the id itself.
    pub id_hash: [u8; 32],
}

/// A row's own id. It stays when a login gives the session a new cookie id, so a
/// request that began under the old id still finds the row when it commits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionRowId([u8; 16]);

impl SessionRowId {
    /// An id for a session that is not there yet.
    pub fn random() -> Result<Self, StoreError> {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| StoreError::Failed(format!("no random bytes: {error}")))?;
        Ok(Self(bytes))
    }

    /// From the bytes of [`SessionRowId::as_bytes`].
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Also what a row's content is sealed for (salt).
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for SessionRowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionRowId(…)")
    }
}

/// Where a request commits: a row, never a cookie id. Committing by cookie id would
/// bring an id back to life that a login has ended meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionAddress {
    /// The brand's id.
    pub brand: String,
    /// The loaded row's id, or a random one for a session that is not there yet.
    pub row_id: SessionRowId,
}

/// A session that is there and has not expired.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Where to commit.
    pub row_id: SessionRowId,
    /// The hash under which the row is found now. In a commit, one that differs
    /// from the hash it was loaded by says that another request changed the login.
    pub id_hash: [u8; 32],
    /// Opaque here.
    pub sealed: Vec<u8>,
    /// Unix milliseconds; starts again with each [`SessionChange::Issue`].
    pub created_at: i64,
    /// Unix milliseconds; from then on the row is as absent.
    pub expires_at: i64,
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
    /// Nothing.
    Keep,
    /// New content; id and lifetime stay. Without a row it does nothing: a request
    /// must not bring back a session that ended while it ran.
    Write {
        /// The new content.
        sealed: Vec<u8>,
    },
    /// A new cookie id and a new lifetime, for the row if there is one (the id it had
    /// is dead at once) and else for a new row.
    Issue {
        /// Hash of the new cookie id.
        id_hash: [u8; 32],
        /// The content.
        sealed: Vec<u8>,
        /// Unix milliseconds.
        expires_at: i64,
    },
    /// Ends the session.
    Delete,
}

/// Decides on the row as it is at the moment of writing. Runs inside the write
/// transaction, at most once: it should be short and must not ask the store.
pub type SessionEdit = Box<dyn FnOnce(Option<&SessionRow>) -> SessionChange + Send>;

/// What a commit left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionStamp {
    /// The hash under which the row is found now.
    pub id_hash: [u8; 32],
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub expires_at: i64,
}

/// Sessions of all brands.
pub trait SessionStore: Send + Sync {
    /// The session of a cookie id, if there is one that has not expired.
    fn load_session(
        &self,
        key: SessionKey,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Option<SessionRow>, StoreError>>;

    /// Applies one request's changes to the row as it is now; no other commit comes
    /// in between. Gives what is there afterwards, `None` where there is no session.
    fn commit_session(
        &self,
        at: SessionAddress,
        now_ms: i64,
        edit: SessionEdit,
    ) -> BoxFuture<'_, Result<Option<SessionStamp>, StoreError>>;

    /// Deletes at most `rows_max` expired sessions, the longest expired first, and
    /// says how many. Fewer than `rows_max`: there are no more.
    fn delete_expired_sessions(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>>;
}
