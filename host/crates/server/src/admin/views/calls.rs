//! The other servers that the scripts of a brand call.

use serde::Serialize;

use sluice_kit::host_stats::{HostStats, OTHER_HOSTS};

use super::pages::Quantiles;
use super::range::Range;
use super::table_order::{Columns, Order};
use super::{find_brand, read_log};
use crate::admin::AdminState;
use crate::admin::error::AdminError;

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
    /// The last call without a response or with a status from 500 to 599: when, in Unix milliseconds.
    pub(crate) failed_at_ms: Option<i64>,
    /// Why it failed.
    pub(crate) last_error: Option<String>,
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
    let brand = find_brand(state, brand)?.id.clone();
    let found = read_log(state, move |log| log.hosts(&brand, range.bounds())).await?;
    let mut rows: Vec<HostRow> = found.into_iter().map(|(host, stats)| row(host, &stats)).collect();
    order.sort(&mut rows, &COLUMNS, |row| row.host.as_deref().unwrap_or_default(), measure);
    Ok(rows)
}

fn row(host: String, stats: &HostStats) -> HostRow {
    let failure = stats.last_failure.as_ref();
    HostRow {
        host: (host != OTHER_HOSTS).then_some(host),
        calls: stats.wall_us.count(),
        unanswered: stats.unanswered,
        status_4xx: stats.status_4xx,
        status_5xx: stats.status_5xx,
        wall_us: (&stats.wall_us).into(),
        wall_us_total: stats.wall_us.total(),
        failed_at_ms: failure.map(|failure| failure.at_ms),
        last_error: failure.map(|failure| failure.error.clone()),
    }
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
