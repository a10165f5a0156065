//! How many round trips a call takes.

use serde_json::json;

use sluice_storage::{
    AddDone, Area, Condition, Key, Listing, Namespace, Place, Put, PutDone, StorageCaps, StorageStore as _,
    StoredValue,
};

use super::relay::Relay;
use super::*;

fn five() -> Vec<(&'static str, Value)> {
    ["a", "b", "c", "d", "e"].map(|name| (name, json!(name))).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_takes_one_round_trip_and_a_write_three() {
    let database = Database::create();
    let (relay, url) = Relay::before(&database.url()).await;
    let store = open(&url).await;
    with_leads(&store).await;
    for first_write in [true, false] {
        relay.round_trips();
        write(&store, &five()).await.unwrap();
        assert_eq!(relay.round_trips(), 3, "setCrmFields, first: {first_write}");
    }
    let keys = five().iter().map(|(name, _)| key(name)).collect::<Vec<_>>();
    let got = store.get_fields(&address(), &keys, 1_000).await.unwrap();
    assert_eq!(got, five().into_iter().map(|(_, value)| Some(value)).collect::<Vec<_>>());
    assert_eq!(relay.round_trips(), 1, "getCrmFields");
    store.get_entries(&address(), 50, 1_000).await.unwrap();
    assert_eq!(relay.round_trips(), 1, "getCrmEntries");
    store.get_values(&address(), &key("a"), 50, 1_000).await.unwrap();
    assert_eq!(relay.round_trips(), 1, "getCrmFieldValues");
    let checked = store.check_job("acme", &set(&five()), 0, CrmCaps::default(), 0);
    assert_eq!((checked.await, relay.round_trips()), (Ok(()), 2), "setCrmFields with async: true");

    let at = Place { area: Area::Storage, brand: "acme".to_owned(), namespace: Namespace::default() };
    let name = Key::new(Area::Storage, "k").unwrap();
    let caps = StorageCaps { keys_max: 9, bytes_max: 9_999, value_bytes_max: 99 };
    for condition in [Condition::Absent, Condition::Always, Condition::Equals(StoredValue::Number(1.0))] {
        let put = Put { key: name.clone(), value: StoredValue::Number(1.0), expires_at: None, condition };
        assert_eq!(store.put(&at, put, caps, 0).await, Ok(PutDone::Stored));
        assert_eq!(relay.round_trips(), 1, "storage.set");
    }
    assert_eq!(store.add(&at, &name, 1.0, None, caps, 0).await, Ok(AddDone::Sum(2.0)));
    assert_eq!(relay.round_trips(), 1, "storage.increment");
    assert_eq!(store.get(&at, &name, 0).await, Ok(Some(StoredValue::Number(2.0))));
    assert_eq!(relay.round_trips(), 1, "storage.get");
    let listing = Listing { prefix: name.clone(), after: None, keys_max: 9, bytes_max: 99 };
    store.list(&at, listing, 0).await.unwrap();
    assert_eq!(relay.round_trips(), 1, "storage.list");
    store.remove(&at, &name).await.unwrap();
    assert_eq!(relay.round_trips(), 1, "storage.del");

    let key = SessionKey { brand: "acme".to_owned(), id_hash: [1; 32] };
    assert_eq!(store.load_session(key, 0).await, Ok(None));
    assert_eq!(relay.round_trips(), 1, "loading a session");
    let at = SessionAddress { brand: "acme".to_owned(), row_id: SessionRowId::random().unwrap() };
    let edit = Box::new(|_: Option<&SessionRow>| SessionChange::Issue {
        id_hash: [1; 32],
        sealed: b"x".to_vec(),
        expires_at: 9,
        kind: SessionKind::Anonymous,
    });
    store.commit_run(RunCommit::of_session(at, edit), 0).await.unwrap();
    assert_eq!(relay.round_trips(), 2, "saving a session");
    let commit = RunCommit { jobs: vec![set(&five()), set(&five())], ..RunCommit::new("acme") };
    store.commit_run(commit, 0).await.unwrap();
    assert_eq!(relay.round_trips(), 3, "the end of a run that queued writes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn setting_five_fields_is_one_transaction() {
    let database = Database::create();
    let store = open(&database.url()).await;
    with_leads(&store).await;
    write(&store, &five()).await.unwrap();
    let rows = "SELECT xmin FROM crm_value UNION ALL SELECT xmin FROM crm_entry
        UNION ALL SELECT xmin FROM crm_reference UNION ALL SELECT xmin FROM crm_usage";
    let sql = format!("SELECT count(*), count(DISTINCT xmin::text) FROM ({rows}) AS written");
    assert_eq!(database.sql(&sql), "8|1");
}

/// Proves that the relay can see round trips.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relay_counts_round_trips() {
    let database = Database::create();
    let (relay, url) = Relay::before(&database.url()).await;
    let store = open(&url).await;
    relay.round_trips();
    for _ in 0..3 {
        store.count_jobs().await.unwrap();
    }
    assert_eq!(relay.round_trips(), 3);
}
