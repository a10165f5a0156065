//! The checker finds each kind of fault.

use super::*;
use crate::faults::history::{Event, What};

fn event(n: u64, what: What, acknowledged: bool, cookie: Option<&str>) -> Event {
    Event { client: 0, n, what, acknowledged, cookie: cookie.map(str::to_owned) }
}

fn add(n: u64, acknowledged: bool) -> Event {
    event(n, What::Add { line: "a".into() }, acknowledged, None)
}

fn found(added: &[u64]) -> Found {
    let line = Line { added: added.to_vec(), ..Line::default() };
    Found { lines: [("a".to_owned(), line)].into(), ..Found::default() }
}

/// The subjects of what is wrong.
fn wrong(history: &[Event], found: &Found) -> Vec<&'static str> {
    check(&Expected::of(history), found).wrong().map(|(subject, _)| subject).collect()
}

#[test]
fn finds_lost_repeated_and_reordered_writes() {
    let history = [add(1, true), add(2, false), add(3, true)];
    for (values, expected) in [
        (&[1, 3][..], &[][..]),
        (&[1, 2, 3], &[]),
        // A write that was not acknowledged may happen late, but no acknowledged one.
        (&[1, 3, 2], &[]),
        (&[3, 1], &["reordered"]),
        (&[2, 1, 3], &["reordered"]),
        (&[1, 2], &["lost"]),
        (&[1, 3, 3], &["duplicated"]),
        (&[1, 2, 2, 3], &["duplicated"]),
        (&[1, 3, 4], &["duplicated"]),
    ] {
        assert_eq!(wrong(&history, &found(values)), expected, "{values:?}");
    }
}

#[test]
fn finds_an_overwritten_value() {
    let set = |n, acknowledged| event(n, What::Set { line: "a".into() }, acknowledged, None);
    let history = [set(1, true), set(2, false), set(3, true), set(4, false)];
    let found = |last| {
        let line = Line { last, ..Line::default() };
        Found { lines: [("a".to_owned(), line)].into(), ..Found::default() }
    };
    for last in [2, 3, 4] {
        assert!(wrong(&history, &found(Some(last))).is_empty(), "{last}");
    }
    for last in [None, Some(1), Some(5)] {
        assert_eq!(wrong(&history, &found(last)), ["lost"], "{last:?}");
    }
}

#[test]
fn finds_lost_and_repeated_increments() {
    let count = |n, acknowledged| event(n, What::Count { line: "a".into() }, acknowledged, None);
    let history = [count(1, true), count(2, false), count(3, true)];
    for (count, expected) in [
        (None, &["lost"][..]),
        (Some(1), &["lost"]),
        (Some(2), &[]),
        (Some(3), &[]),
        (Some(4), &["duplicated"]),
    ] {
        let line = Line { count, ..Line::default() };
        let found = Found { lines: [("a".to_owned(), line)].into(), ..Found::default() };
        assert_eq!(wrong(&history, &found), expected, "{count:?}");
    }
}

#[test]
fn finds_sessions_that_are_lost_or_come_back() {
    let put = |n, cookie| event(n, What::Put { session: 1 }, true, cookie);
    let login = event(2, What::Login { session: 1, email: "ann".into() }, true, Some("b"));
    let logout =
        |acknowledged: bool| event(4, What::Logout { session: 1 }, acknowledged, acknowledged.then_some("c"));
    let opened = |cookie: &str, email: Option<&str>, keys: &[u64]| {
        let opened = Opened { email: email.map(str::to_owned), keys: keys.iter().copied().collect() };
        Found { sessions: [(cookie.to_owned(), opened)].into(), ..Found::default() }
    };
    let mut history = vec![put(1, Some("a")), login, put(3, None)];
    assert!(wrong(&history, &opened("b", Some("ann"), &[1, 3])).is_empty());
    assert_eq!(wrong(&history, &opened("b", Some("ann"), &[3])), ["lost"]);
    assert_eq!(wrong(&history, &opened("b", None, &[1, 3])), ["lost"]);
    assert_eq!(wrong(&history, &Found::default()), ["lost"]);
    assert_eq!(wrong(&history, &opened("a", None, &[1])), ["lost", "revived"]);
    history.push(logout(false));
    assert!(wrong(&history, &Found::default()).is_empty(), "it may be logged out");
    assert!(wrong(&history, &opened("b", Some("ann"), &[1, 3])).is_empty(), "or not");
    assert_eq!(wrong(&history, &opened("b", Some("ann"), &[1])), ["lost"]);
    history.pop();
    history.push(logout(true));
    assert!(wrong(&history, &opened("c", None, &[1, 3])).is_empty());
    let mut both = opened("c", None, &[1, 3]);
    both.sessions.extend(opened("b", Some("ann"), &[1, 3]).sessions);
    assert_eq!(wrong(&history, &both), ["revived"], "the logout was acknowledged");
    history.push(event(5, What::Login { session: 1, email: "ann".into() }, true, None));
    assert!(wrong(&history, &opened("c", None, &[1, 3])).contains(&"lost"), "a login without a cookie");
}

#[test]
fn finds_tokens_that_work_twice() {
    let take = |session, acknowledged, cookie| {
        event(1, What::Take { session, token: "t".into(), email: "ann".into() }, acknowledged, cookie)
    };
    let opened =
        |cookie: &str| (cookie.to_owned(), Opened { email: Some("ann".into()), ..Opened::default() });
    let found = Found { sessions: [opened("a"), opened("b")].into(), ..Found::default() };
    let once = [take(1, true, Some("a")), take(2, false, None)];
    assert!(wrong(&once, &found).is_empty());
    assert_eq!(wrong(&once, &Found::default()), ["lost"]);
    assert_eq!(wrong(&[take(1, true, Some("a")), take(2, true, Some("b"))], &found), ["reused"]);
}

#[test]
fn finds_transactions_of_which_a_part_is_stored() {
    let put = event(1, What::Put { session: 1 }, true, Some("a"));
    let both = |acknowledged| event(2, What::Both { session: 1, line: "a".into() }, acknowledged, None);
    let found = |keys: &[u64], queued: &[u64]| {
        let line = Line { queued: queued.to_vec(), ..Line::default() };
        let opened = Opened { email: None, keys: keys.iter().copied().collect() };
        Found { lines: [("a".to_owned(), line)].into(), sessions: [("a".to_owned(), opened)].into() }
    };
    let unknown = [put.clone(), both(false)];
    assert!(wrong(&unknown, &found(&[1], &[])).is_empty());
    assert!(wrong(&unknown, &found(&[1, 2], &[2])).is_empty());
    assert_eq!(wrong(&unknown, &found(&[1, 2], &[])), ["torn"]);
    assert_eq!(wrong(&unknown, &found(&[1], &[2])), ["torn"]);
    assert_eq!(wrong(&[put, both(true)], &found(&[1], &[])), ["lost"]);
}
