//! The pages of a brand and the resources that their runs use.

use std::collections::HashMap;

use serde::Serialize;

use sluice_kit::histogram::Histogram;
use sluice_kit::page_stats::PageStats;
use sluice_limits::advice::{self, LimitUse};
use sluice_page::Page;
use sluice_site::Brand;

use super::range::Range;
use super::table_order::{Columns, Order};
use super::{find_brand, find_page, hidden_failures, read_log};
use crate::admin::AdminState;
use crate::admin::error::AdminError;

/// Quantiles of what single runs used of one resource.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: u64,
    pub(crate) p95: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

impl From<&Histogram> for Quantiles {
    fn from(histogram: &Histogram) -> Self {
        let quantile = |share| histogram.quantile(share);
        Self { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99), max: histogram.max() }
    }
}

/// One page in a list.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PageRow {
    pub(crate) brand: String,
    pub(crate) path: String,
    pub(crate) file: String,
    /// `ready`, `no script`, `broken`.
    pub(crate) script: &'static str,
    /// Why the page is broken.
    pub(crate) problem: Option<String>,
    /// Whether visitors get the last good version of a page with a problem.
    pub(crate) is_kept: bool,
    pub(crate) runs: u64,
    pub(crate) failures: u64,
    /// How many of the failures are of resolved or muted kinds.
    pub(crate) hidden_failures: u64,
    /// The sum over all runs.
    pub(crate) fuel_total: u64,
    pub(crate) fuel: Quantiles,
    pub(crate) fuel_quota: u64,
    pub(crate) wall_us: Quantiles,
    pub(crate) host_us: Quantiles,
    pub(crate) memory_bytes: Quantiles,
    /// At least one run used 80 % of a limit or more.
    pub(crate) is_close: bool,
    /// The names of the limits of which at least one run used 80 % or more.
    pub(crate) close_to: Vec<&'static str>,
    /// The same with what was used.
    pub(crate) close: Vec<CloseLimit>,
}

impl PageRow {
    /// The same with failures of resolved or muted kinds. What keeps a page from running is no failed run.
    pub(crate) fn hiding(self, failures: u64) -> Self {
        Self { hidden_failures: failures.min(self.failures), ..self }
    }
}

/// A limit of which a run used 80 % or more.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CloseLimit {
    pub(crate) limit: &'static str,
    pub(crate) unit: &'static str,
    /// The largest amount that a run used.
    pub(crate) max: u64,
    pub(crate) quota: u64,
    /// How much of the limit that is.
    pub(crate) percent: u64,
    /// A value that suits the runs.
    pub(crate) suggested: Option<u64>,
}

impl From<&LimitUse> for CloseLimit {
    fn from(used: &LimitUse) -> Self {
        let LimitUse { limit, unit, max, quota, suggested, .. } = *used;
        let percent = max.saturating_mul(100) / quota.max(1);
        Self { limit, unit, max, quota, percent, suggested }
    }
}

/// What runs used in one interval of 15 minutes.
#[derive(Debug, Serialize)]
pub(crate) struct Interval {
    /// The start of the interval in Unix milliseconds.
    pub(crate) at_ms: i64,
    pub(crate) runs: u64,
    pub(crate) failures: u64,
    pub(crate) fuel: Quantiles,
    pub(crate) wall_us: Quantiles,
    pub(crate) host_us: Quantiles,
    pub(crate) memory_bytes: Quantiles,
}

/// The columns of the table of pages.
pub(crate) const COLUMNS: Columns = Columns {
    all: &[
        ("page", "page"),
        ("fuel", "total fuel"),
        ("p50", "fuel p50"),
        ("p99", "fuel p99"),
        ("max", "fuel max"),
        ("time", "time p99"),
        ("runs", "runs"),
        ("failed", "failed"),
    ],
    usual: "fuel",
    drawn: "fuel",
};

/// Sorts the rows of the table.
pub(crate) fn sort(rows: &mut [PageRow], order: &Order) {
    let measure = |row: &PageRow, column: &str| match column {
        "p50" => row.fuel.p50,
        "p99" => row.fuel.p99,
        "max" => row.fuel.max,
        "time" => row.wall_us.p99,
        "runs" => row.runs,
        "failed" => row.failures,
        _ => row.fuel_total,
    };
    order.sort(rows, &COLUMNS, |row| &row.path, measure);
}

/// One page with its history.
#[derive(Debug, Serialize)]
pub(crate) struct PageDetail {
    #[serde(flatten)]
    pub(crate) row: PageRow,
    pub(crate) uses: Vec<LimitUse>,
    pub(crate) history: Vec<Interval>,
    /// The distribution of the fuel per run: the largest value of each bucket, and its number of runs.
    pub(crate) fuel_buckets: Vec<(u64, u32)>,
    /// The part of `memory_bytes` that does not count for `heap_bytes_max`.
    pub(crate) memory_bytes_base: u64,
    pub(crate) memory_quota: u64,
}

/// Whether the statistics of `page` are those of a module, whose functions ran as jobs.
pub(crate) fn is_of_jobs(page: &str) -> bool {
    page.starts_with("modules/")
}

/// A brand's pages. Those that used the most fuel come first.
pub(crate) async fn list(state: &AdminState, brand: &str, range: Range) -> Result<Vec<PageRow>, AdminError> {
    Ok(list_with_jobs(state, brand, range).await?.0)
}

/// The same, and how many runs of jobs there were, and how many of these failed.
///
/// # Errors
/// There is no such brand, or the execution log cannot be read.
pub(crate) async fn list_with_jobs(
    state: &AdminState,
    brand: &str,
    range: Range,
) -> Result<(Vec<PageRow>, JobRuns), AdminError> {
    let brand = find_brand(state, brand)?;
    let (id, (from_ms, to_ms)) = (brand.id.clone(), range.bounds());
    let found = read_log(state, move |log| log.intervals_of(Some(&id), from_ms)).await?;
    let mut stats: HashMap<String, PageStats> = HashMap::new();
    for (_, page, at_ms, of_interval) in found {
        if at_ms < to_ms {
            stats.entry(page).or_default().merge(&of_interval);
        }
    }
    let hidden = hidden_failures::of_brand(state, &brand.id, range).await?;
    let hidden_of = |page: &str| hidden.get(page).copied().unwrap_or_default();
    let mut rows: Vec<PageRow> = brand
        .pages
        .pages()
        .map(|page| {
            row(&brand, page, &stats.remove(&page.file).unwrap_or_default()).hiding(hidden_of(&page.file))
        })
        .collect();
    rows.sort_by(|a, b| (b.fuel_total, &a.path).cmp(&(a.fuel_total, &b.path)));
    let of_jobs = || stats.iter().filter(|(page, _)| is_of_jobs(page)).map(|(_, stats)| stats);
    let jobs = JobRuns {
        runs: of_jobs().map(|stats| stats.runs).sum(),
        failures: of_jobs().map(|stats| stats.failures).sum(),
        hidden_failures: hidden.iter().filter(|(page, _)| is_of_jobs(page)).map(|(_, count)| count).sum(),
    };
    Ok((rows, jobs))
}

/// Runs of jobs, which are no runs of a page.
#[derive(Debug, Serialize)]
pub(crate) struct JobRuns {
    pub(crate) runs: u64,
    pub(crate) failures: u64,
    /// How many of the failures are of resolved or muted kinds.
    pub(crate) hidden_failures: u64,
}

/// One page with its history.
///
/// # Errors
/// There is no such brand or page, or the execution log cannot be read.
pub(crate) async fn find(
    state: &AdminState,
    brand: &str,
    path: &str,
    range: Range,
) -> Result<PageDetail, AdminError> {
    let brand = find_brand(state, brand)?;
    let page = find_page(&brand, path)?;
    let (id, file, (from_ms, to_ms)) = (brand.id.clone(), page.file.clone(), range.bounds());
    let mut history = read_log(state, move |log| log.history(&id, &file, from_ms)).await?;
    history.retain(|(at_ms, _)| *at_ms < to_ms);
    let mut all = PageStats::default();
    history.iter().for_each(|(_, stats)| all.merge(stats));
    let hidden = hidden_failures::of_brand(state, &brand.id, range).await?.remove(&page.file);
    Ok(PageDetail {
        row: row(&brand, page, &all).hiding(hidden.unwrap_or_default()),
        uses: advice::advise(&all, &page.limits, advice::HEADROOM),
        fuel_buckets: all.fuel.buckets().collect(),
        memory_bytes_base: all.memory_bytes_base,
        memory_quota: page.limits.heap_bytes_max.into(),
        history: history.iter().map(|(at_ms, stats)| interval(*at_ms, stats)).collect(),
    })
}

/// The row of a page whose runs used `stats`.
pub(crate) fn row(brand: &Brand, page: &Page, stats: &PageStats) -> PageRow {
    let problem = brand.problems.iter().find(|problem| problem.page == page.file);
    let is_kept = problem.is_some_and(|problem| problem.kept);
    let problem = problem.map(|problem| problem.reason.clone());
    let uses = advice::advise(stats, &page.limits, advice::HEADROOM);
    PageRow {
        brand: brand.id.clone(),
        path: page.route.clone(),
        file: page.file.clone(),
        script: if problem.is_some() { "broken" } else { "ready" },
        problem,
        is_kept,
        runs: stats.runs,
        failures: stats.failures,
        hidden_failures: 0,
        fuel_total: stats.fuel.total(),
        fuel: (&stats.fuel).into(),
        fuel_quota: page.limits.fuel,
        wall_us: (&stats.wall_us).into(),
        host_us: (&stats.host_us).into(),
        memory_bytes: (&stats.memory_bytes).into(),
        is_close: uses.iter().any(|usage| usage.is_close),
        close_to: uses.iter().filter(|usage| usage.is_close).map(|usage| usage.limit).collect(),
        close: uses.iter().filter(|usage| usage.is_close).map(CloseLimit::from).collect(),
    }
}

/// The interval that starts at `at_ms` (Unix milliseconds).
pub(crate) fn interval(at_ms: i64, stats: &PageStats) -> Interval {
    Interval {
        at_ms,
        runs: stats.runs,
        failures: stats.failures,
        fuel: (&stats.fuel).into(),
        wall_us: (&stats.wall_us).into(),
        host_us: (&stats.host_us).into(),
        memory_bytes: (&stats.memory_bytes).into(),
    }
}
