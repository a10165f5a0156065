//! Advice on the limits of a page, from the cost of its runs: which limits the runs came
//! close to, and which values would suit them.

use serde::Serialize;

use sluice_kit::page_stats::PageStats;

use super::Limits;

/// The share of runs that a suggested limit must cover.
const QUANTILE: f64 = 0.999;
/// The default factor by which a suggested limit exceeds what the runs used.
pub const HEADROOM: f64 = 2.0;
/// A run that used at least this share of a limit came close to it.
const CLOSE: f64 = 0.8;
/// A limit is suggested only after this many runs, unless one of them came close to it.
const RUNS_MIN: u64 = 100;

/// How the runs of one page used one limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitUse {
    /// The limit's name.
    pub limit: &'static str,
    /// The unit of all numbers here.
    pub unit: &'static str,
    /// The limit in force.
    pub quota: u64,
    /// The amount that half of the runs did not exceed.
    pub p50: u64,
    /// The amount that 99 % of the runs did not exceed.
    pub p99: u64,
    /// The amount that 99.9 % of the runs did not exceed.
    pub p999: u64,
    /// The largest amount that a run used.
    pub max: u64,
    /// A run used at least four fifths of the limit.
    pub is_close: bool,
    /// A value that suits the runs, or `None` if there were fewer than 100 runs and none came close to the limit.
    pub suggested: Option<u64>,
}

/// Compares the runs of a page with the limits that depend on the runs: fuel, heap and wall
/// clock. `headroom` is the factor between what the runs used and a suggested limit.
pub fn advise(stats: &PageStats, limits: &Limits, headroom: f64) -> Vec<LimitUse> {
    // The heap is the run's memory without the part that the engine uses before it.
    let heap = |bytes: u64| bytes.saturating_sub(stats.memory_bytes_base);
    let memory = |quantile| heap(stats.memory_bytes.quantile(quantile));
    let milliseconds = |quantile| stats.wall_us.quantile(quantile).div_ceil(1_000);
    let fuel = |quantile| stats.fuel.quantile(quantile);
    let rows = [
        usage("fuel", "units", limits.fuel, &fuel, stats.fuel.max(), 1_000_000),
        usage(
            "heap_bytes_max",
            "bytes",
            u64::from(limits.heap_bytes_max),
            &memory,
            heap(stats.memory_bytes.max()),
            1 << 20,
        ),
        usage(
            "wall_ms_max",
            "ms",
            limits.wall_ms_max,
            &milliseconds,
            stats.wall_us.max().div_ceil(1_000),
            1_000,
        ),
    ];
    let suggest = |row: LimitUse, least: u64| {
        let wanted = (row.p999 as f64 * headroom) as u64;
        // A whole number of megabytes is read as `15 MB`.
        let rounded = if row.unit == "bytes" { wanted.next_multiple_of(1 << 20) } else { round_up(wanted) };
        let suggested = rounded.max(least);
        let is_founded = stats.runs >= RUNS_MIN || row.is_close;
        LimitUse { suggested: is_founded.then_some(suggested), ..row }
    };
    rows.map(|(row, least)| suggest(row, least)).to_vec()
}

fn usage(
    limit: &'static str,
    unit: &'static str,
    quota: u64,
    quantile: &dyn Fn(f64) -> u64,
    max: u64,
    least: u64,
) -> (LimitUse, u64) {
    let is_close = max as f64 >= quota as f64 * CLOSE;
    let (p50, p99, p999) = (quantile(0.5), quantile(0.99), quantile(QUANTILE));
    (LimitUse { limit, unit, quota, p50, p99, p999, max, is_close, suggested: None }, least)
}

/// Rounds up to two significant digits, so that people can read and remember the number.
fn round_up(value: u64) -> u64 {
    let digits = value.checked_ilog10().unwrap_or(0);
    let unit = 10_u64.saturating_pow(digits.saturating_sub(1));
    value.div_ceil(unit).saturating_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_kit::page_stats::RunCost;

    fn stats(runs: u64, fuel: u64) -> PageStats {
        let mut stats = PageStats::default();
        for _ in 0..runs {
            stats.record(&RunCost {
                fuel,
                memory_bytes: 3 << 20,
                memory_bytes_base: 1 << 20,
                wall_us: 2_000,
                ..RunCost::default()
            });
        }
        stats
    }

    fn fuel_of(stats: &PageStats, limits: &Limits, headroom: f64) -> LimitUse {
        advise(stats, limits, headroom).remove(0)
    }

    #[test]
    fn suggested_limit_covers_the_runs_with_headroom() {
        let row = fuel_of(&stats(100, 123_456_789), &Limits::default(), 2.0);
        assert_eq!(row.suggested, Some(250_000_000));
        assert_eq!((row.max, row.is_close), (123_456_789, false));
        let rows = advise(&stats(100, 5), &Limits::default(), 2.0);
        assert_eq!(rows[0].suggested, Some(1_000_000), "a small change of the page must not exceed it");
        assert_eq!((rows[1].limit, rows[1].max), ("heap_bytes_max", 2 << 20), "without the engine's memory");
        assert_eq!((rows[2].limit, rows[2].max, rows[2].suggested), ("wall_ms_max", 2, Some(1_000)));
        assert_eq!(rows[1].suggested, Some(4 << 20), "whole megabytes");
    }

    #[test]
    fn suggests_nothing_below_a_hundred_runs_unless_one_is_close() {
        assert_eq!(fuel_of(&stats(99, 5), &Limits::default(), 2.0).suggested, None);
        let limits = Limits { fuel: 10_000_000, ..Limits::default() };
        assert_eq!(fuel_of(&stats(3, 9_000_000), &limits, 2.0).suggested, Some(18_000_000));
    }

    #[test]
    fn four_fifths_of_a_limit_is_close() {
        let limits = Limits { fuel: 1_000, ..Limits::default() };
        assert!(!fuel_of(&stats(1, 799), &limits, 2.0).is_close);
        assert!(fuel_of(&stats(1, 800), &limits, 2.0).is_close);
    }

    #[test]
    fn rounds_up_to_two_digits() {
        for (value, rounded) in [(0, 0), (9, 9), (99, 99), (101, 110), (120, 120), (123_456, 130_000)] {
            assert_eq!(round_up(value), rounded);
        }
    }
}
