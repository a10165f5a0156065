//! Request counts.

use sluice_session::rate::RateWindow;

use super::{NOW, OpenStore};

fn window() -> RateWindow {
    let mut key = [0; 16];
    getrandom::fill(&mut key).unwrap();
    RateWindow { key, starts_at: NOW, ends_at: NOW + 60_000 }
}

pub(crate) async fn hosts_count_together(open: &OpenStore) {
    let (here, there) = (open().await, open().await);
    let window = window();
    let counts = futures_util::future::join_all(
        (0..20)
            .map(|index| if index % 2 == 0 { &here } else { &there })
            .map(|store| store.count_request(window)),
    );
    let mut counts: Vec<u32> = counts.await.into_iter().map(Result::unwrap).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=20).collect::<Vec<_>>());
    let next = RateWindow { starts_at: NOW + 60_000, ends_at: NOW + 120_000, ..window };
    assert_eq!(here.count_request(next).await, Ok(1), "each window starts from zero");
}

pub(crate) async fn ended_windows_are_deleted_in_batches(open: &OpenStore) {
    let store = open().await;
    // These windows are in the past, so that deleting them keeps those of other tests.
    let ended: Vec<_> = (0..3).map(|n| RateWindow { starts_at: n, ends_at: n + 1, ..window() }).collect();
    let kept = RateWindow { starts_at: 10, ends_at: 4, ..window() };
    for window in ended.iter().chain([&kept]) {
        store.count_request(*window).await.unwrap();
    }
    assert_eq!(store.delete_expired_rates(3, 2).await, Ok(2));
    assert_eq!(store.delete_expired_rates(3, 2).await, Ok(1));
    assert_eq!(store.count_request(ended[0]).await, Ok(1), "the window was deleted");
    assert_eq!(store.count_request(kept).await, Ok(2), "the window was kept");
}
