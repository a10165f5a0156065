//! A summary of the host: its load, its brands, its heaviest pages and its last failures.

use std::collections::BTreeMap;

use serde::Serialize;

use sluice_kit::page_stats::PageStats;
use sluice_runs::execution_log::Execution;
use sluice_runs::execution_log::query::Filter;
use sluice_site::Brand;

use super::pages::{Interval, PageRow, interval, row};
use super::{Hours, read_log};
use crate::admin::AdminState;
use crate::admin::error::AdminError;

/// Pages in `heaviest`.
const HEAVIEST: usize = 10;
/// Runs in `last_failures`.
const FAILURES: u32 = 10;

/// The data of the overview page.
#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    pub(crate) version: &'static str,
    pub(crate) stopping: bool,
    /// Sandboxes that may run at the same time.
    pub(crate) sandboxes: u64,
    /// Sandboxes in use.
    pub(crate) running: u64,
    /// Requests that wait for a sandbox.
    pub(crate) waiting: u64,
    /// Requests that may wait for a sandbox.
    pub(crate) waiting_max: u64,
    /// How the memory of a sandbox is reset after a run, and why in this way.
    pub(crate) memory_reset: String,
    pub(crate) runs: u64,
    pub(crate) failures: u64,
    pub(crate) history: Vec<Interval>,
    pub(crate) brands: Vec<BrandRow>,
    /// The pages of all brands that used the most fuel.
    pub(crate) heaviest: Vec<PageRow>,
    pub(crate) last_failures: Vec<Execution>,
}

/// One brand in the list.
#[derive(Debug, Serialize)]
pub(crate) struct BrandRow {
    pub(crate) id: String,
    pub(crate) pages: usize,
    /// Pages that cannot be served as their files are now.
    pub(crate) broken: usize,
    /// Why the brand's files are not in use.
    pub(crate) fault: Option<String>,
    /// Whether visitors get status 503 because of it.
    pub(crate) unavailable: bool,
    /// Whether the files are in use, except for hosts that another brand claims, too.
    pub(crate) contested: bool,
    pub(crate) runs: u64,
    pub(crate) failures: u64,
}

/// Collects the overview.
///
/// # Errors
/// The execution log cannot be read.
pub(crate) async fn view(state: &AdminState, hours: Hours) -> Result<Overview, AdminError> {
    let starts_at = hours.starts_at();
    let failed = Filter { only_failed: true, limit: FAILURES, ..Filter::default() };
    let (rows, last_failures) = read_log(state, move |log| {
        let rows = log.intervals(starts_at)?;
        Ok((rows, log.list(&failed)?))
    })
    .await?;
    let mut times: BTreeMap<i64, PageStats> = BTreeMap::new();
    let mut pages: BTreeMap<(String, String), PageStats> = BTreeMap::new();
    for (brand, page, at_ms, stats) in rows {
        times.entry(at_ms).or_default().merge(&stats);
        pages.entry((brand, page)).or_default().merge(&stats);
    }
    let usage = state.app.sandbox.slots.usage();
    Ok(Overview {
        version: env!("CARGO_PKG_VERSION"),
        stopping: state.app.stopping.load(std::sync::atomic::Ordering::Relaxed),
        sandboxes: usage.limit as u64,
        running: usage.running as u64,
        waiting: usage.waiting as u64,
        waiting_max: usage.waiting_max as u64,
        memory_reset: format!(
            "{:?}: {}",
            state.app.sandbox.memory_reset, state.app.sandbox.memory_reset_reason
        ),
        runs: times.values().map(|stats| stats.runs).sum(),
        failures: times.values().map(|stats| stats.failures).sum(),
        history: times.iter().map(|(at_ms, stats)| interval(*at_ms, stats)).collect(),
        brands: brands(state, &pages),
        heaviest: heaviest(state, &pages),
        last_failures,
    })
}

fn brands(state: &AdminState, stats: &BTreeMap<(String, String), PageStats>) -> Vec<BrandRow> {
    let live = state.app.live();
    let row = |brand: &Brand| {
        let own = || stats.iter().filter(|((id, _), _)| *id == brand.id).map(|(_, stats)| stats);
        BrandRow {
            id: brand.id.clone(),
            pages: brand.pages.pages().count(),
            broken: brand.problems.len(),
            fault: live.faults.get(&brand.id).map(|fault| fault.reason.clone()),
            unavailable: brand.outage.is_some(),
            contested: live.faults.get(&brand.id).is_some_and(|fault| fault.is_contested),
            runs: own().map(|stats| stats.runs).sum(),
            failures: own().map(|stats| stats.failures).sum(),
        }
    };
    live.site.brands().map(|brand| row(brand)).collect()
}

fn heaviest(state: &AdminState, stats: &BTreeMap<(String, String), PageStats>) -> Vec<PageRow> {
    let mut rows: Vec<PageRow> = Vec::new();
    for brand in state.app.live().site.brands() {
        for page in brand.pages.pages() {
            if let Some(stats) = stats.get(&(brand.id.clone(), page.file.clone())) {
                rows.push(row(brand, page, stats));
            }
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.fuel_total));
    rows.truncate(HEAVIEST);
    rows
}
