//! Entries.

use serde_json::json;

use sluice_crm::CrmFault;
use sluice_crm::WriteInto::{Holder, New, Newest};

use super::{NOW, OpenStore, entries, get, key, leads, put, set};

pub(crate) async fn entries_are_returned_newest_first(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "order").await;
    assert!(entries(&*store, &at).await.is_empty());
    // All in one millisecond.
    for n in 0..5 {
        put(&*store, &at, &[("n", json!(n))], New, NOW).await;
    }
    put(&*store, &at, &[("B", json!(0)), ("a.1", json!(0))], Newest, NOW + 1).await;
    let found = entries(&*store, &at).await;
    let order: Vec<_> = found.iter().map(|entry| &entry.values).collect();
    let order: Vec<_> = order.iter().map(|v| v[v.len() - 1].1.clone()).collect();
    assert_eq!(order, [4, 3, 2, 1, 0]);
    assert!(found.is_sorted_by(|newer, older| newer.id > older.id));
    let keys: Vec<_> = found[0].values.iter().map(|(key, _)| &**key).collect();
    assert_eq!(keys, ["B", "a.1", "n"], "keys are in byte order");
    assert_eq!(found[0].placement, None);
    assert_eq!((found[0].created_at, found[0].updated_at), (NOW, NOW + 1));
    let two = store.get_entries(&at, 2, usize::MAX).await.unwrap();
    assert_eq!(two, found[..2]);
    let none = store.get_entries(&at, 0, usize::MAX).await;
    assert_eq!(none, Ok(Vec::new()));
}

pub(crate) async fn order_is_kept_when_the_clock_goes_back(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "clock").await;
    for (n, now) in [NOW, NOW - 1_000, 0, NOW + 1].into_iter().enumerate() {
        put(&*store, &at, &[("n", json!(n))], New, now).await;
        assert_eq!(get(&*store, &at, &["n"]).await, [Some(json!(n))]);
    }
    let found = entries(&*store, &at).await;
    let made: Vec<_> = found.iter().map(|entry| entry.created_at).collect();
    assert_eq!(made, [NOW + 1, 0, NOW - 1_000, NOW], "entries keep the times of the clock");
}

pub(crate) async fn rejects_a_result_over_the_limit(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "bounded").await;
    set(&*store, &at, "a", json!("x".repeat(100)), NOW).await;
    set(&*store, &at, "b", json!("x".repeat(100)), NOW).await;
    // A string of 100 bytes takes two more in MessagePack. The keys of an entry count, too.
    let keys = [key("a"), key("b")];
    let fields = |max| store.get_fields(&at, &keys, max);
    assert!(fields(204).await.is_ok());
    assert_eq!(fields(203).await, Err(CrmFault::ResultTooLarge));
    let entries = |max| store.get_entries(&at, 1, max);
    assert!(entries(206).await.is_ok());
    assert_eq!(entries(205).await, Err(CrmFault::ResultTooLarge));
}

pub(crate) async fn a_read_shows_one_moment(open: &OpenStore) {
    let stores = [open().await, open().await];
    let at = leads(&*stores[0], "moment").await;
    let (store, to) = (stores[1].clone(), at.clone());
    let writing = tokio::spawn(async move {
        for n in 0..100 {
            let both = [("a", json!(n)), ("b", json!(n))];
            put(&*store, &to, &both, Holder, NOW).await;
        }
    });
    while !writing.is_finished() {
        let got = get(&*stores[0], &at, &["a", "b"]).await;
        assert_eq!(got[0], got[1]);
        for entry in entries(&*stores[0], &at).await {
            assert_eq!(entry.values[0].1, entry.values[1].1);
        }
    }
    writing.await.unwrap();
}
