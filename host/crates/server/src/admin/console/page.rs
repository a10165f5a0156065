//! The page about one page of a brand: what is wrong with it, its failures, what its runs use, and its limits.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use sluice_limits::advice::LimitUse;
use sluice_limits::policy::Origin;
use sluice_site::apply::ChangedLine;

use super::frame::{Section, render_of};
use super::{or_error_page, reloads};
use crate::admin::AdminState;
use crate::admin::charts::{self, Span};
use crate::admin::error::AdminError;
use crate::admin::flash::Said;
use crate::admin::templates::amount::{amount, exact, examples};
use crate::admin::views::brand_state::{self, BrokenPage};
use crate::admin::views::changes::{self, ChangeView};
use crate::admin::views::failures::Kinds;
use crate::admin::views::limits::{self, Preview};
use crate::admin::views::range::Range;
use crate::admin::views::{failures, find_brand, find_page, overview, pages, runs};

/// `?path=/weight/checkin&set=fuel`
#[derive(Deserialize)]
pub(super) struct PageQuery {
    path: String,
    /// The limit that the operator has just set or removed.
    set: Option<String>,
}

pub(super) async fn page(
    state: Data<AdminState>,
    brand: Path<String>,
    query: Query<PageQuery>,
    range: Query<Range>,
    kinds: Query<Kinds>,
    said: Said,
) -> HttpResponse {
    let PageQuery { path, set } = query.into_inner();
    let edit = Edit { set, said: said.0, kinds: *kinds, ..Edit::default() };
    or_error_page(&state, show(&state, &brand, &path, *range, &edit).await)
}

/// What an operator has just done to a limit of the page that is shown, and the order of its failures.
#[derive(Default)]
pub(super) struct Edit {
    pub(super) kinds: Kinds,
    /// The limit that was set.
    pub(super) set: Option<String>,
    /// What became of it.
    pub(super) said: Option<String>,
    /// A change that is shown before it is made: the limit, what was typed, and what it would do.
    pub(super) preview: Option<(String, String, Preview)>,
    /// A change that was rejected: the limit, what was typed, and why.
    pub(super) wrong: Option<(String, String, String)>,
}

impl Edit {
    /// The limit that it is about.
    fn limit(&self) -> Option<&str> {
        let set = self.set.as_ref();
        let preview = self.preview.as_ref().map(|(limit, ..)| limit);
        let wrong = self.wrong.as_ref().map(|(limit, ..)| limit);
        set.or(preview).or(wrong).map(String::as_str)
    }
}

pub(super) async fn show(
    state: &AdminState,
    brand: &str,
    path: &str,
    range: Range,
    edit: &Edit,
) -> Result<HttpResponse, AdminError> {
    let detail = pages::find(state, brand, path, range).await?;
    let past = overview::reloads(state, range.bounds());
    let load_ms = failures::load_of(state, &past);
    let (mut groups, tally) = failures::of_page(state, brand, path, (range, edit.kinds, load_ms)).await?;
    for group in &mut groups {
        group.runs = Some(detail.row.runs);
    }
    let marks = reloads::marks(&past);
    let span = Span { bounds: range.bounds(), marks: &marks };
    let (limits, limits_fault) = limits::of_page_or_in_force(state, brand, path)?;
    let changed = changes::of_limits(state, brand, path).await;
    let runs_of_page = |failed: Option<&str>, limit| runs::Query {
        page: Some(path.to_owned()),
        failed: failed.map(str::to_owned),
        limit: Some(limit),
        ..runs::Query::default()
    };
    let last_failure = runs::list(state, brand, &runs_of_page(Some("true"), 1)).await?.pop();
    let last_runs = runs::list(state, brand, &runs_of_page(None, 10)).await?;
    let charts = json!({
        "fuel": charts::fuel(&detail, span),
        "time": charts::latency(&detail.history, span),
        "memory": charts::memory(&detail, span),
        "distribution": charts::fuel_distribution(&detail),
    });
    let show_links = super::failures::show_links(edit.kinds, tally.counts);
    let mut range_keep = vec![json!({ "name": "path", "value": path })];
    range_keep.extend(super::failures::fields(edit.kinds));
    let waits_for_reload = limits.rows.iter().any(|row| row.in_force != row.limit.value);
    let view = json!({
        "title": path, "page": detail, "broken": broken(state, brand, path)?,
        "charts": charts, "last_failure": last_failure, "last_runs": last_runs,
        "last_failure_is_outside": last_failure.as_ref().is_some_and(|run| !is_within(run.at_ms, range)),
        "last_failure_ago_ms": last_failure.as_ref().map(|run| reloads::ago(run.at_ms)),
        "limit_groups": limit_groups(state, &limits.rows, (&detail.uses, &changed), edit),
        "limits_fault": limits_fault.as_deref().map(brand_state::Reason::from),
        "done": edit.said,
        "waits_for_reload": waits_for_reload, "seen": limits.version,
        "range_keep": range_keep,
        "hidden_said": tally.counts.hidden(), "is_unknown": reloads::is_unknown(&groups),
        "show_links": show_links, "has_kinds": !groups.is_empty() || !show_links.is_null(),
        "order_query": edit.kinds.queries().0, "show_query": edit.kinds.queries().1,
        "failures": reloads::with_trends(&groups, &past), "has_marks": !marks.is_empty(), "kinds": edit.kinds.links(),
        "last_load": reloads::last_load(&past),
        "wrong": edit.wrong.as_ref().map(|(limit, _, reason)| {
            let has_row = limits.rows.iter().any(|row| row.limit.kind.name == limit);
            json!({ "limit": limit, "reason": reason, "has_row": has_row })
        }),
    });
    render_of(state, brand, ("page", Section::Pages), range.view(), view)
}

fn is_within(at_ms: i64, range: Range) -> bool {
    let (from, to) = range.bounds();
    (from..to).contains(&at_ms)
}

/// Why the page is broken, with the lines around the mistake.
fn broken(state: &AdminState, brand: &str, path: &str) -> Result<Option<Value>, AdminError> {
    let brand = find_brand(state, brand)?;
    let file = &find_page(&brand, path)?.file;
    let found = brand_state::broken_page(&brand, file, &state.app.past_reloads());
    let view = |broken: BrokenPage| {
        let at = broken.place.clone();
        let source =
            at.map(|(file, line, column)| runs::source_at(&brand, &file, (line, column))).unwrap_or_default();
        json!({ "of": broken, "source": source })
    };
    Ok(found.map(view))
}

/// What became of a limit that was set or removed.
pub(super) fn done(rows: &[limits::LimitRow], name: &str, was: u64) -> Option<String> {
    let row = rows.iter().find(|row| row.limit.kind.name == name)?;
    let (now, unit) = (row.limit.value, row.limit.kind.unit);
    let from = match &row.limit.origin {
        Origin::Page { .. } => String::new(),
        origin => format!(", which is from {origin}"),
    };
    let changed = match now == was {
        true => format!("{name} is {}, as before{from}.", exact(now, unit)),
        false => format!("{name} was {} and is now {}{from}.", exact(was, unit), exact(now, unit)),
    };
    let in_force = match row.in_force == now {
        true => "It is in force.".to_owned(),
        false => format!("Until the next reload, {} applies.", exact(row.in_force, unit)),
    };
    Some(format!("{changed} {in_force}"))
}

/// What is known about limits by their names: what runs used of them, and who changed them last.
type Known<'a> = (&'a [LimitUse], &'a BTreeMap<String, ChangeView>);

/// The limits that matter to this page, and the others.
fn limit_groups(state: &AdminState, rows: &[limits::LimitRow], known: Known<'_>, edit: &Edit) -> Vec<Value> {
    let (uses, _) = known;
    let is_used = |row: &&limits::LimitRow| {
        uses.iter().any(|used| used.limit == row.limit.kind.name)
            || matches!(row.limit.origin, Origin::Page { .. } | Origin::Brand(_))
    };
    let views = |rows: &[&limits::LimitRow]| -> Vec<Value> {
        rows.iter().map(|row| limit_row(state, row, known, edit)).collect()
    };
    let (used, others): (Vec<_>, Vec<_>) = rows.iter().partition(is_used);
    let is_open = others.iter().any(|row| edit.limit() == Some(row.limit.kind.name));
    vec![
        json!({ "rows": views(&used), "has_usage": true }),
        json!({
            "title": format!("{} other limits", others.len()), "is_open": is_open,
            "rows": views(&others),
        }),
    ]
}

/// A limit with what runs used of it, and what the field for a new value contains.
fn limit_row(state: &AdminState, row: &limits::LimitRow, (uses, changed): Known<'_>, edit: &Edit) -> Value {
    let (name, unit) = (row.limit.kind.name, row.limit.kind.unit);
    let used = uses.iter().find(|used| used.limit == name);
    let wrong = edit.wrong.as_ref().filter(|(limit, ..)| limit == name);
    let preview = edit.preview.as_ref().filter(|(limit, ..)| limit == name);
    let typed = wrong.map(|(_, typed, _)| typed).or(preview.map(|(_, typed, _)| typed));
    let most = state.app.live().limits.most(name);
    let suggested = used.and_then(|used| used.suggested).map(|value| value.min(most.unwrap_or(value)));
    let now = exact(row.limit.value, unit);
    json!({
        "row": row, "about": first_sentence(row.limit.kind.about), "most": most, "examples": examples(unit),
        "used": used.map(|used| json!({
            "p50": amount(used.p50, unit), "p99": amount(used.p99, unit), "p999": amount(used.p999, unit),
            "max": amount(used.max, unit), "is_close": used.is_close,
        })),
        "suggested": suggested.filter(|value| *value != row.limit.value).map(|value| json!({
            "value": exact(value, unit), "is_lower": value < row.in_force,
        })),
        "last_change": changed.get(name).map(|change| json!({
            "change": change, "was": change.value(&change.was), "becomes": change.value(&change.becomes),
        })),
        "can_be_removed": matches!(row.limit.origin, Origin::Page { .. }),
        "field": typed.unwrap_or(&now), "is_wrong": wrong.is_some(),
        "change": preview.map(|(_, _, preview)| json!({
            "lines": preview.lines.iter().map(changed_line).collect::<Vec<_>>(), "warnings": preview.warnings,
        })),
    })
}

/// What a limit is about, in one sentence.
fn first_sentence(text: &str) -> &str {
    let text = text.trim();
    text.find(". ").and_then(|end| text.get(..=end)).unwrap_or(text)
}

fn changed_line(changed: &ChangedLine) -> Value {
    let kind = match changed.sign {
        '+' => "new",
        '-' => "old",
        _ => "same",
    };
    json!({ "kind": kind, "line": format!("{}{}", changed.sign, changed.text) })
}
