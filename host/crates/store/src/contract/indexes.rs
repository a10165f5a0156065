//! Indexes and unique fields.

use std::sync::Arc;

use serde_json::{Value, json};

use sluice_crm::WriteInto::{Holder, New};
use sluice_crm::search::{Operand, Order, Test};
use sluice_crm::{
    Address, CapsOfBrand, CrmCaps, CrmFault, CrmSchema, CrmWrite, Filter, IndexStep, Indexing, JobEnd,
    Reference, Refusal, Search, Slug, WriteInto,
};

use super::by_id::{create, create_at, update};
use super::{NOW, OpenStore, brand, entries, key, queue, try_put, write};
use crate::Store;

async fn declare(store: &dyn Store, brand: &str, fields: &str) -> Vec<String> {
    let schema = format!("[[entity]]\nslug = 'leads'\n{fields}\n[[entity]]\nslug = 'deals'");
    store.apply_crm_schema(brand, CrmSchema::parse(&schema, "crm.toml").unwrap()).await.unwrap()
}

fn field(key: &str, rest: &str) -> String {
    format!("[[entity.field]]\nkey = '{key}'\n{rest}\n")
}

async fn build(store: &dyn Store, brand: &str) -> Vec<IndexStep> {
    let mut steps = Vec::new();
    while let Some(step) = store.build_index(Some(brand)).await.unwrap() {
        steps.push(step);
    }
    steps
}

async fn leads(store: &dyn Store, test: &str, fields: &str) -> Address {
    let brand = brand(test);
    declare(store, &brand, fields).await;
    build(store, &brand).await;
    Address { brand, slug: Slug::new("leads").unwrap(), reference: Reference::new("customer", "7").unwrap() }
}

fn of(at: &Address, id: impl ToString) -> Address {
    Address { reference: Reference::new("customer", &id.to_string()).unwrap(), ..at.clone() }
}

async fn indexing(store: &dyn Store, at: &Address) -> Vec<Indexing> {
    let entity = store.find_entity(&at.brand, at.slug.clone()).await.unwrap().unwrap();
    entity.fields.iter().map(|(_, field)| field.indexing()).collect()
}

/// The number of entries whose `a` is this number, by the index.
async fn counted(store: &dyn Store, at: &Address, number: f64) -> u32 {
    let search = Search {
        slug: at.slug.clone(),
        reference: None,
        filter: Filter::All(vec![Filter::Field(key("a"), Test::Eq(Operand::Number(number)))]),
        order: Order { field: None, is_descending: false },
        after: None,
        limit: None,
        bytes_max: 0,
    };
    store.search_entries(&at.brand, search).await.unwrap().count
}

pub(crate) async fn an_index_is_declared_built_and_removed(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "declared", &field("a", "")).await;
    for n in 0..3 {
        create(&*store, &of(&at, n), json!({"a": n})).await.unwrap();
    }
    for (fields, to, said) in [
        (field("a", "index = true"), Indexing::Plain, "no index → index"),
        (field("a", ""), Indexing::Plain, ""),
        (field("a", "unique = true"), Indexing::Unique, "index → unique"),
        (field("a", "index = true"), Indexing::Unique, ""),
        (field("a", "unique = false"), Indexing::Plain, "unique → index"),
        (field("a", "index = false"), Indexing::None, "index → no index"),
        (field("a", "unique = true"), Indexing::Unique, "no index → unique"),
    ] {
        let changes = declare(&*store, &at.brand, &fields).await;
        let expected = match said {
            "" => vec![],
            said => vec![format!("changed field \"a\" of entity \"leads\": {said}")],
        };
        assert_eq!(changes, expected, "{fields}");
        assert_eq!(indexing(&*store, &at).await, [to]);
        build(&*store, &at.brand).await;
        assert_eq!(counted(&*store, &at, 1.0).await, 1);
        let second = create(&*store, &of(&at, "x"), json!({"a": 1})).await;
        assert_eq!(second.is_err(), to == Indexing::Unique, "{fields}");
        if let Ok(id) = second {
            assert_eq!(counted(&*store, &at, 1.0).await, 2);
            let delete = CrmWrite::DeleteEntry { at: of(&at, "x").line(), id };
            store.write_crm(&at.brand, delete, CrmCaps::default(), NOW).await.unwrap();
        }
    }
}

pub(crate) async fn writers_keep_an_index_complete_while_it_is_built(open: &OpenStore) {
    let stores = [open().await, open().await];
    let at = leads(&*stores[0], "online", &field("a", "")).await;
    for n in 0..600 {
        create(&*stores[0], &of(&at, n % 20), json!({"a": 0})).await.unwrap();
    }
    // Each of these writers changes, adds, gives away and deletes entries of its own references.
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (store, at) = (Arc::clone(&stores[writer % 2]), of(&at, writer));
            tokio::spawn(async move {
                for n in 0..25 {
                    let own = entries(&*store, &at).await;
                    let write = update(&at, own[n].id, json!({"a": 1}), None);
                    store.write_crm(&at.brand, write, CrmCaps::default(), NOW).await.unwrap();
                    create(&*store, &at, json!({"a": 2})).await.unwrap();
                    let delete = CrmWrite::DeleteEntry { at: at.line(), id: own[own.len() - 1].id };
                    store.write_crm(&at.brand, delete, CrmCaps::default(), NOW).await.unwrap();
                }
                let to = of(&at, format!("given-{writer}"));
                let give = CrmWrite::Reassign {
                    slug: at.slug.clone(),
                    from: at.reference.clone(),
                    to: to.reference,
                };
                store.write_crm(&at.brand, give, CrmCaps::default(), NOW).await.unwrap();
            })
        })
        .collect();
    declare(&*stores[1], &at.brand, &field("a", "index = true")).await;
    let builders = stores.clone().map(|store| {
        let brand = at.brand.clone();
        tokio::spawn(async move { build(&*store, &brand).await })
    });
    for done in writers {
        done.await.unwrap();
    }
    for done in builders {
        done.await.unwrap();
    }
    assert_eq!(build(&*stores[0], &at.brand).await, []);
    // What the index counts is what the entries have.
    let mut having = [0; 3];
    for id in (0..20).map(|n| n.to_string()).chain((0..4).map(|n| format!("given-{n}"))) {
        for entry in entries(&*stores[0], &of(&at, id)).await {
            having[entry.values[0].1.as_u64().unwrap() as usize] += 1;
        }
    }
    assert_eq!(having.iter().sum::<u32>(), 600);
    for (number, having) in having.into_iter().enumerate() {
        assert_eq!(counted(&*stores[0], &at, number as f64).await, having, "{number}");
    }
}

pub(crate) async fn one_of_many_parallel_writers_gets_a_unique_value(open: &OpenStore) {
    let stores = [open().await, open().await];
    let at = leads(&*stores[0], "unique", &field("a", "unique = true")).await;
    for round in 0..5 {
        let tries: Vec<_> = (0..12)
            .map(|n| {
                let (store, at) = (Arc::clone(&stores[n % 2]), of(&at, n));
                tokio::spawn(async move { create(&*store, &at, json!({"a": round, "n": n})).await })
            })
            .collect();
        let mut won = 0;
        for tried in tries {
            match tried.await.unwrap() {
                Ok(_) => won += 1,
                Err(fault) => assert_eq!(fault, Refusal::Duplicate.into()),
            }
        }
        assert_eq!(won, 1, "round {round}");
        assert_eq!(counted(&*stores[0], &at, f64::from(round)).await, 1);
    }
}

pub(crate) async fn opposite_writers_of_two_unique_fields_do_not_deadlock(open: &OpenStore) {
    let stores = [open().await, open().await];
    let fields = field("a", "unique = true") + &field("b", "unique = true");
    let at = leads(&*stores[0], "opposite", &fields).await;
    let one = create(&*stores[0], &of(&at, 1), json!({"a": 1, "b": 2})).await.unwrap();
    let two = create(&*stores[0], &of(&at, 2), json!({"a": 2, "b": 1})).await.unwrap();
    for _ in 0..20 {
        // Each wants what the other has, and what it has itself becomes free only if it succeeds.
        let swaps = [(1, one, 2, 1), (2, two, 1, 2)].map(|(reference, id, a, b)| {
            let (store, at) = (Arc::clone(&stores[reference % 2]), of(&at, reference));
            tokio::spawn(async move {
                let write = update(&at, id, json!({"a": a, "b": b}), None);
                store.write_crm(&at.brand, write, CrmCaps::default(), NOW).await
            })
        });
        for swap in swaps {
            assert_eq!(swap.await.unwrap(), Err(Refusal::Duplicate.into()));
        }
    }
    // Both take two new values, in opposite orders.
    for round in 3..13 {
        let takes = [(1, one, "a", "b"), (2, two, "b", "a")].map(|(reference, id, first, second)| {
            let (store, at) = (Arc::clone(&stores[reference % 2]), of(&at, reference));
            tokio::spawn(async move {
                let write = update(&at, id, json!({first: round, second: round}), None);
                store.write_crm(&at.brand, write, CrmCaps::default(), NOW).await
            })
        });
        let mut won = 0;
        for take in takes {
            match take.await.unwrap() {
                Ok(_) => won += 1,
                Err(fault) => assert_eq!(fault, Refusal::Duplicate.into()),
            }
        }
        assert_eq!(won, 1);
    }
}

pub(crate) async fn a_unique_value_becomes_free_again(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "free", &field("a", "unique = true")).await;
    let (store, at) = (&*store, &at);
    let change = |id, fields| async move {
        store.write_crm(&at.brand, update(at, id, fields, None), CrmCaps::default(), NOW).await.map(drop)
    };
    let first = create(store, at, json!({"a": "x"})).await.unwrap();
    let taken = || async { create(store, &of(at, 8), json!({"a": "x"})).await };
    assert_eq!(taken().await, Err(Refusal::Duplicate.into()));
    assert_eq!(change(first, json!({"a": "x", "b": 1})).await, Ok(()), "the entry has the value itself");
    assert_eq!(change(first, json!({"a": "X"})).await, Ok(()), "another text");
    let second = taken().await.unwrap();
    assert_eq!(change(first, json!({"a": "x"})).await, Err(Refusal::Duplicate.into()));
    assert_eq!(change(first, json!({"a": null})).await, Ok(()));
    let delete = CrmWrite::DeleteEntry { at: of(at, 8).line(), id: second };
    store.write_crm(&at.brand, delete, CrmCaps::default(), NOW).await.unwrap();
    assert_eq!(change(first, json!({"a": "x"})).await, Ok(()));
    store.write_crm(&at.brand, CrmWrite::Clear { at: at.line() }, CrmCaps::default(), NOW).await.unwrap();
    taken().await.unwrap();
    // Numbers are equal as numbers, and a text is never equal to a number. Any number of entries have no value.
    create(store, at, json!({"a": 1})).await.unwrap();
    for (value, is_free) in [(json!(1.0), false), (json!("1"), true), (json!(0), true), (json!(-0.0), false)]
    {
        assert_eq!(create(store, at, json!({"a": value})).await.is_ok(), is_free, "{value}");
    }
    for value in [json!(["x".repeat(500)]), json!({"x": 1})] {
        assert!(create(store, at, json!({"a": value})).await.is_ok());
        assert!(create(store, at, json!({"a": value})).await.is_err());
    }
    let long = "y".repeat(9_000);
    for (value, is_free) in
        [(format!("{long}1"), true), (format!("{long}2"), true), (format!("{long}1"), false)]
    {
        assert_eq!(create(store, at, json!({"a": value})).await.is_ok(), is_free);
    }
    for _ in 0..2 {
        create(store, at, json!({"b": 1})).await.unwrap();
    }
}

pub(crate) async fn existing_duplicates_are_reported_and_block_the_index(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "duplicates", &field("a", "")).await;
    let mut ids = Vec::new();
    for n in 0..4 {
        let fields = json!({"a": n / 2});
        ids.push(create_at(&*store, &of(&at, n), fields, NOW + i64::from(n)).await.unwrap());
    }
    declare(&*store, &at.brand, &field("a", "unique = true")).await;
    let steps = build(&*store, &at.brand).await;
    let [step] = steps.as_slice() else { panic!("{steps:?}") };
    assert!(step.is_finished);
    assert_eq!(step.violations_total, 2);
    let shown: Vec<_> = step.violations.iter().map(|violation| (violation.entry, violation.other)).collect();
    assert_eq!(shown, [(ids[1], ids[0]), (ids[3], ids[2])]);
    assert_eq!(step.violations[0].reference, of(&at, 1).reference);
    assert_eq!(build(&*store, &at.brand).await, [], "it waits until crm.toml is applied again");
    // It can be used for filters, and no further entry gets a value that another has.
    assert_eq!(counted(&*store, &at, 0.0).await, 2);
    assert_eq!(create(&*store, &at, json!({"a": 1})).await, Err(Refusal::Duplicate.into()));
    for (reference, id) in [(1, ids[1]), (3, ids[3])] {
        let write = update(&of(&at, reference), id, json!({"a": null}), None);
        store.write_crm(&at.brand, write, CrmCaps::default(), NOW).await.unwrap();
    }
    assert_eq!(declare(&*store, &at.brand, &field("a", "unique = true")).await, Vec::<String>::new());
    let steps = build(&*store, &at.brand).await;
    assert_eq!((steps.len(), steps[0].violations_total), (1, 0));
}

pub(crate) async fn every_write_respects_unique_fields(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "every", &field("a", "unique = true")).await;
    let caps = CrmCaps::default();
    create(&*store, &of(&at, "owner"), json!({"a": "taken"})).await.unwrap();
    let mine = create(&*store, &at, json!({"b": 1})).await.unwrap();
    let deals = Address { slug: Slug::new("deals").unwrap(), ..at.clone() };
    create(&*store, &deals, json!({"x": "taken"})).await.unwrap();
    let set = |into: WriteInto| write(&at, &[("a", json!("taken"))], into);
    let moved = CrmWrite::MoveToEntity {
        reference: at.reference.clone(),
        from: deals.slug.clone(),
        to: at.slug.clone(),
        fields: vec![(key("x"), key("a"))],
        place: None,
        remove_from_old: true,
    };
    let writes = [set(Holder), set(New), update(&at, mine, json!({"a": "taken"}), None), moved];
    let duplicate = CrmFault::Refused(Refusal::Duplicate);
    for asked in writes {
        assert_eq!(store.write_crm(&at.brand, asked.clone(), caps, NOW).await, Err(duplicate.clone()));
        // A job is not applied, either, and says why.
        queue(&*store, &at.brand, asked, caps, NOW).await.unwrap();
        let caps_of_brand: CapsOfBrand = Arc::new(move |_: &str| caps);
        let runs = store.run_jobs(caps_of_brand, 1, NOW).await.unwrap();
        let ends: Vec<JobEnd> = runs.into_iter().map(|run| run.end).collect();
        let error = "another entry has the same value in a unique field".to_owned();
        assert_eq!(ends, [JobEnd::Parked { error }]);
    }
    let values: Vec<Value> = entries(&*store, &at).await.iter().map(|entry| json!(entry.values)).collect();
    assert_eq!(values, [json!([["b", 1]])]);
    assert_eq!(try_put(&*store, &at, &[("a", json!("free"))], Holder, caps, NOW).await, Ok(()));
}
