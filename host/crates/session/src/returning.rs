//! Cookies that came back, whose sessions have to be confirmed.
//!
//! A new visitor's session lasts only for a short time until a second request comes with its cookie.
//! Most requests do not load the session, so its confirmation does not depend on that: the age in the
//! cookie tells whether it may be needed, and the host confirms such sessions in the background.
//! A request that changes the session confirms it with the same write.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use sluice_kit::StoreError;

use crate::cookie::SessionId;
use crate::{Session, SessionAddress, SessionKey, SessionStore};

/// The cookies of one brand that may wait. Visitors can invent cookies, so further ones are ignored until
/// they come again.
const WAITING_MAX: usize = 4_096;
/// The cookies that are known to be confirmed. Then the older half is forgotten.
const KNOWN_MAX: usize = 1 << 16;
/// How many sessions are confirmed at the same time.
const AT_ONCE: usize = 8;

type IdHash = [u8; 32];

/// The cookies of new visitors that have come back to this host.
pub struct ReturningCookies {
    /// How long a session lasts until it is confirmed.
    unconfirmed_lifetime: Duration,
    state: Mutex<State>,
}

/// Cookies by brand.
type Waiting = HashMap<String, HashSet<IdHash>>;

#[derive(Default)]
struct State {
    /// Since the last round. Their requests may still be running, and change the session.
    waiting: Waiting,
    /// Since an earlier round.
    due: Waiting,
    known: HashSet<IdHash>,
    known_before: HashSet<IdHash>,
}

impl ReturningCookies {
    /// No cookie has come back yet.
    pub fn new(unconfirmed_lifetime: Duration) -> Self {
        Self { unconfirmed_lifetime, state: Mutex::default() }
    }

    /// Notes that a request came with this cookie.
    pub(crate) fn note(&self, brand: &str, id: &SessionId, now_ms: i64) {
        if id.is_younger(self.unconfirmed_lifetime, now_ms) {
            self.add(brand, id.hash());
        }
    }

    /// Adds a cookie whose session may be unconfirmed.
    pub(crate) fn add(&self, brand: &str, id_hash: IdHash) {
        let mut state = self.state.lock();
        let is_due = state.due.get(brand).is_some_and(|due| due.contains(&id_hash));
        if is_due || state.known.contains(&id_hash) || state.known_before.contains(&id_hash) {
            return;
        }
        match state.waiting.get_mut(brand) {
            Some(waiting) if waiting.len() >= WAITING_MAX => {}
            Some(waiting) => drop(waiting.insert(id_hash)),
            None => drop(state.waiting.insert(brand.to_owned(), HashSet::from([id_hash]))),
        }
    }

    /// Notes that a request has saved its session, which confirmed it if it changed.
    pub fn saved(&self, brand: &str, session: &Session) {
        let Some(origin) = session.origin.as_ref().filter(|_| !session.changes().is_empty()) else { return };
        let mut state = self.state.lock();
        let State { waiting, due, .. } = &mut *state;
        let was_in = |list: &mut Waiting| list.get_mut(brand).is_some_and(|ids| ids.remove(&origin.id_hash));
        if was_in(waiting) || was_in(due) {
            state.know(origin.id_hash);
        }
    }

    /// Confirms the sessions of the cookies that had come back before the last call. Call this in the
    /// background, from time to time. A cookie for which it fails is tried again when it comes the next
    /// time.
    ///
    /// # Errors
    /// The first failure of the database.
    pub async fn confirm(&self, store: &dyn SessionStore, now_ms: i64) -> Result<(), StoreError> {
        let due = {
            let mut state = self.state.lock();
            let waiting = std::mem::take(&mut state.waiting);
            std::mem::replace(&mut state.due, waiting)
        };
        let brand_keys = |(brand, hashes): (String, HashSet<IdHash>)| {
            hashes.into_iter().map(move |id_hash| SessionKey { brand: brand.clone(), id_hash })
        };
        let keys: Vec<_> = due.into_iter().flat_map(brand_keys).collect();
        for some in keys.chunks(AT_ONCE) {
            let confirmed = join_all(some.iter().map(|key| confirm(store, key.clone(), now_ms))).await;
            let mut state = self.state.lock();
            for (key, confirmed) in some.iter().zip(confirmed) {
                confirmed?;
                state.know(key.id_hash);
            }
        }
        Ok(())
    }
}

impl State {
    fn know(&mut self, id_hash: IdHash) {
        if self.known.len() >= KNOWN_MAX / 2 {
            self.known_before = std::mem::take(&mut self.known);
        }
        self.known.insert(id_hash);
    }
}

async fn confirm(store: &dyn SessionStore, key: SessionKey, now_ms: i64) -> Result<(), StoreError> {
    let brand = key.brand.clone();
    match store.load_session(key, now_ms).await? {
        Some(row) if row.is_unconfirmed => {
            store.confirm_session(SessionAddress { brand, row_id: row.row_id }).await
        }
        _ => Ok(()),
    }
}
