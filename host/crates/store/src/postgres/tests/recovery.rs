//! A server that goes away and comes back.

use std::time::{Duration, Instant};

use serde_json::json;

use super::harness::OwnServer;
use super::*;

/// Reached only where it does not. That five seconds are enough is shown with a whole
/// host, in the integration tests.
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
async fn a_killed_server_is_found_again_and_nothing_acknowledged_is_lost() {
    let (server, store) = own(|_| {}).await;
    let writers: Vec<_> = (0..8)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let (name, mut acknowledged, mut refused) = (format!("k{task}"), 0, 0);
                for n in 1.. {
                    match write(&store, &[(&name, json!(n))]).await {
                        Ok(_) if refused > 0 => return (name, n),
                        Ok(_) => acknowledged = n,
                        Err(CrmFault::Store(StoreError::Unavailable(_))) => {
                            // Whatever became of this one, no earlier one may be gone.
                            refused = n;
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
    let begun = || server.sql("SELECT count(*) FROM crm_value") == "8";
    while !begun() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.kill();
    assert!(read(&store, "k0").await.is_err());
    server.restart();
    let back = Instant::now();
    while read(&store, "k0").await.is_err() {
        assert!(back.elapsed() < RECOVERY_MAX, "the pool recovers by itself");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for writer in writers {
        let (name, last) = writer.await.unwrap();
        assert_eq!(read(&store, &name).await, Ok(Some(json!(last))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_the_kill_is_there_after_it() {
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
        // The pool's own connections are gone; the first reads may say so.
        let found = loop {
            match read(&store, "n").await {
                Ok(found) => break found.unwrap().as_i64().unwrap(),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let acknowledged = *told.borrow();
        // The one that was on its way may have arrived.
        assert!((acknowledged..=acknowledged + 1).contains(&found), "{found} after {acknowledged}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_given_up_and_its_connections_are_not_used_again() {
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
        assert!(back.elapsed() < RECOVERY_MAX, "the pool recovers by itself");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A host that is cut off in the middle of a transaction must not keep its locks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_too_long_is_an_error_and_not_a_wait() {
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
    let held_up = write(&store, &[("a", json!(2))]).await;
    assert!(matches!(held_up, Err(CrmFault::Store(StoreError::Unavailable(_)))), "{held_up:?}");
    assert_eq!(read(&store, "a").await, Ok(Some(json!(1))), "reads are not held up");
    // The server was told: nobody waits for the lock any more.
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    let since = Instant::now();
    while server.sql(waiting) != "0" && since.elapsed() < Duration::from_secs(1) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(holder.join().unwrap().status.success());
    assert_eq!(read(&store, "a").await, Ok(Some(json!(1))), "what was given up did not happen later");
}
