//! What both databases need to know about the rows of `queue`.

use sluice_kit::{BadRow, StoreError};
use sluice_queue::{Ending, QueueChoice, State};

/// The state with a stored name.
pub(crate) fn state(name: &str) -> Result<State, StoreError> {
    State::from_name(name).ok_or(StoreError::Corrupt { what: "job", why: BadRow::UnknownState })
}

/// What the row of a job is after a claim has ended.
pub(crate) struct Ended {
    pub(crate) state: State,
    pub(crate) due_at: Option<i64>,
    pub(crate) ended_at: Option<i64>,
    /// Whether the try counts, and what is known about it.
    pub(crate) failed: Option<Failed>,
}

/// What is known about a try that failed.
pub(crate) struct Failed {
    pub(crate) outcome: &'static str,
    pub(crate) error: String,
    pub(crate) console: String,
}

impl Ended {
    pub(crate) fn of(ending: Ending, now_ms: i64) -> Self {
        match ending {
            Ending::Retry { outcome, error, console, due_at } => Self {
                state: State::Pending,
                due_at: Some(due_at),
                ended_at: None,
                failed: Some(Failed { outcome, error: text(error), console: text(console) }),
            },
            Ending::Parked { outcome, error, console } => Self {
                state: State::Parked,
                due_at: None,
                ended_at: Some(now_ms),
                failed: Some(Failed { outcome, error: text(error), console: text(console) }),
            },
            Ending::Released { due_at } => {
                Self { state: State::Pending, due_at: Some(due_at), ended_at: None, failed: None }
            }
        }
    }
}

/// PostgreSQL stores no NUL in texts.
fn text(text: String) -> String {
    match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}"),
        false => text,
    }
}

/// The parameters of a choice: id, brand, and whether pending jobs are chosen, too.
pub(crate) fn chosen(which: &QueueChoice) -> (Option<&str>, Option<&str>, bool) {
    match which {
        QueueChoice::One(id) => (Some(id.as_str()), None, true),
        QueueChoice::Parked { brand } => (None, brand.as_deref(), false),
        QueueChoice::All { brand } => (None, Some(brand), true),
    }
}
