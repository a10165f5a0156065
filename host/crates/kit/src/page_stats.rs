//! The cost of runs, for each page and each quarter of an hour. `runs` collects them in
//! memory until the execution log has stored them; `limits` derives advice from them, and
//! `telemetry` and `server` show them.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::histogram::Histogram;
use crate::host_stats::{HostCall, Hosts};

/// The length of an interval in milliseconds.
const INTERVAL_MS: i64 = 15 * 60 * 1_000;
/// At most this many pages are counted in one interval.
const PAGES_MAX: usize = 20_000;

/// The cost of one run.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunCost {
    /// wasmtime fuel, host calls included.
    pub fuel: u64,
    /// Peak memory of the sandbox.
    pub memory_bytes: u64,
    /// The part of `memory_bytes` that the engine uses before a script runs.
    pub memory_bytes_base: u64,
    /// Wall clock in microseconds.
    pub wall_us: u64,
    /// Microseconds that the run waited in host calls.
    pub host_us: u64,
    /// The run ended with a failure.
    pub has_failed: bool,
}

/// The cost of all runs of one page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageStats {
    /// Number of runs.
    pub runs: u64,
    /// Number of runs that failed.
    pub failures: u64,
    /// The largest `memory_bytes_base` of all runs.
    pub memory_bytes_base: u64,
    /// Fuel of each run.
    pub fuel: Histogram,
    /// Peak memory of each run.
    pub memory_bytes: Histogram,
    /// Wall clock of each run, in microseconds.
    pub wall_us: Histogram,
    /// Microseconds that each run waited in host calls.
    pub host_us: Histogram,
}

impl PageStats {
    /// Adds the cost of one run.
    pub fn record(&mut self, cost: &RunCost) {
        self.runs += 1;
        self.failures += u64::from(cost.has_failed);
        self.memory_bytes_base = self.memory_bytes_base.max(cost.memory_bytes_base);
        self.fuel.record(cost.fuel);
        self.memory_bytes.record(cost.memory_bytes);
        self.wall_us.record(cost.wall_us);
        self.host_us.record(cost.host_us);
    }

    /// Adds the runs of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        self.failures += other.failures;
        self.memory_bytes_base = self.memory_bytes_base.max(other.memory_bytes_base);
        self.fuel.merge(&other.fuel);
        self.memory_bytes.merge(&other.memory_bytes);
        self.wall_us.merge(&other.wall_us);
        self.host_us.merge(&other.host_us);
    }
}

/// All pages of one interval.
#[derive(Debug, Clone, Default)]
pub struct Interval {
    /// Unix milliseconds.
    pub starts_at: i64,
    /// The pages' costs, by brand and page.
    pub brands: HashMap<String, HashMap<String, PageStats>>,
    /// The calls to other servers.
    pub hosts: Hosts,
    pages: usize,
    /// A run was recorded since the last [`Collector::take_news`].
    is_new: bool,
}

/// Counts runs as they end.
#[derive(Debug, Default)]
pub struct Collector {
    /// In order of time. The last interval is the current one; the others wait to be stored.
    intervals: Mutex<Vec<Interval>>,
    since: Mutex<Since>,
}

/// The runs since [`Collector::begin`].
#[derive(Debug, Default)]
struct Since {
    /// By brand and page.
    brands: HashMap<String, HashMap<String, u64>>,
    pages: usize,
}

/// A page's place in a table of brands and pages; none beyond the 20,000th page. `count` is the number of pages.
fn page_of<'a, T: Default>(
    brands: &'a mut HashMap<String, HashMap<String, T>>,
    count: &mut usize,
    brand: &str,
    page: &str,
) -> Option<&'a mut T> {
    let is_known = brands.get(brand).is_some_and(|pages| pages.contains_key(page));
    if !is_known {
        if *count >= PAGES_MAX {
            return None;
        }
        *count += 1;
        brands.entry(brand.to_owned()).or_default().insert(page.to_owned(), T::default());
    }
    brands.get_mut(brand)?.get_mut(page)
}

impl Since {
    /// Pages beyond the 20,000th are not counted.
    fn count(&mut self, brand: &str, page: &str) {
        if let Some(runs) = page_of(&mut self.brands, &mut self.pages, brand, page) {
            *runs += 1;
        }
    }
}

impl Collector {
    /// Adds the cost of a run that ended at `now_ms`, and its calls to other servers. A page beyond the 20,000th of an
    /// interval is not counted.
    pub fn record(&self, brand: &str, page: &str, (cost, calls): (&RunCost, &[HostCall]), now_ms: i64) {
        self.since.lock().count(brand, page);
        let starts_at = now_ms - now_ms.rem_euclid(INTERVAL_MS);
        let mut intervals = self.intervals.lock();
        if intervals.last().is_none_or(|last| last.starts_at < starts_at) {
            // If nobody stores the intervals, only the current one and the last one are kept.
            let stored = intervals.len().saturating_sub(1);
            intervals.drain(..stored);
            intervals.push(Interval { starts_at, ..Interval::default() });
        }
        let Some(interval) = intervals.last_mut() else { return };
        for call in calls {
            interval.hosts.record((brand, page), call, now_ms);
            interval.is_new = true;
        }
        if let Some(stats) = interval.page(brand, page) {
            stats.record(cost);
            interval.is_new = true;
        }
    }

    /// Begins to count the runs for [`Collector::runs_since`] anew.
    pub fn begin(&self) {
        *self.since.lock() = Since::default();
    }

    /// The runs of a page since [`Collector::begin`], or since the start of the process. `None` if there are too many
    /// pages to count.
    pub fn runs_since(&self, brand: &str, page: &str) -> Option<u64> {
        let since = self.since.lock();
        let counted = since.brands.get(brand).and_then(|pages| pages.get(page)).copied();
        counted.or_else(|| (since.pages < PAGES_MAX).then_some(0))
    }

    /// Returns the intervals in which runs were recorded since the last call. Each contains
    /// all of its runs, those of earlier calls included.
    pub fn take_news(&self) -> Vec<Interval> {
        let mut intervals = self.intervals.lock();
        let news = intervals.iter().filter(|interval| interval.is_new).cloned().collect();
        let ended = intervals.len().saturating_sub(1);
        intervals.drain(..ended);
        intervals.iter_mut().for_each(|interval| interval.is_new = false);
        news
    }
}

impl Interval {
    /// The page's counts; none when there are too many pages.
    fn page(&mut self, brand: &str, page: &str) -> Option<&mut PageStats> {
        page_of(&mut self.brands, &mut self.pages, brand, page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(fuel: u64) -> RunCost {
        RunCost { fuel, ..RunCost::default() }
    }

    #[test]
    fn take_news_returns_whole_intervals_with_new_runs() {
        let collector = Collector::default();
        collector.record("a", "p", (&cost(1), &[]), 5);
        assert_eq!(collector.take_news()[0].brands["a"]["p"].runs, 1);
        assert!(collector.take_news().is_empty(), "no run was recorded since the last call");
        collector.record("a", "p", (&cost(2), &[]), INTERVAL_MS - 1);
        collector.record("b", "p", (&cost(3), &[]), INTERVAL_MS);
        let news = collector.take_news();
        assert_eq!(news.len(), 2);
        assert_eq!((news[0].starts_at, news[0].brands["a"]["p"].runs), (0, 2));
        assert_eq!((news[1].starts_at, news[1].brands["b"]["p"].fuel.max()), (INTERVAL_MS, 3));
    }

    #[test]
    fn runs_are_counted_since_the_last_load() {
        let collector = Collector::default();
        collector.record("a", "p", (&cost(1), &[]), 0);
        collector.record("a", "p", (&cost(1), &[]), 9 * INTERVAL_MS);
        let runs = |brand, page| collector.runs_since(brand, page);
        assert_eq!((runs("a", "p"), runs("a", "q"), runs("b", "p")), (Some(2), Some(0), Some(0)));
        collector.begin();
        assert_eq!(runs("a", "p"), Some(0));
        for page in 0..PAGES_MAX + 10 {
            collector.record("b", &page.to_string(), (&cost(1), &[]), 0);
        }
        assert_eq!((runs("b", "7"), runs("a", "p")), (Some(1), None));
    }

    #[test]
    fn memory_is_bounded_if_nobody_stores_the_intervals() {
        let collector = Collector::default();
        for interval in 0..100 {
            collector.record("a", "p", (&cost(1), &[]), interval * INTERVAL_MS);
        }
        assert!(collector.intervals.lock().len() <= 2);
        for page in 0..PAGES_MAX + 10 {
            collector.record("b", &page.to_string(), (&cost(1), &[]), 100 * INTERVAL_MS);
        }
        assert_eq!(collector.take_news().last().unwrap().pages, PAGES_MAX);
    }
}
