//! Failures in groups, as the console and the API show them.

use serde::{Deserialize, Serialize};

use sluice_app::reload::{PastReload, ReloadCause};
use sluice_kit::clock::now_ms;
use sluice_runs::execution_log::Execution;
use sluice_runs::execution_log::failures::{
    FailureFilter, FailureGroup, FailureKind, FailureOrder, Failures, KindCount,
};
use sluice_runs::execution_log::query::{LogError, LogReader};
use sluice_site::table::url_path;

use super::marks::{MarkView, Marks, id_of};
use super::pages::is_of_jobs;
use super::range::Range;
use super::shown_kinds::{Show, Tally};
use super::{find_brand, find_page, read_log};
use crate::admin::AdminState;
use crate::admin::error::AdminError;

/// The number of columns in the trend of a group.
pub(crate) const PARTS: u32 = 24;

/// Failures of one page with the same message.
#[derive(Debug, Serialize)]
pub(crate) struct FailureRow {
    pub(crate) brand: String,
    /// Identifies the kind within the brand.
    pub(crate) kind: String,
    /// What an operator has said about it. None if nobody did, or if that is over.
    pub(crate) mark: Option<MarkView>,
    /// The page's path, if the page still exists.
    pub(crate) path: Option<String>,
    /// The page's file.
    pub(crate) page: String,
    pub(crate) outcome: String,
    /// The status of the newest answer. None for jobs, which have no visitor.
    pub(crate) status: Option<u16>,
    /// `TypeError: cannot read …`, of the newest failure.
    pub(crate) message: String,
    /// `pages/cart.html:7:3`, if it is known.
    pub(crate) place: String,
    pub(crate) count: u64,
    /// How often the page ran in the time, the failed runs included. None if it is not known.
    pub(crate) runs: Option<u64>,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    /// The id of the newest run.
    pub(crate) last_id: i64,
    /// How many there were in each part of the time.
    pub(crate) trend: Vec<u64>,
    /// Since the files were loaded last, if that is in the time.
    pub(crate) since_load: Option<SinceLoad>,
}

/// What happened since the files of the site were loaded last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct SinceLoad {
    /// How many of the failures there were.
    pub(crate) count: u64,
    /// How often the page ran. `None` if there are too many pages to count.
    pub(crate) runs: Option<u64>,
}

/// `?kinds=rarest&show=muted`: the order of the groups, and which of them are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Kinds {
    kinds: Choice,
    pub(crate) show: Show,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Choice {
    #[default]
    Most,
    Rarest,
    Latest,
    Newest,
}

/// The orders, for links: the value in the address, and what a link says.
const CHOICES: [(Choice, &str, &str); 4] = [
    (Choice::Most, "most", "most frequent"),
    (Choice::Rarest, "rarest", "rarest"),
    (Choice::Latest, "latest", "latest"),
    (Choice::Newest, "newest", "newest kind"),
];

/// A link that sorts the groups.
#[derive(Debug, Serialize)]
pub(crate) struct KindsLink {
    value: &'static str,
    label: &'static str,
    is_chosen: bool,
}

impl Kinds {
    pub(crate) fn order(self) -> FailureOrder {
        match self.kinds {
            Choice::Most => FailureOrder::Most,
            Choice::Rarest => FailureOrder::Rarest,
            Choice::Latest => FailureOrder::Latest,
            Choice::Newest => FailureOrder::Newest,
        }
    }

    pub(crate) fn links(self) -> Vec<KindsLink> {
        let link = |(choice, value, label)| KindsLink { value, label, is_chosen: choice == self.kinds };
        CHOICES.map(link).into()
    }

    /// The names and values in the address, without those that are the default.
    pub(crate) fn asked(self) -> Vec<(&'static str, &'static str)> {
        let chosen =
            CHOICES.into_iter().find(|(choice, ..)| *choice == self.kinds && *choice != Choice::Most);
        let order = chosen.map(|(_, value, _)| ("kinds", value));
        order.into_iter().chain(self.show.asked().map(|value| ("show", value))).collect()
    }

    /// The parts of an address that keep the order and what is listed: `kinds=rarest&` and `show=muted&`.
    pub(crate) fn queries(self) -> (String, String) {
        let part = |of: &str| {
            let asked = self.asked().into_iter().filter(|(name, _)| *name == of);
            asked.map(|(name, value)| format!("{name}={value}&")).collect()
        };
        (part("kinds"), part("show"))
    }
}

/// When the files were loaded last, if it is one of these reloads, which are newest first.
pub(crate) fn load_of(state: &AdminState, reloads: &[PastReload]) -> Option<i64> {
    // A limit that an operator set changed no file of a page.
    let is_load = |reload: &&PastReload| reload.cause != ReloadCause::Limit;
    let last = state.app.past_reloads().iter().rev().find(is_load).map(|reload| reload.at_ms);
    last.filter(|at_ms| reloads.iter().any(|reload| reload.at_ms == *at_ms))
}

impl FailureRow {
    /// `load_ms` is when the files were loaded last, if that is in the time, which ends at `end_ms`.
    pub(crate) fn new(
        state: &AdminState,
        group: FailureGroup,
        load_ms: Option<i64>,
        (marks, end_ms): (&Marks, i64),
    ) -> Self {
        let FailureGroup { kind, count, first_ms, last_ms, since, trend, last } = group;
        let since_load = load_ms.map(|_| SinceLoad {
            count: since,
            runs: state.app.executions.runs_since_load(&last.brand, &last.page),
        });
        let error = last.error.as_ref();
        let message = error.map(|error| format!("{}: {}", error.name, error.message)).unwrap_or_default();
        let place = error.filter(|error| !error.file.is_empty());
        let place = place.map(|error| format!("{}:{}:{}", error.file, error.line, error.column));
        let path = last.page.strip_prefix("pages/").map(url_path).unwrap_or_default();
        let is_there = find_brand(state, &last.brand).is_ok_and(|brand| find_page(&brand, &path).is_ok());
        Self {
            brand: last.brand,
            mark: marks.view(&kind, (last_ms, end_ms)),
            kind: id_of(&kind),
            path: is_there.then_some(path),
            status: (!is_of_jobs(&last.page)).then_some(last.status),
            page: last.page,
            outcome: last.outcome,
            message,
            place: place.unwrap_or_default(),
            count,
            runs: None,
            first_ms,
            last_ms,
            last_id: last.id,
            trend,
            since_load,
        }
    }
}

/// Groups of one page.
const OF_PAGE: usize = 20;

/// The failures of one page that are listed, and how many kinds there are.
///
/// # Errors
/// There is no such brand or page, or the execution log cannot be read.
pub(crate) async fn of_page(
    state: &AdminState,
    brand: &str,
    path: &str,
    (range, kinds, load_ms): (Range, Kinds, Option<i64>),
) -> Result<(Vec<FailureRow>, Tally), AdminError> {
    let brand = find_brand(state, brand)?;
    let page = find_page(&brand, path)?.file.clone();
    let (from_ms, to_ms) = range.bounds();
    let filter = FailureFilter {
        brand: Some(brand.id.clone()),
        page: Some(page),
        from_ms,
        to_ms,
        parts: PARTS,
        order: kinds.order(),
        since_ms: load_ms,
        limit: OF_PAGE,
    };
    let marks = Marks::load(state, Some(&brand.id)).await;
    let (found, tally) = listed(state, &filter, kinds.show, &marks).await?;
    let row = |group| FailureRow::new(state, group, load_ms, (&marks, to_ms));
    Ok((found.groups.into_iter().map(row).collect(), tally))
}

/// The failures that match a filter and are listed, and how many kinds there are.
///
/// # Errors
/// The execution log cannot be read.
async fn listed(
    state: &AdminState,
    filter: &FailureFilter,
    show: Show,
    marks: &Marks,
) -> Result<(Failures, Tally), AdminError> {
    let (filter, marks) = (filter.clone(), marks.clone());
    read_log(state, move |log| grouped(log, &filter, show, &marks)).await
}

/// The same, from a log that is open.
///
/// # Errors
/// The execution log cannot be read.
pub(crate) fn grouped(
    log: &LogReader,
    filter: &FailureFilter,
    show: Show,
    marks: &Marks,
) -> Result<(Failures, Tally), LogError> {
    let mut tally = Tally::default();
    let is_shown = |kind: &FailureKind, count, last_ms| {
        marks.is_shown((kind, count), (show, &mut tally), (last_ms, filter.to_ms))
    };
    let found = log.failures_if(filter, is_shown)?;
    Ok((found, tally))
}

/// The newest runs of the same page that failed in the same way.
///
/// # Errors
/// The execution log cannot be read.
pub(crate) async fn like(state: &AdminState, run: &Execution) -> Result<Vec<Execution>, AdminError> {
    if run.error.is_none() {
        return Ok(Vec::new());
    }
    let id = run.id;
    read_log(state, move |log| log.like(id, LIKE_MAX)).await
}

/// How many stored runs failed as this one did, itself included, and when. None if it did not fail.
///
/// # Errors
/// The execution log cannot be read.
pub(crate) async fn kind_of(state: &AdminState, run: &Execution) -> Result<Option<KindCount>, AdminError> {
    if run.error.is_none() {
        return Ok(None);
    }
    let id = run.id;
    read_log(state, move |log| log.count_like(id)).await
}

/// What is the matter with the kind of a run that failed: its id, and what an operator has said about it.
///
/// # Errors
/// The execution log cannot be read.
pub(crate) async fn mark_of(
    state: &AdminState,
    run: &Execution,
    last_ms: i64,
) -> Result<Option<(String, Option<MarkView>)>, AdminError> {
    let id = run.id;
    let Some(kind) = read_log(state, move |log| log.kind_of(id)).await? else { return Ok(None) };
    let marks = Marks::load(state, Some(&run.brand)).await;
    Ok(Some((id_of(&kind), marks.view(&kind, (last_ms, now_ms())))))
}

/// Runs in the list of those that failed in the same way.
const LIKE_MAX: u32 = 10;
