//! Searches. Whatever an index finds, examining all entries must find, too.

use serde_json::{Value, json};

use sluice_crm::search::{EXAMINED_MAX, Operand, Order, Test, UNINDEXED_ENTRIES_MAX};
use sluice_crm::{
    Address, CrmCaps, CrmFault, CrmSchema, CrmWrite, Filter, Found, Indexing, Reference, Search, Slug,
};

use super::by_id::{create, create_at};
use super::{NOW, OpenStore, brand, key};
use crate::Store;

/// The entity `leads` with the fields `v` and `w`, both with an index or without.
async fn leads_with(store: &dyn Store, test: &str, indexed: bool) -> Address {
    let brand = brand(test);
    let schema = format!(
        "[[entity]]\nslug = 'leads'\n[[entity.field]]\nkey = 'v'\nindex = {indexed}\n\
         [[entity.field]]\nkey = 'w'\nindex = {indexed}\n[[entity]]\nslug = 'others'"
    );
    store.apply_crm_schema(&brand, CrmSchema::parse(&schema, "crm.toml").unwrap()).await.unwrap();
    while store.build_index(Some(&brand)).await.unwrap().is_some() {}
    Address { brand, slug: Slug::new("leads").unwrap(), reference: Reference::new("customer", "7").unwrap() }
}

/// One value of each type and the borders between them. No two are equal.
fn samples() -> Vec<Option<Value>> {
    let long = "é".repeat(59) + "a";
    let mut samples = vec![
        json!(false),
        json!(true),
        json!(-1e308),
        json!(-9_007_199_254_740_993_i64),
        json!(-1.5),
        json!(0),
        json!(1e-300),
        json!(1),
        json!(1.5),
        json!(10),
        json!(255),
        json!(70_000),
        json!(u64::MAX),
        json!(1e308),
        json!(""),
        json!("\0"),
        json!("10"),
        json!("9"),
        json!("A"),
        json!("Z"),
        json!("a"),
        json!("a%_b"),
        json!("ab"),
        json!("z"),
        json!("ä"),
        json!("é"),
        json!(long),
        json!("\u{ffff}"),
        json!("🙂"),
    ];
    samples.push(json!([1]));
    samples.into_iter().map(Some).chain([None]).collect()
}

/// Adds the samples in an order that is not theirs. Returns the index of each entry's sample, in order of
/// creation.
async fn fill(store: &dyn Store, at: &Address) -> Vec<usize> {
    let samples = samples();
    let order: Vec<usize> = (0..samples.len()).map(|n| n * 7 % samples.len()).collect();
    for (place, sample) in order.iter().enumerate() {
        let at =
            Address { reference: Reference::new("order", &(place % 3).to_string()).unwrap(), ..at.clone() };
        let mut fields = json!({"w": place % 2, "n": sample});
        if let Some(value) = &samples[*sample] {
            fields["v"] = value.clone();
        }
        create_at(store, &at, fields, NOW + place as i64).await.unwrap();
    }
    order
}

fn search(at: &Address, filter: Filter) -> Search {
    Search {
        slug: at.slug.clone(),
        reference: None,
        filter,
        order: Order { field: None, is_descending: false },
        after: None,
        limit: Some(200),
        bytes_max: usize::MAX,
    }
}

fn v(test: Test) -> Filter {
    Filter::Field(key("v"), test)
}

async fn found(store: &dyn Store, at: &Address, search: Search) -> Found {
    store.search_entries(&at.brand, search).await.unwrap()
}

/// The numbers of the samples that were found, in the order in which they were found.
fn numbers(found: &Found) -> Vec<usize> {
    let number = |(name, value): &(String, Value)| (name == "n").then(|| value.as_u64().unwrap() as usize);
    found.entries.iter().map(|found| found.entry.values.iter().find_map(number).unwrap()).collect()
}

fn operand(value: &Value) -> Option<Operand> {
    match value {
        Value::Bool(flag) => Some(Operand::Flag(*flag)),
        Value::Number(number) => number.as_f64().map(Operand::Number),
        Value::String(text) => Some(Operand::Text(text.clone())),
        _ => None,
    }
}

/// How two values compare, written down once more without bytes.
fn compare(left: Option<&Value>, right: &Operand) -> Option<std::cmp::Ordering> {
    match (left?, right) {
        (Value::Bool(left), Operand::Flag(right)) => Some(left.cmp(right)),
        (Value::Number(left), Operand::Number(right)) => left.as_f64().unwrap().partial_cmp(right),
        (Value::String(left), Operand::Text(right)) => Some(left.chars().cmp(right.chars())),
        _ => None,
    }
}

/// Whether a value fulfils a condition.
type Holds = Box<dyn Fn(Option<&Value>) -> bool>;
/// A kind of condition, and which orders of the value and the operand fulfil it.
type Comparison = (fn(Operand) -> Test, fn(Option<std::cmp::Ordering>) -> bool);

/// For each condition: whether a sample fulfils it.
fn conditions() -> Vec<(Test, Holds)> {
    let mut all: Vec<(Test, Holds)> = vec![
        (Test::Exists(true), Box::new(|value| value.is_some())),
        (Test::Exists(false), Box::new(|value| value.is_none())),
        (Test::In(vec![]), Box::new(|_| false)),
        (
            Test::In(vec![Operand::Number(1.0), Operand::Text("a".to_owned()), Operand::Number(1.0)]),
            Box::new(|value| value == Some(&json!(1)) || value == Some(&json!("a"))),
        ),
    ];
    for start in ["", "a", "a%", "é", &"é".repeat(59), &"é".repeat(70), "\0", "🙂"] {
        let text = start.to_owned();
        let holds =
            move |value: Option<&Value>| value.and_then(Value::as_str).is_some_and(|v| v.starts_with(&text));
        all.push((Test::StartsWith(start.to_owned()), Box::new(holds)));
    }
    // A text that is longer than what an index holds, and equal to a stored one as far as that goes.
    let longer = json!("é".repeat(59) + "ab");
    for value in samples().iter().flatten().chain([&longer, &json!(2), &json!("nope"), &json!(-0.0)]) {
        let Some(operand) = operand(value) else { continue };
        let each: [Comparison; 6] = [
            (Test::Eq, |order| order.is_some_and(|order| order.is_eq())),
            (Test::Ne, |order| !order.is_some_and(|order| order.is_eq())),
            (Test::Lt, |order| order.is_some_and(|order| order.is_lt())),
            (Test::Lte, |order| order.is_some_and(|order| order.is_le())),
            (Test::Gt, |order| order.is_some_and(|order| order.is_gt())),
            (Test::Gte, |order| order.is_some_and(|order| order.is_ge())),
        ];
        for (test, holds) in each {
            let own = operand.clone();
            all.push((test(operand.clone()), Box::new(move |value| holds(compare(value, &own)))));
        }
    }
    all
}

pub(crate) async fn filters_compare_values_of_every_type(open: &OpenStore) {
    let store = open().await;
    let at = leads_with(&*store, "filters", false).await;
    let order = fill(&*store, &at).await;
    let samples = samples();
    for (test, holds) in conditions() {
        let expected: Vec<usize> = order.iter().copied().filter(|n| holds(samples[*n].as_ref())).collect();
        let got = found(&*store, &at, search(&at, v(test.clone()))).await;
        assert_eq!(numbers(&got), expected, "{test:?}");
        assert_eq!(got.next, None);
    }
    let both = Filter::All(vec![
        Filter::Field(key("w"), Test::Eq(Operand::Number(1.0))),
        Filter::Any(vec![v(Test::Lt(Operand::Number(0.0))), v(Test::StartsWith("a".to_owned()))]),
    ]);
    let got = numbers(&found(&*store, &at, search(&at, both)).await);
    assert!(!got.is_empty() && got.iter().all(|n| order.iter().position(|m| m == n).unwrap() % 2 == 1));
    let none = found(&*store, &at, search(&at, Filter::Any(vec![]))).await;
    assert_eq!(none.entries, []);
}

pub(crate) async fn orders_values_of_every_type_and_ends_with_missing_ones(open: &OpenStore) {
    let store = open().await;
    for indexed in [false, true] {
        let at = leads_with(&*store, "orders", indexed).await;
        fill(&*store, &at).await;
        let mut expected: Vec<usize> = (0..samples().len()).collect();
        for is_descending in [false, true] {
            let order = Order { field: Some(key("v")), is_descending };
            let got = found(&*store, &at, Search { order, ..search(&at, Filter::everything()) }).await;
            assert_eq!(numbers(&got), expected, "{indexed}");
            expected.reverse();
        }
    }
    let at = leads_with(&*store, "undeclared", true).await;
    let order = Order { field: Some(key("x")), is_descending: false };
    let refused =
        store.search_entries(&at.brand, Search { order, ..search(&at, Filter::everything()) }).await;
    let declared = vec!["v".to_owned(), "w".to_owned()];
    assert_eq!(refused, Err(CrmFault::OrderNotDeclared { field: "x".to_owned(), declared }));
}

/// Reads all pages of a search.
async fn pages(store: &dyn Store, at: &Address, mut search: Search) -> Vec<usize> {
    let mut all = Vec::new();
    loop {
        let page = found(store, at, search.clone()).await;
        all.extend(numbers(&page));
        match page.next {
            Some(next) => search.after = Some(next),
            None => return all,
        }
    }
}

pub(crate) async fn cursors_reach_every_entry_once(open: &OpenStore) {
    let store = open().await;
    for indexed in [false, true] {
        let at = leads_with(&*store, "cursors", indexed).await;
        fill(&*store, &at).await;
        // `w` has two values only, so most entries are equal in its order.
        for field in [None, Some("v"), Some("w")] {
            for is_descending in [false, true] {
                for filter in [
                    Filter::everything(),
                    v(Test::Gte(Operand::Text(String::new()))),
                    Filter::Field(key("w"), Test::Eq(Operand::Number(0.0))),
                    Filter::Any(vec![v(Test::Exists(false)), v(Test::Lt(Operand::Number(5.0)))]),
                    v(Test::Ne(Operand::Flag(true))),
                ] {
                    let order = Order { field: field.map(key), is_descending };
                    let all = Search { order, ..search(&at, filter) };
                    let expected = numbers(&found(&*store, &at, all.clone()).await);
                    assert!(!expected.is_empty());
                    for limit in [1, 4] {
                        let paged = Search { limit: Some(limit), ..all.clone() };
                        assert_eq!(pages(&*store, &at, paged.clone()).await, expected, "{paged:?}");
                    }
                    let counted = found(&*store, &at, Search { limit: None, ..all }).await;
                    assert_eq!((counted.count as usize, counted.next), (expected.len(), None));
                }
            }
        }
    }
}

pub(crate) async fn an_index_finds_what_examining_all_entries_finds(open: &OpenStore) {
    let store = open().await;
    let (plain, indexed) =
        (leads_with(&*store, "plain", false).await, leads_with(&*store, "indexed", true).await);
    for at in [&plain, &indexed] {
        fill(&*store, at).await;
    }
    for (test, _) in conditions() {
        for order in [None, Some("v"), Some("w")] {
            let order = Order { field: order.map(key), is_descending: true };
            let asked = |at: &Address| Search { order: order.clone(), ..search(at, v(test.clone())) };
            let expected = numbers(&found(&*store, &plain, asked(&plain)).await);
            assert_eq!(
                numbers(&found(&*store, &indexed, asked(&indexed)).await),
                expected,
                "{test:?} {order:?}"
            );
            let count = found(&*store, &indexed, Search { limit: None, ..asked(&indexed) }).await;
            assert_eq!(count.count as usize, expected.len(), "{test:?}");
        }
    }
}

pub(crate) async fn a_search_is_bounded_by_bytes_and_limit(open: &OpenStore) {
    let store = open().await;
    let at = leads_with(&*store, "bounded", true).await;
    for n in 0..4 {
        create(&*store, &at, json!({"n": n, "x": "x".repeat(100)})).await.unwrap();
    }
    // A key and a small number take two bytes, a text of 100 bytes and its key 103.
    let asked = |bytes_max| Search { bytes_max, ..search(&at, Filter::everything()) };
    let two = found(&*store, &at, asked(2 * 105)).await;
    assert_eq!(numbers(&two), [0, 1]);
    let rest = found(&*store, &at, Search { after: two.next, ..asked(usize::MAX) }).await;
    assert_eq!((numbers(&rest), rest.next), (vec![2, 3], None));
    assert_eq!(store.search_entries(&at.brand, asked(104)).await, Err(CrmFault::ResultTooLarge));
}

pub(crate) async fn a_search_stays_in_its_brand_entity_and_reference(open: &OpenStore) {
    let store = open().await;
    let at = leads_with(&*store, "own", true).await;
    let other = leads_with(&*store, "other", true).await;
    for at in [&at, &other, &Address { slug: Slug::new("others").unwrap(), ..at.clone() }] {
        fill(&*store, at).await;
    }
    let all = samples().len();
    assert_eq!(found(&*store, &at, search(&at, Filter::everything())).await.entries.len(), all);
    let reference = |id: &str| Reference::new("order", id).ok();
    for filter in [Filter::everything(), v(Test::Exists(true)), v(Test::Exists(false))] {
        let mut sum = 0;
        for id in ["0", "1", "2", "nobody"] {
            let own = Search { reference: reference(id), ..search(&at, filter.clone()) };
            let got = found(&*store, &at, own.clone()).await;
            assert!(got.entries.iter().all(|found| found.reference_id == id));
            let counted = found(&*store, &at, Search { limit: None, ..own }).await;
            assert_eq!(counted.count as usize, got.entries.len());
            sum += got.entries.len();
        }
        assert_eq!(sum, found(&*store, &at, search(&at, filter)).await.entries.len());
    }
    let unknown = Search { slug: Slug::new("nope").unwrap(), ..search(&at, Filter::everything()) };
    let unknown = store.search_entries(&at.brand, unknown).await;
    assert_eq!(unknown, Err(CrmFault::UnknownSlug("nope".to_owned())));
}

/// Adds entries to references of their own, a hundred to each.
async fn add_many(store: &dyn Store, at: &Address, count: u32) {
    let writes = (0..count).map(|n| {
        let reference = Reference::new("many", &(n / 100).to_string()).unwrap();
        let line = Address { reference, ..at.clone() }.line();
        let fields = vec![(key("v"), json!(n % 4)), (key("n"), json!(n))];
        (NOW + i64::from(n), CrmWrite::CreateEntry { at: line, fields, place: None })
    });
    for write in writes {
        store.write_crm(&at.brand, write.1, CrmCaps::default(), write.0).await.unwrap();
    }
}

pub(crate) async fn many_entries_need_an_index(open: &OpenStore) {
    let store = open().await;
    let at = leads_with(&*store, "many", false).await;
    add_many(&*store, &at, UNINDEXED_ENTRIES_MAX).await;
    let eq = || v(Test::Eq(Operand::Number(1.0)));
    let by_field = || Search {
        order: Order { field: Some(key("v")), is_descending: false },
        ..search(&at, Filter::everything())
    };
    assert_eq!(found(&*store, &at, search(&at, eq())).await.entries.len(), 200);
    assert_eq!(found(&*store, &at, by_field()).await.entries.len(), 200);
    add_many(&*store, &at, 1).await;
    let not_indexed = |is_building| {
        Err(CrmFault::NotIndexed { slug: "leads".to_owned(), field: "v".to_owned(), is_building })
    };
    for asked in [search(&at, eq()), by_field()] {
        assert_eq!(store.search_entries(&at.brand, asked).await, not_indexed(false));
    }
    // What needs no field works for any number of entries, and so does a search in one reference.
    assert_eq!(found(&*store, &at, search(&at, Filter::everything())).await.entries.len(), 200);
    let own = Search { reference: Reference::new("many", "3").ok(), ..search(&at, eq()) };
    assert_eq!(found(&*store, &at, own).await.entries.len(), 25);
    let count = found(&*store, &at, Search { limit: None, ..search(&at, Filter::everything()) }).await;
    assert_eq!(count.count, UNINDEXED_ENTRIES_MAX + 1);

    let schema = "[[entity]]\nslug = 'leads'\n[[entity.field]]\nkey = 'v'\nindex = true";
    store.apply_crm_schema(&at.brand, CrmSchema::parse(schema, "crm.toml").unwrap()).await.unwrap();
    assert_eq!(store.search_entries(&at.brand, search(&at, eq())).await, not_indexed(true));
    while store.build_index(Some(&at.brand)).await.unwrap().is_some() {}
    let entity = store.find_entity(&at.brand, at.slug.clone()).await.unwrap().unwrap();
    assert_eq!(entity.fields[0].1.indexing(), Indexing::Plain);
    let all = pages(&*store, &at, search(&at, eq())).await;
    assert_eq!(all.len(), 250);
    assert!(all.is_sorted());
}

pub(crate) async fn a_search_examines_a_bounded_number_of_entries(open: &OpenStore) {
    let store = open().await;
    let at = leads_with(&*store, "examined", true).await;
    add_many(&*store, &at, 1_200).await;
    // Half of the entries match, so none of the indexes has few rows; but a page is full soon.
    let filter = v(Test::Ne(Operand::Number(1.0)));
    let page = found(&*store, &at, Search { limit: Some(10), ..search(&at, filter) }).await;
    assert_eq!(page.entries.len(), 10);
    assert!(page.examined < 100, "{}", page.examined);
    // No entry matches, so all have to be examined.
    let none = Filter::All((0..4).map(|n| v(Test::Ne(Operand::Number(f64::from(n))))).collect());
    let all = found(&*store, &at, search(&at, none)).await;
    assert_eq!((all.entries.len(), all.next), (0, None));
    assert!((1_200..=EXAMINED_MAX).contains(&all.examined), "{}", all.examined);
}
