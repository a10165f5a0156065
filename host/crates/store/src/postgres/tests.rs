use std::sync::Arc;

use serde_json::Value;

use sluice_crm::{
    Address, CapsOfBrand, CrmCaps, CrmFault, CrmSchema, CrmStore as _, CrmWrite, CrmWritten, FieldKey,
    JobStore as _, Reference, Slug, WriteInto,
};
use sluice_session::storage::SessionError;
use sluice_session::{
    RunCommit, SessionAddress, SessionChange, SessionKey, SessionKind, SessionRow, SessionRowId,
    SessionStore as _,
};
use sluice_test_support::postgres::Database;

use super::*;
use crate::contract::{OpenStore, queue};

mod plans;
mod recovery;
mod relay;
mod round_trips;
mod transfer;

fn opener(url: String) -> Box<OpenStore> {
    Box::new(move || -> BoxFuture<'static, Arc<dyn Store>> {
        let url = url.clone();
        Box::pin(async move { Arc::new(open(&url).await) as Arc<dyn Store> })
    })
}

/// The limits are high because many writers of one reference wait long for each other on a busy
/// machine.
async fn open(url: &str) -> PostgresStore {
    let mut options = PostgresOptions::parse(url).unwrap();
    (options.wait_ms_max, options.call_ms_max) = (60_000, 60_000);
    PostgresStore::open(options).await.unwrap()
}

fn direct() -> (Database, Box<OpenStore>) {
    let database = Database::create();
    let url = database.url();
    (database, opener(url))
}

fn bounced() -> (Database, Box<OpenStore>) {
    let database = Database::create();
    let url = database.bouncer_url();
    (database, opener(url))
}

mod contract {
    crate::contract::contract_tests!(crate::postgres::tests::direct);
}

mod contract_behind_pgbouncer {
    crate::contract::contract_tests!(crate::postgres::tests::bounced);
}

fn address() -> Address {
    Address {
        brand: "acme".to_owned(),
        slug: Slug::new("leads").unwrap(),
        reference: Reference::new("customer", "7").unwrap(),
    }
}

async fn with_leads(store: &PostgresStore) {
    let schema = CrmSchema::parse("[[entity]]\nslug = 'leads'", "crm.toml").unwrap();
    store.apply_crm_schema("acme", schema).await.unwrap();
}

fn key(text: &str) -> FieldKey {
    FieldKey::new(text).unwrap()
}

fn set(fields: &[(&str, Value)]) -> CrmWrite {
    let fields = fields.iter().map(|(name, value)| (key(name), value.clone())).collect();
    CrmWrite::SetFields { at: address().line(), fields, into: WriteInto::Holder }
}

async fn write(store: &PostgresStore, fields: &[(&str, Value)]) -> Result<CrmWritten, CrmFault> {
    store.write_crm("acme", set(fields), CrmCaps::default(), 0).await
}

async fn read(store: &PostgresStore, name: &str) -> Result<Option<Value>, CrmFault> {
    let got = store.get_fields(&address(), &[key(name)], 1_000).await;
    got.map(|mut values| values.pop().flatten())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_hosts_can_start_at_the_same_time_on_an_empty_database() {
    let (_database, open) = direct();
    let starts: Vec<_> = (0..8).map(|_| tokio::spawn(open())).collect();
    for start in starts {
        start.await.unwrap();
    }
}

#[tokio::test]
async fn a_job_waits_in_all_its_lines() {
    let (database, open) = direct();
    crate::contract::jobs::a_job_waits_in_all_its_lines(&*open, async |until| {
        database.sql(&format!("UPDATE job SET tries = 1, due_at = {until}"));
    })
    .await;
}

#[tokio::test]
async fn rejects_a_database_of_a_later_version() {
    let database = Database::create();
    open(&database.url()).await.close().await;
    database.sql("INSERT INTO schema_migration VALUES (9999, '9999_later')");
    let refused = PostgresStore::open(PostgresOptions::parse(&database.url()).unwrap()).await;
    let refused = refused.err().unwrap();
    assert!(matches!(refused, StoreError::TooNew { found: 9999, .. }), "{refused}");
}

#[tokio::test]
async fn errors_name_a_missing_database_and_an_unreachable_server() {
    let database = Database::create();
    let url = database.url().replace("/t", "/nosuch");
    let refused = PostgresStore::open(PostgresOptions::parse(&url).unwrap()).await;
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("does not exist"), "{refused}");
    let refused = PostgresStore::open(PostgresOptions::parse("postgres://x@127.0.0.1:1/a").unwrap()).await;
    let refused = refused.err().unwrap();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_does_not_affect_the_next_call() {
    let database = Database::create();
    let mut options = PostgresOptions::parse(&database.url()).unwrap();
    options.connections_max = 1;
    let store = PostgresStore::open(options).await.unwrap();
    with_leads(&store).await;
    let row_id = SessionRowId::random().unwrap();
    let at = SessionAddress { brand: "acme".to_owned(), row_id };
    let panics = Box::new(|_: Option<&SessionRow>| -> SessionChange { panic!("on purpose") });
    let failed = store.commit_run(RunCommit::of_session(at, panics), 0).await;
    assert!(matches!(failed, Err(SessionError::Store(StoreError::Failed(_)))), "{failed:?}");
    // The only connection was in a transaction when the edit panicked.
    write(&store, &[("a", 1.into())]).await.unwrap();
    assert_eq!(database.sql("SELECT count(*) FROM crm_value"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_finishes_the_work_that_was_started() {
    let database = Database::create();
    let store = open(&database.url()).await;
    with_leads(&store).await;
    let mut writes: Vec<_> = (0..50)
        .map(|n| {
            let name = format!("k{n}");
            store.write_crm("acme", set(&[(&name, n.into())]), CrmCaps::default(), 0)
        })
        .collect();
    for write in &mut writes {
        // One poll starts the work.
        let polled = futures_util::poll!(write.as_mut());
        assert!(polled.is_pending());
    }
    store.close().await;
    for write in writes {
        write.await.unwrap();
    }
    assert_eq!(database.sql("SELECT count(*) FROM crm_value"), "50");
    let late = write(&store, &[("a", 1.into())]).await;
    assert!(matches!(late, Err(CrmFault::Store(StoreError::Unavailable(_)))), "{late:?}");
}

/// The web server's workers have single-threaded runtimes, none of which is the database's. The
/// store may also outlive every runtime.
#[test]
fn the_store_works_on_any_runtime_and_can_be_dropped_without_one() {
    let server = Database::create();
    let database = tokio::runtime::Runtime::new().unwrap();
    let store = database.block_on(async {
        let store = open(&server.url()).await;
        with_leads(&store).await;
        Arc::new(store)
    });
    let workers: Vec<_> = (0..2)
        .map(|n| {
            let store = store.clone();
            std::thread::spawn(move || {
                let worker = tokio::runtime::Builder::new_current_thread().build().unwrap();
                worker.block_on(async {
                    write(&store, &[("a", n.into())]).await.unwrap();
                    assert!(read(&store, "a").await.unwrap().is_some());
                });
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    drop(database);
    drop(store);
}
