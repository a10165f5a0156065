//! What there is to see, as data: the API gives it as it is, the console draws
//! it. Everything about a brand is asked for by the brand's id and holds nothing
//! of another's.

pub mod crm;
pub mod jobs;
pub mod limits;
pub mod overview;
pub mod pages;
pub mod runs;

use std::sync::Arc;

use actix_web::web;
use serde::Deserialize;

use sluice_kit::clock::now_ms;
use sluice_page::Page;
use sluice_runs::execution_log::query::{LogError, LogReader};
use sluice_site::Brand;

use super::AdminState;
use super::error::AdminError;

const HOUR_MS: i64 = 60 * 60 * 1_000;
/// As long as the log keeps, unless it is told to keep more.
const HOURS_MAX: i64 = 14 * 24;

/// `?hours=24`: how far to look back.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default)]
pub struct Since {
    pub hours: i64,
}

impl Default for Since {
    fn default() -> Self {
        Self { hours: 24 }
    }
}

impl Since {
    /// Unix milliseconds.
    pub fn starts_at(self) -> i64 {
        now_ms() - self.hours.clamp(1, HOURS_MAX) * HOUR_MS
    }
}

/// The brand of that id.
pub fn find_brand(state: &AdminState, id: &str) -> Result<Arc<Brand>, AdminError> {
    let live = state.app.live();
    let found = live.site.brands().find(|brand| brand.id == id).cloned();
    found.ok_or_else(|| AdminError::NotFound(format!("brand {id}")))
}

/// The brand's page with that path: `/blog/{slug}` for a pattern.
pub fn find_page<'a>(brand: &'a Brand, path: &str) -> Result<&'a Arc<Page>, AdminError> {
    let found = brand.pages.pages().find(|page| page.route == path);
    found.ok_or_else(|| AdminError::NotFound(format!("page {path} of brand {}", brand.id)))
}

/// Reads the execution log, off the listener's thread.
pub async fn read_log<T: Send + 'static>(
    state: &AdminState,
    read: impl FnOnce(&LogReader) -> Result<T, LogError> + Send + 'static,
) -> Result<T, AdminError> {
    let path = state.app.executions.path().to_owned();
    let done = web::block(move || read(&LogReader::open(&path)?)).await;
    Ok(done.map_err(anyhow::Error::from)??)
}
