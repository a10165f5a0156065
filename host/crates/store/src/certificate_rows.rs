//! Rows of certificates, as both databases have them.

use sluice_acme::{Challenge, Issue, NameKey, NameState};

/// The certificate of a row, if it has one.
pub(crate) fn issue(revision: Option<i64>, not_before: Option<i64>, not_after: Option<i64>) -> Option<Issue> {
    Some(Issue { revision: revision?, not_before: not_before?, not_after: not_after? })
}

/// The columns of a row, except those of the lease, the chain and the key.
pub(crate) struct NameRow {
    pub(crate) directory: String,
    pub(crate) name: String,
    pub(crate) issue: Option<Issue>,
    pub(crate) failures: i64,
    pub(crate) next_at: i64,
    pub(crate) problem: String,
}

impl From<NameRow> for NameState {
    fn from(row: NameRow) -> Self {
        Self {
            key: NameKey { directory: row.directory, name: row.name },
            issue: row.issue,
            failures: u32::try_from(row.failures).unwrap_or(u32::MAX),
            next_at: row.next_at,
            problem: row.problem,
        }
    }
}

/// The challenge of an answer. A later version may know others.
pub(crate) fn challenge(text: &str) -> Option<Challenge> {
    [Challenge::Http01, Challenge::TlsAlpn01].into_iter().find(|challenge| challenge.as_str() == text)
}
