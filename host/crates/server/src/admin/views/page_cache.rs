//! The answers of a brand that this host keeps, and dropping them.

use serde::Serialize;

use sluice_page_cache::{ALL_TAGS, Usage};

use super::find_brand;
use crate::admin::AdminState;
use crate::admin::changes::note;
use crate::admin::error::AdminError;

/// What a brand has in the page cache of this host.
#[derive(Debug, Serialize)]
pub(crate) struct PageCacheView {
    /// The paths of the pages with `cache`.
    pub(crate) pages: Vec<String>,
    /// The tags of these pages.
    pub(crate) tags: Vec<String>,
    /// The answers that are kept.
    pub(crate) answers: usize,
    /// The memory that they take.
    pub(crate) bytes: u64,
}

/// What a brand has in the cache.
///
/// # Errors
/// There is no such brand.
pub(crate) fn view(state: &AdminState, brand: &str) -> Result<PageCacheView, AdminError> {
    let brand = find_brand(state, brand)?;
    let usage = state.app.page_cache.usage();
    let Usage { bytes, answers } =
        usage.into_iter().find(|(id, _)| *id == brand.id).map(|(_, usage)| usage).unwrap_or_default();
    let cached = brand.pages.pages().filter(|page| page.cache.is_some());
    let mut pages: Vec<String> = cached.map(|page| page.route.clone()).collect();
    pages.sort_unstable();
    Ok(PageCacheView { pages, tags: brand.cache_tags.to_vec(), answers, bytes })
}

/// Drops the brand's answers with a tag, or all of them, on every host.
///
/// # Errors
/// There is no such brand or tag, or the database does not answer.
pub(crate) async fn purge(state: &AdminState, brand: &str, tag: Option<&str>) -> Result<(), AdminError> {
    note(|note| note.target = Some(tag.map_or_else(|| "all answers".to_owned(), |tag| format!("tag {tag}"))));
    let brand = find_brand(state, brand)?;
    let tag = tag.unwrap_or(ALL_TAGS);
    tracing::info!(brand = brand.id, tag, "an operator drops cached answers");
    match state.app.purge_access(&brand).purge(&brand.id, tag, state.app.now_ms()).await? {
        true => Ok(()),
        false => Err(AdminError::NoTag { brand: brand.id.clone(), tag: tag.to_owned() }),
    }
}
