//! A visitor's session that is loaded when something asks for it, and not if nothing does.

use std::fmt;
use std::sync::Arc;

use crate::cookie::SessionId;
use crate::storage::{SessionError, Sessions};
use crate::{ReturningCookies, Session, SessionKey};

/// The session of a request. It begins unloaded if the visitor has a session cookie.
#[derive(Clone, Default)]
pub struct LazySession {
    session: Session,
    /// Where the session is, until it is loaded.
    source: Option<Arc<Source>>,
}

/// The cookie of a session, and what loads it.
struct Source {
    sessions: Arc<Sessions>,
    returning: Arc<ReturningCookies>,
    brand: String,
    id: SessionId,
    now_ms: i64,
}

impl LazySession {
    /// The session of a cookie. A visitor without one has an empty session, for which nothing has to
    /// be loaded. The session has to exist at `now_ms`, the time of the request.
    pub fn of_cookie(
        sessions: &Arc<Sessions>,
        returning: &Arc<ReturningCookies>,
        brand: &str,
        id: Option<SessionId>,
        now_ms: i64,
    ) -> Self {
        let Some(id) = id else { return Self::default() };
        returning.note(brand, &id, now_ms);
        let (sessions, returning) = (Arc::clone(sessions), Arc::clone(returning));
        let source = Source { sessions, returning, brand: brand.to_owned(), id, now_ms };
        Self { session: Session::default(), source: Some(Arc::new(source)) }
    }

    /// The session, if it is loaded.
    pub fn loaded(&self) -> Option<&Session> {
        self.source.is_none().then_some(&self.session)
    }

    /// The bytes of memory that the session and its changes hold. One that is not loaded holds nothing.
    pub fn held_bytes(&self) -> usize {
        self.session.held_bytes()
    }

    /// Loads the session, unless it is loaded. If that fails, the session is empty and unavailable. If
    /// the returned future is dropped before it ends, the session stays as it was.
    ///
    /// # Errors
    /// The database did not answer.
    pub async fn load(&mut self) -> Result<(), SessionError> {
        let Some(source) = self.source.clone() else { return Ok(()) };
        let loaded = source.load().await;
        self.source = None;
        match loaded {
            Ok(session) => {
                self.session = session;
                Ok(())
            }
            Err(error) => {
                self.session = Session::unavailable();
                Err(error)
            }
        }
    }

    /// The session. One that was not loaded is unavailable from then on, because nobody may change
    /// what they have not seen.
    pub fn or_unavailable(&mut self) -> &mut Session {
        if self.source.take().is_some() {
            self.session = Session::unavailable();
        }
        &mut self.session
    }
}

impl From<Session> for LazySession {
    fn from(session: Session) -> Self {
        Self { session, source: None }
    }
}

impl fmt::Debug for LazySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LazySession").field(&self.loaded()).finish()
    }
}

impl Source {
    async fn load(&self) -> Result<Session, SessionError> {
        let key = SessionKey { brand: self.brand.clone(), id_hash: self.id.hash() };
        let found = self.sessions.find(key, self.now_ms).await?;
        if found.unconfirmed.is_some() {
            self.returning.add(&self.brand, self.id.hash());
        }
        Ok(found.session)
    }
}
