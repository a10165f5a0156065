//! Quotas, each tested just under and just over.

use serde_json::json;

use sluice_crm::WriteInto::{self, Holder, New};
use sluice_crm::{CapReached, CrmCaps, CrmFault, entry_bytes, value_bytes};

use super::{NOW, OpenStore, entries, get, leads, set, try_put};

pub(crate) async fn rejects_more_keys_than_the_quota(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "keys").await;
    let caps = CrmCaps { keys_an_entry_max: 2, ..CrmCaps::default() };
    let (store, to) = (&*store, &at);
    let set = |field| async move { try_put(store, to, &[(field, json!(1))], Holder, caps, NOW).await };
    assert_eq!(set("a").await, Ok(()));
    assert_eq!(set("b").await, Ok(()));
    assert_eq!(set("c").await, Err(CrmFault::Cap(CapReached::KeysAnEntry)));
    assert_eq!(set("a").await, Ok(()), "the entry has this key already");
    assert_eq!(get(store, &at, &["c"]).await, [None]);
}

pub(crate) async fn rejects_more_entries_than_the_quota(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "entries").await;
    let caps = CrmCaps { entries_a_reference_max: 2, ..CrmCaps::default() };
    let (store, to) = (&*store, &at);
    let set = |into: WriteInto| async move { try_put(store, to, &[("a", json!(1))], into, caps, NOW).await };
    assert_eq!(set(New).await, Ok(()));
    assert_eq!(set(New).await, Ok(()));
    let over = CrmFault::Cap(CapReached::EntriesAReference);
    assert_eq!(set(New).await, Err(over));
    assert_eq!(set(Holder).await, Ok(()), "the write makes no entry");
    assert_eq!(entries(store, &at).await.len(), 2);
}

pub(crate) async fn brand_bytes_follow_the_stored_data(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "bytes").await;
    // MessagePack: one byte for a string under 32 bytes, or for a small number.
    let small = entry_bytes(&at.reference) + value_bytes("a", 1);
    let large = entry_bytes(&at.reference) + value_bytes("a", 1 + 20);
    let set = |text: &str, max| {
        let caps = CrmCaps { brand_bytes_max: max, ..CrmCaps::default() };
        let (store, at, value) = (&store, &at, json!(text));
        async move { try_put(&**store, at, &[("a", value)], Holder, caps, NOW).await }
    };
    let over = Err(CrmFault::Cap(CapReached::BrandBytes));
    let long = "x".repeat(20);
    assert_eq!(set("", small - 1).await, over);
    assert!(entries(&*store, &at).await.is_empty(), "a rejected write leaves no entry");
    assert_eq!(set("", small).await, Ok(()));
    assert_eq!(set(&long, large - 1).await, over);
    assert_eq!(get(&*store, &at, &["a"]).await, [Some(json!(""))]);
    assert_eq!(set(&long, large).await, Ok(()));
    assert_eq!(set(&long, 0).await, Ok(()), "no larger than before");
    assert_eq!(set("", 0).await, Ok(()), "smaller than before");
    // Replacing the value by a smaller one has freed bytes.
    assert_eq!(set(&long, large - 1).await, over);
    assert_eq!(set(&long, large).await, Ok(()));
}

pub(crate) async fn a_rejected_write_changes_nothing(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "refused").await;
    let caps = CrmCaps { keys_an_entry_max: 2, ..CrmCaps::default() };
    set(&*store, &at, "a", json!("old"), NOW).await;
    let fields = [("a", json!("new")), ("b", json!(1)), ("c", json!(1))];
    let refused = try_put(&*store, &at, &fields, Holder, caps, NOW + 1).await;
    assert_eq!(refused, Err(CrmFault::Cap(CapReached::KeysAnEntry)));
    let found = entries(&*store, &at).await;
    assert_eq!(found[0].values, [("a".to_owned(), json!("old"))]);
    assert_eq!(found[0].updated_at, NOW);
}
