//! What the console says about reloads: when the last one was, and which failures are new since then.

use serde_json::{Value, json};

use sluice_app::reload::{PastReload, ReloadCause};
use sluice_kit::clock::iso_utc;

use crate::admin::charts;
use crate::admin::views::failures::FailureRow;

/// The last start or reload of changed files. `reloads` are newest first.
fn newest(reloads: &[PastReload]) -> Option<&PastReload> {
    // A limit that an operator set broke nothing, and must not hide which reload did.
    reloads.iter().find(|reload| reload.cause != ReloadCause::Limit)
}

fn word(cause: ReloadCause) -> &'static str {
    match cause {
        ReloadCause::Start => "start",
        ReloadCause::Files | ReloadCause::Limit => "reload",
    }
}

/// `1 page`, `2 pages`
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The last start or reload in the range, as a sentence needs it.
pub(super) fn last(reloads: &[PastReload]) -> Option<Value> {
    newest(reloads).map(|last| {
        json!({
            "what": word(last.cause), "at_ms": last.at_ms, "is_reload": last.cause == ReloadCause::Files,
            "pages": counted(last.pages_compiled, "page"),
            "problems": (last.problems > 0).then(|| counted(last.problems, "part")),
        })
    })
}

/// Failures with their trend as a chart. `since` is set if the range has no such failure before its last start
/// or reload.
pub(super) fn with_trends(groups: &[FailureRow], reloads: &[PastReload]) -> Vec<Value> {
    let last = newest(reloads);
    let row = |row: &FailureRow| {
        let since = last.filter(|last| row.first_ms >= last.at_ms);
        json!({
            "row": row, "chart": charts::trend(&row.trend),
            "since": since.map(|last| json!({ "what": word(last.cause), "at": iso_utc(last.at_ms) })),
        })
    };
    groups.iter().map(row).collect()
}
