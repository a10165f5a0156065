use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use sluice_crm::{
    Address, CrmCaps, CrmFault, CrmSchema, CrmStore as _, CrmWrite, CrmWritten, FieldKey, JOB_TRIES_MAX,
    JobChoice, JobEnd, JobState, JobStore as _, Reference, Slug, WriteInto,
};
use sluice_session::storage::SessionError;
use sluice_session::{RunCommit, SessionAddress, SessionChange, SessionRow, SessionRowId, SessionStore as _};

use super::*;
use crate::contract::{OpenStore, queue};

fn backend() -> (TempDir, Box<OpenStore>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data").join("sluice.db");
    let open = move || -> BoxFuture<'static, Arc<dyn Store>> {
        let options = SqliteOptions::new(&path);
        Box::pin(async move {
            let store = SqliteStore::open(options).await.unwrap();
            Arc::new(store) as Arc<dyn Store>
        })
    };
    (dir, Box::new(open))
}

mod direct;
mod plans;

mod contract {
    crate::contract::contract_tests!(crate::sqlite::tests::backend);
}

fn address() -> Address {
    Address {
        brand: "acme".to_owned(),
        slug: Slug::new("leads").unwrap(),
        reference: Reference::new("customer", "7").unwrap(),
    }
}

fn score(value: Value) -> CrmWrite {
    CrmWrite::SetFields {
        at: address().line(),
        fields: vec![(FieldKey::new("score").unwrap(), value)],
        into: WriteInto::Holder,
    }
}

async fn read_score(store: &SqliteStore) -> Option<Value> {
    let key = FieldKey::new("score").unwrap();
    let got = store.get_fields(&address(), &[key], 1_000).await;
    got.unwrap().pop().flatten()
}

async fn open_with_leads(options: SqliteOptions) -> Arc<SqliteStore> {
    let store = SqliteStore::open(options).await.unwrap();
    let schema = CrmSchema::parse("[[entity]]\nslug='leads'", "crm.toml").unwrap();
    store.apply_crm_schema("acme", schema).await.unwrap();
    Arc::new(store)
}

/// Starts a write in a task of its own.
fn spawn_score(store: &Arc<SqliteStore>, n: i32) -> JoinHandle<Result<CrmWritten, CrmFault>> {
    let store = store.clone();
    tokio::spawn(async move {
        let caps = CrmCaps::default();
        store.write_crm("acme", score(json!(n)), caps, 0).await
    })
}

fn options(dir: &TempDir) -> SqliteOptions {
    SqliteOptions::new(dir.path().join("sluice.db"))
}

/// Takes the write lock as another process would.
fn lock(dir: &TempDir) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(dir.path().join("sluice.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_hosts_can_start_at_the_same_time() {
    let (_dir, open) = backend();
    let starts: Vec<_> = (0..8).map(|_| tokio::spawn(open())).collect();
    for start in starts {
        start.await.unwrap();
    }
}

#[tokio::test]
async fn rejects_a_database_of_a_later_version() {
    let dir = tempfile::tempdir().unwrap();
    SqliteStore::open(options(&dir)).await.unwrap().close().await;
    let other = rusqlite::Connection::open(dir.path().join("sluice.db")).unwrap();
    other.execute_batch("INSERT INTO schema_migration VALUES (9999, 'later')").unwrap();
    let refused = SqliteStore::open(options(&dir)).await.err().unwrap();
    assert!(matches!(refused, StoreError::TooNew { found: 9999, .. }));
    assert!(refused.to_string().contains("start a newer program"));
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_leads(options(&dir)).await;
    #[cfg(unix)]
    for file in ["sluice.db", "sluice.db-wal"] {
        use std::os::unix::fs::PermissionsExt;
        let meta = std::fs::metadata(dir.path().join(file)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{file}");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_for_the_lock_of_another_process_until_the_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let mut short = options(&dir);
    short.busy_ms_max = 50;
    let (impatient, patient) = (open_with_leads(short).await, open_with_leads(options(&dir)).await);
    let other = lock(&dir);

    let timed_out = impatient.write_crm("acme", score(json!(1)), CrmCaps::default(), 0).await;
    assert!(matches!(timed_out, Err(CrmFault::Store(StoreError::Unavailable(_)))));
    assert_eq!(read_score(&impatient).await, None, "the lock does not block reads");

    let waiting = spawn_score(&patient, 2);
    tokio::time::sleep(Duration::from_millis(50)).await;
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(waiting.await.unwrap(), Ok(CrmWritten::Fields));
    assert_eq!(read_score(&impatient).await, Some(json!(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_write_is_done_even_if_its_future_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_leads(options(&dir)).await;
    let other = lock(&dir);
    let mut dropped = store.write_crm("acme", score(json!(1)), CrmCaps::default(), 0);
    let timeout = Duration::from_millis(20);
    assert!(tokio::time::timeout(timeout, &mut dropped).await.is_err());
    drop(dropped);
    other.execute_batch("COMMIT").unwrap();
    store.close().await;
    let store = SqliteStore::open(options(&dir)).await.unwrap();
    assert_eq!(read_score(&store).await, Some(json!(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_waited_too_long_is_not_started() {
    let dir = tempfile::tempdir().unwrap();
    let mut short = options(&dir);
    short.wait_ms_max = 500;
    let store = open_with_leads(short).await;
    let other = lock(&dir);
    let first = spawn_score(&store, 1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The writer is running the first write and waits for the lock; the second is queued.
    let second = spawn_score(&store, 2);
    tokio::time::sleep(Duration::from_millis(700)).await;
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(first.await.unwrap(), Ok(CrmWritten::Fields));
    let refused = second.await.unwrap();
    assert!(matches!(refused, Err(CrmFault::Store(StoreError::Unavailable(_)))));
    assert_eq!(read_score(&store).await, Some(json!(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_write_undoes_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_leads(options(&dir)).await;
    let at = SessionAddress { brand: "acme".to_owned(), row_id: SessionRowId::random().unwrap() };
    let panics = Box::new(|_: Option<&SessionRow>| -> SessionChange { panic!("on purpose") });
    let other = lock(&dir);
    let write = spawn_score(&store, 1);
    let failing = store.clone();
    let failed = tokio::spawn(async move { failing.commit_run(RunCommit::of_session(at, panics), 0).await });
    let again = spawn_score(&store, 2);
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(write.await.unwrap(), Ok(CrmWritten::Fields));
    assert!(matches!(failed.await.unwrap(), Err(SessionError::Store(StoreError::Failed(_)))));
    assert_eq!(again.await.unwrap(), Ok(CrmWritten::Fields));
    assert!(read_score(&store).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_finishes_queued_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_leads(options(&dir)).await;
    let mut writes = Vec::new();
    for n in 0..50 {
        let mut write = store.write_crm("acme", score(json!(n)), CrmCaps::default(), 0);
        // After one poll the write is in the queue.
        let _ = poll_once(&mut write).await;
        writes.push(write);
    }
    store.close().await;
    for write in writes {
        assert_eq!(write.await, Ok(CrmWritten::Fields));
    }
    let late = store.write_crm("acme", score(json!(99)), CrmCaps::default(), 0).await;
    assert!(matches!(late, Err(CrmFault::Store(StoreError::Unavailable(_)))));
    let late = store.find_entity("acme", address().slug).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))));
    let store = SqliteStore::open(options(&dir)).await.unwrap();
    assert_eq!(read_score(&store).await, Some(json!(49)));
}

async fn poll_once<T>(future: &mut BoxFuture<'_, T>) {
    std::future::poll_fn(|context| {
        let _ = future.as_mut().poll(context);
        std::task::Poll::Ready(())
    })
    .await;
}

/// The statements that run on every page must not become slower with the number of entries.
#[tokio::test]
async fn frequent_statements_use_indexes_and_do_not_sort() {
    let dir = tempfile::tempdir().unwrap();
    open_with_leads(options(&dir)).await;
    let conn = rusqlite::Connection::open(dir.path().join("sluice.db")).unwrap();
    for sql in [
        crm::NEWEST_VALUES,
        crm::NEWEST_ENTRIES,
        crm::VALUES_OF_KEY,
        crm::NEWEST_HOLDER,
        crm::ENTRIES,
        crm::VALUE_SIZES,
        jobs::NEXT,
        jobs::DELETE_FINISHED,
        session::LOAD,
        session::DELETE_EXPIRED,
        session::EVICT,
        token::DELETE_EXPIRED,
        rate::DELETE_EXPIRED,
        page_cache::SINCE,
        page_cache::DELETE_OLD,
    ] {
        let mut query = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let given = vec![1; query.parameter_count()];
        let steps = query.query_map(rusqlite::params_from_iter(given), |row| row.get(3)).unwrap();
        for step in steps.map(Result::<String, _>::unwrap) {
            // Waiting jobs are scanned in order. They have an index of their own.
            let table = step.contains("SCAN") && !step.contains("asked") && !step.contains("job_waiting");
            assert!(!table && !step.contains("B-TREE"), "{step} in {sql}");
        }
    }
}

/// The web server's workers have single-threaded runtimes, none of which is the database's. The
/// store may also outlive every runtime.
#[test]
fn the_store_works_on_any_runtime_and_can_be_dropped_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let database = tokio::runtime::Runtime::new().unwrap();
    let store = database.block_on(open_with_leads(options(&dir)));
    let workers: Vec<_> = (0..2)
        .map(|n| {
            let store = store.clone();
            std::thread::spawn(move || {
                let worker = tokio::runtime::Builder::new_current_thread();
                let worker = { worker }.build().unwrap();
                worker.block_on(async {
                    let caps = CrmCaps::default();
                    store.write_crm("acme", score(json!(n)), caps, 0).await.unwrap();
                    assert!(read_score(&store).await.is_some());
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

/// Runs the jobs that are due. Returns how each of them ended.
async fn work(store: &SqliteStore, now_ms: i64) -> Vec<JobEnd> {
    let runs = store.run_jobs(Arc::new(|_: &str| CrmCaps::default()), 10, now_ms).await.unwrap();
    runs.into_iter().map(|run| run.end).collect()
}

#[tokio::test]
async fn a_failing_job_is_retried_then_parked_and_frees_its_lines() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_leads(options(&dir)).await;
    let other = rusqlite::Connection::open(dir.path().join("sluice.db")).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER broken BEFORE INSERT ON crm_value WHEN NEW.key = 'score'
             BEGIN SELECT RAISE(ABORT, 'broken on purpose'); END",
        )
        .unwrap();
    let caps = CrmCaps::default();
    queue(&*store, "acme", score(json!(1)), caps, 0).await.unwrap();
    queue(&*store, "acme", CrmWrite::Clear { at: address().line() }, caps, 0).await.unwrap();
    let mut now = 0;
    for try_number in 1..JOB_TRIES_MAX {
        let ends = work(&store, now).await;
        let [JobEnd::Retry { due_at, error }] = &ends[..] else { panic!("{ends:?}") };
        assert!(error.contains("broken on purpose"), "{error}");
        assert_eq!(work(&store, due_at - 1).await, [], "try {try_number} waits, and so does its line");
        now = *due_at;
    }
    let ends = work(&store, now).await;
    assert!(matches!(&ends[..], [JobEnd::Parked { .. }, JobEnd::Done]), "{ends:?}");
    let parked = store.list_jobs(None, Some(JobState::Parked), 5).await.unwrap().remove(0);
    assert_eq!(parked.tries, JOB_TRIES_MAX);
    assert!(parked.last_error.unwrap().contains("broken on purpose"));
    assert_eq!(read_score(&store).await, None);

    other.execute_batch("DROP TRIGGER broken").unwrap();
    assert_eq!(store.retry_jobs(JobChoice::One(parked.id), now).await, Ok(1));
    assert_eq!(work(&store, now).await, [JobEnd::Done]);
    assert_eq!(read_score(&store).await, Some(json!(1)));
}

#[tokio::test]
async fn a_retry_does_not_wait_longer_because_the_clock_was_set_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_leads(options(&dir)).await;
    let year = 365 * 86_400_000;
    queue(&*store, "acme", score(json!(1)), CrmCaps::default(), year).await.unwrap();
    let other = rusqlite::Connection::open(dir.path().join("sluice.db")).unwrap();
    other.execute("UPDATE job SET tries = 1, due_at = ?1", [year + 7_000]).unwrap();
    assert_eq!(work(&store, year + 6_999).await, [], "it waits as usual");
    assert_eq!(work(&store, 0).await, [JobEnd::Done]);
}

#[tokio::test]
async fn a_job_waits_in_all_its_lines() {
    let (dir, open) = backend();
    crate::contract::jobs::a_job_waits_in_all_its_lines(&*open, async |until| {
        let other = rusqlite::Connection::open(dir.path().join("data").join("sluice.db")).unwrap();
        other.execute("UPDATE job SET tries = 1, due_at = ?1", [until]).unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_unreadable_job_is_parked_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_leads(options(&dir)).await;
    let id = queue(&*store, "acme", score(json!(1)), CrmCaps::default(), 0).await.unwrap();
    let other = rusqlite::Connection::open(dir.path().join("sluice.db")).unwrap();
    other.execute_batch("UPDATE job SET write = x'c1'").unwrap();
    let ends = work(&store, 0).await;
    let [JobEnd::Parked { error }] = &ends[..] else { panic!("{ends:?}") };
    assert!(error.starts_with(&format!("a stored job cannot be read: job {id}: ")), "{error}");
    let retried = store.retry_jobs(JobChoice::One(id), 0).await;
    assert!(matches!(retried, Err(StoreError::Corrupt { .. })));
    assert_eq!(store.drop_jobs(JobChoice::One(id)).await, Ok(1));
}
