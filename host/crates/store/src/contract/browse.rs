//! CRM data as operators browse it.

use serde_json::json;

use sluice_crm::{Address, Browse, BrowsedEntry, Reference, StageChoice};

use super::{NOW, OpenStore, leads, set};
use crate::Store;

fn of(at: &Address) -> Browse {
    Browse {
        brand: at.brand.clone(),
        slug: at.slug.clone(),
        stage: StageChoice::Any,
        before: None,
        entries_max: 10,
        bytes_max: usize::MAX,
    }
}

async fn browse(store: &dyn Store, browse: Browse) -> Vec<BrowsedEntry> {
    store.browse_entries(browse).await.unwrap()
}

fn references(found: &[BrowsedEntry]) -> Vec<&str> {
    found.iter().map(|browsed| browsed.reference_id.as_str()).collect()
}

/// Three customers with an entry each, made one after the other.
async fn three(store: &dyn Store, test: &str) -> Address {
    let at = leads(store, test).await;
    for (index, id) in ["first", "second", "third"].into_iter().enumerate() {
        let at = Address { reference: Reference::new("customer", id).unwrap(), ..at.clone() };
        set(store, &at, "name", json!(id), NOW + 1_000 * index as i64).await;
    }
    at
}

pub(crate) async fn entries_of_all_references_are_newest_first(open: &OpenStore) {
    let store = open().await;
    let at = three(&*store, "browse").await;
    let found = browse(&*store, of(&at)).await;
    assert_eq!(references(&found), ["third", "second", "first"]);
    assert_eq!(found[0].reference_type, "customer");
    assert_eq!(found[0].entry.values, [("name".to_owned(), json!("third"))]);
    let before = Browse { before: Some(found[0].entry.id), entries_max: 1, ..of(&at) };
    assert_eq!(references(&browse(&*store, before).await), ["second"]);
    let unplaced = Browse { stage: StageChoice::None, ..of(&at) };
    assert_eq!(browse(&*store, unplaced).await.len(), 3);
    let elsewhere = Browse { stage: StageChoice::In(i64::MAX), ..of(&at) };
    assert_eq!(browse(&*store, elsewhere).await, []);
}

pub(crate) async fn a_brand_sees_only_its_own_entries(open: &OpenStore) {
    let store = open().await;
    let (ours, theirs) = (three(&*store, "ours").await, leads(&*store, "theirs").await);
    assert_eq!(browse(&*store, of(&theirs)).await, []);
    assert_eq!(browse(&*store, of(&ours)).await.len(), 3);
    let nobody = Browse { brand: super::brand("nobody"), ..of(&ours) };
    assert!(store.browse_entries(nobody).await.is_err());
}

pub(crate) async fn browsing_is_bounded_by_bytes(open: &OpenStore) {
    let store = open().await;
    let at = three(&*store, "large").await;
    let one = Browse { bytes_max: 1, ..of(&at) };
    assert_eq!(references(&browse(&*store, one).await), ["third"]);
    let two = Browse { bytes_max: 25, ..of(&at) };
    assert_eq!(references(&browse(&*store, two).await), ["third", "second"]);
}
