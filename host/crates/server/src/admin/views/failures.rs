//! Failures in groups, as the console and the API show them.

use serde::Serialize;

use sluice_runs::execution_log::Execution;
use sluice_runs::execution_log::failures::{FailureFilter, FailureGroup, KindCount};
use sluice_site::table::url_path;

use super::range::Range;
use super::{find_brand, find_page, read_log};
use crate::admin::AdminState;
use crate::admin::error::AdminError;

/// The number of columns in the trend of a group.
pub(crate) const PARTS: u32 = 24;

/// Failures of one page with the same message.
#[derive(Debug, Serialize)]
pub(crate) struct FailureRow {
    pub(crate) brand: String,
    /// The page's path, if the page still exists.
    pub(crate) path: Option<String>,
    /// The page's file.
    pub(crate) page: String,
    pub(crate) outcome: String,
    /// `TypeError: cannot read …`, of the newest failure.
    pub(crate) message: String,
    /// `pages/cart.html:7:3`, if it is known.
    pub(crate) place: String,
    pub(crate) count: u64,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    /// The id of the newest run.
    pub(crate) last_id: i64,
    /// How many there were in each part of the time.
    pub(crate) trend: Vec<u64>,
}

impl FailureRow {
    pub(crate) fn new(state: &AdminState, group: FailureGroup) -> Self {
        let FailureGroup { count, first_ms, last_ms, trend, last } = group;
        let error = last.error.as_ref();
        let message = error.map(|error| format!("{}: {}", error.name, error.message)).unwrap_or_default();
        let place = error.filter(|error| !error.file.is_empty());
        let place = place.map(|error| format!("{}:{}:{}", error.file, error.line, error.column));
        let path = last.page.strip_prefix("pages/").map(url_path).unwrap_or_default();
        let is_there = find_brand(state, &last.brand).is_ok_and(|brand| find_page(&brand, &path).is_ok());
        Self {
            brand: last.brand,
            path: is_there.then_some(path),
            page: last.page,
            outcome: last.outcome,
            message,
            place: place.unwrap_or_default(),
            count,
            first_ms,
            last_ms,
            last_id: last.id,
            trend,
        }
    }
}

/// Groups of one page.
const OF_PAGE: usize = 20;

/// The failures of one page.
///
/// # Errors
/// There is no such brand or page, or the execution log cannot be read.
pub(crate) async fn of_page(
    state: &AdminState,
    brand: &str,
    path: &str,
    range: Range,
) -> Result<Vec<FailureRow>, AdminError> {
    let brand = find_brand(state, brand)?;
    let page = find_page(&brand, path)?.file.clone();
    let (from_ms, to_ms) = range.bounds();
    let filter = FailureFilter {
        brand: Some(brand.id.clone()),
        page: Some(page),
        from_ms,
        to_ms,
        parts: PARTS,
        limit: OF_PAGE,
    };
    let found = read_log(state, move |log| log.failures(&filter)).await?;
    Ok(found.groups.into_iter().map(|group| FailureRow::new(state, group)).collect())
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

/// Runs in the list of those that failed in the same way.
const LIKE_MAX: u32 = 10;
