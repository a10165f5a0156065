//! Schedules: functions of modules that run at certain times.

mod clock;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use sluice_queue::ScheduleStore as _;
use sluice_store::Store as _;
use sluice_store::sqlite::{SqliteOptions, SqliteStore};
use sluice_test_support::postgres::Database;

use crate::author_run::{err, out, sluice};
use crate::harness::{Request, Server, ServerOptions, TestSite};
use crate::sandbox::block_on;
use clock::FastClock;

/// How many times as fast the clocks of the hosts are.
const RATE: u32 = 10;
const SCHEDULES: usize = 20;
const TICKS: usize = 100;

/// Notes each job under its tick.
const NOTES: &str = "export default ({ schedule }, { jobId, scheduledFor }) => {
    storage.mutate(`${schedule}:${scheduledFor}`, (jobs) => [...(jobs ?? []).filter((job) => job !== jobId), jobId]);
};";

const READ: &str = "<script scope=\"backend\">
    const all = [];
    let after;
    do {
        const { keys, next } = storage.list({ limit: 200, after });
        all.push(...keys.map(({ key, value }) => [key, value]));
        after = next;
    } while (after);
    response.json(all);
</script>";

/// The jobs of each tick of each schedule.
type Started = BTreeMap<String, BTreeMap<i64, Vec<String>>>;

fn started(host: &Server) -> Started {
    let answer = host.get("localhost", "/");
    let all: Vec<(String, Vec<String>)> =
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body));
    let mut started = Started::new();
    for (key, jobs) in all {
        let (schedule, tick) = key.split_once(':').unwrap();
        started.entry(schedule.to_owned()).or_default().insert(tick.parse().unwrap(), jobs);
    }
    started
}

/// The time in Unix seconds.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// How many schedules hosts have seen, by the database of a host.
fn known(data: &Path) -> usize {
    block_on(async {
        let store = SqliteStore::open(SqliteOptions::new(data.join("sluice.db"))).await.unwrap();
        let known = store.list_schedules(None).await.unwrap().len();
        store.close().await;
        known
    })
}

/// A tick is missed if both hosts are down, so one is always up. `start` starts a host whose clock has the
/// number of seconds.
fn survives_kills(start: impl Fn(&Path, i64) -> Server) {
    let schedules: String = (0..SCHEDULES)
        .map(|n| format!("[[schedule]]\nname = \"s{n}\"\ncron = \"* * * * *\"\nmodule = \"notes\"\n"))
        .collect();
    let site = TestSite::with(&[
        ("pages/index.html", READ),
        ("modules/notes.js", NOTES),
        ("brand.toml", &format!("default = true\n{schedules}")),
    ]);
    let mut hosts = [0, 2].map(|ahead| Some(start(site.path(), ahead)));
    let mut kills = 0;
    let count = |host: &Server| started(host).values().map(BTreeMap::len).sum::<usize>();
    while count(hosts[kills % 2].as_ref().unwrap()) < TICKS {
        let mut byte = [0; 1];
        getrandom::fill(&mut byte).unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(byte[0]) * 8));
        kills += 1;
        let victim = kills % 2;
        hosts[victim].take().unwrap().kill();
        hosts[victim] = Some(start(site.path(), 2 * i64::try_from(victim).unwrap()));
    }
    // A job that ran on a host that was killed runs again when its claim ends.
    let is_whole = |ticks: &BTreeMap<i64, Vec<String>>| {
        let times: Vec<&i64> = ticks.keys().collect();
        times.windows(2).all(|pair| pair[1] - pair[0] == 60_000)
    };
    let host = hosts[0].as_ref().unwrap();
    host.wait_until("no tick is left out", || started(host).values().all(is_whole));
    let started = started(host);
    assert_eq!(started.len(), SCHEDULES);
    for (schedule, ticks) in &started {
        assert!(ticks.values().all(|jobs| jobs.len() == 1), "{schedule}: {ticks:?}");
    }
    let total: usize = started.values().map(BTreeMap::len).sum();
    assert!(kills > 2, "{kills} kills");
    println!("{total} ticks, {kills} kills");
}

#[test]
fn each_tick_is_started_once() {
    let (clock, data) = (FastClock::build(), tempfile::tempdir().unwrap());
    survives_kills(|site, ahead| clock.on(ServerOptions::of(site).data(data.path()), RATE, ahead).start());
}

#[test]
fn each_tick_is_started_once_on_postgresql() {
    let (clock, database) = (FastClock::build(), Database::create());
    survives_kills(|site, ahead| {
        clock.on(ServerOptions::of(site).postgres(&database.url()), RATE, ahead).start()
    });
}

#[test]
fn missed_tick_runs_once_at_the_next_start_unless_it_should_not() {
    let site = TestSite::with(&[
        ("pages/index.html", READ),
        ("modules/notes.js", NOTES),
        (
            "brand.toml",
            "default = true
[[schedule]]
name = \"hourly\"
cron = \"@hourly\"
module = \"notes\"
[[schedule]]
name = \"never-late\"
cron = \"@hourly\"
module = \"notes\"
catch_up = false
",
        ),
    ]);
    let (clock, data) = (FastClock::build(), tempfile::tempdir().unwrap());
    let start = |ahead| clock.on(ServerOptions::of(site.path()).data(data.path()), 1, ahead).start();
    let seen = |host: &Server| {
        let answer = host.admin("/api/brands/demo/schedules");
        serde_json::from_str::<Value>(&answer.body).unwrap()
    };
    // Begins at a time at which no tick is near.
    let half_past = 1_900_000_000 / 3_600 * 3_600 + 1_800;
    let mut host = start(half_past - now());
    host.wait_until("the schedules are known", || known(data.path()) == 2);
    assert_eq!(seen(&host)[1]["next_tick"], "2030-03-17T18:00:00.000Z");
    assert!(started(&host).is_empty(), "the first tick is the next one");
    host.terminate();
    // Three ticks later.
    let host = start(half_past - now() + 3 * 3_600);
    let last = "2030-03-17T20:00:00.000Z";
    host.wait_until("the job has run", || seen(&host)[0]["last_state"] == "done");
    let listed = seen(&host);
    assert_eq!((&listed[0]["name"], &listed[0]["last_tick"]), (&json!("hourly"), &json!(last)), "{listed}");
    assert_eq!(
        (&listed[1]["name"], &listed[1]["last_tick"]),
        (&json!("never-late"), &Value::Null),
        "{listed}"
    );
    assert_eq!(listed[0]["next_tick"], "2030-03-17T21:00:00.000Z");
    let ran = started(&host);
    assert_eq!(ran.keys().collect::<Vec<_>>(), ["hourly"]);
    assert_eq!(ran["hourly"].len(), 1, "three missed ticks are one job");
    let skipped = host.wait_log_entries(&[("schedule", "never-late")], 1);
    assert!(skipped[0]["fields"]["message"].as_str().unwrap().contains("was missed"), "{skipped:?}");
}

/// A site with a schedule that ticks at a time that is far away.
fn yearly() -> TestSite {
    TestSite::with(&[
        ("pages/index.html", READ),
        (
            "modules/notes.js",
            &format!("{NOTES}\nexport const fails = () => {{ throw new Error('no figures'); }};\n"),
        ),
        (
            "brand.toml",
            "default = true
[[schedule]]
name = \"yearly\"
cron = \"0 3 1 jan *\"
timezone = \"Europe/Berlin\"
module = \"notes\"
[[schedule]]
name = \"broken\"
cron = \"0 3 1 jan *\"
module = \"notes\"
fn = \"fails\"
",
        ),
    ])
}

#[test]
fn operators_see_schedules_and_run_them_at_once() {
    let site = yearly();
    let data = tempfile::tempdir().unwrap();
    let host = ServerOptions::of(site.path()).data(data.path()).env("SLUICE_JOBS__RETRY_WAIT", "0s").start();
    let api = |path: &str| {
        let answer = Request::new("POST", &format!("/api/brands/demo/schedules/{path}/run")).operator();
        answer.send(host.admin_address)
    };
    let answer = api("yearly");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let job: Value = serde_json::from_str(&answer.body).unwrap();
    host.wait_until("the job has run", || started(&host).contains_key("yearly"));
    assert_eq!(started(&host)["yearly"].values().next().unwrap(), &[job["job"].as_str().unwrap()]);
    // Its run is stored, although it has neither failed nor logged a line.
    host.wait_until("the run is stored", || {
        let runs: Value =
            serde_json::from_str(&host.admin("/api/brands/demo/runs?page=modules/notes&outcome=ok").body)
                .unwrap();
        runs.as_array().unwrap().len() == 1
    });
    let answer = api("yearli");
    assert_eq!(answer.status, 404);
    assert!(
        answer.body.contains("brand demo has no schedule yearli (did you mean \\\"yearly\\\"?)"),
        "{}",
        answer.body
    );
    let page = host.admin("/brands/demo/jobs").body;
    for part in
        ["yearly", "notes.default", "0 3 1 jan *", "Europe/Berlin", "T02:00:00.000Z", "schedules/broken/run"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    // By an operator's shell, beside the host.
    let cli = |args: &[&str]| {
        let mut command = sluice(site.path(), args);
        command.arg("--data").arg(data.path()).output().unwrap()
    };
    let listed = cli(&["jobs", "schedules", ".", "--json"]);
    let listed: Value =
        serde_json::from_str(&out(&listed)).unwrap_or_else(|error| panic!("{error}: {}", err(&listed)));
    assert_eq!((&listed[0]["name"], &listed[0]["cron"]), (&json!("yearly"), &json!("0 3 1 jan *")));
    assert_eq!(listed[0]["last_tick"], Value::Null, "what an operator starts is no tick");
    let done = cli(&["jobs", "run-schedule", "yearly", "."]);
    assert!(done.status.success(), "{}", err(&done));
    assert!(out(&done).contains("runs notes.default of brand demo now"), "{}", out(&done));
    host.wait_until("the job has run", || started(&host)["yearly"].len() == 2);
    let table = out(&cli(&["jobs", "schedules", "."]));
    assert!(table.contains("demo  yearly  notes.default  0 3 1 jan * Europe/Berlin"), "{table}");
    let unknown = cli(&["jobs", "run-schedule", "brokn", "."]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        err(&unknown).contains("there is no schedule \"brokn\" (did you mean \"broken\"?)"),
        "{}",
        err(&unknown)
    );
}

#[test]
fn schedule_whose_last_job_was_parked_is_counted() {
    let site = yearly();
    let (clock, data) = (FastClock::build(), tempfile::tempdir().unwrap());
    let start = |ahead| {
        let host = ServerOptions::of(site.path()).data(data.path()).env("SLUICE_JOBS__RETRY_WAIT", "0s");
        clock.on(host, 1, ahead).start()
    };
    // 3:00 UTC on the first day of 2031.
    let tick = 1_925_002_800;
    let mut host = start(tick - now() - 600);
    host.wait_until("the schedules are known", || known(data.path()) == 2);
    host.terminate();
    let host = start(tick - now() + 60);
    host.wait_for_metric("sluice_queue_jobs", &["state=\"parked\""], 1.0);
    host.wait_for_metric("sluice_schedules_troubled", &["state=\"parked\"", "sluice_brand=\"demo\""], 1.0);
    assert!(host.metric("sluice_schedules_troubled", &["state=\"late\""]).abs() < 0.5);
    let listed: Value = serde_json::from_str(&host.admin("/api/brands/demo/schedules").body).unwrap();
    assert_eq!((&listed[1]["name"], &listed[1]["is_parked"]), (&json!("broken"), &json!(true)), "{listed}");
    assert_eq!(listed[1]["last_tick"], "2031-01-01T03:00:00.000Z");
    assert_eq!(listed[1]["next_tick"], "2032-01-01T03:00:00.000Z");
}

#[test]
fn schedule_of_a_brand_with_too_many_jobs_waits() {
    let site = TestSite::with(&[
        (
            "pages/index.html",
            "<script scope=\"backend\">queue.push('notes', null, { delay: 3600 });</script>",
        ),
        ("modules/notes.js", NOTES),
        (
            "brand.toml",
            "default = true\n[limits]\nqueue_jobs_max = 1\n[[schedule]]\nname = \"often\"\ncron = \"* * * * *\"\nmodule = \"notes\"\n",
        ),
    ]);
    let (clock, data) = (FastClock::build(), tempfile::tempdir().unwrap());
    let host = clock.on(ServerOptions::of(site.path()).data(data.path()), 60, 0).start();
    // There may be no room while the job of a tick runs.
    host.wait_until("a job is pushed", || host.get("localhost", "/").status == 200);
    let refused = |host: &Server| {
        host.log_entries(&[("schedule", "often")]).into_iter().any(|entry| {
            entry["fields"]["message"].as_str().is_some_and(|text| text.contains("queue_jobs_max jobs"))
        })
    };
    host.wait_until("a tick is refused", || refused(&host));
    host.wait_for_metric("sluice_schedules_troubled", &["state=\"late\""], 1.0);
    let done = sluice(site.path(), &["jobs", "drop", "all", ".", "--brand", "demo", "--data"])
        .arg(data.path())
        .output();
    assert!(done.unwrap().status.success());
    host.wait_until("a tick is started", || {
        let listed: Value = serde_json::from_str(&host.admin("/api/brands/demo/schedules").body).unwrap();
        listed[0]["last_tick"].is_string()
    });
}

#[test]
fn test_moves_the_time_to_the_tick_of_a_schedule() {
    let site = TestSite::with(&[
        ("pages/index.html", "<p>Hello</p>"),
        (
            "modules/reports.js",
            "export const nightly = ({ schedule }, { scheduledFor }) => storage.increment(`${schedule}:${scheduledFor}`);",
        ),
        (
            "brand.toml",
            "default = true\n[[schedule]]\nname = 'nightly'\ncron = '0 3 * * *'\ntimezone = 'Europe/Berlin'\nmodule = 'reports'\nfn = 'nightly'\ncatch_up = false\n",
        ),
        (
            "modules/reports.test.js",
            r#"
          test("the report runs at three", () => {
            expect(queue.run()).toBe(0);
            clock.set("2026-01-01T01:59:59Z");
            expect(queue.pushed()).toHaveLength(0);
            clock.advance("1s");
            expect(queue.pushed()).toHaveLength(1);
            expect(queue.pushed()[0]).toMatchObject({ module: "reports", fn: "nightly", payload: { schedule: "nightly" } });
            expect(queue.run()).toBe(1);
            expect(queue.run()).toBe(0);
            expect(storage.get(`nightly:${Date.now()}`)).toBe(1);
          });
          test("of several ticks, the last one is started", () => {
            clock.set("2026-03-31T12:00:00Z");
            expect(queue.run()).toBe(1);
            expect(storage.get(`nightly:${Date.parse("2026-03-31T01:00:00Z")}`)).toBe(1);
          });
        "#,
        ),
    ]);
    let done = sluice(site.path(), &["test"]).output().unwrap();
    assert!(done.status.success() && out(&done).contains("2 passed"), "{}{}", out(&done), err(&done));
}
