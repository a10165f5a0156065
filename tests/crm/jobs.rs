//! Writes with `async: true`, and the command `sluice jobs`.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use sluice_crm::{
    CrmCaps, CrmSchema, CrmStore as _, CrmWrite, Destination, JobEnd, JobStore as _, Line, Named, Reference,
    Slug,
};
use sluice_session::{RunCommit, SessionStore as _};
use sluice_store::Store as _;
use sluice_store::sqlite::{SqliteOptions, SqliteStore};

use super::{complaint, json, printed};
use crate::harness::site::TestSite;
use crate::harness::{Server, ServerOptions};
use crate::sandbox::block_on;

const PAGE: &str = "<script scope=\"backend\">
    const own = { slug: 'deals', referenceId: '7' };
    if (request.query.read) response.json(getCrmEntries(own).map((entry) => [entry.values_flat.n, entry.stage_slug]));
    const answers = [];
    for (let n = 0; n < 20; n++) answers.push(setCrmField({ ...own, fieldKey: 'n', value: n, async: true }));
    answers.push(moveCrmToStage({ ...own, stageSlug: 'won', async: true }));
    response.json([...new Set(answers.slice(0, 20)), answers[20]]);
</script>";

const DEALS: &str = "[[entity]]\nslug = 'deals'\n[[entity.pipeline]]\nslug = 'sales'
stages = [{ slug = 'new' }, { slug = 'won' }]\n";

fn site() -> TestSite {
    TestSite::with(&[("pages/index.html", PAGE), ("crm.toml", DEALS)])
}

const DONE: &str = "[[19,\"won\"]]";

#[test]
fn acknowledges_queued_writes_and_then_applies_them() {
    let site = site();
    let server = Server::start(site.path());
    assert_eq!(json(&server, "/"), json!([true, { "ok": true, "queued": true }]));
    server.wait_until("the jobs are done", || server.get("localhost", "/?read=1").body == DONE);
}

#[test]
fn next_server_applies_the_jobs_of_a_stopped_one() {
    let site = site();
    let data = tempfile::tempdir().unwrap();
    let start = || ServerOptions::of(site.path()).data(data.path()).start();
    let mut server = start();
    assert_eq!(server.get("localhost", "/").status, 200);
    assert!(server.terminate().success(), "what is being applied is finished, the rest stays");
    let server = start();
    server.wait_until("the jobs are done", || server.get("localhost", "/?read=1").body == DONE);
    let jobs: Value =
        serde_json::from_str(&printed(data.path(), &["jobs", "list", &path(&site), "--all", "--json"]))
            .unwrap();
    let jobs = jobs.as_array().unwrap();
    assert_eq!(jobs.len(), 21);
    assert!(jobs.iter().all(|job| job["state"] == "done"), "{jobs:?}");
}

fn path(site: &TestSite) -> String {
    site.path().to_str().unwrap().to_owned()
}

/// Makes two jobs of the brand `demo` that are rejected when they are applied. Returns
/// their ids.
pub(crate) fn park_two(data: &Path) -> Vec<i64> {
    let line = |id: &str| Line {
        slug: Slug::new("deals").unwrap(),
        reference: Reference::new("customer", id).unwrap(),
    };
    let won = Destination { pipeline: None, stage: Some(Named { id: None, slug: Slug::new("won") }) };
    block_on(async {
        let store = SqliteStore::open(SqliteOptions::new(data.join("sluice.db"))).await.unwrap();
        let schema = CrmSchema::parse(DEALS, "crm.toml").unwrap();
        store.apply_crm_schema("demo", schema).await.unwrap();
        for id in ["7", "8\u{1b}"] {
            // A write is queued before, which might create the entry, so the move is queued, too.
            let move_it = CrmWrite::Move { at: line(id), to: won.clone(), all_entries: false };
            let jobs = vec![CrmWrite::Clear { at: line(id) }, move_it];
            store.commit_run(RunCommit { jobs, ..RunCommit::new("demo") }, 1_000).await.unwrap();
        }
        let runs = store.run_jobs(Arc::new(|_: &str| CrmCaps::default()), 10, 2_000).await.unwrap();
        store.close().await;
        let parked = runs.iter().filter(|run| matches!(run.end, JobEnd::Parked { .. }));
        parked.map(|run| run.id).collect()
    })
}

#[test]
fn lists_retries_and_drops_parked_jobs() {
    let site = site();
    let data = tempfile::tempdir().unwrap();
    let (data, dir) = (data.path(), path(&site));
    assert_eq!(printed(data, &["jobs", "list", &dir]), "no jobs\n");
    let [first, second] = park_two(data)[..] else { panic!("two jobs must be parked") };

    let table = printed(data, &["jobs", "list", &dir]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].trim_start().starts_with("ID  STATE"), "{table}");
    assert!(lines[1].contains("parked") && lines[1].ends_with("moveCrmToStage deals customer/7"), "{table}");
    assert_eq!(lines[2].trim(), "the reference has no entry");
    assert!(!table.contains('\u{1b}'), "control characters are escaped: {table:?}");
    assert_eq!(lines.len(), 5);

    let jobs: Value = serde_json::from_str(&printed(data, &["jobs", "list", &dir, "--json"])).unwrap();
    let job = &jobs[0];
    assert_eq!((&job["id"], &job["brand"], &job["state"]), (&json!(first), &json!("demo"), &json!("parked")));
    assert_eq!((&job["tries"], &job["late"]), (&json!(1), &json!(false)));
    assert_eq!(job["last_error"], "the reference has no entry");
    assert_eq!(job["created_at"], "1970-01-01T00:00:01.000Z");

    let id = first.to_string();
    assert_eq!(printed(data, &["jobs", "retry", &id, &dir]), "1 job will be tried again\n");
    let table = printed(data, &["jobs", "list", &dir]);
    assert!(table.contains("waiting") && table.contains("(late)"), "{table}");
    assert_eq!(printed(data, &["jobs", "drop", &id, &dir]), "1 job dropped\n");
    let gone = complaint(data, &["jobs", "retry", &id, &dir]);
    assert!(gone.contains(&format!("there is no job {id} that is waiting or parked")), "{gone}");
    let none = printed(data, &["jobs", "drop", "parked", &dir, "--brand", "other"]);
    assert_eq!(none, "0 jobs dropped\n");
    assert_eq!(printed(data, &["jobs", "retry", "parked", &dir]), "1 job will be tried again\n");
    let table = printed(data, &["jobs", "list", &dir]);
    assert!(table.contains(&format!("{second}  waiting")), "{table}");
}

#[test]
fn running_server_applies_a_retried_job() {
    let site = site();
    let data = tempfile::tempdir().unwrap();
    let parked = park_two(data.path())[0].to_string();
    let server = ServerOptions::of(site.path()).data(data.path()).start();
    assert_eq!(server.get("localhost", "/").status, 200);
    server.wait_until("the jobs are done", || server.get("localhost", "/?read=1").body == DONE);
    printed(data.path(), &["jobs", "retry", &parked, &path(&site)]);
    server.wait_until("the job is done", || {
        let jobs = printed(data.path(), &["jobs", "list", &path(&site), "--all", "--json"]);
        let jobs: Vec<Value> = serde_json::from_str(&jobs).unwrap();
        let job = jobs.iter().find(|job| job["id"].as_i64() == parked.parse().ok()).unwrap();
        job["state"] == "done" && job["late"] == true
    });
}
