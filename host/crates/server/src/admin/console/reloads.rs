//! What the console says about reloads: what each of them changed and broke, and which failures are new since the last
//! one.

use serde_json::{Value, json};

use sluice_app::reload::{FailedPart, LimitChange, PastReload, ReloadCause, SiteChange, SitePart};
use sluice_kit::clock::{iso_utc, now_ms};
use sluice_limits::KINDS;
use sluice_site::config::Change;
use sluice_site::table::url_path;

use crate::admin::AdminState;
use crate::admin::charts::{self, Mark};
use crate::admin::views::brand_state::Reason;
use crate::admin::views::failures::{FailureRow, SinceLoad};
use crate::admin::views::{find_brand, find_page};

/// Earlier reloads that the overview lists.
const EARLIER_MAX: usize = 30;
/// Changes of limits since the last start or reload that it lists.
const LATER_MAX: usize = 5;

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
    // Limits that were changed since are no reload of files, and are not earlier either.
    let later: Vec<Value> = reloads
        .iter()
        .take_while(|reload| !std::ptr::eq(*reload, last))
        .take(LATER_MAX)
        .map(|reload| row(state, reload))
        .collect();
    let others = || reloads.iter().skip_while(|reload| !std::ptr::eq(*reload, last)).skip(1);
    let shown: Vec<Value> = others().take(EARLIER_MAX).map(|reload| row(state, reload)).collect();
    let hidden = others().count().saturating_sub(shown.len());
    Some(json!({ "last": row(state, last), "later": later, "others": shown, "hidden": hidden }))
}

/// What the last reload of files has changed and could not load, of one brand if it is named. None if it is forgotten.
pub(super) fn changed(state: &AdminState, brand: Option<&str>) -> Option<Value> {
    let past = state.app.past_reloads();
    let last = past.iter().rev().find(|reload| reload.cause != ReloadCause::Limit)?;
    let is_asked = |of: Option<&str>| brand.is_none_or(|brand| of == Some(brand));
    let changes = last.changes.iter().filter(|one| is_asked(one.brand.as_deref()));
    let changes: Vec<Value> = changes.map(|one| site_change(state, one)).collect();
    let parts = last.parts.iter().filter(|part| is_asked(part.brand.as_deref()));
    let parts = parts.map(|one| failed(state, one));
    Some(json!({
        "at_ms": last.at_ms, "ago_ms": ago(last.at_ms), "is_start": last.cause == ReloadCause::Start,
        "is_long": changes.len() > SHOWN_MAX, "count": changes.len(), "changes": changes,
        "more": last.changes_all.saturating_sub(last.changes.len()), "parts": parts.collect::<Vec<_>>(),
        "parts_more": last.problems.saturating_sub(last.parts.len()),
    }))
}

/// More changes of a reload are in a list that can be opened.
const SHOWN_MAX: usize = 20;

fn site_change(state: &AdminState, change: &SiteChange) -> Value {
    let SiteChange { brand, part, name, change } = change;
    let page = match part {
        SitePart::Page => name.strip_prefix("pages/").map(url_path),
        // `page[/cart].limits.fuel`
        SitePart::Setting => {
            name.strip_prefix("page[").and_then(|rest| rest.split_once(']')).map(|(path, _)| path.to_owned())
        }
        SitePart::Brand | SitePart::Crm => None,
    };
    let of_brand = brand.as_deref().and_then(|brand| find_brand(state, brand).ok());
    let is_there = |path: &String| of_brand.as_ref().is_some_and(|brand| find_page(brand, path).is_ok());
    let file = match (part, brand) {
        (SitePart::Setting, None) => Some("sluice.toml"),
        (SitePart::Setting, Some(_)) => Some("brand.toml"),
        _ => None,
    };
    json!({
        "name": name, "brand": brand, "change": change, "file": file, "is_removed": *change == Change::Removed,
        "path": page.filter(is_there), "leads": of_brand.is_some().then_some(brand),
        "is_setting": *part == SitePart::Setting,
    })
}

fn failed(state: &AdminState, one: &FailedPart) -> Value {
    let mut row = part(state, one.brand.as_deref(), one.page.as_deref());
    if let Some(row) = row.as_object_mut() {
        row.insert("reason".to_owned(), one.reason.clone().into());
        row.insert("why".to_owned(), json!(Reason::from(one.reason.as_str())));
    }
    row
}

fn row(state: &AdminState, reload: &PastReload) -> Value {
    let pages = reload.pages.iter().map(|one| part(state, Some(&one.brand), Some(&one.page)));
    let parts = reload.parts.iter().map(|one| failed(state, one));
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

/// What happened to a kind of failure since the files were loaded last: what the table says, and whether it is new.
struct Since {
    said: String,
    title: String,
    is_new: bool,
}

/// `row` is of a time that contains the load, which was a `what`.
fn since(row: &FailureRow, of: SinceLoad, what: &str, load_ms: i64) -> Since {
    let at = iso_utc(load_ms);
    let at = at.get(..16).unwrap_or_default().replace('T', " ");
    let is_job = row.page.starts_with("modules/");
    let (page, ran) = if is_job { ("job", "the job") } else { ("page", "the page") };
    let counted = |count: u64, noun: &str| counted(usize::try_from(count).unwrap_or(usize::MAX), noun);
    let (said, title) = match (of.count, of.runs) {
        (0, Some(0)) => (
            format!("{page} not run yet"),
            format!("Nobody knows whether it is mended: {ran} has not run since the {what} at {at} UTC."),
        ),
        (0, Some(runs)) => (
            format!("none in {}", counted(runs, "run")),
            format!("{ran} has run since the {what} at {at} UTC, and has not failed in this way."),
        ),
        (0, None) => {
            ("none".to_owned(), format!("It has not failed in this way since the {what} at {at} UTC."))
        }
        // Failures that keep a page from running are no runs.
        (count, Some(runs)) if runs >= count => {
            (format!("{count} in {}", counted(runs, "run")), format!("Since the {what} at {at} UTC."))
        }
        (count, _) => (counted(count, "time"), format!("Since the {what} at {at} UTC.")),
    };
    let mut letters = title.chars();
    let title = letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
    Since { said, title, is_new: row.first_ms >= load_ms }
}

/// The word for the last load of the files, if the time contains it: `reload`.
pub(super) fn last_load(reloads: &[PastReload]) -> Option<&'static str> {
    newest(reloads).map(|last| word(last.cause))
}

/// Whether the page of a failure has not run since the files were loaded last.
pub(super) fn is_unknown(groups: &[FailureRow]) -> bool {
    groups.iter().any(|row| row.since_load.is_some_and(|since| since.count == 0 && since.runs == Some(0)))
}

/// Failures with their trend as a chart, and with what became of them since the files were loaded last.
pub(super) fn with_trends(groups: &[FailureRow], reloads: &[PastReload]) -> Vec<Value> {
    let last = newest(reloads);
    let row = |row: &FailureRow| {
        let since = last.zip(row.since_load).map(|(last, of)| since(row, of, word(last.cause), last.at_ms));
        json!({
            "row": row, "chart": charts::trend(&row.trend), "ago_ms": ago(row.last_ms), "first_ago_ms": ago(row.first_ms),
            "of_runs": row.runs.filter(|runs| *runs >= row.count),
            "since": since.map(|since| json!({ "said": since.said, "title": since.title, "is_new": since.is_new })),
        })
    };
    groups.iter().map(row).collect()
}

/// The moments that lines in charts mark, with their names. `reloads` are newest first.
pub(super) fn marks(reloads: &[PastReload]) -> Vec<Mark> {
    let name = |reload: &PastReload| match &reload.limit {
        Some(change) => format!("{}: {} {} {}", word(reload.cause), change.brand, change.path, change.limit),
        None if reload.problems > 0 => {
            format!("{}, {} not loaded", word(reload.cause), counted(reload.problems, "part"))
        }
        None => word(reload.cause).to_owned(),
    };
    reloads.iter().map(|reload| Mark { at_ms: reload.at_ms, name: name(reload) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(count: u64, runs: Option<u64>) -> String {
        let row = FailureRow {
            brand: "shop".to_owned(),
            kind: String::new(),
            mark: None,
            path: None,
            page: "pages/cart.html".to_owned(),
            outcome: "error".to_owned(),
            status: Some(200),
            message: String::new(),
            place: String::new(),
            count: 9,
            runs: Some(90),
            first_ms: 5,
            last_ms: 50,
            last_id: 1,
            trend: Vec::new(),
            since_load: None,
        };
        since(&row, SinceLoad { count, runs }, "reload", 10).said
    }

    #[test]
    fn a_page_that_has_not_run_is_not_called_mended() {
        assert_eq!(said(0, Some(0)), "page not run yet");
        assert_eq!(said(0, Some(1)), "none in 1 run");
        assert_eq!(said(0, Some(40)), "none in 40 runs");
        assert_eq!(said(4, Some(40)), "4 in 40 runs");
        assert_eq!(said(4, Some(0)), "4 times");
        assert_eq!((said(0, None), said(1, None)), ("none".to_owned(), "1 time".to_owned()));
    }
}
