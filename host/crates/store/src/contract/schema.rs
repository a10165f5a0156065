//! Applying a `crm.toml`.

use serde_json::json;

use sluice_crm::{
    Address, CapReached, CrmCaps, CrmFault, CrmSchema, Entity, EntityMode, FieldType, Reference, Slug,
};

use super::{NOW, OpenStore, brand, get, set};
use crate::Store;

const FIRST: &str = "
[[entity]]
slug = 'leads'
[[entity.field]]
key = 'score'
type = 'number'
options = ['1', { value = '2', label = 'Two' }]
[[entity.pipeline]]
slug = 'sales'
stages = [{ slug = 'new' }, { slug = 'won', color = '#0f0', status = 'active' }]
";

const SECOND: &str = "
[[entity]]
slug = 'leads'
name = 'All leads'
[[entity.field]]
key = 'note'
[[entity.pipeline]]
slug = 'sales'
stages = [{ slug = 'new', name = 'Fresh' }, { slug = 'lost' }, { slug = 'won' }]
[[entity]]
slug = 'orders'
";

fn parse(text: &str) -> CrmSchema {
    CrmSchema::parse(text, "crm.toml").unwrap()
}

async fn find(store: &dyn Store, brand: &str) -> Entity {
    let slug = Slug::new("leads").unwrap();
    store.find_entity(brand, slug).await.unwrap().unwrap()
}

pub(crate) async fn applying_is_additive_and_idempotent(open: &OpenStore) {
    let store = open().await;
    let brand = brand("additive");
    let changes = store.apply_crm_schema(&brand, parse(FIRST)).await.unwrap();
    assert_eq!(
        changes,
        [
            r#"added entity "leads""#,
            r#"added field "score" to entity "leads""#,
            r#"added pipeline "sales" to entity "leads""#,
            r#"added stage "new" to pipeline "sales" of entity "leads""#,
            r#"added stage "won" to pipeline "sales" of entity "leads""#,
        ]
    );
    let again = store.apply_crm_schema(&brand, parse(FIRST)).await.unwrap();
    assert_eq!(again, [""; 0]);
    let entity = find(&*store, &brand).await;
    assert_eq!((&*entity.name, entity.mode), ("leads", EntityMode::Crm));
    let (_, field) = &entity.fields[0];
    assert_eq!((&*field.key, field.kind), ("score", FieldType::Number));
    assert_eq!(field.options, json!(["1", {"value": "2", "label": "Two"}]));
    let won = &entity.pipelines[0].stages[1].spec;
    assert_eq!(won.color.as_deref(), Some("#0f0"));
    assert_eq!(won.status.as_deref(), Some("active"));
}

pub(crate) async fn changes_are_reported(open: &OpenStore) {
    let store = open().await;
    let brand = brand("changes");
    let at = Address {
        brand: brand.clone(),
        slug: Slug::new("leads").unwrap(),
        reference: Reference::new("customer", "1").unwrap(),
    };
    store.apply_crm_schema(&brand, parse(FIRST)).await.unwrap();
    set(&*store, &at, "score", json!(5), NOW).await;
    let changes = store.apply_crm_schema(&brand, parse(SECOND)).await.unwrap();
    let stage = |rest: &str| rest.replace('@', r#"pipeline "sales" of entity "leads""#);
    assert_eq!(
        changes,
        [
            r#"changed entity "leads": name "leads" → "All leads""#.to_owned(),
            r#"added field "note" to entity "leads""#.to_owned(),
            stage(r#"changed stage "new" of @: name "new" → "Fresh""#),
            stage(r#"added stage "lost" to @"#),
            stage(r#"changed stage "won" of @: color #0f0 → none, status active → none, position 1 → 2"#),
            r#"added entity "orders""#.to_owned(),
        ]
    );
    let entity = find(&*store, &brand).await;
    let keys: Vec<_> = entity.fields.iter().map(|(_, f)| &*f.key).collect();
    assert_eq!(keys, ["note", "score"], "a field that is no longer declared is kept");
    assert_eq!(get(&*store, &at, &["score"]).await, [Some(json!(5))]);
    let empty = store.apply_crm_schema(&brand, parse("")).await.unwrap();
    assert_eq!(empty, [""; 0]);
    assert_eq!(find(&*store, &brand).await, entity);
}

pub(crate) async fn ids_are_stable(open: &OpenStore) {
    let store = open().await;
    let brand = brand("stable");
    store.apply_crm_schema(&brand, parse(FIRST)).await.unwrap();
    let before = find(&*store, &brand).await;
    store.apply_crm_schema(&brand, parse(SECOND)).await.unwrap();
    let after = find(&*store, &brand).await;
    assert_eq!(after.id, before.id);
    let (was, is) = (&before.pipelines[0], &after.pipelines[0]);
    assert_eq!(is.id, was.id);
    assert_eq!(is.stages[0].id, was.stages[0].id);
    assert_eq!((&*is.stages[2].spec.slug, is.stages[2].id), ("won", was.stages[1].id));
}

pub(crate) async fn parallel_declarations_agree(open: &OpenStore) {
    let stores = [open().await, open().await];
    let brand = brand("at-once");
    let tasks = stores.clone().map(|store| {
        let brand = brand.clone();
        tokio::spawn(async move { store.apply_crm_schema(&brand, parse(FIRST)).await })
    });
    let mut sentences = 0;
    for task in tasks {
        sentences += task.await.unwrap().unwrap().len();
    }
    assert_eq!(sentences, 5, "only one host adds rows");
    assert_eq!(find(&*stores[0], &brand).await, find(&*stores[1], &brand).await);
}

pub(crate) async fn ensuring_adds_what_is_missing_and_changes_nothing(open: &OpenStore) {
    let store = open().await;
    let brand = brand("ensure");
    let asked = |text: &str| parse(text).entities.remove(0);
    let ensure = |text: &str, caps| store.ensure_entity(&brand, asked(text), caps);
    let caps = CrmCaps::default();
    let first = ensure(FIRST, caps).await.unwrap();
    assert!(first.created);
    assert_eq!((first.fields_added, first.fields_skipped), (vec!["score".to_owned()], vec![]));
    let before = find(&*store, &brand).await;
    assert_eq!(before.id, first.id);
    let second = ensure(SECOND, caps).await.unwrap();
    assert!(!second.created && second.id == first.id);
    assert_eq!((second.fields_added, second.fields_skipped), (vec!["note".to_owned()], vec![]));
    let after = find(&*store, &brand).await;
    assert_eq!((&after.name, &after.fields[0]), (&before.name, &before.fields[0]));
    assert_eq!(after.pipelines[0].stages[..2], before.pipelines[0].stages);
    assert_eq!(after.pipelines[0].stages[2].spec.slug, "lost", "new stages come last");
    let again = ensure(SECOND, caps).await.unwrap();
    assert_eq!((again.fields_added, again.fields_skipped), (vec![], vec!["note".to_owned()]));
    assert_eq!(find(&*store, &brand).await, after);
    let one = CrmCaps { entities_a_brand_max: 1, ..caps };
    let full = ensure("[[entity]]\nslug = 'other'", one).await;
    assert_eq!(full, Err(CrmFault::Cap(CapReached::Schema)));
    assert!(ensure(FIRST, one).await.is_ok(), "the entity exists already");
}

pub(crate) async fn parallel_ensures_agree(open: &OpenStore) {
    let stores = [open().await, open().await];
    let brand = brand("ensure-at-once");
    let tasks = stores.clone().map(|store| {
        let brand = brand.clone();
        let asked = parse(FIRST).entities.remove(0);
        tokio::spawn(async move { store.ensure_entity(&brand, asked, CrmCaps::default()).await })
    });
    let mut created = 0;
    for task in tasks {
        created += u32::from(task.await.unwrap().unwrap().created);
    }
    assert_eq!(created, 1);
    assert_eq!(find(&*stores[0], &brand).await.fields.len(), 1);
}

pub(crate) async fn lists_entities_by_slug(open: &OpenStore) {
    let store = open().await;
    let brand = brand("list");
    assert_eq!(store.list_entities(&brand).await, Ok(vec![]));
    let schema = "[[entity]]\nslug = 'z'\n[[entity]]\nslug = 'leads'\n[[entity.field]]\nkey = 'a'";
    store.apply_crm_schema(&brand, parse(schema)).await.unwrap();
    let entities = store.list_entities(&brand).await.unwrap();
    let slugs: Vec<_> = entities.iter().map(|entity| &*entity.slug).collect();
    assert_eq!(slugs, ["leads", "z"]);
    assert_eq!(entities[0], find(&*store, &brand).await);
}
