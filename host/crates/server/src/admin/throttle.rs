//! Limits how often clients may try operators' tokens: each client by itself, and all together. Nobody is
//! locked out for good, because attempts are allowed again after seconds, console sessions are not limited,
//! and clients on this machine or with a recent correct token do not depend on what others do.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use sluice_kit::client_network;

/// Wrong tokens of one client: 10 at once, then one each 6 seconds.
const OF_CLIENT: Pace = Pace { at_once: 10, interval: Duration::from_secs(6) };
/// Wrong tokens of all clients: 100 at once, then 100 a minute.
const OF_ALL: Pace = Pace { at_once: 100, interval: Duration::from_millis(600) };
/// Clients that are remembered. If there are more, some of them begin anew; the pace of all still holds.
const CLIENTS_MAX: usize = 4_096;
/// A client with a correct token is known for this long.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);
const KNOWN_MAX: usize = 256;
/// A flood of wrong tokens writes one line in this time.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How often something may happen.
#[derive(Debug, Clone, Copy)]
struct Pace {
    at_once: u32,
    interval: Duration,
}

/// How much of a pace is used up.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    /// When nothing of it will be used up.
    until: Option<Instant>,
}

impl Pace {
    /// How long to wait until it may happen again, if not now.
    fn wait(self, spent: Spent, now: Instant) -> Option<Duration> {
        let left = spent.until?.saturating_duration_since(now);
        let allowed = self.interval * self.at_once.saturating_sub(1);
        left.checked_sub(allowed).filter(|wait| !wait.is_zero())
    }

    fn spend(self, spent: &mut Spent, now: Instant) {
        let from = spent.until.map_or(now, |until| until.max(now));
        spent.until = Some(from + self.interval);
    }
}

/// The result of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The token is correct.
    Accepted,
    /// The token is wrong. `unlogged` is how many were since the last line in the log, if it is time
    /// for another one.
    Rejected { unlogged: Option<u64> },
    /// The token was not looked at. Another attempt is allowed after this many seconds.
    Throttled { seconds: u64 },
}

#[derive(Debug, Default)]
struct State {
    all: Spent,
    clients: HashMap<IpAddr, Spent>,
    known: HashMap<IpAddr, Instant>,
    last_line: Option<Instant>,
    unlogged: u64,
}

/// The attempts since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<State>);

impl Throttle {
    /// An attempt of `client`. `is_correct` looks at the token.
    pub(crate) fn attempt(
        &self,
        client: Option<IpAddr>,
        now: Instant,
        is_correct: impl FnOnce() -> bool,
    ) -> Attempt {
        let client = client_network(client);
        let mut state = self.0.lock();
        let spent = state.clients.get(&client).copied().unwrap_or_default();
        let is_known = client.is_loopback()
            || state.known.get(&client).is_some_and(|at| now.saturating_duration_since(*at) < KNOWN_FOR);
        let of_all = if is_known { None } else { OF_ALL.wait(state.all, now) };
        if let Some(wait) = OF_CLIENT.wait(spent, now).max(of_all) {
            return Attempt::Throttled { seconds: wait.as_secs() + 1 };
        }
        if is_correct() {
            state.note_known(client, now);
            return Attempt::Accepted;
        }
        state.note_wrong(client, spent, now);
        Attempt::Rejected { unlogged: state.unlogged(now) }
    }
}

impl State {
    fn note_known(&mut self, client: IpAddr, now: Instant) {
        self.known.retain(|_, at| now.saturating_duration_since(*at) < KNOWN_FOR);
        if self.known.len() < KNOWN_MAX || self.known.contains_key(&client) {
            self.known.insert(client, now);
        }
    }

    fn note_wrong(&mut self, client: IpAddr, mut spent: Spent, now: Instant) {
        OF_ALL.spend(&mut self.all, now);
        OF_CLIENT.spend(&mut spent, now);
        if self.clients.len() >= CLIENTS_MAX {
            self.clients.retain(|_, spent| spent.until.is_some_and(|until| until > now));
        }
        if self.clients.len() >= CLIENTS_MAX
            && let Some(any) = self.clients.keys().next().copied()
        {
            self.clients.remove(&any);
        }
        self.clients.insert(client, spent);
    }

    /// How many wrong tokens a line of the log must report now, if one is due.
    fn unlogged(&mut self, now: Instant) -> Option<u64> {
        self.unlogged += 1;
        let is_due = self.last_line.is_none_or(|at| now.saturating_duration_since(at) >= LINE_EVERY);
        is_due.then(|| {
            self.last_line = Some(now);
            std::mem::take(&mut self.unlogged)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn is_throttled(attempt: Attempt) -> bool {
        matches!(attempt, Attempt::Throttled { .. })
    }

    #[test]
    fn limits_each_client_and_recovers() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for _ in 0..10 {
            assert!(!is_throttled(throttle.attempt(ip("192.0.2.1"), start, || false)));
        }
        let refused = throttle.attempt(ip("192.0.2.1"), start, || panic!("the token is not looked at"));
        assert_eq!(refused, Attempt::Throttled { seconds: 7 });
        assert_eq!(throttle.attempt(ip("192.0.2.2"), start, || true), Attempt::Accepted);
        assert_eq!(throttle.attempt(ip("192.0.2.1"), at(6), || true), Attempt::Accepted);
        assert!(!is_throttled(throttle.attempt(ip("192.0.2.1"), at(6), || false)));
        assert!(is_throttled(throttle.attempt(ip("192.0.2.1"), at(6), || true)), "a success resets nothing");
        // All addresses of a network are one client.
        for host in 0..10 {
            assert!(!is_throttled(throttle.attempt(ip(&format!("2001:db8::{host}")), start, || false)));
        }
        assert!(is_throttled(throttle.attempt(ip("2001:db8::ffff:1"), start, || false)));
        assert!(!is_throttled(throttle.attempt(ip("2001:db8:0:1::"), start, || false)));
    }

    #[test]
    fn limits_all_clients_together_but_not_known_ones() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.attempt(ip("192.0.2.7"), start, || true), Attempt::Accepted);
        for client in 0..100 {
            assert!(!is_throttled(throttle.attempt(ip(&format!("198.51.100.{client}")), start, || false)));
        }
        assert_eq!(throttle.attempt(ip("203.0.113.1"), start, || true), Attempt::Throttled { seconds: 1 });
        for known in ["192.0.2.7", "127.0.0.1", "::1"] {
            assert_eq!(throttle.attempt(ip(known), start, || true), Attempt::Accepted, "{known}");
        }
        let later = start + Duration::from_secs(1);
        assert_eq!(throttle.attempt(ip("203.0.113.1"), later, || true), Attempt::Accepted);
    }

    #[test]
    fn remembers_a_bounded_number_of_clients() {
        let throttle = Throttle::default();
        let mut now = Instant::now();
        for client in 0..2 * CLIENTS_MAX as u128 {
            now += OF_ALL.interval;
            let address = IpAddr::from(Ipv6Addr::from(client << 64 | 1 << 127));
            assert!(!is_throttled(throttle.attempt(Some(address), now, || false)));
            assert!(throttle.0.lock().clients.len() <= CLIENTS_MAX);
        }
    }

    #[test]
    fn samples_lines_and_counts_what_they_leave_out() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let line = |milliseconds| match throttle.attempt(
            ip("127.0.0.1"),
            start + Duration::from_millis(milliseconds),
            || false,
        ) {
            Attempt::Rejected { unlogged } => unlogged,
            other => panic!("{other:?}"),
        };
        assert_eq!((line(0), line(1), line(9_999), line(10_000)), (Some(1), None, None, Some(3)));
    }
}
