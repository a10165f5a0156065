//! Jobs: functions of modules that run later.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use sluice_queue::{JobId, NewJob, QueueCommit, QueueStore as _, QueuedJob, State};
use sluice_session::{RunCommit, SessionStore as _};
use sluice_store::Store as _;
use sluice_store::sqlite::{SqliteOptions, SqliteStore};
use sluice_test_support::postgres::Database;

use crate::crm::printed;
use crate::harness::site::TestSite;
use crate::harness::{Request, Server, ServerOptions};
use crate::sandbox::block_on;

const READ: &str = "<script scope=\"backend\">response.json(storage.get(request.query.key));</script>";

const PUSH: &str = "<script scope=\"backend\">
    const { module, payload, ...options } = request.body;
    response.json(queue.push(module, payload, options));
</script>";

/// The calls that a job does not have.
const WITHOUT_A_VISITOR: &str = "
const thrown = (call) => {
  try {
    return call();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};
let atImport = thrown(() => session.get('a'));
export default async (payload, job) => {
  await null;
  const calls = [
    () => request, () => session.get('a'), () => session.set('a', 1), () => customer, () => cookie.set('a', 'b'),
    () => redirect('/'), () => response.json({}), () => response.status(404), () => setHeader('x-a', 'b'),
    () => setVariable('a', 1), () => session.setCustomer({ email: 'a@b.example' }),
  ];
  storage.set('seen', { payload, job, atImport, calls: calls.map(thrown), brand: getVariable('greeting') });
};
export const named = (payload) => storage.increment(`named:${payload.n}`);
";

fn site(files: &[(&str, &str)]) -> TestSite {
    let site = TestSite::with(&[("pages/read.html", READ), ("pages/push.html", PUSH)]);
    for (file, text) in files {
        site.write(&format!("brands/demo/{file}"), text);
    }
    site
}

fn push(server: &Server, body: &Value) -> Value {
    push_at(server, "localhost", body)
}

fn push_at(server: &Server, host: &str, body: &Value) -> Value {
    let request = Request::new("POST", "/push").host(host).header("content-type", "application/json");
    let answer = request.body(body.to_string().as_bytes()).send(server.address);
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

fn stored(server: &Server, key: &str) -> Value {
    let answer = server.get("localhost", &format!("/read?key={key}"));
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
}

/// The jobs of `demo` in the database of a server that has stopped.
fn jobs(data: &Path) -> Vec<QueuedJob> {
    block_on(async {
        let store = SqliteStore::open(SqliteOptions::new(data.join("sluice.db"))).await.unwrap();
        let jobs = store.list_queued(Some("demo"), None, 1_000).await.unwrap();
        store.close().await;
        jobs
    })
}

fn runs_with_its_payload(start: impl Fn(&Path) -> Server) {
    let site = site(&[
        ("modules/work/first.js", WITHOUT_A_VISITOR),
        ("brand.toml", "default = true\n[variables]\ngreeting = 'hi'\n"),
    ]);
    let server = start(site.path());
    let answer =
        push(&server, &json!({ "module": "work/first", "payload": { "a": [1, null, "ü"], "z": -0.5 } }));
    assert_eq!(answer["ok"], true);
    let id = answer["jobId"].as_str().unwrap();
    server.wait_until("the job has run", || stored(&server, "seen") != Value::Null);
    let seen = stored(&server, "seen");
    assert_eq!(seen["payload"], json!({ "a": [1, null, "ü"], "z": -0.5 }));
    assert_eq!((&seen["job"]["jobId"], &seen["job"]["attempt"]), (&json!(id), &json!(1)));
    assert!(seen["job"]["scheduledFor"].as_i64().unwrap() > 1_700_000_000_000, "{seen}");
    assert_eq!(seen["brand"], "hi");
    let session = "a job has no visitor and no session; pass what it needs in the payload of queue.push";
    assert_eq!(seen["atImport"], format!("TypeError: session.get: {session}"));
    let request = "a job has no request; pass what it needs in the payload of queue.push";
    let expected = [
        format!("request: {request}"),
        format!("session.get: {session}"),
        format!("session.set: {session}"),
        format!("customer: {session}"),
        "cookie.set: a job has no response".to_owned(),
        "redirect: a job has no response".to_owned(),
        "response.json: a job has no response".to_owned(),
        "response.status: a job has no response".to_owned(),
        "setHeader: a job has no response".to_owned(),
        "setVariable: a job has no page whose template could read it".to_owned(),
        format!("session.setCustomer: {session}"),
    ];
    assert_eq!(seen["calls"], json!(expected.map(|message| format!("TypeError: {message}"))));
    // A delayed job does not run before a later one that is due.
    push(&server, &json!({ "module": "work/first", "fn": "named", "payload": { "n": 1 }, "delay": 3_600 }));
    push(&server, &json!({ "module": "work/first", "fn": "named", "payload": { "n": 2 } }));
    server.wait_until("the second job has run", || stored(&server, "named:2") == 1);
    assert_eq!(stored(&server, "named:1"), Value::Null);
}

#[test]
fn job_runs_with_its_payload_and_without_a_visitor() {
    runs_with_its_payload(Server::start);
}

#[test]
fn job_runs_with_its_payload_on_postgresql() {
    let database = Database::create();
    runs_with_its_payload(|site| ServerOptions::of(site).postgres(&database.url()).start());
}

const BAD_JOBS: &str = "import { helper } from 'helper';
export const throws = () => { console.warn('about to fail'); helper(null); };
export const loops = () => { console.log('loops'); for (;;) {} };
export const fills = () => { console.log('fills'); const all = []; for (;;) all.push('x'.repeat(100_000) + all.length); };
export const waits = async () => { console.log('waits'); await new Promise(() => {}); };
export const pushes = () => { queue.push('bad', 1, { fn: 'never', delay: 9 }); throw new Error('after a push'); };
export const never = () => {};
";

#[test]
fn jobs_that_fail_are_parked_with_outcome_console_and_position() {
    let site = site(&[
        ("modules/bad.js", BAD_JOBS),
        ("modules/helper.js", "export const helper = (value) => {\n  return value.missing;\n};\n"),
        ("brand.toml", "default = true\n[limits.job]\nfuel = 300_000_000\nheap_bytes_max = 4_000_000\n"),
    ]);
    let data = tempfile::tempdir().unwrap();
    let mut server =
        ServerOptions::of(site.path()).data(data.path()).env("SLUICE_JOBS__RETRY_WAIT", "0s").start();
    for name in ["throws", "loops", "fills", "waits", "pushes"] {
        push(&server, &json!({ "module": "bad", "fn": name, "payload": 1 }));
    }
    server.wait_for_metric("sluice_queue_jobs", &["state=\"parked\""], 5.0);
    server.terminate();
    let jobs = jobs(data.path());
    // What a failed try has pushed is not stored.
    assert_eq!(jobs.len(), 5, "{jobs:?}");
    for (name, outcome, error, console) in [
        (
            "throws",
            "error",
            "modules/helper.js:2:16: TypeError: cannot read property 'missing' of null",
            "[warn] about to fail",
        ),
        ("loops", "fuel", "modules/bad.js:3:", "[log] loops"),
        ("fills", "memory", "modules/bad.js:4:", "[log] fills"),
        ("waits", "error", "AwaitError", "[log] waits"),
        ("pushes", "error", "modules/bad.js:6:", ""),
    ] {
        let job = jobs.iter().find(|job| job.function == name).unwrap();
        assert_eq!((job.state, job.attempts), (State::Parked, 3), "{name}");
        assert_eq!(job.outcome.as_deref(), Some(outcome), "{name}: {job:?}");
        let last_error = job.last_error.as_deref().unwrap();
        assert!(last_error.contains(error), "{name}: {last_error}");
        assert_eq!(job.console.as_deref(), Some(console), "{name}");
    }
}

#[test]
fn operators_list_show_retry_and_drop_jobs() {
    let site = site(&[(
        "modules/bad.js",
        "export default () => { console.log('a\\u001b', 1); throw new Error('no\\u001b'); };",
    )]);
    let dir = site.path().to_str().unwrap().to_owned();
    let data = tempfile::tempdir().unwrap();
    let options = || ServerOptions::of(site.path()).data(data.path()).env("SLUICE_JOBS__RETRY_WAIT", "0s");
    let mut server = options().start();
    let parked = push(&server, &json!({ "module": "bad", "payload": "secret", "tag": "t" }));
    let parked = parked["jobId"].as_str().unwrap().to_owned();
    let later = push(&server, &json!({ "module": "bad", "delay": 3_600 }));
    let later = later["jobId"].as_str().unwrap().to_owned();
    server.wait_for_metric("sluice_queue_jobs", &["state=\"parked\""], 1.0);

    let api = |path: &str| -> Value {
        serde_json::from_str(&server.admin(&format!("/api/brands/demo/queue{path}")).body).unwrap()
    };
    let listed = api("");
    let [first, second] = listed.as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!(
        (&first["id"], &first["state"], &first["attempts"]),
        (&json!(parked), &json!("parked"), &json!(3))
    );
    assert_eq!(first["console"], json!(["[log] a\u{1b} 1"]));
    assert_eq!(first["payload_bytes"], 7);
    assert_eq!((&second["id"], &second["state"]), (&json!(later), &json!("pending")));
    assert!(!listed.to_string().contains("secret"), "{listed}");
    let act = |path: &str| Request::new("POST", path).operator().send(server.admin_address).status;
    assert_eq!(act(&format!("/api/brands/demo/queue/{later}/drop")), 200);
    assert_eq!(act(&format!("/api/brands/demo/queue/{later}/drop")), 404);
    assert_eq!(act("/api/brands/demo/queue/1/drop"), 404);
    assert_eq!(act(&format!("/api/brands/other/queue/{parked}/drop")), 404);
    assert_eq!(api("").as_array().unwrap().len(), 1);
    let page = Request::get("/brands/demo/jobs").operator().send(server.admin_address).body;
    assert!(page.contains(&parked) && page.contains("bad.default") && page.contains("[log] a"), "{page}");
    server.terminate();

    let command = |args: &[&str]| printed(data.path(), &[&["jobs"], args].concat());
    let table = command(&["list", &dir]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("ID") && lines[1].starts_with(&parked), "{table}");
    assert!(lines[1].contains("parked") && lines[1].ends_with("demo  bad.default"), "{table}");
    assert!(lines[2].contains("modules/bad.js:1:") && !table.contains('\u{1b}'), "{table}");
    let shown = command(&["show", &parked, &dir]);
    for text in
        ["state          parked", "tries          3", "tag            t", "outcome        error", "  [log] a"]
    {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(!shown.contains('\u{1b}') && !shown.contains("secret"), "{shown}");
    assert_eq!(command(&["retry", &parked, &dir]), "1 job will be tried again\n");
    assert_eq!(command(&["drop", "parked", &dir]), "0 jobs dropped\n");
    assert_eq!(command(&["drop", "all", &dir, "--brand", "demo"]), "1 job dropped\n");
    assert_eq!(command(&["list", &dir]), "no jobs\n");
}

#[test]
fn job_whose_function_has_gone_is_parked_and_says_so() {
    let site = site(&[("modules/later.js", "export const one = () => {};\n")]);
    let data = tempfile::tempdir().unwrap();
    let start =
        || ServerOptions::of(site.path()).data(data.path()).env("SLUICE_JOBS__RETRY_WAIT", "0s").start();
    let mut server =
        ServerOptions::of(site.path()).data(data.path()).env("SLUICE_JOBS__RUNS_MAX", "0").start();
    for key in ["a", "b"] {
        push(&server, &json!({ "module": "later", "fn": "one", "key": key }));
    }
    site.write("brands/demo/modules/later.js", "export const two = () => {};\n");
    server.terminate();
    let mut server = start();
    server.wait_for_metric("sluice_queue_jobs", &["state=\"parked\""], 2.0);
    server.terminate();
    let errors: Vec<_> = jobs(data.path()).into_iter().map(|job| job.last_error.unwrap()).collect();
    let gone = "modules/later: TypeError: modules/later exports no function `one`";
    assert_eq!(errors, [gone, gone]);
}

/// Jobs of `demo` that wait for nothing.
fn flood(data: &Path, count: usize) {
    let job = |_| NewJob {
        id: JobId::random().unwrap(),
        module: "work".to_owned(),
        function: "default".to_owned(),
        payload: vec![0xc0],
        due_at: 0,
        tag: None,
        key: None,
    };
    block_on(async {
        let store = SqliteStore::open(SqliteOptions::new(data.join("sluice.db"))).await.unwrap();
        let queue = QueueCommit { jobs: (0..count).map(job).collect(), jobs_max: u64::MAX, done: None };
        store.commit_run(RunCommit { queue, ..RunCommit::new("demo") }, 1).await.unwrap();
        store.close().await;
    });
}

#[test]
fn job_of_another_brand_starts_before_a_flood_ends() {
    let site = site(&[("modules/work.js", "export default () => storage.increment('ran');")]);
    let small = site.brand_dir("small");
    let files = [
        ("pages/read.html", READ),
        ("pages/push.html", PUSH),
        ("modules/own.js", "export default () => storage.set('own', true);"),
        ("brand.toml", "domains = ['small.test']\n"),
    ];
    for (file, text) in files {
        std::fs::create_dir_all(small.join(file).parent().unwrap()).unwrap();
        std::fs::write(small.join(file), text).unwrap();
    }
    let data = tempfile::tempdir().unwrap();
    flood(data.path(), 25_000);
    let server = ServerOptions::of(site.path()).data(data.path()).start();
    server.wait_until("the flood has begun", || stored(&server, "ran").as_u64() > Some(0));
    push_at(&server, "small.test", &json!({ "module": "own" }));
    server.wait_until("the other brand's job has run", || {
        server.get("small.test", "/read?key=own").body == "true"
    });
    let ran = stored(&server, "ran").as_u64().unwrap();
    assert!(ran < 20_000, "{ran} jobs of the flood had run");
}

const COUNTED: &str =
    "export default ({ n }) => { storage.increment(`ran:${n}`, 1, { namespace: 'jobs' }); };";
const NUMBERED: &str = "<script scope=\"backend\">
    const { n, read } = request.query;
    if (read) response.json(storage.list({ namespace: 'jobs', prefix: 'ran:' + read, limit: 200 }).keys.map(({ key, value }) => [key, value]));
    response.json(queue.push('counted', { n }).ok);
</script>";

const CLIENTS: usize = 8;
const KILLS: usize = 20;

#[test]
fn killed_hosts_lose_no_acknowledged_job() {
    let data = tempfile::tempdir().unwrap();
    survives_kills(|site| {
        ServerOptions::of(site).data(data.path()).env("SLUICE_JOBS__TAKEOVER", "2s").start()
    });
}

#[test]
fn killed_hosts_lose_no_acknowledged_job_on_postgresql() {
    let database = Database::create();
    survives_kills(|site| {
        ServerOptions::of(site).postgres(&database.url()).env("SLUICE_JOBS__TAKEOVER", "2s").start()
    });
}

/// `start` starts a host on the same database each time.
fn survives_kills(start: impl Fn(&Path) -> Server) {
    let site = TestSite::with(&[("pages/index.html", NUMBERED), ("modules/counted.js", COUNTED)]);
    let acknowledged: Vec<Vec<AtomicU64>> =
        (0..KILLS).map(|_| (0..CLIENTS).map(|_| AtomicU64::new(0)).collect()).collect();
    for (round, counts) in acknowledged.iter().enumerate() {
        let server = start(site.path());
        let address = server.address;
        std::thread::scope(|scope| {
            for (client, count) in counts.iter().enumerate() {
                scope.spawn(move || {
                    for n in 0..200 {
                        let path = format!("/?n={round}-{client}-{n}");
                        let Ok(answer) = Request::get(&path).try_send(address) else { return };
                        assert_eq!((answer.status, &*answer.body), (200, "true"));
                        count.store(n + 1, Ordering::SeqCst);
                    }
                });
            }
            let mut byte = [0; 1];
            getrandom::fill(&mut byte).unwrap();
            std::thread::sleep(Duration::from_millis(20 + u64::from(byte[0])));
            server.kill();
        });
    }
    let server = start(site.path());
    server.wait_until("no job is left", || {
        let jobs: Vec<Value> = serde_json::from_str(&server.admin("/api/brands/demo/queue").body).unwrap();
        // A job whose hosts were killed three times waits for an operator, and is not lost.
        for parked in jobs.iter().filter(|job| job["state"] == "parked") {
            assert_eq!(parked["outcome"], "host", "{parked}");
            let path = format!("/api/brands/demo/queue/{}/retry", parked["id"].as_str().unwrap());
            assert_eq!(Request::new("POST", &path).operator().send(server.admin_address).status, 200);
        }
        jobs.is_empty()
    });
    let page = |prefix: &str| -> Vec<(String, u64)> {
        serde_json::from_str(&server.get("localhost", &format!("/?read={prefix}")).body).unwrap()
    };
    let (mut total, mut twice) = (0, 0);
    for (round, counts) in acknowledged.iter().enumerate() {
        for (client, count) in counts.iter().enumerate() {
            let count = count.load(Ordering::SeqCst);
            let prefix = format!("{round}-{client}-");
            let has_run = |n: u64, ran: &[(String, u64)]| {
                ran.iter().any(|(key, times)| *key == format!("ran:{prefix}{n}") && *times > 0)
            };
            server.wait_until("every acknowledged job has run", || {
                let ran = page(&prefix);
                (0..count).all(|n| has_run(n, &ran))
            });
            total += count;
            twice += page(&prefix).iter().filter(|(_, times)| *times > 1).count();
        }
    }
    assert!(total > 0, "nothing was pushed before the kills");
    // Only jobs that ran at a kill can run twice.
    assert!(twice <= 16 * KILLS, "{twice} of {total} jobs ran twice");
    println!("{total} acknowledged jobs, {twice} of them ran twice");
}

#[test]
fn refused_jobs_are_counted() {
    let site = site(&[
        ("modules/work.js", "export default () => {};"),
        ("brand.toml", "default = true\n[limits]\nqueue_jobs_max = 1\n"),
        (
            "pages/try.html",
            "<script scope=\"backend\">
               try { queue.push('work', 1, { delay: 60 }); } catch (error) { response.json(error.message); }
               response.json('pushed');
             </script>",
        ),
    ]);
    let server = Server::start(site.path());
    assert_eq!(server.get("localhost", "/try").body, "\"pushed\"");
    assert_eq!(server.metric("sluice_queue_pushes_refused_total", &[]), 0.0);
    assert!(server.get("localhost", "/try").body.contains("(queue_jobs_max)"));
    assert_eq!(server.metric("sluice_queue_pushes_refused_total", &[]), 1.0);
    server.wait_log_entries(&[("message", "the quota of jobs refuses a job"), ("brand", "demo")], 1);
}

#[test]
fn stopped_host_gives_its_running_job_to_the_next_one() {
    let site = site(&[(
        "modules/slow.js",
        "export default (_, { attempt }) => {
            const times = storage.increment('begun');
            if (times === 1) for (;;) {}
            storage.set('attempt', attempt);
        };",
    )]);
    let data = tempfile::tempdir().unwrap();
    let start =
        || ServerOptions::of(site.path()).data(data.path()).env("SLUICE_JOBS__STOP_WAIT", "0s").start();
    let mut server = start();
    push(&server, &json!({ "module": "slow" }));
    server.wait_until("the job runs", || stored(&server, "begun") == 1);
    assert!(server.terminate().success());
    let server = start();
    server.wait_until("the job has run again", || stored(&server, "attempt") != Value::Null);
    // The first try was not the job's fault.
    assert_eq!(stored(&server, "attempt"), 1);
}

#[test]
fn job_that_queues_too_much_is_not_done() {
    let site = site(&[
        (
            "modules/many.js",
            "export default () => { for (let n = 0; n < 3; n++) queue.push('many', 1, { delay: 60 }); };",
        ),
        ("brand.toml", "default = true\n[limits]\nqueue_jobs_max = 3\n"),
    ]);
    let data = tempfile::tempdir().unwrap();
    let mut server =
        ServerOptions::of(site.path()).data(data.path()).env("SLUICE_JOBS__RETRY_WAIT", "0s").start();
    push(&server, &json!({ "module": "many" }));
    server.wait_for_metric("sluice_queue_jobs", &["state=\"parked\""], 1.0);
    server.terminate();
    let jobs = jobs(data.path());
    let [job] = jobs.as_slice() else { panic!("{jobs:?}") };
    assert!(job.last_error.as_deref().unwrap().contains("queue_jobs_max"), "{job:?}");
}
