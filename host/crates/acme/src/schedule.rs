//! When a certificate is renewed, when a failed order is tried again, and which names are next.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::store::{Issue, NameState, Pause};

/// The first pause after a failure.
const PAUSE_MIN: Duration = Duration::from_secs(60);
/// The longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// A certificate authority cannot make a host wait longer.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Renewals are spread over this part of the lifetime: one in `SPREAD`.
const SPREAD: i64 = 20;

/// Whether certificate authorities issue certificates for a name by the challenges that Sluice answers.
/// Wildcards and addresses are not such names.
pub(crate) fn is_orderable(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let last_is_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 253
        && name.contains('.')
        && name.parse::<IpAddr>().is_err()
        && !last_is_number
        && name.split('.').all(is_label)
}

/// When a certificate is renewed: at two thirds of its lifetime, or up to a twentieth of the lifetime
/// earlier. All hosts compute the same moment.
pub(crate) fn renew_at(issue: &Issue) -> i64 {
    let lifetime = issue.not_after.saturating_sub(issue.not_before).max(0);
    let at = issue.not_before.saturating_add(lifetime / 3 * 2);
    let spread = (lifetime / SPREAD).max(1);
    at.saturating_sub(issue.revision.rem_euclid(spread))
}

/// The pause after a number of failures in a row, in milliseconds: from one minute to one day, doubled each
/// time, and up to a quarter shorter. `random` is from 0 to 1.
pub(crate) fn pause_ms(failures: u32, retry_after: Option<Duration>, random: f64) -> i64 {
    let doubled = PAUSE_MIN.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let pause = doubled.min(PAUSE_MAX).mul_f64(1.0 - random.clamp(0.0, 1.0) / 4.0);
    let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
    i64::try_from(pause.max(asked).as_millis()).unwrap_or(i64::MAX)
}

/// A name whose certificate is missing or old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) brand: String,
    pub(crate) name: String,
    /// The certificate that it has.
    pub(crate) issue: Option<Issue>,
    pub(crate) failures: u32,
    /// Why the last attempt failed.
    pub(crate) problem: String,
}

impl Due {
    /// What is known of it, unchanged.
    pub(crate) fn pause(&self, next_at: i64) -> Pause {
        Pause { failures: self.failures, next_at, problem: self.problem.clone() }
    }
}

/// Chooses the names that are tried now: one of each brand, and at most `most` of all. Of a brand, a
/// certificate that expires is first, then the name that has failed least.
pub(crate) fn choose<'a>(
    wanted: impl Iterator<Item = (&'a str, &'a str)>,
    states: &BTreeMap<&str, &NameState>,
    now_ms: i64,
    most: usize,
) -> Vec<Due> {
    let mut chosen: BTreeMap<&str, ((bool, u32, i64), Due)> = BTreeMap::new();
    for (brand, name) in wanted {
        let state = states.get(name);
        let issue = state.and_then(|state| state.issue);
        let (failures, next_at) = state.map_or((0, 0), |state| (state.failures, state.next_at));
        if next_at > now_ms || issue.is_some_and(|issue| renew_at(&issue) > now_ms) {
            continue;
        }
        let rank = (issue.is_none(), failures, issue.map_or(next_at, |issue| issue.not_after));
        let problem = || state.map(|state| state.problem.clone()).unwrap_or_default();
        let due =
            || Due { brand: brand.to_owned(), name: name.to_owned(), issue, failures, problem: problem() };
        match chosen.get(brand) {
            Some((best, _)) if *best <= rank => {}
            _ => drop(chosen.insert(brand, (rank, due()))),
        }
    }
    let mut chosen: Vec<Due> = chosen.into_values().map(|(_, due)| due).collect();
    // No brand is always first.
    fastrand::shuffle(&mut chosen);
    chosen.sort_by_key(|due| (due.issue.is_none(), due.failures));
    chosen.truncate(most);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::NameKey;

    const DAY: i64 = 86_400_000;

    fn issue(revision: i64) -> Issue {
        Issue { revision, not_before: 1_000 * DAY, not_after: 1_090 * DAY }
    }

    fn state(name: &str, issue: Option<Issue>, failures: u32, next_at: i64) -> NameState {
        let key = NameKey { directory: "d".into(), name: name.into() };
        NameState { key, issue, failures, next_at, problem: String::new() }
    }

    fn chosen(wanted: &[(&str, &str)], states: &[NameState], now_ms: i64, most: usize) -> Vec<String> {
        let by_name = states.iter().map(|state| (state.key.name.as_str(), state)).collect();
        choose(wanted.iter().copied(), &by_name, now_ms, most).into_iter().map(|due| due.name).collect()
    }

    #[test]
    fn renews_at_two_thirds_with_a_spread_on_which_all_hosts_agree() {
        let times: Vec<i64> =
            [0, 7, -1, i64::MIN, i64::MAX].map(|revision| renew_at(&issue(revision))).into();
        assert_eq!(times[0], 1_060 * DAY);
        for at in times {
            assert!(((1_060 * DAY - 90 * DAY / 20)..=1_060 * DAY).contains(&at), "{at}");
        }
        // Six days, the shortest that Let's Encrypt has.
        let short = Issue { not_after: 1_006 * DAY, ..issue(0) };
        assert_eq!(renew_at(&short), 1_004 * DAY);
        let wrong = Issue { not_after: 0, ..issue(5) };
        assert_eq!(renew_at(&wrong), 1_000 * DAY);
    }

    #[test]
    fn pauses_grow_from_a_minute_to_a_day() {
        let minutes = |failures| pause_ms(failures, None, 0.0) / 60_000;
        assert_eq!([0, 1, 2, 3, 4].map(minutes), [1, 1, 2, 4, 8]);
        assert_eq!([11, 12, 31, 32, 33, u32::MAX].map(minutes), [1_024, 1_440, 1_440, 1_440, 1_440, 1_440]);
        assert_eq!(pause_ms(1, None, 1.0), 45_000);
        let hour = Duration::from_secs(3_600);
        assert_eq!(pause_ms(1, Some(hour), 1.0), 3_600_000, "never earlier than the authority says");
        assert_eq!(pause_ms(20, Some(hour), 0.0), DAY);
        assert_eq!(pause_ms(1, Some(Duration::MAX), 0.0), 7 * DAY);
    }

    #[test]
    fn a_brand_with_many_names_gets_one_turn() {
        let many: Vec<String> = (0..10_000).map(|n| format!("n{n}.big.example")).collect();
        let mut wanted: Vec<(&str, &str)> = many.iter().map(|name| ("big", name.as_str())).collect();
        wanted.push(("small", "small.example"));
        let chosen = chosen(&wanted, &[], 0, 16);
        assert_eq!(chosen.len(), 2);
        assert!(chosen.contains(&"small.example".to_owned()));
    }

    #[test]
    fn names_that_fail_give_way_to_others_of_their_brand() {
        let wanted = [("b", "bad.example"), ("b", "good.example"), ("b", "later.example")];
        let states = [state("bad.example", None, 3, 5), state("later.example", None, 0, 11)];
        assert_eq!(chosen(&wanted, &states, 10, 9), ["good.example"]);
        let states = [states[0].clone(), state("good.example", None, 4, 5), states[1].clone()];
        assert_eq!(chosen(&wanted, &states, 10, 9), ["bad.example"]);
        assert_eq!(chosen(&wanted, &states, 4, 9), Vec::<String>::new());
    }

    #[test]
    fn certificates_that_expire_are_first() {
        let now = 1_070 * DAY;
        let wanted =
            [("a", "new.example"), ("b", "old.example"), ("b", "new.b.example"), ("c", "fresh.example")];
        let fresh = Issue { revision: 0, not_before: now - DAY, not_after: now + 89 * DAY };
        let states = [state("old.example", Some(issue(0)), 9, 0), state("fresh.example", Some(fresh), 0, 0)];
        assert_eq!(chosen(&wanted, &states, now, 1), ["old.example"]);
        assert_eq!(chosen(&wanted, &states, now, 9), ["old.example", "new.example"]);
    }

    #[test]
    fn only_names_that_can_be_checked_are_ordered() {
        for name in ["shop.example", "a.b-c.example", "xn--bcher-kva.example", "1.example"] {
            assert!(is_orderable(name), "{name}");
        }
        let long = format!("{}.example", "a".repeat(64));
        for name in [
            "*.shop.example",
            "localhost",
            "192.0.2.1",
            "::1",
            "1.2.3",
            "",
            ".",
            "a..b",
            ".a.b",
            "a.b.",
            "-a.b",
            "a-.b",
            "Shop.example",
            "a_b.example",
            "a b.example",
            "shop.example/x",
            &long,
        ] {
            assert!(!is_orderable(name), "{name}");
        }
    }
}
