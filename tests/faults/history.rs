//! What clients asked for, and what they were told.

use std::fmt::Write as _;

use serde::Serialize;

/// The number of a session, which is unique in a history.
pub(crate) type SessionNumber = usize;

/// One request that writes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Event {
    /// The client, which sends one request after the other.
    pub client: usize,
    /// What is written. A client never writes a number twice, and its numbers increase.
    pub n: u64,
    pub what: What,
    /// Whether the client was told that the write succeeded. If not, it may happen, also later.
    pub acknowledged: bool,
    /// The session cookie that came with the answer.
    pub cookie: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) enum What {
    /// Adds the number to the values of a reference.
    Add { line: String },
    /// The same in the background.
    Queue { line: String },
    /// Makes the number the only value of a reference.
    Set { line: String },
    /// Stores the number in the brand's storage.
    Keep { line: String },
    /// Adds one to a number in the brand's storage.
    Count { line: String },
    /// Adds a key to a session.
    Put { session: SessionNumber },
    /// A key of the session, and a write in the background, in one transaction.
    Both { session: SessionNumber, line: String },
    /// Logs a customer in.
    Login { session: SessionNumber, email: String },
    /// Logs the customer out.
    Logout { session: SessionNumber },
    /// Logs the customer of a token in, in a new session.
    Take { session: SessionNumber, token: String, email: String },
}

/// The history as a file: one line of JSON for each event.
pub(crate) fn lines(history: &[Event]) -> String {
    let mut text = String::new();
    for event in history {
        writeln!(text, "{}", serde_json::to_string(event).unwrap()).unwrap();
    }
    text
}
