//! Kinds of failures that operators have resolved or muted.

use super::{NOW, OpenStore, brand};
use crate::Store;
use crate::failure_marks::{FailureMark, MarkState, SeenKind};

const MUTED: MarkState = MarkState::Muted { until_ms: None };

fn mark(brand: &str, kind: &str, state: MarkState) -> FailureMark {
    FailureMark {
        brand: brand.to_owned(),
        kind: kind.to_owned(),
        page: "pages/cart.html".to_owned(),
        outcome: "error".to_owned(),
        message: "TypeError: no <b> of #".to_owned(),
        state,
        at_ms: NOW,
        operator: "session 1a2b3c4d".to_owned(),
        seen_ms: NOW - 5,
    }
}

async fn marked(store: &dyn Store, brand: &str) -> Vec<FailureMark> {
    store.list_failure_marks(Some(brand.to_owned()), 99).await.unwrap()
}

async fn kinds(store: &dyn Store, brand: &str) -> Vec<String> {
    marked(store, brand).await.into_iter().map(|mark| mark.kind).collect()
}

pub(crate) async fn a_mark_is_seen_by_all_hosts_and_replaces_the_one_before(open: &OpenStore) {
    let (here, there) = (open().await, open().await);
    let (one, other) = (brand("marks"), brand("marks-b"));
    let first = mark(&one, "k", MarkState::Resolved);
    here.mark_failure(first.clone(), u32::MAX).await.unwrap();
    here.mark_failure(mark(&other, "k", MUTED), u32::MAX).await.unwrap();
    assert_eq!(marked(&*there, &one).await, [first]);
    // An older sighting does not undo a newer one.
    let second = FailureMark {
        at_ms: NOW + 1,
        operator: "token".to_owned(),
        seen_ms: 0,
        ..mark(&one, "k", MarkState::Muted { until_ms: Some(NOW + 9) })
    };
    there.mark_failure(second.clone(), u32::MAX).await.unwrap();
    assert_eq!(marked(&*here, &one).await, [FailureMark { seen_ms: NOW - 5, ..second }]);
    let all = here.list_failure_marks(None, u32::MAX).await.unwrap();
    assert!([&one, &other].iter().all(|brand| all.iter().any(|mark| mark.brand == **brand)));
    assert!(here.unmark_failure(one.clone(), "k".to_owned()).await.unwrap());
    assert!(!there.unmark_failure(one.clone(), "k".to_owned()).await.unwrap());
    assert!(marked(&*there, &one).await.is_empty());
    assert_eq!(kinds(&*there, &other).await, ["k"]);
}

pub(crate) async fn marks_are_bounded_in_number_and_size(open: &OpenStore) {
    let store = open().await;
    let brand = brand("marks-max");
    for index in 0..6 {
        let mark = FailureMark { at_ms: NOW + index, ..mark(&brand, &index.to_string(), MUTED) };
        store.mark_failure(mark, 4).await.unwrap();
    }
    assert_eq!(kinds(&*store, &brand).await, ["5", "4", "3", "2"]);
    let long = "é\0".repeat(5_000);
    let big = FailureMark {
        at_ms: NOW + 6,
        page: long.clone(),
        message: long.clone(),
        operator: long,
        ..mark(&brand, "big", MUTED)
    };
    store.mark_failure(big, u32::MAX).await.unwrap();
    let newest = store.list_failure_marks(Some(brand.clone()), 1).await.unwrap();
    assert_eq!(newest[0].kind, "big");
    for text in [&newest[0].page, &newest[0].message, &newest[0].operator] {
        assert!(text.len() <= crate::changes::TEXT_BYTES_MAX && !text.contains('\0'), "{text}");
    }
}

pub(crate) async fn a_mark_lives_as_long_as_its_failures(open: &OpenStore) {
    let store = open().await;
    let brand = brand("marks-old");
    // Before the marks of other tests, which share the database.
    let (long_ago, before) = (NOW - 1_000_000, NOW - 500_000);
    let old = |kind: &str, state| FailureMark { at_ms: long_ago, seen_ms: 0, ..mark(&brand, kind, state) };
    for (kind, state) in [
        ("resolved", MarkState::Resolved),
        ("muted", MUTED),
        ("still failing", MUTED),
        ("ended", MarkState::Muted { until_ms: Some(before - 1) }),
        ("lasting", MarkState::Muted { until_ms: Some(NOW) }),
    ] {
        store.mark_failure(old(kind, state), u32::MAX).await.unwrap();
    }
    let seen = |kind: &str, at_ms| SeenKind { brand: brand.clone(), kind: kind.to_owned(), at_ms };
    let noted = vec![seen("still failing", NOW), seen("muted", long_ago), seen("unknown", NOW)];
    store.note_seen_failures(noted).await.unwrap();
    store.note_seen_failures(vec![seen("still failing", long_ago)]).await.unwrap();
    store.note_seen_failures(Vec::new()).await.unwrap();
    assert_eq!(store.delete_old_failure_marks(before, before, 1).await.unwrap(), 1);
    assert_eq!(store.delete_old_failure_marks(before, before, 99).await.unwrap(), 2);
    assert_eq!(store.delete_old_failure_marks(before, before, 99).await.unwrap(), 0);
    assert_eq!(kinds(&*store, &brand).await, ["lasting", "still failing"]);
}
