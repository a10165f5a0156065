//! The data that operators see. The API returns it as it is, and the console renders it. Data about
//! a brand is looked up by the brand's id and contains nothing of other brands.

pub(crate) mod brand_state;
pub(crate) mod calls;
pub(crate) mod certificates;
pub(crate) mod changes;
pub(crate) mod changes_csv;
pub(crate) mod close;
pub(crate) mod crm;
pub(crate) mod crm_csv;
pub(crate) mod crm_edit;
pub(crate) mod crm_sorted;
pub(crate) mod failures;
pub(crate) mod hidden_failures;
pub(crate) mod jobs;
pub(crate) mod limits;
pub(crate) mod marks;
pub(crate) mod overview;
pub(crate) mod page_cache;
pub(crate) mod pages;
pub(crate) mod queue;
pub(crate) mod range;
pub(crate) mod runs;
pub(crate) mod schedules;
pub(crate) mod search;
pub(crate) mod shown_kinds;
pub(crate) mod table_order;

use std::sync::Arc;

use actix_web::web;
use serde_json::{Value, json};

use sluice_page::Page;
use sluice_runs::execution_log::query::{LogError, LogReader};
use sluice_site::Brand;

use super::AdminState;
use super::error::AdminError;

/// Names and values as hidden fields of a form.
pub(crate) fn fields<'a, 'b>(pairs: impl IntoIterator<Item = (&'a str, &'b str)>) -> Vec<Value> {
    pairs.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

/// The brand with this id.
///
/// # Errors
/// There is no such brand.
pub(crate) fn find_brand(state: &AdminState, id: &str) -> Result<Arc<Brand>, AdminError> {
    let live = state.app.live();
    let found = live.site.brands().find(|brand| brand.id == id).cloned();
    found.ok_or_else(|| AdminError::NoBrand(id.to_owned()))
}

/// The brand's page with this path: `/blog/{slug}` for a pattern.
///
/// # Errors
/// The brand has no such page.
pub(crate) fn find_page<'a>(brand: &'a Brand, path: &str) -> Result<&'a Arc<Page>, AdminError> {
    let found = brand.pages.pages().find(|page| page.route == path);
    found.ok_or_else(|| AdminError::NoPage { brand: brand.id.clone(), path: path.to_owned() })
}

/// Reads the execution log on a thread for blocking work.
pub(crate) async fn read_log<T: Send + 'static>(
    state: &AdminState,
    read: impl FnOnce(&LogReader) -> Result<T, LogError> + Send + 'static,
) -> Result<T, AdminError> {
    let path = state.app.executions.path().to_owned();
    Ok(web::block(move || read(&LogReader::open(&path)?)).await??)
}
