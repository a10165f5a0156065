//! The cost of runs, for each page and each quarter of an hour. `runs` collects them in
//! memory until the execution log has stored them; `limits` derives advice from them, and
//! `telemetry` and `server` show them.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::histogram::Histogram;
use crate::host_stats::{HostCall, HostStats, Hosts};
use crate::news::{Row, Table};

/// The length of an interval in milliseconds.
const INTERVAL_MS: i64 = 15 * 60 * 1_000;
/// At most this many pages are counted in one interval.
const PAGES_MAX: usize = 20_000;
/// If nobody stores the intervals, the current one and the last one are kept.
const INTERVALS_MAX: usize = 2;

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

/// What has changed in one interval. Each row has all runs or calls of the interval.
#[derive(Debug)]
pub struct News {
    /// Unix milliseconds.
    pub starts_at: i64,
    /// The pages' costs.
    pub pages: Vec<Row<PageStats>>,
    /// The calls to other servers, by host.
    pub hosts: Vec<Row<HostStats>>,
}

/// All pages of one interval.
#[derive(Debug, Default)]
struct Interval {
    starts_at: i64,
    pages: Table<PageStats>,
    hosts: Hosts,
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

impl Since {
    /// Pages beyond the 20,000th are not counted.
    fn count(&mut self, brand: &str, page: &str) {
        let known = self.brands.get_mut(brand).and_then(|pages| pages.get_mut(page));
        if let Some(runs) = known {
            *runs += 1;
        } else if self.pages < PAGES_MAX {
            self.pages += 1;
            self.brands.entry(brand.to_owned()).or_default().insert(page.to_owned(), 1);
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
            let stored = (intervals.len() + 1).saturating_sub(INTERVALS_MAX);
            intervals.drain(..stored);
            intervals.push(Interval { starts_at, ..Interval::default() });
        }
        let Some(interval) = intervals.last_mut() else { return };
        for call in calls {
            interval.hosts.record((brand, page), call, now_ms);
        }
        if interval.pages.len() < PAGES_MAX || interval.pages.contains(brand, page) {
            interval.pages.change(brand, page, |stats| stats.record(cost));
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

    /// What has changed since the last call, and is to be stored: the intervals, and in each of them only the pages
    /// and hosts that have changed.
    pub fn take_news(&self) -> Vec<News> {
        let mut intervals = self.intervals.lock();
        let news = intervals.iter_mut().filter_map(Interval::take_news).collect();
        let ended = intervals.len().saturating_sub(1);
        intervals.drain(..ended);
        news
    }

    /// Takes back what could not be stored, so that the next [`Collector::take_news`] returns it again. An interval
    /// that ended longer ago than the one before the current is forgotten.
    pub fn put_back(&self, news: Vec<News>) {
        let mut intervals = self.intervals.lock();
        for News { starts_at, pages, hosts } in news.into_iter().rev() {
            let place = intervals.partition_point(|interval| interval.starts_at < starts_at);
            if intervals.get(place).is_none_or(|interval| interval.starts_at != starts_at) {
                if intervals.len() >= INTERVALS_MAX {
                    continue;
                }
                intervals.insert(place, Interval { starts_at, ..Interval::default() });
            }
            if let Some(interval) = intervals.get_mut(place) {
                interval.pages.put_back(pages);
                interval.hosts.put_back(hosts);
            }
        }
    }
}

impl Interval {
    fn take_news(&mut self) -> Option<News> {
        let has_changed = self.pages.has_changed() || self.hosts.has_changed();
        has_changed.then(|| News {
            starts_at: self.starts_at,
            pages: self.pages.take_changed(),
            hosts: self.hosts.take_changed(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(fuel: u64) -> RunCost {
        RunCost { fuel, ..RunCost::default() }
    }

    /// The names of the pages and their runs, by the beginning of their interval.
    fn runs_of(news: &[News]) -> Vec<(i64, Vec<(&str, u64)>)> {
        let mut found = Vec::new();
        for News { starts_at, pages, .. } in news {
            found.push((*starts_at, pages.iter().map(|row| (row.name.as_str(), row.value.runs)).collect()));
        }
        found
    }

    #[test]
    fn news_are_the_pages_that_ran_with_all_their_runs_of_the_interval() {
        let collector = Collector::default();
        collector.record("a", "p", (&cost(1), &[]), 5);
        collector.record("a", "q", (&cost(1), &[]), 5);
        assert_eq!(runs_of(&collector.take_news()), [(0, vec![("p", 1), ("q", 1)])]);
        assert!(collector.take_news().is_empty(), "no run was recorded since the last call");
        collector.record("a", "p", (&cost(2), &[]), INTERVAL_MS - 1);
        collector.record("b", "p", (&cost(3), &[]), INTERVAL_MS);
        let news = collector.take_news();
        assert_eq!(runs_of(&news), [(0, vec![("p", 2)]), (INTERVAL_MS, vec![("p", 1)])]);
        assert_eq!(news[1].pages[0].value.fuel.max(), 3);
    }

    #[test]
    fn calls_to_other_servers_are_news_without_those_to_other_hosts() {
        let collector = Collector::default();
        let call = |host| HostCall::new(host, Ok(200), std::time::Duration::from_micros(5));
        collector.record("a", "p", (&cost(1), &[call("x"), call("y")]), 5);
        assert_eq!(collector.take_news()[0].hosts.len(), 2);
        collector.record("a", "p", (&cost(1), &[call("y")]), 5);
        let news = collector.take_news();
        assert_eq!((news[0].hosts.len(), news[0].hosts[0].name.as_str()), (1, "y"));
        assert_eq!(news[0].hosts[0].value.wall_us.count(), 2);
    }

    #[test]
    fn what_could_not_be_stored_is_news_again() {
        let collector = Collector::default();
        for (page, at_ms) in [("p", 0), ("q", 0), ("p", INTERVAL_MS)] {
            collector.record("a", page, (&cost(1), &[]), at_ms);
        }
        let news = collector.take_news();
        collector.record("a", "q", (&cost(1), &[]), INTERVAL_MS);
        collector.put_back(news);
        let news = collector.take_news();
        assert_eq!(runs_of(&news), [(0, vec![("p", 1), ("q", 1)]), (INTERVAL_MS, vec![("q", 1), ("p", 1)])]);
        // Only two intervals are kept.
        collector.record("a", "p", (&cost(1), &[]), 2 * INTERVAL_MS);
        collector.put_back(news);
        let starts: Vec<i64> = collector.take_news().iter().map(|news| news.starts_at).collect();
        assert_eq!(starts, [INTERVAL_MS, 2 * INTERVAL_MS]);
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
        assert_eq!(collector.take_news().last().unwrap().pages.len(), PAGES_MAX);
    }
}
