//! Values that scripts keep.

use std::sync::Arc;

use serde_json::{Value, json};

use sluice_kit::value::Room;
use sluice_storage::{
    AddDone, Area, Condition, Key, Listing, Namespace, Place, Put, PutDone, Quota, StorageCaps, StoredValue,
};

use super::{NOW, OpenStore, brand};
use crate::Store;

const CAPS: StorageCaps = StorageCaps { keys_max: 1_000, bytes_max: 1 << 20, value_bytes_max: 64 << 10 };

fn place(test: &str) -> Place {
    Place { area: Area::Storage, brand: brand(test), namespace: Namespace::default() }
}

fn key(text: &str) -> Key {
    Key::new(Area::Storage, text).unwrap()
}

fn put(name: &str, value: &Value, condition: Condition) -> Put {
    Put { key: key(name), value: StoredValue::of(value), expires_at: None, condition }
}

async fn set(store: &dyn Store, at: &Place, name: &str, value: &Value) {
    let done = store.put(at, put(name, value, Condition::Always), CAPS, NOW).await;
    assert_eq!(done, Ok(PutDone::Stored));
}

async fn get(store: &dyn Store, at: &Place, name: &str) -> Option<Value> {
    let stored = store.get(at, &key(name), NOW).await.unwrap();
    stored.map(|stored| stored.to_value(&Room::new(1 << 20)).unwrap())
}

async fn list(
    store: &dyn Store,
    at: &Place,
    prefix: &str,
    after: Option<&str>,
    keys_max: u32,
) -> (Vec<String>, bool) {
    let prefix = Key::prefix(Area::Storage, prefix).unwrap();
    let listing = Listing { prefix, after: after.map(key), keys_max, bytes_max: 1 << 20 };
    let listed = store.list(at, listing, NOW).await.unwrap();
    (listed.keys.into_iter().map(|listed| listed.key).collect(), listed.has_more)
}

pub(crate) async fn script_values_are_stored_exactly(open: &OpenStore) {
    let (store, elsewhere) = (open().await, open().await);
    let at = place("storage");
    assert_eq!(get(&*store, &at, "k").await, None);
    let texts = [
        r#"{"b":1,"a":[-0.0,1e300,null,true,"\u0000ü😀"]}"#,
        "1.7976931348623157e308",
        "5e-324",
        "-0.0",
        "12345678901234",
        "null",
        "\"\"",
        "[]",
        "false",
    ];
    for text in texts {
        let value: Value = serde_json::from_str(text).unwrap();
        set(&*store, &at, "k", &value).await;
        let stored = elsewhere.get(&at, &key("k"), NOW).await.unwrap().unwrap();
        assert_eq!(stored.into_bytes(), sluice_kit::value::encode(&value), "{text}");
        assert_eq!(store.has(&at, &key("k"), NOW).await, Ok(true));
    }
    store.remove(&at, &key("k")).await.unwrap();
    assert_eq!(elsewhere.has(&at, &key("k"), NOW).await, Ok(false));
    assert_eq!(get(&*elsewhere, &at, "k").await, None);
    assert_eq!(store.remove(&at, &key("k")).await, Ok(()), "there is nothing to remove");
}

pub(crate) async fn script_values_expire_by_the_clock_of_the_host(open: &OpenStore) {
    let store = open().await;
    let at = place("storage-expiry");
    let lasting = |condition| Put { expires_at: Some(NOW + 10), ..put("k", &json!("old"), condition) };
    assert_eq!(store.put(&at, lasting(Condition::Always), CAPS, NOW).await, Ok(PutDone::Stored));
    assert!(store.get(&at, &key("k"), NOW + 9).await.unwrap().is_some());
    assert!(store.get(&at, &key("k"), NOW + 10).await.unwrap().is_none());
    assert_eq!(store.has(&at, &key("k"), NOW + 10).await, Ok(false));
    let all =
        Listing { prefix: Key::prefix(Area::Storage, "").unwrap(), after: None, keys_max: 9, bytes_max: 99 };
    assert_eq!(store.list(&at, all, NOW + 10).await.unwrap().keys, []);
    // What has expired is absent for all conditions.
    let equals = Condition::Equals(StoredValue::of(&json!("old")));
    assert_eq!(store.put(&at, put("k", &json!(1), equals), CAPS, NOW + 10).await, Ok(PutDone::NotMet));
    let absent = put("k", &json!("new"), Condition::Absent);
    assert_eq!(store.put(&at, absent, CAPS, NOW + 10).await, Ok(PutDone::Stored));
    assert!(store.get(&at, &key("k"), NOW + 1_000_000).await.unwrap().is_some(), "no end was given");
    // Only a new number gets an end.
    let add = |now: i64| store.add(&at, &key("n"), 1.0, Some(now + 10), CAPS, now);
    assert_eq!(add(NOW).await, Ok(AddDone::Sum(1.0)));
    assert_eq!(add(NOW + 9).await, Ok(AddDone::Sum(2.0)));
    assert_eq!(add(NOW + 10).await, Ok(AddDone::Sum(1.0)));
}

/// Calls `make` forty times at once, on two hosts. Returns how many calls gave `true`.
async fn race<F>(open: &OpenStore, make: impl Fn(Arc<dyn Store>, usize) -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    let stores = [open().await, open().await];
    let tasks: Vec<_> =
        (0..40).map(|index| tokio::spawn(make(Arc::clone(&stores[index % 2]), index))).collect();
    let mut won = 0;
    for task in tasks {
        won += usize::from(task.await.unwrap());
    }
    won
}

pub(crate) async fn one_of_many_parallel_first_writes_wins(open: &OpenStore) {
    let at = place("storage-absent");
    let won = race(open, |store, index| {
        let at = at.clone();
        async move {
            let put = put("lock", &json!(index), Condition::Absent);
            store.put(&at, put, CAPS, NOW).await.unwrap() == PutDone::Stored
        }
    });
    assert_eq!(won.await, 1);
}

pub(crate) async fn one_of_many_parallel_exchanges_wins(open: &OpenStore) {
    let at = place("storage-equals");
    let store = open().await;
    set(&*store, &at, "token", &json!({"v": 1, "of": "a"})).await;
    let won = race(open, |store, index| {
        let at = at.clone();
        async move {
            let expected = StoredValue::of(&json!({"of": "a", "v": 1}));
            let put = put("token", &json!({"v": 2, "by": index}), Condition::Equals(expected));
            store.put(&at, put, CAPS, NOW).await.unwrap() == PutDone::Stored
        }
    });
    assert_eq!(won.await, 1);
    // No value counts as null, for one of all callers.
    let won = race(open, |store, index| {
        let at = at.clone();
        async move {
            let expected = Condition::Equals(StoredValue::of(&Value::Null));
            store.put(&at, put("new", &json!(index), expected), CAPS, NOW).await.unwrap() == PutDone::Stored
        }
    });
    assert_eq!(won.await, 1);
    for (stored, expected, is_met) in [
        (json!(0), json!(-0.0), true),
        (json!(1), json!("1"), false),
        (json!(null), json!(null), true),
        (json!([1, 2]), json!([2, 1]), false),
        (json!(false), json!(null), false),
    ] {
        set(&*store, &at, "k", &stored).await;
        let put = put("k", &json!("next"), Condition::Equals(StoredValue::of(&expected)));
        let done = store.put(&at, put, CAPS, NOW).await.unwrap();
        assert_eq!(done == PutDone::Stored, is_met, "{stored} {expected}");
    }
}

pub(crate) async fn parallel_increments_are_all_counted(open: &OpenStore) {
    let at = place("storage-add");
    let added = race(open, |store, _| {
        let at = at.clone();
        async move { matches!(store.add(&at, &key("n"), 2.5, None, CAPS, NOW).await, Ok(AddDone::Sum(_))) }
    });
    assert_eq!(added.await, 40);
    assert_eq!(get(&*open().await, &at, "n").await, Some(json!(100)));
}

pub(crate) async fn only_numbers_are_incremented(open: &OpenStore) {
    let store = open().await;
    let at = place("storage-number");
    for value in [json!("1"), json!(null), json!([1])] {
        set(&*store, &at, "k", &value).await;
        assert_eq!(store.add(&at, &key("k"), 1.0, None, CAPS, NOW).await, Ok(AddDone::NotANumber));
        assert_eq!(get(&*store, &at, "k").await, Some(value));
    }
    set(&*store, &at, "k", &json!(f64::MAX)).await;
    assert_eq!(store.add(&at, &key("k"), f64::MAX, None, CAPS, NOW).await, Ok(AddDone::Overflow));
    assert_eq!(store.add(&at, &key("k"), -f64::MAX, None, CAPS, NOW).await, Ok(AddDone::Sum(0.0)));
    // The server rounds this sum up.
    set(&*store, &at, "k", &json!(1.797_693_134_862_315_5e308)).await;
    let done = store.add(&at, &key("k"), 2.9937604643020797e292, None, CAPS, NOW).await;
    assert!(matches!(done, Ok(AddDone::Overflow | AddDone::Sum(_))), "{done:?}");
    set(&*store, &at, "k", &json!(0.1)).await;
    assert_eq!(store.add(&at, &key("k"), 0.2, None, CAPS, NOW).await, Ok(AddDone::Sum(0.1 + 0.2)));
    set(&*store, &at, "k", &json!(-f64::MAX)).await;
    assert_eq!(store.add(&at, &key("k"), -f64::MAX, None, CAPS, NOW).await, Ok(AddDone::Overflow));
}

pub(crate) async fn keys_are_listed_in_order_and_in_pieces(open: &OpenStore) {
    let store = open().await;
    let at = place("storage-list");
    for name in ["user:2", "user:10", "user:1", "User:3", "users", "a", "user-1", "z"] {
        set(&*store, &at, name, &json!(name)).await;
    }
    let all = ["User:3", "a", "user-1", "user:1", "user:10", "user:2", "users", "z"];
    assert_eq!(list(&*store, &at, "", None, 100).await, (all.map(str::to_owned).to_vec(), false));
    let users = |names: &[&str], has_more| (names.iter().map(|name| (*name).to_owned()).collect(), has_more);
    assert_eq!(list(&*store, &at, "user:", None, 2).await, users(&["user:1", "user:10"], true));
    assert_eq!(list(&*store, &at, "user:", Some("user:10"), 2).await, users(&["user:2"], false));
    assert_eq!(list(&*store, &at, "user:", Some("user:2"), 2).await, users(&[], false));
    assert_eq!(
        list(&*store, &at, "user:", Some("a"), 3).await,
        users(&["user:1", "user:10", "user:2"], false)
    );
    assert_eq!(list(&*store, &at, "user:", Some("z"), 3).await, users(&[], false));
    assert_eq!(list(&*store, &at, "", Some("user:3"), 1).await, users(&["users"], true));
}

pub(crate) async fn a_listing_is_bounded_by_bytes(open: &OpenStore) {
    let store = open().await;
    let at = place("storage-list-bytes");
    for name in ["a", "b", "c"] {
        set(&*store, &at, name, &json!("x".repeat(1_000))).await;
    }
    let listing = |bytes_max| Listing {
        prefix: Key::prefix(Area::Storage, "").unwrap(),
        after: None,
        keys_max: 9,
        bytes_max,
    };
    for (bytes_max, count) in [(1, 1), (2_100, 2), (10_000, 3)] {
        let listed = store.list(&at, listing(bytes_max), NOW).await.unwrap();
        assert_eq!((listed.keys.len(), listed.has_more), (count, count < 3), "{bytes_max}");
    }
}

pub(crate) async fn script_values_of_brands_namespaces_and_areas_are_separate(open: &OpenStore) {
    let store = open().await;
    let at = place("storage-apart");
    let others = [
        Place { brand: brand("storage-other"), ..at.clone() },
        Place { namespace: Namespace::new("other").unwrap(), ..at.clone() },
        Place { area: Area::Cache, ..at.clone() },
    ];
    set(&*store, &at, "k", &json!("mine")).await;
    for other in &others {
        assert_eq!(get(&*store, other, "k").await, None);
        assert_eq!(list(&*store, other, "", None, 9).await.0, Vec::<String>::new());
        set(&*store, other, "k", &json!("theirs")).await;
        store.remove(other, &key("k")).await.unwrap();
    }
    assert_eq!(get(&*store, &at, "k").await, Some(json!("mine")));
}

pub(crate) async fn rejects_script_values_over_the_quotas(open: &OpenStore) {
    let store = open().await;
    let at = place("storage-caps");
    let two_keys = StorageCaps { keys_max: 2, ..CAPS };
    for (name, done) in [
        ("a", PutDone::Stored),
        ("b", PutDone::Stored),
        ("c", PutDone::Full(Quota::Keys)),
        ("b", PutDone::Stored),
    ] {
        assert_eq!(
            store.put(&at, put(name, &json!(1), Condition::Always), two_keys, NOW).await,
            Ok(done),
            "{name}"
        );
    }
    assert_eq!(store.add(&at, &key("c"), 1.0, None, two_keys, NOW).await, Ok(AddDone::Full(Quota::Keys)));
    assert_eq!(store.add(&at, &key("b"), 1.0, None, two_keys, NOW).await, Ok(AddDone::Sum(2.0)));
    assert_eq!(get(&*store, &at, "c").await, None);
    store.remove(&at, &key("a")).await.unwrap();
    set(&*store, &at, "c", &json!("x".repeat(1_000))).await;
    let bytes = StorageCaps { bytes_max: 1_300, ..CAPS };
    let text = |length: usize| json!("y".repeat(length));
    let puts = [
        ("d", text(500), PutDone::Full(Quota::Bytes)),
        ("c", text(1_100), PutDone::Stored),
        ("c", text(1_200), PutDone::Full(Quota::Bytes)),
        ("c", text(1_000), PutDone::Stored),
        ("c", text(10), PutDone::Stored),
        ("d", text(900), PutDone::Stored),
    ];
    for (name, value, done) in puts {
        let length = value.as_str().unwrap().len();
        let put = put(name, &value, Condition::Always);
        assert_eq!(store.put(&at, put, bytes, NOW).await, Ok(done), "{name} {length}");
    }
    // A quota that was reduced rejects no change that needs less room.
    let less = StorageCaps { bytes_max: 1, keys_max: 1, ..CAPS };
    assert_eq!(store.put(&at, put("d", &text(800), Condition::Always), less, NOW).await, Ok(PutDone::Stored));
    assert_eq!(store.add(&at, &key("e"), 1.0, None, less, NOW).await, Ok(AddDone::Full(Quota::Keys)));
}

/// After any changes, exactly as many keys fit as the quota says.
pub(crate) async fn usage_follows_parallel_changes(open: &OpenStore) {
    let at = place("storage-usage");
    let done = race(open, |store, index| {
        let at = at.clone();
        async move {
            let name = format!("k{}", index % 5);
            for round in 0..4 {
                match (index + round) % 4 {
                    0 => set(&*store, &at, &name, &json!("x".repeat(index))).await,
                    1 => store.remove(&at, &key(&name)).await.unwrap(),
                    2 => drop(
                        store.put(&at, put(&name, &json!(1), Condition::Absent), CAPS, NOW).await.unwrap(),
                    ),
                    _ => drop(store.add(&at, &key(&name), 1.0, None, CAPS, NOW).await.unwrap()),
                }
            }
            true
        }
    });
    assert_eq!(done.await, 40);
    let store = open().await;
    for index in 0..5 {
        store.remove(&at, &key(&format!("k{index}"))).await.unwrap();
    }
    let row = |length: usize| put("only", &json!("x".repeat(length)), Condition::Always);
    // One row of 64 + 7 + 4 bytes with its key, and 103 of the text.
    let exact = StorageCaps { keys_max: 1, bytes_max: 64 + 7 + 4 + 102, ..CAPS };
    assert_eq!(store.put(&at, row(101), exact, NOW).await, Ok(PutDone::Full(Quota::Bytes)));
    assert_eq!(store.put(&at, row(100), exact, NOW).await, Ok(PutDone::Stored));
    assert_eq!(
        store.put(&at, put("k", &json!(1), Condition::Always), exact, NOW).await,
        Ok(PutDone::Full(Quota::Keys))
    );
}

/// Deleting affects all brands, so this test uses times long before those of other tests.
pub(crate) async fn expired_script_values_are_deleted_in_batches(open: &OpenStore) {
    let store = open().await;
    for area in [Area::Storage, Area::Cache] {
        let at = Place { area, ..place("storage-delete") };
        for (index, name) in (0..).zip(["a", "b", "c", "d", "e"]) {
            let put = Put { expires_at: Some(1_000 + index), ..put(name, &json!(1), Condition::Always) };
            assert_eq!(store.put(&at, put, CAPS, 0).await, Ok(PutDone::Stored));
        }
        assert_eq!(store.delete_expired_values(area, 999, 10).await, Ok(0));
        assert_eq!(store.delete_expired_values(area, 1_003, 3).await, Ok(3));
        assert_eq!(store.delete_expired_values(area, 1_003, 3).await, Ok(1));
        assert_eq!(store.has(&at, &key("e"), 1_003).await, Ok(true));
        let one = StorageCaps { keys_max: 2, ..CAPS };
        let mut puts = Vec::new();
        for name in ["f", "g"] {
            puts.push(store.put(&at, put(name, &json!(1), Condition::Always), one, 0).await.unwrap());
        }
        assert_eq!(puts, [PutDone::Stored, PutDone::Full(Quota::Keys)], "deleted keys do not count");
        assert_eq!(store.delete_expired_values(area, 1_004, 3).await, Ok(1));
    }
}

pub(crate) async fn a_cache_forgets_what_expires_first(open: &OpenStore) {
    let store = open().await;
    let at = Place { area: Area::Cache, ..place("cache-forget") };
    let other = Place { brand: brand("cache-other"), ..at.clone() };
    for (name, ends) in [("late", 30), ("soon", 10), ("later", 20)] {
        let put = Put { expires_at: Some(NOW + ends), ..put(name, &json!(1), Condition::Always) };
        assert_eq!(store.put(&at, put.clone(), CAPS, NOW).await, Ok(PutDone::Stored));
        assert_eq!(store.put(&other, put, CAPS, NOW).await, Ok(PutDone::Stored));
    }
    assert_eq!(store.forget(at.area, &at.brand, i64::MAX, 2).await, Ok(2));
    assert_eq!(get(&*store, &at, "soon").await, None);
    assert_eq!(get(&*store, &at, "later").await, None);
    assert_eq!(get(&*store, &at, "late").await, Some(json!(1)));
    assert_eq!(get(&*store, &other, "soon").await, Some(json!(1)), "another brand's");
    assert_eq!(store.forget(at.area, &at.brand, i64::MAX, 2).await, Ok(1));

    let at = place("storage-forget");
    for (name, expires_at) in [("expired", Some(NOW)), ("later", Some(NOW + 1)), ("never", None)] {
        let put = Put { expires_at, ..put(name, &json!(1), Condition::Always) };
        assert_eq!(store.put(&at, put, CAPS, NOW - 1).await, Ok(PutDone::Stored));
    }
    assert_eq!(store.forget(at.area, &at.brand, NOW, 9).await, Ok(1));
    assert_eq!(list(&*store, &at, "", None, 9).await.0, ["later", "never"]);
}
