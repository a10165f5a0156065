//! The stored runs of one brand.

use serde::Deserialize;

use sluice_runs::execution_log::Execution;
use sluice_runs::execution_log::query::Filter;

use super::read_log;
use crate::admin::AdminState;
use crate::admin::error::AdminError;

/// Runs that one response contains at most.
const RUNS_MAX: u32 = 200;

/// `?page=/cart&failed&before=17&limit=50`: which runs to list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    /// A page's path.
    pub(crate) page: Option<String>,
    /// Only failed runs, if present and not `false`.
    pub(crate) failed: Option<String>,
    /// Only runs that are older than the one with this id.
    pub(crate) before: Option<i64>,
    pub(crate) limit: Option<u32>,
}

impl Query {
    /// Whether the list contains failed runs only.
    pub(crate) fn only_failed(&self) -> bool {
        self.failed.as_deref().is_some_and(|text| text != "false")
    }
}

/// The runs that match `query`, newest first.
pub(crate) async fn list(
    state: &AdminState,
    brand: &str,
    query: &Query,
) -> Result<Vec<Execution>, AdminError> {
    let brand = super::find_brand(state, brand)?;
    let page = match query.page.as_deref().filter(|page| !page.is_empty()) {
        Some(path) => Some(super::find_page(&brand, path)?.file.clone()),
        None => None,
    };
    let filter = Filter {
        brand: Some(brand.id.clone()),
        page,
        only_failed: query.only_failed(),
        before: query.before,
        limit: query.limit.unwrap_or(50).clamp(1, RUNS_MAX),
        ..Filter::default()
    };
    read_log(state, move |log| log.list(&filter)).await
}

/// One run of the brand.
///
/// # Errors
/// There is no such brand, the run is not stored or belongs to another brand, or the log cannot be
/// read.
pub(crate) async fn find(state: &AdminState, brand: &str, id: i64) -> Result<Execution, AdminError> {
    let brand = &super::find_brand(state, brand)?.id;
    let found = read_log(state, move |log| log.find(id)).await?;
    let own = found.filter(|run| run.brand == *brand);
    own.ok_or_else(|| AdminError::NoRun { brand: brand.clone(), id })
}
