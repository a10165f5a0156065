//! The pages of a brand and what their runs take.

use std::collections::HashMap;

use serde::Serialize;

use sluice_kit::histogram::Histogram;
use sluice_kit::page_stats::PageStats;
use sluice_limits::advice::{self, LimitUse};
use sluice_page::Page;
use sluice_site::Brand;

use super::{Since, find_brand, find_page, read_log};
use crate::admin::AdminState;
use crate::admin::error::AdminError;

/// What runs took, as quantiles.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spread {
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

impl From<&Histogram> for Spread {
    fn from(histogram: &Histogram) -> Self {
        Self { p50: histogram.quantile(0.5), p99: histogram.quantile(0.99), max: histogram.max() }
    }
}

/// One page in a list.
#[derive(Debug, Serialize)]
pub struct PageRow {
    pub brand: String,
    pub path: String,
    pub file: String,
    /// `ready`, `no script`, `broken`.
    pub script: &'static str,
    /// Why it is broken.
    pub problem: Option<String>,
    pub runs: u64,
    pub failures: u64,
    /// Of all runs together.
    pub fuel_total: u64,
    pub fuel: Spread,
    pub fuel_quota: u64,
    pub wall_us: Spread,
    pub host_us: Spread,
    pub memory_bytes: Spread,
    /// Some run came within a fifth of a limit.
    pub is_close: bool,
}

/// One interval of a page's life.
#[derive(Debug, Serialize)]
pub struct Moment {
    /// Unix milliseconds.
    pub at_ms: i64,
    pub runs: u64,
    pub failures: u64,
    pub fuel: Spread,
    pub wall_us: Spread,
    pub host_us: Spread,
    pub memory_bytes: Spread,
}

/// One page with its history.
#[derive(Debug, Serialize)]
pub struct PageDetail {
    #[serde(flatten)]
    pub row: PageRow,
    pub uses: Vec<LimitUse>,
    pub history: Vec<Moment>,
    /// How often which fuel was used: largest value of the bucket, and count.
    pub fuel_buckets: Vec<(u64, u32)>,
}

/// A brand's pages, the one that burned the most fuel first.
pub async fn list(state: &AdminState, brand: &str, since: Since) -> Result<Vec<PageRow>, AdminError> {
    let brand = find_brand(state, brand)?;
    let (id, starts_at) = (brand.id.clone(), since.starts_at());
    let summaries = read_log(state, move |log| log.summaries(Some(&id), starts_at)).await?;
    let mut stats: HashMap<_, _> = summaries.into_iter().map(|found| (found.page, found.stats)).collect();
    let mut rows: Vec<PageRow> = brand
        .pages
        .pages()
        .map(|page| row(&brand, page, &stats.remove(&page.file).unwrap_or_default()))
        .collect();
    rows.sort_by(|a, b| (b.fuel_total, &a.path).cmp(&(a.fuel_total, &b.path)));
    Ok(rows)
}

pub async fn find(
    state: &AdminState,
    brand: &str,
    path: &str,
    since: Since,
) -> Result<PageDetail, AdminError> {
    let brand = find_brand(state, brand)?;
    let page = find_page(&brand, path)?;
    let (id, file, starts_at) = (brand.id.clone(), page.file.clone(), since.starts_at());
    let history = read_log(state, move |log| log.history(&id, &file, starts_at)).await?;
    let mut all = PageStats::default();
    history.iter().for_each(|(_, stats)| all.merge(stats));
    Ok(PageDetail {
        row: row(&brand, page, &all),
        uses: advice::advise(&all, &page.limits, advice::HEADROOM),
        fuel_buckets: all.fuel.buckets().collect(),
        history: history.iter().map(|(at_ms, stats)| moment(*at_ms, stats)).collect(),
    })
}

pub fn row(brand: &Brand, page: &Page, stats: &PageStats) -> PageRow {
    let problem = brand.problems.iter().find(|problem| problem.page == page.file);
    let problem = problem.map(|problem| problem.reason.clone());
    let uses = advice::advise(stats, &page.limits, advice::HEADROOM);
    PageRow {
        brand: brand.id.clone(),
        path: page.route.clone(),
        file: page.file.clone(),
        script: if problem.is_some() { "broken" } else { "ready" },
        problem,
        runs: stats.runs,
        failures: stats.failures,
        fuel_total: stats.fuel.total(),
        fuel: (&stats.fuel).into(),
        fuel_quota: page.limits.fuel,
        wall_us: (&stats.wall_us).into(),
        host_us: (&stats.host_us).into(),
        memory_bytes: (&stats.memory_bytes).into(),
        is_close: uses.iter().any(|usage| usage.is_close),
    }
}

pub fn moment(at_ms: i64, stats: &PageStats) -> Moment {
    Moment {
        at_ms,
        runs: stats.runs,
        failures: stats.failures,
        fuel: (&stats.fuel).into(),
        wall_us: (&stats.wall_us).into(),
        host_us: (&stats.host_us).into(),
        memory_bytes: (&stats.memory_bytes).into(),
    }
}
