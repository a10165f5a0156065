//! Why there is no certificate, and whom that concerns.

use std::time::Duration;

use instant_acme::{Error, Problem};

use sluice_kit::StoreError;
use sluice_text::printable::printable;

/// A text from outside is cut after this many characters.
const TEXT_CHARS_MAX: usize = 500;

/// Whom a failure concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The certificate authority: it is away, slow, or rejects the account. No name can be ordered.
    Authority,
    /// The certificate authority limits this name or the account.
    Limited,
    /// This name only.
    Name,
}

/// Why there is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Failure {
    pub(crate) scope: Scope,
    /// For the operator: bounded, and in one line.
    pub(crate) text: String,
    pub(crate) retry_after: Option<Duration>,
    /// The authority does not know the account.
    pub(crate) has_lost_account: bool,
}

/// Why an attempt ended without a certificate.
#[derive(Debug)]
pub(crate) enum Unmade {
    /// The name does not lead to this host.
    NotHere(String),
    /// There were enough orders for now.
    Enough { brand: String, until: i64, what: &'static str },
    /// Another host is making the account.
    Busy,
    /// The authority, or this host, failed.
    Failed(Failure),
    /// The database does not answer.
    Store(StoreError),
}

impl From<Failure> for Unmade {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<StoreError> for Unmade {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What a transport has seen of the responses so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// The status of the last response. `None` if there was none.
    pub(crate) status: Option<u16>,
    /// `Retry-After` of the last response.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn of_authority(text: &str) -> Self {
        Self { scope: Scope::Authority, text: bounded(text), retry_after: None, has_lost_account: false }
    }

    pub(crate) fn of_name(text: &str) -> Self {
        Self { scope: Scope::Name, ..Self::of_authority(text) }
    }

    /// What an error of the protocol means.
    pub(crate) fn of(error: &Error, seen: Seen) -> Self {
        let kind = match error {
            Error::Api(problem) => problem.r#type.as_deref().unwrap_or_default(),
            _ => "",
        };
        let kind = kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(kind);
        let has_lost_account = kind == "accountDoesNotExist";
        let scope = match (kind, seen.status) {
            ("rateLimited", _) | (_, Some(429)) => Scope::Limited,
            (_, None | Some(500..)) => Scope::Authority,
            ("accountDoesNotExist" | "externalAccountRequired" | "userActionRequired", _) => Scope::Authority,
            _ if !matches!(error, Error::Api(_) | Error::Timeout(_)) => Scope::Authority,
            _ => Scope::Name,
        };
        let text = match error {
            Error::Api(problem) => of_problem(problem),
            Error::Json(_) => {
                format!("it did not answer as ACME requires (status {})", seen.status.unwrap_or(0))
            }
            other => other.to_string(),
        };
        Self { scope, text: bounded(&text), retry_after: seen.retry_after, has_lost_account }
    }
}

/// The text of a problem document: what is wrong, its type, and the problems of each name.
pub(crate) fn of_problem(problem: &Problem) -> String {
    let one = |detail: &Option<String>, kind: &Option<String>| {
        let detail = detail.as_deref().unwrap_or("no detail");
        kind.as_deref().map_or_else(|| detail.to_owned(), |kind| format!("{detail} ({kind})"))
    };
    let mut text = one(&problem.detail, &problem.r#type);
    for sub in problem.subproblems.iter().take(3) {
        text.push_str("; ");
        text.push_str(&one(&sub.detail, &sub.r#type));
    }
    text
}

fn bounded(text: &str) -> String {
    let mut chars = text.chars();
    let cut: String = chars.by_ref().take(TEXT_CHARS_MAX).collect();
    let more = if chars.next().is_some() { "…" } else { "" };
    format!("{}{more}", printable(&cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(problem: &str, status: Option<u16>) -> Failure {
        let problem: Problem = serde_json::from_str(problem).unwrap();
        Failure::of(&Error::Api(problem), Seen { status, retry_after: None })
    }

    #[test]
    fn a_name_that_is_refused_does_not_stop_the_others() {
        let refused = r#"{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"no"}"#;
        assert_eq!(failure(refused, Some(400)).scope, Scope::Name);
        assert_eq!(failure(refused, Some(429)).scope, Scope::Limited);
        assert_eq!(failure(refused, Some(503)).scope, Scope::Authority);
        let limited = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"slow down"}"#;
        assert_eq!(failure(limited, Some(403)).scope, Scope::Limited);
        let lost = failure(r#"{"type":"urn:ietf:params:acme:error:accountDoesNotExist"}"#, Some(400));
        assert_eq!((lost.scope, lost.has_lost_account), (Scope::Authority, true));
        let away = Failure::of(&Error::Other("connection refused".into()), Seen::default());
        assert_eq!((away.scope, away.text.as_str()), (Scope::Authority, "connection refused"));
    }

    #[test]
    fn a_problem_document_is_shown_in_one_bounded_line() {
        let detail = format!("a\\nb\\u001b[31m{}", "x".repeat(10_000));
        let shown = failure(&format!(r#"{{"type":"t","detail":"{detail}"}}"#), Some(400)).text;
        assert!(shown.starts_with(r"a\nb\u{1b}[31mxxx"), "{shown}");
        assert!(shown.ends_with("x…"), "{shown}");
        assert!(shown.chars().count() < 520);
        let subs = r#"{"detail":"many","subproblems":[{"detail":"one","type":"caa"},{"detail":"two"}]}"#;
        assert_eq!(failure(subs, Some(400)).text, "many; one (caa); two");
    }
}
