//! The other servers that the scripts of a brand call.

use serde::Serialize;

use sluice_kit::host_stats::{Caller, HostStats, OTHER_HOSTS};
use sluice_runs::execution_log::hosts::CalledHosts;
use sluice_site::Brand;
use sluice_site::table::url_path;

use super::pages::Quantiles;
use super::range::Range;
use super::table_order::{Columns, Order};
use super::{find_brand, find_page, read_log};
use crate::admin::AdminState;
use crate::admin::error::AdminError;

/// A host is called slow if one of a hundred calls takes this long or longer.
const SLOW_US: u64 = 1_000_000;
/// A host is called failing if one of this many calls, or more, fails.
const FAILING_ONE_IN: u64 = 20;
/// Hosts of all brands that the overview lists.
const SLOWEST: usize = 5;

/// The calls to one host.
#[derive(Debug, Serialize)]
pub(crate) struct HostRow {
    /// The host, with its port unless that is the usual one. None for all hosts beyond those that have a row.
    pub(crate) host: Option<String>,
    pub(crate) calls: u64,
    /// Calls without a response.
    pub(crate) unanswered: u64,
    /// Responses with a status from 400 to 499.
    pub(crate) status_4xx: u64,
    /// Responses with a status from 500 to 599.
    pub(crate) status_5xx: u64,
    pub(crate) wall_us: Quantiles,
    /// The sum over all calls.
    pub(crate) wall_us_total: u64,
    /// Calls without a response or with a status from 500 to 599.
    pub(crate) failed: u64,
    /// The p99 is a second or more.
    pub(crate) is_slow: bool,
    /// At least one of twenty calls got no response or a status from 500 to 599.
    pub(crate) is_failing: bool,
    /// The last call without a response or with a status from 500 to 599: when, in Unix milliseconds.
    pub(crate) failed_at_ms: Option<i64>,
    /// Why it failed.
    pub(crate) last_error: Option<String>,
    /// The pages that called it last, the last one first. At most three.
    pub(crate) callers: Vec<CallerRow>,
}

/// A page that has called a host.
#[derive(Debug, Serialize)]
pub(crate) struct CallerRow {
    /// The page's file, or the module of a job.
    pub(crate) page: String,
    /// The page's path, if the page still exists.
    pub(crate) path: Option<String>,
    pub(crate) at_ms: i64,
}

/// A host that scripts of a brand have called.
#[derive(Debug, Serialize)]
pub(crate) struct HostOfBrand {
    pub(crate) brand: String,
    #[serde(flatten)]
    pub(crate) row: HostRow,
}

/// The columns of the table.
pub(crate) const COLUMNS: Columns = Columns {
    all: &[
        ("host", "host"),
        ("calls", "calls"),
        ("unanswered", "no response"),
        ("5xx", "5xx"),
        ("4xx", "4xx"),
        ("p50", "time p50"),
        ("p99", "time p99"),
        ("max", "time max"),
        ("total", "total time"),
        ("failed", "last failure"),
    ],
    usual: "total",
    drawn: "failed",
};

/// The hosts that a brand has called, sorted.
///
/// # Errors
/// There is no such brand, or the execution log cannot be read.
pub(crate) async fn list(
    state: &AdminState,
    brand: &str,
    range: Range,
    order: &Order,
) -> Result<Vec<HostRow>, AdminError> {
    let brand = find_brand(state, brand)?;
    let id = brand.id.clone();
    let found = read_log(state, move |log| log.hosts(Some(&id), range.bounds())).await?;
    let mut rows: Vec<HostRow> =
        found.into_iter().map(|((_, host), stats)| row(Some(&*brand), host, stats)).collect();
    order.sort(&mut rows, &COLUMNS, |row| row.host.as_deref().unwrap_or_default(), measure);
    Ok(rows)
}

/// Those of the hosts of all brands with the longest calls. How many there are is the second part.
pub(crate) fn slowest(state: &AdminState, found: CalledHosts) -> (Vec<HostOfBrand>, usize) {
    let count = found.len();
    let mut all: Vec<((String, String), HostStats)> = found.into_iter().collect();
    all.sort_by_cached_key(|(of, stats)| (std::cmp::Reverse(stats.wall_us.quantile(0.99)), of.clone()));
    all.truncate(SLOWEST);
    let view = |((brand, host), stats): ((String, String), HostStats)| {
        let of = find_brand(state, &brand).ok();
        HostOfBrand { row: row(of.as_deref(), host, stats), brand }
    };
    (all.into_iter().map(view).collect(), count)
}

/// `brand` is None if this host does not serve it any more.
fn row(brand: Option<&Brand>, host: String, stats: HostStats) -> HostRow {
    let (failed_at_ms, last_error) = stats.last_failure.map(|failure| (failure.at_ms, failure.error)).unzip();
    let (calls, wall_us) = (stats.wall_us.count(), Quantiles::from(&stats.wall_us));
    let failed = stats.unanswered + stats.status_5xx;
    HostRow {
        host: (host != OTHER_HOSTS).then_some(host),
        calls,
        unanswered: stats.unanswered,
        status_4xx: stats.status_4xx,
        status_5xx: stats.status_5xx,
        is_slow: wall_us.p99 >= SLOW_US,
        failed,
        is_failing: failed > 0 && failed.saturating_mul(FAILING_ONE_IN) >= calls,
        wall_us,
        wall_us_total: stats.wall_us.total(),
        failed_at_ms,
        last_error,
        callers: stats.callers.into_iter().map(|one| caller(brand, one)).collect(),
    }
}

fn caller(brand: Option<&Brand>, Caller { page, at_ms }: Caller) -> CallerRow {
    let path = page.strip_prefix("pages/").map(url_path);
    let is_there = |path: &String| brand.is_some_and(|brand| find_page(brand, path).is_ok());
    CallerRow { path: path.filter(is_there), page, at_ms }
}

fn measure(row: &HostRow, column: &str) -> u64 {
    match column {
        "calls" => row.calls,
        "unanswered" => row.unanswered,
        "5xx" => row.status_5xx,
        "4xx" => row.status_4xx,
        "p50" => row.wall_us.p50,
        "p99" => row.wall_us.p99,
        "max" => row.wall_us.max,
        "failed" => row.failed_at_ms.unwrap_or_default().unsigned_abs(),
        _ => row.wall_us_total,
    }
}
