//! Kinds of failures that operators have resolved or muted, for all hosts.

use sluice_kit::{BoxFuture, StoreError};

use crate::changes::bound;

/// The most marks of a brand. Beyond it, its oldest ones are deleted, so that their failures are shown again.
pub const MARKS_MAX: u32 = 500;

/// What an operator has said about a kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkState {
    /// It is mended. If it fails again, it has come back.
    Resolved,
    /// It is known, and nobody wants to see it.
    Muted {
        /// Until when, in Unix milliseconds. `None`: until an operator ends it.
        until_ms: Option<i64>,
    },
}

impl MarkState {
    /// As in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::Muted { .. } => "muted",
        }
    }

    /// Until when it lasts, if it ends by itself.
    pub(crate) fn until_ms(self) -> Option<i64> {
        match self {
            Self::Resolved => None,
            Self::Muted { until_ms } => until_ms,
        }
    }

    /// As it is read from the database.
    pub(crate) fn read(state: &str, until_ms: Option<i64>) -> Self {
        match state {
            "muted" => Self::Muted { until_ms },
            _ => Self::Resolved,
        }
    }
}

/// A kind of failure that an operator has marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureMark {
    /// The brand's id.
    pub brand: String,
    /// Identifies the kind within the brand, on every host.
    pub kind: String,
    /// The page's file, or the module of a job.
    pub page: String,
    /// How the runs ended.
    pub outcome: String,
    /// Name and message of the error, without numbers. Longer ones are cut.
    pub message: String,
    /// What was said about it.
    pub state: MarkState,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// By whom.
    pub operator: String,
    /// When it failed last, as far as hosts have noted.
    pub seen_ms: i64,
}

impl FailureMark {
    /// Cuts its texts, and leaves out what no database stores.
    pub(crate) fn bounded(mut self) -> Self {
        for text in [&mut self.page, &mut self.outcome, &mut self.message, &mut self.operator] {
            bound(text);
        }
        self
    }
}

/// When a kind failed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenKind {
    /// The brand's id.
    pub brand: String,
    /// The kind.
    pub kind: String,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
}

/// The marks of all hosts on the database.
pub trait FailureMarkStore: Send + Sync {
    /// Marks a kind, instead of an earlier mark of it, and deletes the oldest marks of its brand beyond `rows_max`.
    fn mark_failure(&self, mark: FailureMark, rows_max: u32) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Deletes the mark of a kind. False if it has none.
    fn unmark_failure(&self, brand: String, kind: String) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// The newest marks, of one brand if it is given.
    fn list_failure_marks(
        &self,
        brand: Option<String>,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<Vec<FailureMark>, StoreError>>;

    /// Notes when kinds failed last. Kinds without a mark are ignored.
    fn note_seen_failures(&self, seen: Vec<SeenKind>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Deletes the marks that were made before `before_ms` and whose failures are older, too, and those that have
    /// ended by themselves. Returns how many, at most `rows_max`.
    fn delete_old_failure_marks(
        &self,
        before_ms: i64,
        now_ms: i64,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>>;
}
