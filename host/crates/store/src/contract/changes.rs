//! What operators have changed.

use super::{NOW, OpenStore, brand};
use crate::Store;
use crate::changes::{ChangeFilter, Class, OperatorChange, TEXT_BYTES_MAX};

fn change(brand: &str, target: &str) -> OperatorChange {
    OperatorChange {
        at_ms: NOW,
        took_ms: 3,
        operator: "session 1a2b3c4d".to_owned(),
        client: "127.0.0.1".to_owned(),
        brand: brand.to_owned(),
        action: "limit.set".to_owned(),
        target: target.to_owned(),
        item: "fuel".to_owned(),
        was: "5".to_owned(),
        becomes: "7 <b>é</b>".to_owned(),
        outcome: "done".to_owned(),
        status: 303,
        ..OperatorChange::default()
    }
}

fn of(brand: &str) -> ChangeFilter {
    ChangeFilter { brand: Some(brand.to_owned()), rows_max: 99, ..ChangeFilter::default() }
}

/// The targets of the changes that match, with their numbers.
async fn listed(store: &dyn Store, filter: ChangeFilter) -> Vec<(i64, String)> {
    let all = store.list_changes(filter).await.unwrap();
    all.into_iter().map(|kept| (kept.id, kept.change.target)).collect()
}

pub(crate) async fn changes_of_all_hosts_are_listed_newest_first(open: &OpenStore) {
    let (here, there) = (open().await, open().await);
    let (one, other) = (brand("changes"), brand("changes-b"));
    for (store, brand, target) in [(&here, &one, "/a"), (&there, &one, "/b"), (&here, &other, "/c")] {
        store.add_change(change(brand, target), u32::MAX).await.unwrap();
    }
    let all = listed(&*there, of(&one)).await;
    assert_eq!(all.iter().map(|(_, target)| target.as_str()).collect::<Vec<_>>(), ["/b", "/a"]);
    let older = ChangeFilter { before: Some(all[0].0), ..of(&one) };
    assert_eq!(listed(&*here, older).await, all[1..]);
    assert_eq!(listed(&*here, ChangeFilter { rows_max: 1, ..of(&one) }).await, all[..1]);
    let kept = here.list_changes(of(&other)).await.unwrap();
    assert_eq!(kept[0].change, change(&other, "/c"));
    let whole = here.list_changes(ChangeFilter { rows_max: 999, ..ChangeFilter::default() }).await.unwrap();
    assert!(whole.iter().any(|kept| kept.change.brand == one));
}

pub(crate) async fn changes_are_found_by_each_part_of_a_filter(open: &OpenStore) {
    let store = open().await;
    let brand = brand("changes-filter");
    let entry = OperatorChange {
        action: "entry.change".to_owned(),
        operator: "token".to_owned(),
        outcome: "refused".to_owned(),
        at_ms: NOW + 1,
        ..change(&brand, "leads/1")
    };
    for change in [change(&brand, "/a"), change(&brand, "/b"), entry] {
        store.add_change(change, u32::MAX).await.unwrap();
    }
    let text = |text: &str| Some(text.to_owned());
    for (filter, found) in [
        (ChangeFilter { target: text("/a"), ..of(&brand) }, vec!["/a"]),
        (ChangeFilter { action: text("limit."), ..of(&brand) }, vec!["/b", "/a"]),
        (ChangeFilter { action: text("entry.change"), ..of(&brand) }, vec!["leads/1"]),
        (ChangeFilter { action: text("%"), ..of(&brand) }, vec![]),
        (ChangeFilter { outcome: text("refused"), ..of(&brand) }, vec!["leads/1"]),
        (ChangeFilter { text: text("LEADS/1"), ..of(&brand) }, vec!["leads/1"]),
        (ChangeFilter { text: text("<b>é</b>"), ..of(&brand) }, vec!["leads/1", "/b", "/a"]),
        (ChangeFilter { text: text("127.0.0.1"), target: text("/a"), ..of(&brand) }, vec!["/a"]),
        (ChangeFilter { text: text("%"), ..of(&brand) }, vec![]),
        (ChangeFilter { text: text("_"), ..of(&brand) }, vec![]),
        (ChangeFilter { text: text("\0'"), ..of(&brand) }, vec![]),
        (ChangeFilter { from_ms: Some(NOW), to_ms: Some(NOW + 1), ..of(&brand) }, vec!["/b", "/a"]),
        (ChangeFilter { from_ms: Some(NOW + 1), ..of(&brand) }, vec!["leads/1"]),
        (ChangeFilter { to_ms: Some(NOW), ..of(&brand) }, vec![]),
        (ChangeFilter { operator: text("session 1a2b3c4d"), target: text("/b"), ..of(&brand) }, vec!["/b"]),
    ] {
        let all = listed(&*store, filter.clone()).await;
        assert_eq!(all.iter().map(|(_, target)| target.as_str()).collect::<Vec<_>>(), found, "{filter:?}");
    }
}

pub(crate) async fn the_oldest_changes_of_a_class_are_deleted(open: &OpenStore) {
    let store = open().await;
    let brand = brand("changes-max");
    // Changes of other tests are of the other class.
    for index in 0..12 {
        let login = OperatorChange { class: Class::Login, ..change(&brand, &index.to_string()) };
        store.add_change(login, 5).await.unwrap();
    }
    store.add_change(change(&brand, "change"), u32::MAX).await.unwrap();
    let left = listed(&*store, of(&brand)).await;
    let left: Vec<&str> = left.iter().map(|(_, target)| target.as_str()).collect();
    assert_eq!(left, ["change", "11", "10", "9", "8", "7"]);
    let long = OperatorChange { said: "é\0".repeat(5_000), ..change(&brand, "long") };
    store.add_change(long, u32::MAX).await.unwrap();
    let kept = store.list_changes(ChangeFilter { rows_max: 1, ..of(&brand) }).await.unwrap();
    assert!(kept[0].change.said.len() <= TEXT_BYTES_MAX, "{}", kept[0].change.said);
    // Requests that were not allowed replace only each other.
    for target in ["refused 1", "refused 2"] {
        let refused = OperatorChange { class: Class::Refused, ..change(&brand, target) };
        store.add_change(refused, 1).await.unwrap();
    }
    let left = listed(&*store, of(&brand)).await;
    let left: Vec<&str> = left.iter().map(|(_, target)| target.as_str()).collect();
    assert_eq!(left, ["refused 2", "long", "change", "11", "10", "9", "8", "7"]);
    let kept = store.list_changes(ChangeFilter { rows_max: 1, ..of(&brand) }).await.unwrap();
    assert_eq!(kept[0].change.class, Class::Refused);
}
