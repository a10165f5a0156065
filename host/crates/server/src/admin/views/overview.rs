//! A summary of the host: its load, its brands, its heaviest pages and its last failures.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Serialize;

use sluice_app::reload::PastReload;
use sluice_kit::clock::now_ms;
use sluice_kit::page_stats::PageStats;
use sluice_runs::execution_log::Execution;
use sluice_runs::execution_log::failures::{FailureFilter, OutcomeCount};
use sluice_runs::execution_log::query::Filter;
use sluice_site::Brand;

use super::brand_state::{self, BrandState, BrokenPage};
use super::calls::{self, HostOfBrand};
use super::certificates::{self, CertificateList};
use super::close::{self, ClosePage};
use super::failures::{self, FailureRow, Kinds, PARTS};
use super::marks::{Marks, OtherMark};
use super::pages::{Interval, PageRow, interval, is_of_jobs, row};
use super::range::Range;
use super::read_log;
use super::shown_kinds::Counts;
use crate::admin::AdminState;
use crate::admin::error::AdminError;

/// Pages in `heaviest` and in `slowest`.
const HEAVIEST: usize = 10;
/// Runs in `last_failures`.
const FAILURES: u32 = 10;
/// Groups in `failure_groups`.
const GROUPS: usize = 50;
/// Brands in `parked_of`.
const PARKED_OF: u32 = 50;
/// Brands of an outcome.
const OUTCOME_BRANDS: usize = 5;
/// The overview does not wait longer for the database.
const DATABASE_WAIT: Duration = Duration::from_secs(1);
/// Pages in `broken`.
const BROKEN_MAX: usize = 100;

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
    /// The runs and failures of the time before the range, which is as long as the range.
    pub(crate) before: Before,
    pub(crate) history: Vec<Interval>,
    pub(crate) brands: Vec<BrandRow>,
    /// The pages of all brands that used the most fuel.
    pub(crate) heaviest: Vec<PageRow>,
    /// The pages of all brands whose runs took longest.
    pub(crate) slowest: Vec<PageRow>,
    /// The pages of all brands that are close to one of their limits: those that use most of it.
    pub(crate) close: Vec<ClosePage>,
    /// How many there are, those that are not listed included.
    pub(crate) close_all: usize,
    /// The hosts of all brands with the longest calls.
    pub(crate) slowest_hosts: Vec<HostOfBrand>,
    /// How many hosts were called, those that are not listed included.
    pub(crate) hosts_all: usize,
    pub(crate) last_failures: Vec<Execution>,
    /// The failures by page and message, in the order that was asked for: the most frequent first, if none was. Without
    /// those that operators have resolved or muted, if these were not asked for.
    pub(crate) failure_groups: Vec<FailureRow>,
    /// How many kinds of the time are open, resolved and muted.
    pub(crate) failure_kinds: Counts,
    /// False if the database did not answer, so that resolved and muted kinds are listed, too.
    pub(crate) failure_marks_known: bool,
    /// The resolved or muted kinds without failures in the time, if these are asked for.
    pub(crate) other_marks: Vec<OtherMark>,
    /// The number of groups, those that are not listed included.
    pub(crate) failure_groups_all: usize,
    /// How many runs ended with each outcome.
    pub(crate) outcomes: Vec<OutcomeRow>,
    /// The brands whose files are not in use.
    #[serde(skip)]
    pub(crate) faulty: Vec<BrandState>,
    /// Pages that cannot be served as their files are now.
    pub(crate) broken: Vec<BrokenPage>,
    pub(crate) jobs: Option<JobsRow>,
    pub(crate) script_jobs: Option<ScriptJobsRow>,
    pub(crate) database: DatabaseRow,
    pub(crate) rejected: RejectedRow,
    /// The start of the process and the reloads since, of the range, newest first.
    pub(crate) reloads: Vec<PastReload>,
    /// `None` if this host does not serve HTTPS itself.
    pub(crate) certificates: Option<CertificateList>,
}

/// The time before the range.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Before {
    pub(crate) runs: u64,
    pub(crate) failures: u64,
}

/// How many runs ended with one outcome.
#[derive(Debug, Serialize)]
pub(crate) struct OutcomeRow {
    pub(crate) outcome: String,
    pub(crate) runs: u64,
    pub(crate) has_failed: bool,
    /// The brands that have the most of them.
    pub(crate) brands: Vec<BrandCount>,
    /// How many other brands have some.
    pub(crate) brands_more: usize,
}

/// A brand, and a number of something.
#[derive(Debug, Serialize)]
pub(crate) struct BrandCount {
    pub(crate) brand: String,
    pub(crate) count: u64,
    /// Whether this host serves the brand. It may have been removed.
    pub(crate) is_served: bool,
}

/// Background writes that are not done.
#[derive(Debug, Serialize)]
pub(crate) struct JobsRow {
    pub(crate) waiting: u64,
    pub(crate) parked: u64,
    /// The brands that have the most parked ones.
    pub(crate) parked_of: Vec<BrandCount>,
    /// How long the oldest waiting job has waited.
    pub(crate) lag_ms: i64,
}

/// Jobs of scripts that are not done.
#[derive(Debug, Serialize)]
pub(crate) struct ScriptJobsRow {
    /// Due or not.
    pub(crate) pending: u64,
    pub(crate) running: u64,
    pub(crate) parked: u64,
    /// The brands that have the most parked ones.
    pub(crate) parked_of: Vec<BrandCount>,
    /// How long the oldest due job has waited.
    pub(crate) lag_ms: i64,
}

/// Requests that were rejected without a run since the start of the process.
#[derive(Debug, Serialize)]
pub(crate) struct RejectedRow {
    /// Their clients sent more than the page's `rate` admits.
    pub(crate) rate: u64,
    /// The host had no sandbox or no memory for them.
    pub(crate) overload: u64,
}

/// The database and its connections.
#[derive(Debug, Serialize)]
pub(crate) struct DatabaseRow {
    /// Why it does not answer.
    pub(crate) outage: Option<String>,
    /// Its size, if it answered in time.
    pub(crate) size_bytes: Option<u64>,
    pub(crate) connections: usize,
    pub(crate) connections_in_use: usize,
    pub(crate) connections_max: usize,
    pub(crate) calls_waiting: usize,
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
    /// How many of the failures were of jobs.
    pub(crate) job_failures: u64,
    /// How many of the failures are of resolved or muted kinds.
    pub(crate) hidden_failures: u64,
}

/// Collects the overview.
///
/// # Errors
/// The execution log cannot be read.
pub(crate) async fn view(state: &AdminState, range: Range, order: Kinds) -> Result<Overview, AdminError> {
    let (from_ms, to_ms) = range.bounds();
    let reloads = reloads(state, (from_ms, to_ms));
    let failed = Filter { only_failed: true, limit: FAILURES, ..Filter::default() };
    let grouped = FailureFilter {
        from_ms,
        to_ms,
        parts: PARTS,
        limit: GROUPS,
        order: order.order(),
        since_ms: failures::load_of(state, &reloads),
        ..FailureFilter::default()
    };
    let grouped_since = grouped.since_ms;
    let marks = Marks::load(state, None).await;
    let of_log = marks.clone();
    let (rows, last_failures, hosts, (failures, tally)) = read_log(state, move |log| {
        let rows = log.intervals(from_ms - (to_ms - from_ms))?;
        let hosts = log.hosts(None, (from_ms, to_ms))?;
        Ok((rows, log.list(&failed)?, hosts, failures::grouped(log, &grouped, order.show, &of_log)?))
    })
    .await?;
    let mut times: BTreeMap<i64, PageStats> = BTreeMap::new();
    let mut pages = PagesOfBrands::new();
    let mut before = Before::default();
    for (brand, page, at_ms, stats) in rows.into_iter().filter(|(_, _, at_ms, _)| *at_ms < to_ms) {
        if at_ms < from_ms {
            before.runs += stats.runs;
            before.failures += stats.failures;
            continue;
        }
        times.entry(at_ms).or_default().merge(&stats);
        pages.entry((brand, page)).or_default().merge(&stats);
    }
    let runs: u64 = times.values().map(|stats| stats.runs).sum();
    let failed: u64 = times.values().map(|stats| stats.failures).sum();
    let (rate, overload) = state.app.executions.rejected();
    let outage = state.app.store.outage();
    let now = now_ms();
    let (jobs, script_jobs, size_bytes) = match outage {
        Some(_) => (None, None, None),
        None => {
            let store = &state.app.store;
            let jobs = async { tokio::try_join!(store.count_jobs(), store.count_parked_jobs(PARKED_OF)) };
            let script_jobs =
                async { tokio::try_join!(store.count_queued(now), store.count_parked_queued(PARKED_OF)) };
            tokio::join!(in_time(jobs), in_time(script_jobs), in_time(store.size_bytes()))
        }
    };
    let (faulty, broken) = troubles(state);
    let ran = ran(state, &pages, &tally.hidden);
    let (close, close_all) = close::list(state, &ran);
    let (slowest_hosts, hosts_all) = calls::slowest(state, hosts);
    let group = |group| {
        let mut row = FailureRow::new(state, group, grouped_since, (&marks, to_ms));
        row.runs = pages.get(&(row.brand.clone(), row.page.clone())).map(|stats| stats.runs);
        row
    };
    let pool = state.app.store.pool_usage();
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
        runs,
        failures: failed,
        before,
        history: times.iter().map(|(at_ms, stats)| interval(*at_ms, stats)).collect(),
        outcomes: outcomes(state, &pages, runs.saturating_sub(failed), failures.outcomes),
        brands: brands(state, &pages, &tally.hidden),
        heaviest: largest(&ran, |row| row.fuel_total),
        slowest: largest(&ran, |row| row.wall_us.p99),
        close,
        close_all,
        slowest_hosts,
        hosts_all,
        last_failures,
        other_marks: marks.others(order.show, &tally, now),
        failure_groups: failures.groups.into_iter().map(group).collect(),
        failure_kinds: tally.counts,
        failure_marks_known: marks.are_known,
        failure_groups_all: failures.groups_all,
        faulty,
        broken,
        jobs: jobs.map(|(jobs, parked_of)| JobsRow {
            waiting: jobs.waiting,
            parked: jobs.parked,
            parked_of: counts(state, parked_of),
            lag_ms: lag(now, jobs.oldest_waiting_at),
        }),
        script_jobs: script_jobs.map(|(jobs, parked_of)| ScriptJobsRow {
            pending: jobs.pending,
            running: jobs.running,
            parked: jobs.parked,
            parked_of: counts(state, parked_of),
            lag_ms: lag(now, jobs.oldest_due_at),
        }),
        rejected: RejectedRow { rate, overload },
        reloads,
        certificates: certificates::view(state),
        database: DatabaseRow {
            outage,
            size_bytes,
            connections: pool.open,
            connections_in_use: pool.in_use,
            connections_max: pool.limit,
            calls_waiting: pool.waiting,
        },
    })
}

/// The start of the process and the reloads since that are in the range, newest first.
pub(crate) fn reloads(state: &AdminState, (from_ms, to_ms): (i64, i64)) -> Vec<PastReload> {
    let past = state.app.past_reloads();
    past.iter().rev().filter(|reload| (from_ms..to_ms).contains(&reload.at_ms)).cloned().collect()
}

/// How long ago a time is, in milliseconds. 0 stands for no time.
fn lag(now: i64, at: Option<i64>) -> i64 {
    at.map_or(0, |at| now.saturating_sub(at).max(0))
}

/// What the database answers in time.
async fn in_time<T, E>(answer: impl Future<Output = Result<T, E>>) -> Option<T> {
    tokio::time::timeout(DATABASE_WAIT, answer).await.ok()?.ok()
}

fn counts(state: &AdminState, found: Vec<(String, u64)>) -> Vec<BrandCount> {
    let live = state.app.live();
    let count = |(brand, count): (String, u64)| {
        let is_served = live.site.brands().any(|known| known.id == brand);
        BrandCount { brand, count, is_served }
    };
    found.into_iter().map(count).collect()
}

/// Successful runs are counted by the pages' statistics, because the log stores only some of them.
fn outcomes(
    state: &AdminState,
    pages: &PagesOfBrands,
    succeeded: u64,
    failed: Vec<OutcomeCount>,
) -> Vec<OutcomeRow> {
    let mut of_brands: BTreeMap<&str, u64> = BTreeMap::new();
    for ((brand, _), stats) in pages {
        *of_brands.entry(brand).or_default() += stats.runs.saturating_sub(stats.failures);
    }
    let mut of_brands: Vec<(String, u64)> =
        of_brands.into_iter().map(|(brand, runs)| (brand.to_owned(), runs)).collect();
    of_brands.retain(|(_, runs)| *runs > 0);
    of_brands.sort_by_key(|(_, runs)| std::cmp::Reverse(*runs));
    let row = |outcome: String, runs, has_failed, mut brands: Vec<(String, u64)>| {
        let brands_more = brands.len().saturating_sub(OUTCOME_BRANDS);
        brands.truncate(OUTCOME_BRANDS);
        OutcomeRow { outcome, runs, has_failed, brands: counts(state, brands), brands_more }
    };
    let good = row("ok".into(), succeeded, false, of_brands);
    let bad = failed.into_iter().map(|one| row(one.outcome, one.runs, true, one.brands));
    [good].into_iter().chain(bad).collect()
}

/// What is wrong with each brand whose files are not in use, and the pages of all brands that are broken.
fn troubles(state: &AdminState) -> (Vec<BrandState>, Vec<BrokenPage>) {
    let (live, reloads) = (state.app.live(), state.app.past_reloads());
    let of_brand = |brand: &std::sync::Arc<Brand>| brand_state::of(&live, brand, &reloads);
    let mut states: Vec<BrandState> = live.site.brands().map(of_brand).collect();
    let broken = states.iter_mut().flat_map(|state| std::mem::take(&mut state.broken));
    let broken = broken.take(BROKEN_MAX).collect();
    states.retain(|state| state.fault.is_some());
    (states, broken)
}

/// How many failures are of resolved or muted kinds, by brand and file.
type Hidden = HashMap<(String, String), u64>;

fn brands(state: &AdminState, stats: &PagesOfBrands, hidden: &Hidden) -> Vec<BrandRow> {
    let live = state.app.live();
    let row = |brand: &Brand| {
        let rows = || stats.iter().filter(|((id, _), _)| *id == brand.id);
        let own = || rows().map(|(_, stats)| stats);
        let of_jobs = rows().filter(|((_, page), _)| is_of_jobs(page));
        let failures: u64 = own().map(|stats| stats.failures).sum();
        let of_brand = hidden.iter().filter(|((id, _), _)| *id == brand.id);
        BrandRow {
            id: brand.id.clone(),
            pages: brand.pages.pages().count(),
            broken: brand.problems.len(),
            fault: live.faults.get(&brand.id).map(|fault| fault.reason.clone()),
            unavailable: brand.outage.is_some(),
            contested: live.faults.get(&brand.id).is_some_and(|fault| fault.is_contested),
            runs: own().map(|stats| stats.runs).sum(),
            failures,
            job_failures: of_jobs.map(|(_, stats)| stats.failures).sum(),
            hidden_failures: of_brand.map(|(_, count)| *count).sum::<u64>().min(failures),
        }
    };
    live.site.brands().map(|brand| row(brand)).collect()
}

/// What the pages of all brands used, by brand and file.
type PagesOfBrands = BTreeMap<(String, String), PageStats>;

/// The pages that ran.
fn ran(state: &AdminState, stats: &PagesOfBrands, hidden: &Hidden) -> Vec<PageRow> {
    let mut rows: Vec<PageRow> = Vec::new();
    for brand in state.app.live().site.brands() {
        for page in brand.pages.pages() {
            let of = (brand.id.clone(), page.file.clone());
            if let Some(stats) = stats.get(&of) {
                rows.push(row(brand, page, stats).hiding(hidden.get(&of).copied().unwrap_or_default()));
            }
        }
    }
    rows
}

/// Those of the pages of which the measure is largest.
fn largest(ran: &[PageRow], measure: fn(&PageRow) -> u64) -> Vec<PageRow> {
    let mut rows: Vec<&PageRow> = ran.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(measure(row)));
    rows.into_iter().take(HEAVIEST).cloned().collect()
}
