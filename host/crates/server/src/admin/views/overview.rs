//! The host at a glance.

use std::collections::BTreeMap;

use serde::Serialize;

use sluice_kit::page_stats::PageStats;
use sluice_runs::execution_log::Execution;
use sluice_runs::execution_log::query::Filter;

use super::pages::{Moment, PageRow, moment, row};
use super::{Since, read_log};
use crate::admin::AdminState;
use crate::admin::error::AdminError;

const HEAVIEST: usize = 10;
const FAILURES: u32 = 10;

#[derive(Debug, Serialize)]
pub struct Overview {
    pub version: &'static str,
    pub stopping: bool,
    pub sandboxes: u64,
    pub running: u64,
    pub waiting: u64,
    pub waiting_max: u64,
    pub memory_reset: String,
    pub runs: u64,
    pub failures: u64,
    pub history: Vec<Moment>,
    pub brands: Vec<BrandRow>,
    /// Pages of any brand that burned the most fuel.
    pub heaviest: Vec<PageRow>,
    pub last_failures: Vec<Execution>,
}

#[derive(Debug, Serialize)]
pub struct BrandRow {
    pub id: String,
    pub pages: usize,
    pub broken: usize,
    pub runs: u64,
    pub failures: u64,
}

pub async fn view(state: &AdminState, since: Since) -> Result<Overview, AdminError> {
    let starts_at = since.starts_at();
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
        history: times.iter().map(|(at_ms, stats)| moment(*at_ms, stats)).collect(),
        brands: brands(state, &pages),
        heaviest: heaviest(state, &pages),
        last_failures,
    })
}

fn brands(state: &AdminState, stats: &BTreeMap<(String, String), PageStats>) -> Vec<BrandRow> {
    let row = |id: &String, pages: usize, broken: usize| {
        let own = || stats.iter().filter(|((brand, _), _)| brand == id).map(|(_, stats)| stats);
        BrandRow {
            id: id.clone(),
            pages,
            broken,
            runs: own().map(|stats| stats.runs).sum(),
            failures: own().map(|stats| stats.failures).sum(),
        }
    };
    let live = state.app.live();
    let brands = live.site.brands();
    brands.map(|brand| row(&brand.id, brand.pages.pages().count(), brand.problems.len())).collect()
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
