//! What each page's runs take: histograms for a quarter of an hour at a time,
//! kept in memory until the execution log has stored them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::histogram::Histogram;

/// Milliseconds of one interval.
pub const INTERVAL_MS: i64 = 15 * 60 * 1_000;
/// Pages that are counted in one interval.
const PAGES_MAX: usize = 20_000;

/// What one run took.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunCost {
    pub fuel: u64,
    /// The sandbox's peak.
    pub memory_bytes: u64,
    /// What of it the engine has before any script runs.
    pub memory_bytes_base: u64,
    pub wall_us: u64,
    /// Waiting in host calls.
    pub host_us: u64,
    pub has_failed: bool,
}

/// The runs of one page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageStats {
    pub runs: u64,
    pub failures: u64,
    pub memory_bytes_base: u64,
    pub fuel: Histogram,
    pub memory_bytes: Histogram,
    pub wall_us: Histogram,
    pub host_us: Histogram,
}

impl PageStats {
    pub fn record(&mut self, cost: &RunCost) {
        self.runs += 1;
        self.failures += u64::from(cost.has_failed);
        self.memory_bytes_base = self.memory_bytes_base.max(cost.memory_bytes_base);
        self.fuel.record(cost.fuel);
        self.memory_bytes.record(cost.memory_bytes);
        self.wall_us.record(cost.wall_us);
        self.host_us.record(cost.host_us);
    }

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
    /// By brand and page.
    pub brands: HashMap<String, HashMap<String, PageStats>>,
    pages: usize,
    /// True when something came in since it was last stored.
    is_new: bool,
}

/// Counts runs as they end.
#[derive(Debug, Default)]
pub struct Collector {
    /// The current interval is the last; the others wait to be stored.
    intervals: Mutex<Vec<Interval>>,
}

impl Collector {
    pub fn record(&self, brand: &str, page: &str, cost: &RunCost, now_ms: i64) {
        let starts_at = now_ms - now_ms.rem_euclid(INTERVAL_MS);
        let mut intervals = self.lock();
        if intervals.last().is_none_or(|last| last.starts_at < starts_at) {
            // Where nobody stores them, only the current one is kept.
            let stored = intervals.len().saturating_sub(1);
            intervals.drain(..stored);
            intervals.push(Interval { starts_at, ..Interval::default() });
        }
        let Some(interval) = intervals.last_mut() else { return };
        if let Some(stats) = interval.page(brand, page) {
            stats.record(cost);
            interval.is_new = true;
        }
    }

    /// What came in since it was last asked for, with all that its intervals hold.
    pub fn take_news(&self) -> Vec<Interval> {
        let mut intervals = self.lock();
        let news = intervals.iter().filter(|interval| interval.is_new).cloned().collect();
        let ended = intervals.len().saturating_sub(1);
        intervals.drain(..ended);
        intervals.iter_mut().for_each(|interval| interval.is_new = false);
        news
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Interval>> {
        self.intervals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interval {
    /// The page's counts; none when there are too many pages.
    fn page(&mut self, brand: &str, page: &str) -> Option<&mut PageStats> {
        let is_known = self.brands.get(brand).is_some_and(|pages| pages.contains_key(page));
        if !is_known {
            if self.pages >= PAGES_MAX {
                return None;
            }
            self.pages += 1;
            let pages = self.brands.entry(brand.to_owned()).or_default();
            pages.insert(page.to_owned(), PageStats::default());
        }
        self.brands.get_mut(brand)?.get_mut(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(fuel: u64) -> RunCost {
        RunCost { fuel, ..RunCost::default() }
    }

    #[test]
    fn an_interval_is_given_whole_each_time_something_came_in() {
        let collector = Collector::default();
        collector.record("a", "p", &cost(1), 5);
        assert_eq!(collector.take_news()[0].brands["a"]["p"].runs, 1);
        assert!(collector.take_news().is_empty(), "nothing is new");
        collector.record("a", "p", &cost(2), INTERVAL_MS - 1);
        collector.record("b", "p", &cost(3), INTERVAL_MS);
        let news = collector.take_news();
        assert_eq!(news.len(), 2);
        assert_eq!((news[0].starts_at, news[0].brands["a"]["p"].runs), (0, 2));
        assert_eq!((news[1].starts_at, news[1].brands["b"]["p"].fuel.max()), (INTERVAL_MS, 3));
    }

    #[test]
    fn memory_is_bounded_where_nobody_stores() {
        let collector = Collector::default();
        for interval in 0..100 {
            collector.record("a", "p", &cost(1), interval * INTERVAL_MS);
        }
        assert!(collector.lock().len() <= 2);
        for page in 0..PAGES_MAX + 10 {
            collector.record("b", &page.to_string(), &cost(1), 100 * INTERVAL_MS);
        }
        assert_eq!(collector.take_news().last().unwrap().pages, PAGES_MAX);
    }
}
