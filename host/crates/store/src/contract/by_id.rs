//! Entries by their ids.

use std::sync::Arc;

use serde_json::{Value, json};

use sluice_crm::WriteInto::New;
use sluice_crm::{
    Address, CrmCaps, CrmFault, CrmWrite, CrmWritten, EntryId, Reference, Refusal, Slug, entry_bytes,
    value_bytes,
};
use sluice_kit::clock::iso_utc;

use super::{NOW, OpenStore, entries, key, leads, put, queue, set, try_put};
use crate::Store;

async fn execute(
    store: &dyn Store,
    at: &Address,
    write: CrmWrite,
    now_ms: i64,
) -> Result<CrmWritten, CrmFault> {
    store.write_crm(&at.brand, write, CrmCaps::default(), now_ms).await
}

pub(super) async fn create(store: &dyn Store, at: &Address, fields: Value) -> Result<EntryId, CrmFault> {
    create_at(store, at, fields, NOW).await
}

pub(super) async fn create_at(
    store: &dyn Store,
    at: &Address,
    fields: Value,
    now_ms: i64,
) -> Result<EntryId, CrmFault> {
    let fields = fields.as_object().unwrap().iter().map(|(name, value)| (key(name), value.clone())).collect();
    match execute(store, at, CrmWrite::CreateEntry { at: at.line(), fields, place: None }, now_ms).await? {
        CrmWritten::Created { id } => Ok(id),
        other => panic!("{other:?}"),
    }
}

/// `null` removes a field.
pub(super) fn update(at: &Address, id: EntryId, fields: Value, if_updated_at: Option<i64>) -> CrmWrite {
    let fields = fields.as_object().unwrap().iter();
    let fields =
        fields.map(|(name, value)| (key(name), Some(value.clone()).filter(|value| !value.is_null())));
    CrmWrite::UpdateEntry {
        at: at.line(),
        id,
        fields: fields.collect(),
        if_updated_at: if_updated_at.map(iso_utc),
        place: None,
    }
}

async fn values(store: &dyn Store, at: &Address, id: EntryId) -> Option<Vec<(String, Value)>> {
    let found = store.get_entry(&at.brand, at.slug.clone(), id, usize::MAX).await.unwrap();
    found.map(|found| found.entry.values)
}

pub(crate) async fn an_entry_is_changed_and_deleted_by_its_id(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "by-id").await;
    let first = create(&*store, &at, json!({"a": 1, "b": "x"})).await.unwrap();
    let empty = create(&*store, &at, json!({})).await.unwrap();
    let found = store.get_entry(&at.brand, at.slug.clone(), first, usize::MAX).await.unwrap().unwrap();
    assert_eq!((&*found.reference_type, &*found.reference_id), ("customer", "7"));
    assert_eq!((found.entry.id, found.entry.created_at), (first, NOW));
    assert_eq!(values(&*store, &at, empty).await, Some(vec![]));
    let small = store.get_entry(&at.brand, at.slug.clone(), first, 4).await;
    assert_eq!(small, Err(CrmFault::ResultTooLarge));

    let write = update(&at, first, json!({"a": null, "b": "y", "c": [1]}), None);
    let updated = execute(&*store, &at, write, NOW + 5).await;
    assert_eq!(updated, Ok(CrmWritten::Updated { updated_at: NOW + 5 }));
    let now = vec![("b".to_owned(), json!("y")), ("c".to_owned(), json!([1]))];
    assert_eq!(values(&*store, &at, first).await, Some(now));
    // The newest entry of the reference is another one, and stays as it is.
    assert_eq!(values(&*store, &at, empty).await, Some(vec![]));

    for (id, expected) in [(first, Ok(CrmWritten::Deleted)), (first, Err(Refusal::NoEntry.into()))] {
        let delete = CrmWrite::DeleteEntry { at: at.line(), id };
        assert_eq!(execute(&*store, &at, delete, NOW).await, expected);
    }
    assert_eq!(values(&*store, &at, first).await, None);
    let gone = execute(&*store, &at, update(&at, first, json!({"a": 1}), None), NOW).await;
    assert_eq!(gone, Err(Refusal::NoEntry.into()));
    // All bytes are free again.
    execute(&*store, &at, CrmWrite::DeleteEntry { at: at.line(), id: empty }, NOW).await.unwrap();
    let bytes = entry_bytes(&at.reference) + value_bytes("a", 1);
    for (max, fits) in [(bytes - 1, false), (bytes, true)] {
        let caps = CrmCaps { brand_bytes_max: max, ..CrmCaps::default() };
        assert_eq!(try_put(&*store, &at, &[("a", json!(1))], New, caps, NOW).await.is_ok(), fits);
    }
}

pub(crate) async fn an_entry_of_another_brand_or_entity_is_not_there(open: &OpenStore) {
    let store = open().await;
    let (own, other) = (leads(&*store, "own").await, leads(&*store, "other").await);
    let orders = sluice_crm::CrmSchema::parse("[[entity]]\nslug = 'orders'", "crm.toml").unwrap();
    store.apply_crm_schema(&own.brand, orders).await.unwrap();
    let orders = Address { slug: Slug::new("orders").unwrap(), ..own.clone() };
    let id = create(&*store, &own, json!({"a": 1})).await.unwrap();
    for at in [&other, &orders] {
        assert_eq!(values(&*store, at, id).await, None);
        assert_eq!(store.entry_reference(&at.brand, at.slug.clone(), id).await, Ok(None));
        for write in [update(at, id, json!({"a": 2}), None), CrmWrite::DeleteEntry { at: at.line(), id }] {
            assert_eq!(execute(&*store, at, write, NOW).await, Err(Refusal::NoEntry.into()));
        }
    }
    assert_eq!(values(&*store, &own, id).await, Some(vec![("a".to_owned(), json!(1))]));
    let unknown = Address { slug: Slug::new("nope").unwrap(), ..own };
    let unknown = store.get_entry(&unknown.brand, unknown.slug.clone(), id, 9).await;
    assert_eq!(unknown, Err(CrmFault::UnknownSlug("nope".to_owned())));
}

pub(crate) async fn one_of_two_changes_of_the_same_version_wins(open: &OpenStore) {
    let stores = [open().await, open().await];
    let at = leads(&*stores[0], "version").await;
    let id = create(&*stores[0], &at, json!({"n": 0})).await.unwrap();
    let mut version = NOW;
    for round in 0..5 {
        let tries: Vec<_> = (0..8)
            .map(|n| {
                let (store, at) = (Arc::clone(&stores[n % 2]), at.clone());
                let write = update(&at, id, json!({"n": n}), Some(version));
                tokio::spawn(async move { execute(&*store, &at, write, NOW + round).await })
            })
            .collect();
        let mut won = Vec::new();
        for tried in tries {
            match tried.await.unwrap() {
                Ok(CrmWritten::Updated { updated_at }) => won.push(updated_at),
                other => assert_eq!(other, Err(Refusal::Conflict.into())),
            }
        }
        let [updated_at] = won[..] else { panic!("{won:?} of round {round}") };
        assert!(updated_at > version);
        version = updated_at;
    }
}

pub(crate) async fn a_change_by_id_follows_its_entry(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "follow").await;
    let id = create(&*store, &at, json!({"a": 1})).await.unwrap();
    let caps = CrmCaps::default();
    queue(&*store, &at.brand, update(&at, id, json!({"a": 2}), None), caps, NOW).await.unwrap();
    // A login gives the entry to another customer before the job is applied.
    let to = Reference::new("customer", "8").unwrap();
    assert_eq!(store.adopt_reference(&at.brand, at.reference.clone(), to.clone(), NOW).await, Ok(1));
    let found = store.entry_reference(&at.brand, at.slug.clone(), id).await.unwrap();
    assert_eq!(found, Some(to.clone()));
    // A write to the line of before does not find it.
    let late = execute(&*store, &at, update(&at, id, json!({"a": 3}), None), NOW).await;
    assert_eq!(late, Err(Refusal::NoEntry.into()));
    let caps_of_brand: sluice_crm::CapsOfBrand = Arc::new(move |_: &str| caps);
    while !store.run_jobs(Arc::clone(&caps_of_brand), 10, NOW).await.unwrap().is_empty() {}
    assert_eq!(values(&*store, &at, id).await, Some(vec![("a".to_owned(), json!(2))]));
}

pub(crate) async fn the_time_of_a_change_is_later_than_that_of_the_one_before(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "later").await;
    put(&*store, &at, &[("a", json!(0))], New, NOW).await;
    let mut before = NOW;
    // The clock stands still, and goes back.
    for now in [NOW, NOW, NOW - 1_000] {
        set(&*store, &at, "a", json!(now), now).await;
        let found = entries(&*store, &at).await;
        assert!(found[0].updated_at > before);
        before = found[0].updated_at;
    }
}
