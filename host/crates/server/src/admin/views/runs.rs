//! Stored runs of one brand.

use serde::Deserialize;

use sluice_runs::execution_log::Execution;
use sluice_runs::execution_log::query::Filter;

use super::read_log;
use crate::admin::AdminState;
use crate::admin::error::AdminError;

const RUNS_MAX: u32 = 200;

/// Which runs to show.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Query {
    /// A page's path.
    pub page: Option<String>,
    /// Only failed ones, where it is there and not `false`.
    pub failed: Option<String>,
    /// Older than this run.
    pub before: Option<i64>,
    pub limit: Option<u32>,
}

impl Query {
    pub fn only_failed(&self) -> bool {
        self.failed.as_deref().is_some_and(|text| text != "false")
    }
}

/// The newest runs first.
pub async fn list(state: &AdminState, brand: &str, query: &Query) -> Result<Vec<Execution>, AdminError> {
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

/// One run; a run of another brand is not there.
pub async fn find(state: &AdminState, brand: &str, id: i64) -> Result<Execution, AdminError> {
    let brand = &super::find_brand(state, brand)?.id;
    let found = read_log(state, move |log| log.find(id)).await?;
    let own = found.filter(|run| run.brand == *brand);
    own.ok_or_else(|| AdminError::NotFound(format!("run {id} of brand {brand}")))
}
