//! The calls of scripts to other servers, for each host and each quarter of an hour. `sandbox` notes them, `runs`
//! stores them beside the costs of pages, and `server` shows them.

use std::cmp::Reverse;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;
use crate::news::{Row, Table};

/// At most this many hosts of one brand have a name in one interval.
const BRAND_HOSTS_MAX: usize = 50;
/// At most this many hosts of all brands have a name in one interval.
const HOSTS_MAX: usize = 2_000;
/// The longest text of an error that is kept, in characters.
const ERROR_CHARS_MAX: usize = 200;
/// The longest name of a host that can be resolved, with a port. Longer ones are counted with the other hosts.
const HOST_BYTES_MAX: usize = 253 + ":65535".len();
/// The name of all hosts that have none of their own.
pub const OTHER_HOSTS: &str = "";
/// At most this many of the pages that have called a host are kept: those that called it last.
const CALLERS_MAX: usize = 3;
/// A page with a longer name is not kept as a caller.
const CALLER_BYTES_MAX: usize = 300;

/// A call of a run that has ended, or that was under way when the run was stopped. It has less than 2 KB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCall {
    host: String,
    result: Result<u16, String>,
    wall_us: u64,
}

impl HostCall {
    /// A call to a host, with its port unless that is the usual one. `result` is the status of the response, or why
    /// there is none.
    pub fn new(host: &str, result: Result<u16, &str>, wall: Duration) -> Self {
        Self {
            host: if host.len() <= HOST_BYTES_MAX { host } else { OTHER_HOSTS }.to_owned(),
            result: result.map_err(|error| error.chars().take(ERROR_CHARS_MAX).collect()),
            wall_us: u64::try_from(wall.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

/// All calls of a brand to one host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostStats {
    /// Calls without a response.
    pub unanswered: u64,
    /// Responses with a status from 400 to 499.
    pub status_4xx: u64,
    /// Responses with a status from 500 to 599.
    pub status_5xx: u64,
    /// The time of each call, in microseconds. Its number is that of all calls.
    pub wall_us: Histogram,
    /// The last call that got no response, or a status from 500 to 599.
    pub last_failure: Option<HostFailure>,
    /// The pages that called it last, the last one first. At most three.
    pub callers: Vec<Caller>,
}

/// A page that has called a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The page's file, or the module of a job.
    pub page: String,
    /// When its last call ended, in Unix milliseconds.
    pub at_ms: i64,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFailure {
    /// In Unix milliseconds.
    pub at_ms: i64,
    /// Why there was no response, or the status. Longer texts are cut.
    pub error: String,
}

impl HostStats {
    fn record(&mut self, page: &str, call: &HostCall, at_ms: i64) {
        self.wall_us.record(call.wall_us);
        self.called_by(page, at_ms);
        let error = match &call.result {
            Err(error) => {
                self.unanswered += 1;
                error.clone()
            }
            Ok(status @ 500..=599) => {
                self.status_5xx += 1;
                format!("status {status}")
            }
            Ok(status) => {
                self.status_4xx += u64::from((400..=499).contains(status));
                return;
            }
        };
        self.last_failure = Some(HostFailure { at_ms, error });
    }

    fn called_by(&mut self, page: &str, at_ms: i64) {
        match self.callers.iter_mut().find(|caller| caller.page == page) {
            Some(known) => known.at_ms = known.at_ms.max(at_ms),
            None if page.len() > CALLER_BYTES_MAX => return,
            None => self.callers.push(Caller { page: page.to_owned(), at_ms }),
        }
        self.callers.sort_by_key(|caller| Reverse(caller.at_ms));
        self.callers.truncate(CALLERS_MAX);
    }

    /// Adds the calls of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.unanswered += other.unanswered;
        self.status_4xx += other.status_4xx;
        self.status_5xx += other.status_5xx;
        self.wall_us.merge(&other.wall_us);
        let at = |failure: &Option<HostFailure>| failure.as_ref().map(|failure| failure.at_ms);
        if at(&other.last_failure) > at(&self.last_failure) {
            self.last_failure.clone_from(&other.last_failure);
        }
        for Caller { page, at_ms } in &other.callers {
            self.called_by(page, *at_ms);
        }
    }
}

/// The hosts of one interval, by brand and name. A brand that calls many hosts takes no names from other brands, and
/// its calls are counted in any case.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    table: Table<HostStats>,
    /// How many have a name.
    named: usize,
}

impl Hosts {
    /// Adds a call of a brand's page that ended at `at_ms`, in Unix milliseconds.
    pub(crate) fn record(&mut self, (brand, page): (&str, &str), call: &HostCall, at_ms: i64) {
        let mut name = call.host.as_str();
        if !self.table.contains(brand, name) {
            let has_room = self.table.len_of(brand) < BRAND_HOSTS_MAX && self.named < HOSTS_MAX;
            self.named += usize::from(has_room);
            name = if has_room { name } else { OTHER_HOSTS };
        }
        self.table.change(brand, name, |stats| stats.record(page, call, at_ms));
    }

    /// Whether a call was recorded since the last [`Hosts::take_changed`].
    pub(crate) fn has_changed(&self) -> bool {
        self.table.has_changed()
    }

    /// The hosts that were called since the last call, with all calls of the interval.
    pub(crate) fn take_changed(&mut self) -> Vec<Row<HostStats>> {
        self.table.take_changed()
    }

    /// Takes back hosts that could not be stored.
    pub(crate) fn put_back(&mut self, rows: Vec<Row<HostStats>>) {
        self.table.put_back(rows);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn call(host: &str, result: Result<u16, &str>) -> HostCall {
        HostCall::new(host, result, Duration::from_micros(5))
    }

    /// The hosts and their calls.
    fn all(mut hosts: Hosts) -> HashMap<(String, String), HostStats> {
        let rows = hosts.take_changed().into_iter();
        rows.map(|row| ((row.brand, row.name), row.value)).collect()
    }

    fn key(brand: &str, host: &str) -> (String, String) {
        (brand.to_owned(), host.to_owned())
    }

    #[test]
    fn counts_calls_by_how_they_ended() {
        let mut hosts = Hosts::default();
        for (at_ms, result) in [Ok(200), Ok(302), Ok(404), Err("refused"), Ok(503)].into_iter().enumerate() {
            hosts.record(("a", "p"), &call("x", result), at_ms as i64);
        }
        let all = all(hosts);
        let stats = &all[&key("a", "x")];
        assert_eq!(
            (stats.wall_us.count(), stats.unanswered, stats.status_4xx, stats.status_5xx),
            (5, 1, 1, 1)
        );
        assert_eq!(stats.last_failure, Some(HostFailure { at_ms: 4, error: "status 503".to_owned() }));
        let mut earlier = HostStats::default();
        earlier.record("q", &call("x", Err("slow")), 3);
        earlier.merge(stats);
        assert_eq!((earlier.unanswered, earlier.last_failure.as_ref().unwrap().at_ms), (2, 4));
        assert_eq!(pages(&earlier.callers), ["p", "q"]);
    }

    fn pages(callers: &[Caller]) -> Vec<&str> {
        callers.iter().map(|caller| caller.page.as_str()).collect()
    }

    #[test]
    fn keeps_the_three_pages_that_called_last() {
        let mut stats = HostStats::default();
        for (at_ms, page) in ["a", "b", "a", "c", "d", "b"].into_iter().enumerate() {
            stats.record(page, &call("x", Ok(200)), at_ms as i64);
        }
        assert_eq!(pages(&stats.callers), ["b", "d", "c"]);
        let mut later = HostStats::default();
        later.record("c", &call("x", Ok(200)), 9);
        later.record(&"e".repeat(CALLER_BYTES_MAX + 1), &call("x", Ok(200)), 10);
        later.merge(&stats);
        assert_eq!((pages(&later.callers), later.wall_us.count()), (vec!["c", "b", "d"], 8));
    }

    #[test]
    fn a_brand_that_calls_many_hosts_takes_no_names_from_others() {
        let mut hosts = Hosts::default();
        for number in 0..1_000 {
            hosts.record(("loud", "p"), &call(&format!("{number}.example"), Err(&"x".repeat(1_000))), 0);
        }
        hosts.record(("quiet", "p"), &call("x", Ok(200)), 0);
        // No such name can be resolved.
        hosts.record(("quiet", "p"), &call(&"x".repeat(1 << 20), Err("not found")), 0);
        let found = all(hosts);
        assert_eq!(found.len(), BRAND_HOSTS_MAX + 3);
        assert_eq!(found[&key("quiet", "x")].wall_us.count(), 1);
        assert_eq!(found[&key("quiet", OTHER_HOSTS)].unanswered, 1);
        assert_eq!(found[&key("loud", OTHER_HOSTS)].unanswered, 950);
        let failure = found[&key("loud", "7.example")].last_failure.clone();
        assert_eq!(failure.unwrap().error.len(), ERROR_CHARS_MAX);
    }

    #[test]
    fn hosts_of_all_brands_have_a_number_of_names_and_are_all_counted() {
        let mut hosts = Hosts::default();
        for brand in 0..100 {
            for number in 0..BRAND_HOSTS_MAX {
                hosts.record((&brand.to_string(), "p"), &call(&number.to_string(), Ok(200)), 0);
            }
        }
        assert_eq!(hosts.named, HOSTS_MAX);
        assert_eq!(all(hosts).values().map(|stats| stats.wall_us.count()).sum::<u64>(), 5_000);
    }
}
