//! Writes other than fields: clearing, stages, other entities, other references.

use serde_json::{Value, json};

use sluice_crm::WriteInto::{Holder, New};
use sluice_crm::{
    Address, CrmCaps, CrmFault, CrmSchema, CrmWrite, CrmWritten, Destination, Named, Reference, Refusal, Slug,
};

use super::{NOW, OpenStore, entries, get, key, leads, put, set, try_put};
use crate::Store;

const DEALS: &str = "
[[entity]]
slug = 'leads'
[[entity]]
slug = 'deals'
[[entity.pipeline]]
slug = 'sales'
stages = [{ slug = 'new' }, { slug = 'won' }]
[[entity.pipeline]]
slug = 'support'
stages = [{ slug = 'open' }, { slug = 'won' }]
";

/// The customer's leads and deals.
pub(super) async fn leads_and_deals(store: &dyn Store, test: &str) -> (Address, Address) {
    let leads = leads(store, test).await;
    let schema = CrmSchema::parse(DEALS, "crm.toml").unwrap();
    store.apply_crm_schema(&leads.brand, schema).await.unwrap();
    let deals = Address { slug: Slug::new("deals").unwrap(), ..leads.clone() };
    (leads, deals)
}

pub(super) async fn write(store: &dyn Store, at: &Address, write: CrmWrite) -> Result<CrmWritten, CrmFault> {
    store.write_crm(&at.brand, write, CrmCaps::default(), NOW + 5).await
}

pub(super) fn to_stage(slug: &str) -> Destination {
    Destination { pipeline: None, stage: Some(Named { id: None, slug: Slug::new(slug) }) }
}

/// `leads.a` to `deals.b`.
pub(super) fn copy(
    from: &Address,
    to: &Address,
    place: Option<Destination>,
    remove_from_old: bool,
) -> CrmWrite {
    CrmWrite::MoveToEntity {
        reference: from.reference.clone(),
        from: from.slug.clone(),
        to: to.slug.clone(),
        fields: vec![(key("a"), key("b"))],
        place,
        remove_from_old,
    }
}

fn reference(kind: &str, id: &str) -> Reference {
    Reference::new(kind, id).unwrap()
}

pub(crate) async fn clearing_deletes_entries_and_frees_their_bytes(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "clear").await;
    let other = Address { reference: reference("customer", "8"), ..at.clone() };
    for at in [&at, &at, &other] {
        put(&*store, at, &[("a", json!("x".repeat(100))), ("b", json!(1))], New, NOW).await;
    }
    let clear = CrmWrite::Clear { at: at.line() };
    assert_eq!(write(&*store, &at, clear.clone()).await, Ok(CrmWritten::Cleared { deleted: 2 }));
    assert_eq!(write(&*store, &at, clear).await, Ok(CrmWritten::Cleared { deleted: 0 }));
    assert!(entries(&*store, &at).await.is_empty());
    assert_eq!(get(&*store, &at, &["a"]).await, [None]);
    assert_eq!(entries(&*store, &other).await.len(), 1);
    // All bytes are free again: the smallest entry fits exactly.
    write(&*store, &other, CrmWrite::Clear { at: other.line() }).await.unwrap();
    let bytes = sluice_crm::entry_bytes(&at.reference) + sluice_crm::value_bytes("a", 1);
    let try_one = |max| {
        let caps = CrmCaps { brand_bytes_max: max, ..CrmCaps::default() };
        let (store, at) = (&store, &at);
        async move { try_put(&**store, at, &[("a", json!(1))], Holder, caps, NOW).await }
    };
    assert!(try_one(bytes - 1).await.is_err());
    assert_eq!(try_one(bytes).await, Ok(()));
}

pub(crate) async fn returns_the_values_of_a_key_newest_first(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "values").await;
    let values = |limit, bytes_max| {
        let (store, at) = (&store, &at);
        async move { store.get_values(at, &key("a"), limit, bytes_max).await }
    };
    assert_eq!(values(5, 100).await, Ok(vec![]));
    for n in 0..4 {
        put(&*store, &at, &[(if n == 2 { "b" } else { "a" }, json!(n))], New, NOW).await;
    }
    assert_eq!(values(5, 100).await, Ok(vec![json!(3), json!(1), json!(0)]));
    assert_eq!(values(2, 100).await, Ok(vec![json!(3), json!(1)]));
    assert_eq!(values(3, 2).await, Err(CrmFault::ResultTooLarge));
    let unknown = Address { slug: Slug::new("nope").unwrap(), ..at.clone() };
    let unknown = store.get_values(&unknown, &key("a"), 1, 1).await;
    assert_eq!(unknown, Err(CrmFault::UnknownSlug("nope".to_owned())));
}

pub(crate) async fn moves_entries_into_stages(open: &OpenStore) {
    let store = open().await;
    let (_, at) = leads_and_deals(&*store, "stages").await;
    let to = |slug: &str, all_entries| CrmWrite::Move { at: at.line(), to: to_stage(slug), all_entries };
    let refused = |refusal| Err(CrmFault::Refused(refusal));
    assert_eq!(write(&*store, &at, to("open", false)).await, refused(Refusal::NoEntry));
    for n in 0..2 {
        put(&*store, &at, &[("n", json!(n))], New, NOW).await;
    }
    assert_eq!(write(&*store, &at, to("won", false)).await, refused(Refusal::AmbiguousStage));
    assert_eq!(write(&*store, &at, to("nope", false)).await, refused(Refusal::UnknownStage));
    let entity = store.find_entity(&at.brand, at.slug.clone()).await.unwrap().unwrap();
    let (pipeline, stage) = (&entity.pipelines[1], &entity.pipelines[1].stages[0]);
    let moved = |moved, matched| {
        Ok(CrmWritten::Moved { moved, matched, pipeline_id: pipeline.id, stage_id: stage.id })
    };
    assert_eq!(write(&*store, &at, to("open", false)).await, moved(1, 1));
    assert_eq!(write(&*store, &at, to("open", true)).await, moved(2, 2));
    assert_eq!(write(&*store, &at, to("open", true)).await, moved(2, 2));
    for entry in entries(&*store, &at).await {
        let placement = entry.placement.unwrap();
        assert_eq!((placement.pipeline_id, &*placement.pipeline_slug), (pipeline.id, "support"));
        assert_eq!((placement.stage_id, &*placement.stage_slug), (stage.id, "open"));
        assert_eq!(entry.updated_at, NOW + 5);
    }
}

pub(crate) async fn moves_fields_to_another_entity(open: &OpenStore) {
    let store = open().await;
    let (from, to) = leads_and_deals(&*store, "other-entity").await;
    let exact = json!({"z": -0.0, "a": "\0"});
    put(&*store, &from, &[("a", exact.clone()), ("c", json!(1))], New, NOW).await;
    let refused = write(&*store, &from, copy(&from, &to, Some(to_stage("won")), true)).await;
    assert_eq!(refused, Err(CrmFault::Refused(Refusal::AmbiguousStage)));
    assert!(entries(&*store, &to).await.is_empty(), "all or nothing");

    let kept = write(&*store, &from, copy(&from, &to, None, false)).await;
    assert_eq!(kept, Ok(CrmWritten::Copied { fields: 1, removed: 0 }));
    let place = Some(to_stage("open"));
    let moved = write(&*store, &from, copy(&from, &to, place, true)).await;
    assert_eq!(moved, Ok(CrmWritten::Copied { fields: 1, removed: 1 }));
    let target = entries(&*store, &to).await;
    let [target] = &target[..] else { panic!("{target:?}") };
    assert_eq!(target.values[0].1.to_string(), exact.to_string());
    assert_eq!(target.placement.as_ref().unwrap().stage_slug, "open");
    let source = entries(&*store, &from).await;
    assert_eq!(source[0].values, [("c".to_owned(), json!(1))]);
    let nothing = write(&*store, &from, copy(&from, &to, None, true)).await;
    assert_eq!(nothing, Err(CrmFault::Refused(Refusal::NothingToMove)));
}

pub(crate) async fn reassigns_entries_to_another_reference(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "reassign").await;
    let visitor = Address { reference: reference("quiz_visitor", "v"), ..at.clone() };
    let write_n = |at: &Address, n: i32, now| {
        let (store, at) = (store.clone(), at.clone());
        async move { put(&*store, &at, &[("n", json!(n))], New, now).await }
    };
    write_n(&visitor, 1, NOW).await;
    write_n(&at, 2, NOW + 1_000).await;
    write_n(&visitor, 3, NOW + 2_000).await;
    let reassign = CrmWrite::Reassign {
        slug: at.slug.clone(),
        from: visitor.reference.clone(),
        to: at.reference.clone(),
    };
    let done = write(&*store, &at, reassign.clone()).await;
    assert_eq!(done, Ok(CrmWritten::Reassigned { moved: 2 }));
    let values = store.get_values(&at, &key("n"), 5, 100).await;
    assert_eq!(values, Ok(vec![json!(3), json!(2), json!(1)]), "the order is that of creation");
    assert_eq!(get(&*store, &at, &["n"]).await, [Some(json!(3))]);
    assert!(entries(&*store, &visitor).await.is_empty());
    let again = write(&*store, &at, reassign).await;
    assert_eq!(again, Ok(CrmWritten::Reassigned { moved: 0 }));
    // A later write of the visitor makes a new entry.
    set(&*store, &visitor, "n", json!(4), NOW).await;
    assert_eq!(entries(&*store, &visitor).await.len(), 1);
}

pub(crate) async fn a_login_with_an_id_adopts_entries_of_every_entity(open: &OpenStore) {
    let store = open().await;
    let (in_leads, in_deals) = leads_and_deals(&*store, "adopt").await;
    let other = leads(&*store, "adopt").await;
    let (email, id) = (reference("customer", "email:a@b"), reference("customer", "42"));
    let at = |address: &Address, reference: &Reference| Address {
        reference: reference.clone(),
        ..address.clone()
    };
    for address in [&in_leads, &in_deals, &other] {
        put(&*store, &at(address, &email), &[("a", json!(1))], New, NOW).await;
    }
    put(&*store, &at(&in_deals, &id), &[("a", json!(0))], New, NOW).await;
    let adopt = || store.adopt_reference(&in_leads.brand, email.clone(), id.clone(), NOW);
    assert_eq!(adopt().await, Ok(2));
    assert_eq!(adopt().await, Ok(0));
    assert_eq!(entries(&*store, &at(&in_leads, &id)).await.len(), 1);
    assert_eq!(entries(&*store, &at(&in_deals, &id)).await.len(), 2);
    assert_eq!(entries(&*store, &at(&other, &email)).await.len(), 1, "entries of another brand stay");
}

/// Writes move fields between two entities in both directions at the same time.
pub(crate) async fn opposite_moves_do_not_deadlock(open: &OpenStore) {
    let stores = [open().await, open().await];
    let (a, b) = leads_and_deals(&*stores[0], "opposite").await;
    for at in [&a, &b] {
        put(&*stores[0], at, &[("a", json!(1)), ("b", json!(1))], New, NOW).await;
    }
    let tasks: Vec<_> = (0..40)
        .map(|task| {
            let (store, a, b) = (stores[task % 2].clone(), a.clone(), b.clone());
            let move_it = if task % 4 < 2 { copy(&a, &b, None, false) } else { copy(&b, &a, None, false) };
            tokio::spawn(async move { write(&*store, &a, move_it).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(CrmWritten::Copied { fields: 1, removed: 0 }));
    }
}

/// Text is never truncated and never interpreted as SQL.
pub(crate) async fn stores_hostile_text_exactly(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "hostile").await;
    let texts = [
        "'; DROP TABLE crm_value; --",
        "\" OR \"\"=\"",
        "$1 ?1 :a @a %s \\x00 \\'",
        "a\0b\0",
        "\u{feff}\u{202e}\u{2028}\u{7f}\u{10ffff}",
        &"\u{10ffff}".repeat(5_000),
    ];
    for text in texts {
        for (name, value) in [("text", json!(text)), ("object", json!({ text: [text] }))] {
            set(&*store, &at, name, value.clone(), NOW).await;
            assert_eq!(get(&*store, &at, &[name]).await, [Some(value)]);
        }
    }
    // The id of a reference is text, too.
    for id in ["'; DROP TABLE crm_entry; --", "a\0", "a\0b", "%", "_", "$1", "\u{feff}"] {
        let at = Address { reference: reference("order", id), ..at.clone() };
        set(&*store, &at, "id", json!(id), NOW).await;
        assert_eq!(get(&*store, &at, &["id"]).await, [Some(json!(id))]);
        assert_eq!(entries(&*store, &at).await.len(), 1, "{id:?} must not be mistaken for another reference");
    }
    for field in ["__proto__", "constructor", "a.b", "-", ".", "select"] {
        set(&*store, &at, field, json!(field), NOW).await;
    }
    let found = get(&*store, &at, &["__proto__", "constructor", "a.b", "-", ".", "select"]).await;
    let found: Vec<Value> = found.into_iter().flatten().collect();
    assert_eq!(found, ["__proto__", "constructor", "a.b", "-", ".", "select"].map(Value::from));
}
