//! Entries.

use serde_json::json;

use super::{NOW, Open, entries, get, key, leads, set, write};
use crate::crm::CrmCaps;
use crate::store::CrmFault;

/// Calls that add a second entry to a reference come with a later stage; until then
/// one is all there can be.
pub async fn entries_are_newest_first(open: &Open) {
    let store = open().await;
    let at = leads(&*store, "order").await;
    assert!(entries(&*store, &at).await.is_empty());
    set(&*store, &at, "b", json!(1), NOW).await;
    set(&*store, &at, "B", json!(2), NOW + 1).await;
    set(&*store, &at, "a.1", json!(3), NOW + 2).await;
    let found = entries(&*store, &at).await;
    assert!(found.is_sorted_by(|newer, older| newer.id > older.id));
    let keys: Vec<_> = found[0].values.iter().map(|(key, _)| &**key).collect();
    assert_eq!(keys, ["B", "a.1", "b"], "keys are in byte order");
    assert_eq!(found[0].placement, None);
    assert_eq!((found[0].created_at, found[0].updated_at), (NOW, NOW + 2));
    let none = store.get_entries(&at, 0, usize::MAX).await;
    assert_eq!(none, Ok(Vec::new()));
}

pub async fn a_result_is_bounded(open: &Open) {
    let store = open().await;
    let at = leads(&*store, "bounded").await;
    set(&*store, &at, "a", json!("x".repeat(100)), NOW).await;
    set(&*store, &at, "b", json!("x".repeat(100)), NOW).await;
    // A string of 100 bytes has two more in MessagePack; entries bring their keys.
    let keys = [key("a"), key("b")];
    let fields = |max| store.get_fields(&at, &keys, max);
    assert!(fields(204).await.is_ok());
    assert_eq!(fields(203).await, Err(CrmFault::ResultTooLarge));
    let entries = |max| store.get_entries(&at, 1, max);
    assert!(entries(206).await.is_ok());
    assert_eq!(entries(205).await, Err(CrmFault::ResultTooLarge));
}

pub async fn a_reader_sees_one_moment(open: &Open) {
    let stores = [open().await, open().await];
    let at = leads(&*stores[0], "moment").await;
    let (store, to) = (stores[1].clone(), at.clone());
    let writing = tokio::spawn(async move {
        for n in 0..100 {
            let both = write(&to, &[("a", json!(n)), ("b", json!(n))], false);
            let caps = CrmCaps::default();
            store.set_fields(both, caps, NOW).await.unwrap();
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
