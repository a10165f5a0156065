//! From SQLite to PostgreSQL and back.

use serde_json::json;
use tokio::sync::mpsc;

use sluice_crm::{Destination, Named};
use sluice_queue::{Ending, JobId, NewJob, QueueCommit, Tick, TickStart};
use sluice_session::UsedToken;
use sluice_storage::{
    Area, Condition, Key as StorageKey, Namespace, Place, Put, PutDone, StorageCaps, StoredValue,
};

use super::*;
use crate::sqlite::{SqliteOptions, SqliteStore};
use crate::transfer::{ImportFault, Part, TABLES, Table, Writer};

const SCHEMA: &str = "
    [[entity]]
    slug = 'leads'
    [[entity.field]]
    key = 'score'
    options = ['1', { value = '2', label = 'é' }]
    [[entity.pipeline]]
    slug = 'sales'
    stages = [{ slug = 'new' }, { slug = 'won', color = '#0f0' }]";

fn to_stage(slug: &str) -> Destination {
    Destination { pipeline: None, stage: Some(Named { id: None, slug: Slug::new(slug) }) }
}

/// Writes rows into every table.
async fn fill(store: &dyn Store) {
    let schema = CrmSchema::parse(SCHEMA, "crm.toml").unwrap();
    store.apply_crm_schema("acme", schema).await.unwrap();
    let hostile = Reference::new("customer", "a\0'").unwrap();
    let at = Address { reference: hostile, ..address() };
    for (into, value) in [(WriteInto::New, json!({"z": -0.0, "a": "\0"})), (WriteInto::New, json!(u64::MAX))]
    {
        let fields = vec![(key("__proto__"), value), (key("score"), json!(1))];
        let write = CrmWrite::SetFields { at: at.line(), fields, into };
        store.write_crm("acme", write, CrmCaps::default(), 5).await.unwrap();
    }
    for n in 0..1_200 {
        let reference = Reference::new("order", &n.to_string()).unwrap();
        let line = Address { reference, ..address() }.line();
        let write =
            CrmWrite::SetFields { at: line, fields: vec![(key("n"), json!(n))], into: WriteInto::Holder };
        store.write_crm("acme", write, CrmCaps::default(), n).await.unwrap();
    }
    for stage in ["new", "won"] {
        let to = CrmWrite::Move { at: at.line(), to: to_stage(stage), all_entries: true };
        store.write_crm("acme", to, CrmCaps::default(), 6).await.unwrap();
    }
    queue(store, "acme", CrmWrite::Clear { at: at.line() }, CrmCaps::default(), 7).await.unwrap();
    let place = Place { area: Area::Storage, brand: "acme".to_owned(), namespace: Namespace::default() };
    let caps = StorageCaps { keys_max: 99, bytes_max: 99_999, value_bytes_max: 99 };
    let values = [json!({"z": -0.0, "a": "\0"}), json!(-0.0), json!(1e300), json!(3), json!(5e-324)];
    for (index, value) in values.iter().enumerate() {
        let key = StorageKey::new(Area::Storage, &format!("k{index}")).unwrap();
        let (value, condition) = (StoredValue::of(value), Condition::Always);
        let put = Put { key, value, expires_at: (index > 2).then_some(i64::MAX), condition };
        assert_eq!(store.put(&place, put, caps, 5).await, Ok(PutDone::Stored));
    }
    let job = |due_at, key: Option<&str>| NewJob {
        id: JobId::random().unwrap(),
        module: "mail".to_owned(),
        function: "default".to_owned(),
        payload: vec![0xc0],
        due_at,
        tag: key.map(str::to_owned),
        key: key.map(str::to_owned),
    };
    let pushed = QueueCommit { jobs: vec![job(1, None), job(i64::MAX, Some("é"))], jobs_max: 9, done: None };
    store.commit_run(RunCommit { queue: pushed, ..RunCommit::new("acme") }, 1).await.unwrap();
    let claimed = store.claim_queued("acme", 1, 2).await.unwrap().unwrap();
    let parked = Ending::Parked { outcome: "error", error: "no".to_owned(), console: "[log] é".to_owned() };
    assert_eq!(store.end_claim(claimed.claim, parked, 3).await, Ok(true));
    store.see_schedule("acme", "nightly", "0 3 * * * UTC", 1).await.unwrap();
    let tick = Tick {
        brand: "acme".to_owned(),
        name: "nightly".to_owned(),
        at: 9,
        gap_ms: 1,
        job: Some(job(9, None)),
    };
    assert_eq!(store.start_tick(tick, 9, 9).await, Ok(TickStart::Started));
    let tokens = vec![UsedToken { token_id: [9; 16], remember_until: 99 }];
    store.commit_run(RunCommit { tokens, ..RunCommit::new("acme") }, 1).await.unwrap();
    let row_id = SessionRowId::random().unwrap();
    let at = SessionAddress { brand: "acme".to_owned(), row_id };
    let sealed = vec![0, 255, 10];
    let kind = SessionKind::Customer;
    let edit = Box::new(move |_: Option<&SessionRow>| SessionChange::Issue {
        id_hash: [3; 32],
        sealed,
        expires_at: 50,
        kind,
    });
    store.commit_run(RunCommit::of_session(at, edit), 1).await.unwrap();
}

async fn export(store: &dyn Store) -> Vec<Part> {
    let (to, mut from) = mpsc::channel(2);
    let receive = async {
        let mut parts = Vec::new();
        while let Some(part) = from.recv().await {
            parts.push(part);
        }
        parts
    };
    let (exported, parts) = futures_util::future::join(store.export_rows(to), receive).await;
    exported.unwrap();
    parts
}

fn text(parts: &[Part]) -> String {
    let mut text = Vec::new();
    let mut writer = Writer::begin(&mut text).unwrap();
    parts.iter().for_each(|part| writer.write(part).unwrap());
    String::from_utf8(text).unwrap()
}

async fn import(store: &dyn Store, parts: Vec<Part>) -> Result<(), ImportFault> {
    let (to, from) = mpsc::channel(2);
    let send = async move {
        for part in parts {
            // A store that rejects the import drops the receiver.
            if to.send(part).await.is_err() {
                return;
            }
        }
    };
    futures_util::future::join(store.import_rows(from), send).await.0
}

async fn sqlite(dir: &tempfile::TempDir, name: &str) -> SqliteStore {
    SqliteStore::open(SqliteOptions::new(dir.path().join(name))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_data_survive_a_transfer_to_postgres_and_back() {
    let (dir, database) = (tempfile::tempdir().unwrap(), Database::create());
    let (here, back) = (sqlite(&dir, "here").await, sqlite(&dir, "back").await);
    let there = open(&database.url()).await;
    fill(&here).await;
    let parts = export(&here).await;
    let tables = |name| parts.iter().any(|part| matches!(part, Part::Rows(table, _) if table.name == name));
    assert!(TABLES.iter().all(|table| tables(table.name)), "every table has rows");
    let first = text(&parts);
    import(&there, parts).await.unwrap();
    let parts = export(&there).await;
    assert_eq!(text(&parts), first);
    import(&back, parts).await.unwrap();
    assert_eq!(text(&export(&back).await), first);

    // The new database continues with new ids and with the queued jobs.
    let schema = CrmSchema::parse("[[entity]]\nslug = 'orders'", "crm.toml").unwrap();
    there.apply_crm_schema("acme", schema).await.unwrap();
    let orders = there.find_entity("acme", Slug::new("orders").unwrap()).await.unwrap().unwrap();
    let leads = there.find_entity("acme", Slug::new("leads").unwrap()).await.unwrap().unwrap();
    assert!(orders.id > leads.id);
    let caps: CapsOfBrand = Arc::new(|_| CrmCaps::default());
    assert_eq!(there.run_jobs(caps, 10, 100).await.unwrap().len(), 1);
    queue(&there, "acme", set(&[("a", json!(1))]), CrmCaps::default(), 7).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_all_or_nothing() {
    let (dir, database) = (tempfile::tempdir().unwrap(), Database::create());
    let source = sqlite(&dir, "source").await;
    fill(&source).await;
    let stores: [Box<dyn Store>; 2] =
        [Box::new(sqlite(&dir, "target").await), Box::new(open(&database.url()).await)];
    for store in stores {
        let mut parts = export(&source).await;
        parts.pop();
        assert_eq!(import(&*store, parts).await, Err(ImportFault::Interrupted));
        let mut parts = export(&source).await;
        let entries = Table::named("crm_entry").unwrap();
        parts.retain(|part| !matches!(part, Part::Rows(table, _) if table.name == "crm_reference"));
        let refused = import(&*store, parts).await;
        assert!(matches!(refused, Err(ImportFault::Store(_))), "{}: {refused:?}", entries.name);
        assert_eq!(export(&*store).await.len(), 1, "the failed import leaves nothing behind");

        import(&*store, export(&source).await).await.unwrap();
        let again = import(&*store, export(&source).await).await;
        assert_eq!(again, Err(ImportFault::NotEmpty("crm_entity")));
    }
}

/// A new table must be added to the transfer or to the exceptions here.
#[tokio::test]
async fn every_table_is_transferred_or_listed_as_an_exception() {
    let database = Database::create();
    open(&database.url()).await.close().await;
    let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
    for table in database.sql(sql).lines() {
        let is_exception = ["schema_migration", "rate", "cache", "cache_usage"].contains(&table)
            // They are built again.
            || ["crm_field_index", "crm_index", "crm_unique"].contains(&table)
            // Kept answers are in the memory of hosts, which have none after a transfer.
            || table == "page_purge"
            // They are about another database.
            || ["operator_change", "failure_mark"].contains(&table)
            // Certificates are ordered again.
            || ["acme_account", "acme_name", "acme_answer"].contains(&table);
        assert!(is_exception != Table::named(table).is_some(), "{table}");
    }
    for table in TABLES {
        let sql = format!(
            "SELECT count(*) FROM information_schema.columns WHERE table_name = '{}'
               AND column_name NOT IN ('slot', 'kind', 'lasts_until')
               AND NOT (table_name = 'crm_entry' AND column_name = 'entity_id')",
            table.name
        );
        assert_eq!(database.sql(&sql), table.columns.len().to_string(), "{}", table.name);
    }
}
