//! What the console says about reloads: what each of them changed and broke, and which failures are new since the last
//! one.

use serde_json::{Value, json};

use sluice_app::reload::{LimitChange, PastReload, ReloadCause};
use sluice_kit::clock::{iso_utc, now_ms};
use sluice_limits::KINDS;
use sluice_site::table::url_path;

use crate::admin::AdminState;
use crate::admin::charts;
use crate::admin::views::failures::FailureRow;
use crate::admin::views::{find_brand, find_page};

/// Earlier reloads that the overview lists.
const EARLIER_MAX: usize = 30;

/// The last start or reload of changed files. `reloads` are newest first.
fn newest(reloads: &[PastReload]) -> Option<&PastReload> {
    // A limit that an operator set broke nothing, and must not hide which reload did.
    reloads.iter().find(|reload| reload.cause != ReloadCause::Limit)
}

fn word(cause: ReloadCause) -> &'static str {
    match cause {
        ReloadCause::Start => "start",
        ReloadCause::Files => "reload",
        ReloadCause::Limit => "change of a limit",
    }
}

/// `1 page`, `2 pages`
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// How long ago a time was, in milliseconds.
pub(super) fn ago(at_ms: i64) -> i64 {
    now_ms().saturating_sub(at_ms).max(0)
}

/// The last start or reload in the range, and the earlier ones. `reloads` are newest first.
pub(super) fn list(state: &AdminState, reloads: &[PastReload]) -> Option<Value> {
    let last = newest(reloads)?;
    let others = || reloads.iter().filter(|reload| !std::ptr::eq(*reload, last));
    let shown: Vec<Value> = others().take(EARLIER_MAX).map(|reload| row(state, reload)).collect();
    let hidden = others().count().saturating_sub(shown.len());
    Some(json!({ "last": row(state, last), "others": shown, "hidden": hidden }))
}

fn row(state: &AdminState, reload: &PastReload) -> Value {
    let pages = reload.pages.iter().map(|one| part(state, Some(&one.brand), Some(&one.page)));
    let parts = reload.parts.iter().map(|one| {
        let mut row = part(state, one.brand.as_deref(), one.page.as_deref());
        if let Some(row) = row.as_object_mut() {
            row.insert("reason".to_owned(), one.reason.clone().into());
        }
        row
    });
    json!({
        "what": word(reload.cause), "at_ms": reload.at_ms, "ago_ms": ago(reload.at_ms),
        "is_reload": reload.cause == ReloadCause::Files, "limit": reload.limit.as_ref().map(|limit| change(state, limit)),
        "changed": counted(reload.pages_compiled, "page"), "pages": pages.collect::<Vec<_>>(),
        "pages_more": reload.pages_compiled.saturating_sub(reload.pages.len()),
        // A limit breaks nothing: what was not loaded then was wrong before.
        "problems": (reload.problems > 0 && reload.limit.is_none()).then(|| counted(reload.problems, "part")),
        "parts": parts.collect::<Vec<_>>(), "parts_more": reload.problems.saturating_sub(reload.parts.len()),
    })
}

/// What an operator has changed, with the page's address if it is still there.
fn change(state: &AdminState, change: &LimitChange) -> Value {
    let page = find_brand(state, &change.brand).is_ok_and(|brand| find_page(&brand, &change.path).is_ok());
    let unit = KINDS.iter().find(|kind| kind.name == change.limit).map(|kind| kind.unit);
    json!({ "change": change, "is_there": page, "unit": unit })
}

/// A page or a brand, with its address if it is still there.
fn part(state: &AdminState, brand: Option<&str>, page: Option<&str>) -> Value {
    let Some(brand) = brand else { return json!({ "name": "sluice.toml" }) };
    let found = find_brand(state, brand).ok();
    let Some(page) = page else {
        return json!({ "name": brand, "brand": found.is_some().then_some(brand) });
    };
    let path = page.strip_prefix("pages/").map(url_path);
    let is_there =
        path.as_deref().is_some_and(|path| found.is_some_and(|brand| find_page(&brand, path).is_ok()));
    let name = format!("{brand} {}", path.as_deref().unwrap_or(page));
    json!({ "name": name, "brand": is_there.then_some(brand), "path": path.filter(|_| is_there) })
}

/// Failures with their trend as a chart. `since` is set if the range has no such failure before its last start
/// or reload, and `is_over` if it has none after it.
pub(super) fn with_trends(groups: &[FailureRow], reloads: &[PastReload]) -> Vec<Value> {
    let last = newest(reloads);
    let said = |last: &PastReload| json!({ "what": word(last.cause), "at": iso_utc(last.at_ms) });
    let row = |row: &FailureRow| {
        let since = last.filter(|last| row.first_ms >= last.at_ms);
        let not_since = last.filter(|last| row.last_ms < last.at_ms);
        json!({
            "row": row, "chart": charts::trend(&row.trend), "since": since.map(said),
            "not_since": not_since.map(said), "ago_ms": ago(row.last_ms),
        })
    };
    groups.iter().map(row).collect()
}
