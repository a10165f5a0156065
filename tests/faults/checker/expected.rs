//! What a history promises.

use std::collections::BTreeMap;

use crate::faults::history::{Event, SessionNumber, What};

/// The numbers that were written, and whether each was acknowledged.
pub(crate) type Writes = BTreeMap<u64, bool>;

/// What must be found, and what may be found.
#[derive(Default)]
pub(crate) struct Expected {
    /// The number of acknowledged writes.
    pub acknowledged: usize,
    /// The number of writes that were not acknowledged.
    pub failed: usize,
    pub lines: BTreeMap<String, ExpectedLine>,
    pub sessions: Vec<ExpectedSession>,
    /// How many logins by each token were acknowledged.
    pub tokens: BTreeMap<String, usize>,
}

/// The writes to a reference.
#[derive(Default)]
pub(crate) struct ExpectedLine {
    pub added: Writes,
    pub queued: Writes,
    pub set: Writes,
    pub kept: Writes,
    pub counted: Writes,
}

/// A session.
#[derive(Default)]
pub(crate) struct ExpectedSession {
    pub number: SessionNumber,
    /// The cookie that opens it.
    pub cookie: Option<String>,
    /// Whether the cookie must open it.
    pub is_certain: bool,
    /// The customer who is logged in.
    pub email: Option<String>,
    pub keys: Writes,
    /// Keys that were written together with a queued write, and the reference of that write.
    pub both: Vec<(u64, String)>,
    /// Cookies that must open nothing.
    pub ended: Vec<String>,
    /// A login or logout was acknowledged without a new cookie.
    pub has_lost_cookie: bool,
}

impl Expected {
    pub(crate) fn of(history: &[Event]) -> Self {
        let mut expected = Self::default();
        let mut sessions = BTreeMap::new();
        for event in history {
            expected.acknowledged += usize::from(event.acknowledged);
            // A token that was used before is rejected.
            let is_rejection = matches!(event.what, What::Take { .. });
            expected.failed += usize::from(!event.acknowledged && !is_rejection);
            expected.add(event, &mut sessions);
        }
        expected.sessions = sessions.into_values().collect();
        expected
    }

    fn add(&mut self, event: &Event, sessions: &mut BTreeMap<SessionNumber, ExpectedSession>) {
        let Event { n, acknowledged, what, .. } = event;
        match what {
            What::Add { line } => self.line(line).added.insert(*n, *acknowledged),
            What::Queue { line } => self.line(line).queued.insert(*n, *acknowledged),
            What::Set { line } => self.line(line).set.insert(*n, *acknowledged),
            What::Keep { line } => self.line(line).kept.insert(*n, *acknowledged),
            What::Count { line } => self.line(line).counted.insert(*n, *acknowledged),
            What::Put { session: number } => session(sessions, *number).put(event),
            What::Both { session: number, line } => {
                self.line(line).queued.insert(*n, *acknowledged);
                let both = session(sessions, *number);
                both.both.push((*n, line.clone()));
                both.put(event)
            }
            What::Login { session: number, email } => {
                session(sessions, *number).change_customer(event, Some(email))
            }
            What::Logout { session: number } => session(sessions, *number).change_customer(event, None),
            What::Take { session: number, token, email } => {
                *self.tokens.entry(token.clone()).or_default() += usize::from(*acknowledged);
                session(sessions, *number).change_customer(event, Some(email))
            }
        };
    }

    fn line(&mut self, name: &str) -> &mut ExpectedLine {
        self.lines.entry(name.to_owned()).or_default()
    }
}

fn session(
    sessions: &mut BTreeMap<SessionNumber, ExpectedSession>,
    number: SessionNumber,
) -> &mut ExpectedSession {
    let new = || ExpectedSession { number, is_certain: true, ..ExpectedSession::default() };
    sessions.entry(number).or_insert_with(new)
}

impl ExpectedSession {
    fn put(&mut self, event: &Event) -> Option<bool> {
        if let Some(cookie) = &event.cookie {
            self.ended.extend(self.cookie.replace(cookie.clone()));
        }
        self.has_lost_cookie |= event.acknowledged && self.cookie.is_none();
        self.keys.insert(event.n, event.acknowledged)
    }

    fn change_customer(&mut self, event: &Event, email: Option<&String>) -> Option<bool> {
        match (&event.cookie, event.acknowledged) {
            (Some(cookie), true) => {
                self.ended.extend(self.cookie.replace(cookie.clone()));
                self.email = email.cloned();
            }
            (None, true) => self.has_lost_cookie = true,
            (_, false) => self.is_certain = false,
        }
        None
    }
}
