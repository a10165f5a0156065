//! Reads on the caller's thread.

use std::task::{Context, Poll, Waker};

use super::*;
use crate::sqlite::direct::DirectReaders;

/// The answer if the first poll gives it. Work of other threads would wake the caller later.
fn at_once<T>(mut future: BoxFuture<'_, T>) -> Option<T> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

fn key() -> sluice_session::SessionKey {
    sluice_session::SessionKey { brand: "acme".to_owned(), id_hash: [1; 32] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_read_by_their_keys_on_the_caller_s_thread() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_leads(options(&dir)).await;
    store.write_crm("acme", score(json!(7)), CrmCaps::default(), 0).await.unwrap();
    // The first read opens a connection on another thread.
    while at_once(store.load_session(key(), 0)).is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let field = [FieldKey::new("score").unwrap()];
    for _ in 0..20 {
        assert_eq!(at_once(store.load_session(key(), 0)), Some(Ok(None)));
        assert_eq!(at_once(store.get_fields(&address(), &field, 1_000)), Some(Ok(vec![Some(json!(7))])));
        let used = sluice_session::TokenStore::is_token_used(&*store, "acme", [1; 16]);
        assert_eq!(at_once(used), Some(Ok(false)));
    }
    let many = vec![field[0].clone(); 200];
    assert_eq!(at_once(store.get_fields(&address(), &many, 100_000)), None, "a large read moves away");
    let unknown = Address { slug: Slug::new("unknown").unwrap(), ..address() };
    let refused = at_once(store.get_fields(&unknown, &field, 1_000));
    assert!(matches!(refused, Some(Err(CrmFault::UnknownSlug(_)))), "{refused:?}");
    store.close().await;
    assert!(matches!(store.load_session(key(), 0).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_connections_only_read_and_do_not_wait_for_locks() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_leads(options(&dir)).await;
    let direct = DirectReaders::new(&options(&dir), tokio::runtime::Handle::current());
    let ask = |sql: &'static str| {
        direct.ask(move |conn| conn.query_row(sql, [], |row| row.get::<_, i64>(0)), |_| false)
    };
    while ask("SELECT 1").is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(matches!(ask("PRAGMA busy_timeout"), Some(Ok(..=5))));
    let written = ask("DELETE FROM session RETURNING 1");
    assert!(written.unwrap().unwrap_err().to_string().contains("readonly"));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_stay_away_after_one_that_failed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_leads(options(&dir)).await;
    let direct = DirectReaders::new(&options(&dir), tokio::runtime::Handle::current());
    let ask = |fails: bool| direct.ask(|_| if fails { Err(()) } else { Ok(()) }, |()| true);
    while ask(false).is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(ask(true), None, "the caller tries again elsewhere");
    assert_eq!(ask(false), None);
    while ask(false).is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    store.close().await;
}
