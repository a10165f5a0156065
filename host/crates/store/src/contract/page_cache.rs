//! Cached answers that were dropped.

use sluice_page_cache::{ALL_TAGS, Purge};

use super::{NOW, OpenStore};
use crate::Store;

/// The purges of `brand` since a time, by tag.
async fn purges(store: &dyn Store, brand: &str, since_ms: i64) -> Vec<(String, i64)> {
    let all: Vec<Purge> = store.purges_since(since_ms).await.unwrap();
    let own = all.into_iter().filter(|purge| purge.brand == brand);
    let mut own: Vec<_> = own.map(|purge| (purge.tag, purge.version)).collect();
    own.sort();
    own
}

pub(crate) async fn every_host_sees_each_purge(open: &OpenStore) {
    let (here, there) = (open().await, open().await);
    here.purge("purge-a", "posts", NOW).await.unwrap();
    here.purge("purge-a", ALL_TAGS, NOW + 5).await.unwrap();
    here.purge("purge-b", "posts", NOW).await.unwrap();
    assert_eq!(purges(&*there, "purge-a", NOW).await, [(String::new(), 1), ("posts".into(), 1)]);
    assert_eq!(purges(&*there, "purge-a", NOW + 1).await, [(String::new(), 1)]);
    // The clock of this host is behind.
    there.purge("purge-a", "posts", NOW - 1).await.unwrap();
    assert_eq!(purges(&*here, "purge-a", NOW).await, [(String::new(), 1), ("posts".into(), 2)]);
    assert_eq!(purges(&*here, "purge-b", NOW).await, [("posts".into(), 1)]);
}

pub(crate) async fn parallel_purges_are_all_counted(open: &OpenStore) {
    let (here, there) = (open().await, open().await);
    let all = (0..20).map(|index| if index % 2 == 0 { &here } else { &there });
    let all = futures_util::future::join_all(all.map(|store| store.purge("purge-many", "posts", NOW))).await;
    let mut versions: Vec<i64> = all.into_iter().map(Result::unwrap).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=20).collect::<Vec<_>>());
    assert_eq!(purges(&*here, "purge-many", NOW).await, [("posts".into(), 20)]);
}

pub(crate) async fn old_purges_are_deleted_in_batches(open: &OpenStore) {
    let store = open().await;
    // These are in the past, so that deleting them keeps those of other tests.
    for (at, tag) in ["a", "b", "c", "kept"].into_iter().enumerate() {
        store.purge("purge-old", tag, at as i64).await.unwrap();
    }
    assert_eq!(store.delete_old_purges(3, 2).await, Ok(2));
    assert_eq!(store.delete_old_purges(3, 2).await, Ok(1));
    assert_eq!(purges(&*store, "purge-old", 0).await, [("kept".into(), 1)]);
}
