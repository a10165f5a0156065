//! A server that stops and comes back.

use std::time::{Duration, Instant};

use serde_json::json;

use sluice_kit::database_time;
use sluice_test_support::postgres::OwnServer;

use super::*;
use crate::error::SqlError;

/// A test only waits this long if the pool does not recover. The integration tests prove, with a
/// whole host, that five seconds are enough.
const RECOVERY_MAX: Duration = Duration::from_secs(60);

async fn own(options: impl FnOnce(&mut PostgresOptions)) -> (OwnServer, Arc<PostgresStore>) {
    let server = OwnServer::start();
    let mut parsed = PostgresOptions::parse(&server.url()).unwrap();
    options(&mut parsed);
    let store = PostgresStore::open(parsed).await.unwrap();
    with_leads(&store).await;
    (server, Arc::new(store))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconnects_to_a_restarted_server_and_loses_no_acknowledged_write() {
    let (server, store) = own(|_| {}).await;
    let writers: Vec<_> = (0..8)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let (name, mut acknowledged, mut failed) = (format!("k{task}"), 0, 0);
                for n in 1.. {
                    match write(&store, &[(&name, json!(n))]).await {
                        Ok(_) if failed > 0 => return (name, n),
                        Ok(_) => acknowledged = n,
                        Err(CrmFault::Store(StoreError::Unavailable(_))) => {
                            // This write may be lost, but none before it.
                            failed = n;
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                        Err(other) => panic!("{other}"),
                    }
                    assert!(acknowledged < 1_000_000);
                }
                unreachable!()
            })
        })
        .collect();
    let all_have_written = || server.sql("SELECT count(*) FROM crm_value") == "8";
    while !all_have_written() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.kill();
    assert!(read(&store, "k0").await.is_err());
    server.restart();
    let back = Instant::now();
    while read(&store, "k0").await.is_err() {
        assert!(back.elapsed() < RECOVERY_MAX, "the pool does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for writer in writers {
        let (name, last) = writer.await.unwrap();
        assert_eq!(read(&store, &name).await, Ok(Some(json!(last))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_a_killed_server() {
    let (server, store) = own(|_| {}).await;
    for round in 0..5 {
        let (tell, mut told) = tokio::sync::watch::channel(-1);
        let writer = {
            let store = store.clone();
            tokio::spawn(async move {
                let mut n = 0;
                while write(&store, &[("n", json!(n))]).await.is_ok() {
                    tell.send_replace(n);
                    n += 1;
                }
            })
        };
        told.wait_for(|n| *n > 20 * round).await.unwrap();
        server.kill();
        writer.await.unwrap();
        server.restart();
        // The first reads may fail, because the pool's connections are lost.
        let found = loop {
            match read(&store, "n").await {
                Ok(found) => break found.unwrap().as_i64().unwrap(),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let acknowledged = *told.borrow();
        // The write that was not acknowledged may be stored, too.
        assert!((acknowledged..=acknowledged + 1).contains(&found), "{found} after {acknowledged}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_to_a_hanging_server_time_out_and_connections_are_replaced() {
    let (server, store) = own(|options| {
        options.call_ms_max = 300;
        options.wait_ms_max = 300;
        options.connect_ms_max = 300;
        options.connections_max = 2;
    })
    .await;
    write(&store, &[("a", json!(1))]).await.unwrap();
    server.signal("STOP");
    for _ in 0..4 {
        let hung = read(&store, "a").await;
        assert!(matches!(hung, Err(CrmFault::Store(StoreError::Unavailable(_)))), "{hung:?}");
    }
    server.signal("CONT");
    let back = Instant::now();
    while read(&store, "a").await != Ok(Some(json!(1))) {
        assert!(back.elapsed() < RECOVERY_MAX, "the pool does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A host that loses its connection in a transaction must not keep its locks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_waits_too_long_for_a_lock_fails() {
    let (server, store) = own(|options| options.call_ms_max = 300).await;
    write(&store, &[("a", json!(1))]).await.unwrap();
    let url = server.url();
    let holder = std::thread::spawn(move || {
        let sql = "BEGIN; LOCK TABLE crm_value IN EXCLUSIVE MODE; SELECT pg_sleep(2); COMMIT";
        std::process::Command::new("psql").args(["-XAtqd", &url, "-c", sql]).output().unwrap()
    });
    while server.sql("SELECT count(*) FROM pg_locks WHERE mode = 'ExclusiveLock' AND locktype = 'relation'")
        == "0"
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let timed_out = write(&store, &[("a", json!(2))]).await;
    assert!(matches!(timed_out, Err(CrmFault::Store(StoreError::Unavailable(_)))), "{timed_out:?}");
    assert_eq!(read(&store, "a").await, Ok(Some(json!(1))), "the lock does not block reads");
    // The query was cancelled, so it does not wait for the lock any more.
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    let since = Instant::now();
    while server.sql(waiting) != "0" && since.elapsed() < Duration::from_secs(1) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(holder.join().unwrap().status.success());
    assert_eq!(read(&store, "a").await, Ok(Some(json!(1))), "the write that timed out must not happen later");
}

/// Three hosts may open 30 connections, and the server accepts 10.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_wait_for_a_connection_if_the_server_accepts_no_more() {
    let server = OwnServer::start_with(&["max_connections=10", "superuser_reserved_connections=0"]);
    let mut stores = Vec::new();
    for _ in 0..3 {
        let mut options = PostgresOptions::parse(&server.url()).unwrap();
        (options.connections_max, options.wait_ms_max, options.call_ms_max) = (10, 60_000, 60_000);
        stores.push(Arc::new(PostgresStore::open(options).await.unwrap()));
    }
    with_leads(&stores[0]).await;
    let clients: Vec<_> = (0..90)
        .map(|client| {
            let store = stores[client % 3].clone();
            tokio::spawn(async move {
                for n in 0..5 {
                    write(&store, &[(&format!("k{client}"), json!(n))]).await.unwrap();
                    assert_eq!(read(&store, &format!("k{client}")).await, Ok(Some(json!(n))));
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_waits_for_the_database_only_so_long_in_all() {
    let (server, store) = own(|_| {}).await;
    write(&store, &[("a", json!(1))]).await.unwrap();
    server.signal("STOP");
    database_time::limited(Duration::from_millis(500), async {
        let message = |hung: Result<_, CrmFault>| hung.unwrap_err().to_string();
        assert!(message(read(&store, "a").await).contains("within"), "the first call waits");
        for _ in 0..5 {
            assert!(message(read(&store, "a").await).contains("has used up its time"));
        }
        database_time::begin_commit();
        let commit = message(read(&store, "a").await);
        assert!(!commit.contains("has used up its time"), "the commit has a time of its own: {commit}");
    })
    .await;
    server.signal("CONT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_fail_at_once_while_the_server_hangs_until_a_probe_succeeds() {
    let (server, store) = own(|options| options.call_ms_max = 60_000).await;
    write(&store, &[("a", json!(1))]).await.unwrap();
    server.signal("STOP");
    let waiting = read(&store, "a").await;
    let why = store.outage().unwrap();
    assert!(waiting.unwrap_err().to_string().ends_with(&why), "a probe failed before the call's own limit");
    assert!(read(&store, "a").await.unwrap_err().to_string().ends_with(&why));
    server.signal("CONT");
    let back = Instant::now();
    while read(&store, "a").await != Ok(Some(json!(1))) {
        assert!(back.elapsed() < RECOVERY_MAX, "the breaker does not close");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(store.outage(), None);
}

/// A call that waits for a lock must not make the others fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_call_does_not_open_the_breaker() {
    let (server, store) = own(|_| {}).await;
    write(&store, &[("a", json!(1))]).await.unwrap();
    let url = server.url();
    let holder = std::thread::spawn(move || {
        let sql = "BEGIN; LOCK TABLE crm_value IN EXCLUSIVE MODE; SELECT pg_sleep(3); COMMIT";
        std::process::Command::new("psql").args(["-XAtqd", &url, "-c", sql]).output().unwrap()
    });
    while server.sql("SELECT count(*) FROM pg_locks WHERE mode = 'ExclusiveLock' AND locktype = 'relation'")
        == "0"
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    write(&store, &[("a", json!(2))]).await.unwrap();
    assert_eq!(store.outage(), None);
    assert!(holder.join().unwrap().status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_in_plain_words_that_all_connections_are_in_use() {
    let database = Database::create();
    let mut options = PostgresOptions::parse(&database.url()).unwrap();
    (options.connections_max, options.wait_ms_max, options.call_ms_max) = (1, 50, 60_000);
    let store = Arc::new(PostgresStore::open(options).await.unwrap());
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let busy = store.database.run::<(), StoreError, _>(move |_| {
        Box::pin(async move {
            let _ = released.await;
            Ok::<_, SqlError>(())
        })
    });
    let busy: tokio::task::JoinHandle<Result<(), StoreError>> = tokio::spawn(busy);
    // While the pool gives a connection away, its figures pass through other values.
    while store.pool_usage() != (PoolUsage { limit: 1, open: 1, in_use: 1, waiting: 0 }) {
        tokio::task::yield_now().await;
    }
    let key = SessionKey { brand: "acme".to_owned(), id_hash: [1; 32] };
    let why = store.load_session(key, 0).await.unwrap_err().to_string();
    assert_eq!(
        why,
        "the database did not answer: all connections of this host (database.connections_max) were in use \
         for too long"
    );
    release.send(()).unwrap();
    busy.await.unwrap().unwrap();
    assert_eq!(store.pool_usage().in_use, 0);
}
