//! Fields.

use serde_json::{Value, json};

use sluice_crm::WriteInto::{Holder, New, Newest};
use sluice_crm::{CrmCaps, CrmFault, CrmSchema, DEPTH_MAX, Entry, Reference, Slug};

use super::{NOW, OpenStore, entries, get, key, leads, put, set, try_put};

pub(crate) async fn values_are_stored_exactly(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "exact").await;
    let exact = [
        json!(-0.0),
        json!(0),
        json!(5e-324),
        json!(f64::MAX),
        json!(0.1 + 0.2),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1.0),
        json!(false),
        json!(""),
        json!("\0 \u{1f} é 🙂 \u{feff} \u{2028}"),
        json!([]),
        (0..DEPTH_MAX).fold(json!(1), |inner, _| json!({ "": inner })),
        json!({"z": 1, "a": {"__proto__": [-0.0, null]}, "": "\0"}),
    ];
    for (now, value) in (NOW..).zip(&exact) {
        set(&*store, &at, "__proto__", value.clone(), now).await;
        let got = get(&*store, &at, &["__proto__"]).await;
        let [Some(got)] = &got[..] else { panic!("{value} was lost") };
        // `==` takes -0.0 for 0.0 and does not look at the order of keys.
        assert_eq!(got.to_string(), value.to_string());
        assert_eq!(got, value);
    }
}

pub(crate) async fn reads_the_newest_entry_that_has_the_key(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "newest").await;
    let caps = CrmCaps::default();
    assert_eq!(get(&*store, &at, &["a"]).await, [None]);
    set(&*store, &at, "a", json!(1), NOW).await;
    set(&*store, &at, "b", json!(2), NOW).await;
    assert_eq!(entries(&*store, &at).await.len(), 1);
    let got = get(&*store, &at, &["b", "none", "a", "b"]).await;
    assert_eq!(got, [Some(json!(2)), None, Some(json!(1)), Some(json!(2))]);
    set(&*store, &at, "a", json!(null), NOW + 1).await;
    assert_eq!(get(&*store, &at, &["a"]).await, [Some(Value::Null)]);
    // Calls without keys only check that the entity exists.
    assert_eq!(try_put(&*store, &at, &[], Holder, caps, NOW).await, Ok(()));
    assert_eq!(get(&*store, &at, &[]).await, []);
}

pub(crate) async fn force_writes_into_the_newest_entry(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "force").await;
    // Without an entry, a forced write makes one as other writes do.
    put(&*store, &at, &[("a", json!(1))], Newest, NOW).await;
    put(&*store, &at, &[("b", json!(2))], New, NOW).await;
    set(&*store, &at, "a", json!(3), NOW + 1).await;
    assert_eq!(values(&entries(&*store, &at).await), ["b=2", "a=3"]);
    put(&*store, &at, &[("a", json!(4))], Newest, NOW + 2).await;
    let found = entries(&*store, &at).await;
    assert_eq!(values(&found), ["a=4 b=2", "a=3"]);
    assert_eq!((found[0].updated_at, found[1].updated_at), (NOW + 2, NOW + 1));
    assert_eq!(get(&*store, &at, &["a"]).await, [Some(json!(4))]);
}

pub(crate) async fn each_field_is_written_to_the_entry_that_has_it(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "holder").await;
    for field in ["a", "b", "c"] {
        put(&*store, &at, &[(field, json!(0))], New, NOW).await;
    }
    let fields = [("d", json!(1)), ("a", json!(1)), ("b", json!(1))];
    put(&*store, &at, &fields, Holder, NOW).await;
    assert_eq!(values(&entries(&*store, &at).await), ["c=0 d=1", "b=1", "a=1"]);
    // Two entries have the key: the newer one is read and written.
    put(&*store, &at, &[("a", json!(2))], New, NOW).await;
    assert_eq!(get(&*store, &at, &["a", "c"]).await, [Some(json!(2)), Some(json!(0))]);
    set(&*store, &at, "a", json!(3), NOW).await;
    let found = entries(&*store, &at).await;
    assert_eq!(values(&found), ["a=3", "c=0 d=1", "b=1", "a=1"]);
}

/// Each entry as `key=value key=value`.
fn values(entries: &[Entry]) -> Vec<String> {
    let text = |(key, value): &(String, Value)| format!("{key}={value}");
    let one = |entry: &Entry| entry.values.iter().map(text).collect::<Vec<_>>().join(" ");
    entries.iter().map(one).collect()
}

pub(crate) async fn several_fields_make_one_entry(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "several").await;
    let fields = [("a", json!(1)), ("b", json!([2])), ("c", json!("3"))];
    put(&*store, &at, &fields, Holder, NOW).await;
    let found = entries(&*store, &at).await;
    assert_eq!(found.len(), 1, "one new entry for all of them");
    let expected = fields.map(|(key, value)| (key.to_owned(), value));
    assert_eq!(found[0].values, expected);
}

pub(crate) async fn the_last_of_two_equal_keys_is_stored(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "twice").await;
    let twice = [("a", json!(1)), ("a", json!(2))];
    put(&*store, &at, &twice, Holder, NOW).await;
    assert_eq!(get(&*store, &at, &["a"]).await, [Some(json!(2))]);
}

pub(crate) async fn rejects_unknown_slugs(open: &OpenStore) {
    let store = open().await;
    let mut at = leads(&*store, "unknown").await;
    at.slug = Slug::new("nope").unwrap();
    let caps = CrmCaps::default();
    let unknown = CrmFault::UnknownSlug("nope".to_owned());
    let got = store.get_fields(&at, &[key("a")], 1).await;
    assert_eq!(got.unwrap_err(), unknown);
    let got = store.get_entries(&at, 1, 1).await;
    assert_eq!(got.unwrap_err(), unknown);
    for fields in [&[][..], &[("a", json!(1))][..]] {
        let got = try_put(&*store, &at, fields, Holder, caps, NOW).await;
        assert_eq!(got.unwrap_err(), unknown);
    }
    let found = store.find_entity(&at.brand, at.slug.clone()).await;
    assert_eq!(found, Ok(None));
    let more = "[[entity]]\nslug = 'a'\n[[entity]]\nslug = 'z'";
    store.apply_crm_schema(&at.brand, CrmSchema::parse(more, "").unwrap()).await.unwrap();
    let slugs = async |first: Option<&str>, slugs_max| {
        store.entity_slugs(&at.brand, first.and_then(Slug::new), slugs_max).await.unwrap()
    };
    assert_eq!(slugs(None, 9).await, ["a", "leads", "z"]);
    assert_eq!(slugs(Some("nope"), 2).await, ["a", "leads"]);
    assert_eq!(slugs(Some("z"), 2).await, ["z", "a"]);
    assert_eq!(store.entity_slugs("another", Slug::new("z"), 9).await, Ok(vec![]));
}

pub(crate) async fn references_are_separate(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "apart").await;
    let other = leads(&*store, "apart").await;
    let others = [
        Reference::new("order", "7").unwrap(),
        Reference::new("customer", "8").unwrap(),
        Reference::new("customer", "7\0").unwrap(),
        Reference::new("customer", "7 ").unwrap(),
        Reference::new("Customer", "7").unwrap(),
    ];
    set(&*store, &at, "a", json!("mine"), NOW).await;
    for reference in others {
        let mut at = at.clone();
        at.reference = reference;
        assert_eq!(get(&*store, &at, &["a"]).await, [None]);
        assert!(entries(&*store, &at).await.is_empty());
        set(&*store, &at, "a", json!("theirs"), NOW).await;
    }
    assert_eq!(get(&*store, &other, &["a"]).await, [None], "another brand");
    set(&*store, &other, "a", json!("theirs"), NOW).await;
    assert_eq!(get(&*store, &at, &["a"]).await, [Some(json!("mine"))]);
}

pub(crate) async fn parallel_first_writes_make_one_entry(open: &OpenStore) {
    let stores = [open().await, open().await];
    for round in 0..10 {
        let at = leads(&*stores[0], &format!("race{round}")).await;
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let (store, at) = (stores[task % 2].clone(), at.clone());
                tokio::spawn(async move { set(&*store, &at, "a", json!(task), NOW).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(entries(&*stores[1], &at).await.len(), 1);
    }
}

pub(crate) async fn parallel_fields_are_all_kept(open: &OpenStore) {
    let stores = [open().await, open().await];
    let at = leads(&*stores[0], "kept").await;
    let tasks: Vec<_> = (0..100)
        .map(|task| {
            let (store, at) = (stores[task % 2].clone(), at.clone());
            let field = format!("field-{task:03}");
            tokio::spawn(async move { set(&*store, &at, &field, json!(task), NOW).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let found = entries(&*stores[1], &at).await;
    assert_eq!(found.len(), 1);
    let values = found[0].values.iter().map(|(_, value)| value.clone());
    assert!(values.eq((0..100).map(Value::from)));
}
