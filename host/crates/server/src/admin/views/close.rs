//! The limits that pages of all brands are close to.

use std::collections::HashMap;

use serde::Serialize;

use sluice_site::{brand_dir, config};

use super::pages::{CloseLimit, PageRow};
use crate::admin::AdminState;

/// Limits in the list.
const CLOSE_MAX: usize = 20;

/// A limit that a page is close to.
#[derive(Debug, Serialize)]
pub(crate) struct ClosePage {
    pub(crate) brand: String,
    pub(crate) path: String,
    /// No limit of the brand can be set now, because its `brand.toml` cannot be read.
    pub(crate) is_locked: bool,
    #[serde(flatten)]
    pub(crate) limit: CloseLimit,
}

/// Those first of which most is used, and how many there are.
pub(crate) fn list(state: &AdminState, ran: &[PageRow]) -> (Vec<ClosePage>, usize) {
    let of_page = |row: &PageRow| -> Vec<ClosePage> {
        let close = |limit: &CloseLimit| ClosePage {
            brand: row.brand.clone(),
            path: row.path.clone(),
            is_locked: false,
            limit: limit.clone(),
        };
        row.close.iter().map(close).collect()
    };
    let mut all: Vec<ClosePage> = ran.iter().flat_map(of_page).collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.limit.percent));
    let count = all.len();
    all.truncate(CLOSE_MAX);
    let mut locked: HashMap<String, bool> = HashMap::new();
    for one in &mut all {
        let is_locked = || is_locked(state, &one.brand);
        one.is_locked = *locked.entry(one.brand.clone()).or_insert_with(is_locked);
    }
    (all, count)
}

/// Whether the files of a brand are not in use because its `brand.toml` cannot be read.
fn is_locked(state: &AdminState, brand: &str) -> bool {
    state.app.live().faults.contains_key(brand)
        && config::read_brand_file(&brand_dir(&state.site_dir, brand)).is_err()
}
