use sluice_sandbox::outcome::{Level, Outcome};
use sluice_session::Session;

use sluice_kit::operator_dir::OperatorDir;

use super::failures::{FailureFilter, FailureOrder, OutcomeCount};
use super::query::{Filter, LogReader};
use super::*;

fn options(folder: &std::path::Path) -> ExecutionLogOptions {
    ExecutionLogOptions {
        path: OperatorDir::outside(&folder.join("site"), folder).unwrap().file("runs.db").unwrap(),
        keep: Duration::from_secs(3_600),
        rows_max: 1_000,
        bytes_max: 1 << 30,
        sample: 0.0,
    }
}

fn request<'a>(brand: &'a str, page: &'a str) -> RequestInfo<'a> {
    RequestInfo { brand, page, method: "GET", path: "/a", job: None }
}

fn run(fuel: u64) -> FinishedRun {
    let cost = RunCost { fuel, wall_us: 5, ..RunCost::default() };
    FinishedRun { trace_id: "0".repeat(32), has_run: true, outcome: "ok", cost, ..FinishedRun::default() }
}

fn failed(fuel: u64) -> FinishedRun {
    let failure = Failure { file: "pages/a.html".into(), line: 3, column: 5, ..Failure::new("Error", "no") };
    let mut run = FinishedRun { outcome: "error", failure: Some(failure), ..run(fuel) };
    run.cost.has_failed = true;
    run
}

fn logged(text: &str) -> FinishedRun {
    let line = ConsoleLine { level: Level::Warn, text: text.to_owned() };
    let mut run = run(1);
    run.console.lines.push(line);
    run
}

pub(super) fn execution_of(brand: &str) -> Execution {
    execution(request(brand, "pages/a.html"), run(1), 200, 1)
}

#[tokio::test]
async fn stores_runs_that_failed_or_logged() {
    let folder = tempfile::tempdir().unwrap();
    let log = ExecutionLog::start(options(folder.path())).unwrap();
    log.record(request("a", "pages/a.html"), run(1), 200);
    log.record(request("a", "pages/a.html"), failed(2), 500);
    log.record(request("a", "pages/b.html"), logged("héllo"), 200);
    log.record(request("b", "pages/a.html"), failed(3), 200);
    log.flush().await;
    let reader = LogReader::open(log.path()).unwrap();
    let list = |filter: Filter| reader.list(&Filter { limit: 10, ..filter }).unwrap();
    let all = list(Filter::default());
    assert_eq!(
        all.iter().map(|run| run.fuel).collect::<Vec<_>>(),
        [3, 1, 2],
        "newest first, without the successful run that logged nothing"
    );
    let of_a = list(Filter { brand: Some("a".into()), ..Filter::default() });
    assert_eq!(of_a.len(), 2);
    assert_eq!((of_a[0].console[0].level.as_str(), of_a[0].console[0].text.as_str()), ("warn", "héllo"));
    let failed = list(Filter { brand: Some("a".into()), only_failed: true, ..Filter::default() });
    assert_eq!((failed.len(), failed[0].status, failed[0].outcome.as_str()), (1, 500, "error"));
    assert_eq!(failed[0].error.as_ref().unwrap().to_string(), "pages/a.html:3:5: Error: no");
    let later = list(Filter { after: Some(all[2].id), ..Filter::default() });
    assert_eq!(later.iter().map(|run| run.fuel).collect::<Vec<_>>(), [1, 3], "oldest first");
    assert_eq!(reader.find(all[0].id).unwrap().unwrap(), all[0]);
    assert_eq!((reader.find(99).unwrap(), reader.newest().unwrap()), (None, all[0].id));
}

#[tokio::test]
async fn failed_template_counts_as_a_failure_of_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let log = ExecutionLog::start(options(folder.path())).unwrap();
    let mut run = run(1);
    run.template_failed(&Failure::new("TemplateError", "no"));
    log.record(request("a", "pages/a.html"), run, 500);
    log.flush().await;
    let reader = LogReader::open(log.path()).unwrap();
    let summaries = reader.summaries(Some("a"), 0).unwrap();
    assert_eq!((summaries[0].stats.runs, summaries[0].stats.failures), (1, 1));
}

#[tokio::test]
async fn histograms_count_all_runs_and_survive_restarts() {
    let folder = tempfile::tempdir().unwrap();
    for fuel in [100, 200] {
        let log = ExecutionLog::start(options(folder.path())).unwrap();
        log.record(request("a", "pages/a.html"), run(fuel), 200);
        log.record(request("b", "pages/a.html"), failed(7), 200);
        log.flush().await;
        // A process is identified by the time of its start.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let reader = LogReader::open(options(folder.path()).path.path()).unwrap();
    let of_a = reader.summaries(Some("a"), 0).unwrap();
    assert_eq!(of_a.len(), 1);
    assert_eq!((of_a[0].stats.runs, of_a[0].stats.failures, of_a[0].stats.fuel.max()), (2, 0, 200));
    assert_eq!(reader.summaries(None, 0).unwrap().len(), 2);
    let history = reader.history("b", "pages/a.html", 0).unwrap();
    assert_eq!(history.iter().map(|(_, stats)| stats.failures).sum::<u64>(), 2);
    assert!(reader.summaries(None, now_ms() + 1).unwrap().is_empty());
}

#[tokio::test]
async fn calls_to_other_servers_are_counted_by_host_and_survive_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let call = |host: &str, result| HostCall::new(host, result, Duration::from_micros(7));
    for error in ["slow", "refused"] {
        let log = ExecutionLog::start(options(folder.path())).unwrap();
        let http_calls = vec![call("x", Ok(200)), call("x", Err(error)), call("y", Ok(404))];
        log.record(request("a", "pages/a.html"), FinishedRun { http_calls, ..run(1) }, 200);
        log.record(
            request("b", "pages/a.html"),
            FinishedRun { http_calls: vec![call("x", Ok(200))], ..run(1) },
            200,
        );
        log.flush().await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let reader = LogReader::open(options(folder.path()).path.path()).unwrap();
    let hosts = reader.hosts(Some("a"), (0, i64::MAX)).unwrap();
    let stats = |host: &str| &hosts[&("a".to_owned(), host.to_owned())];
    let of = |host: &str| {
        let stats = stats(host);
        (stats.wall_us.count(), stats.unanswered, stats.status_4xx)
    };
    assert_eq!((hosts.len(), of("x"), of("y")), (2, (4, 2, 0), (2, 0, 2)));
    assert_eq!(stats("x").last_failure.as_ref().unwrap().error, "refused");
    let callers: Vec<&str> = stats("x").callers.iter().map(|caller| caller.page.as_str()).collect();
    assert_eq!(callers, ["pages/a.html"]);
    assert_eq!(reader.hosts(None, (0, i64::MAX)).unwrap().len(), 3, "those of all brands");
    assert!(reader.hosts(Some("a"), (0, 1)).unwrap().is_empty());
    let conn = database::open(options(folder.path()).path.path()).unwrap();
    let mut rounds = 1;
    while database::delete_expired(&conn, i64::MAX, 100, 2).unwrap() {
        rounds += 1;
    }
    assert!(rounds > 2, "a few rows at a time: {rounds}");
    assert!(reader.hosts(Some("a"), (0, i64::MAX)).unwrap().is_empty());
}

#[tokio::test]
async fn a_sample_of_one_stores_all_runs_and_a_sample_of_zero_none() {
    for (sample, kept) in [(1.0, 20), (0.0, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let log = ExecutionLog::start(ExecutionLogOptions { sample, ..options(folder.path()) }).unwrap();
        for tail in 0..20_u64 {
            let trace_id = format!("{:016x}{:016x}", 0, tail.wrapping_mul(0x0ccc_cccc_cccc_cccc));
            log.record(request("a", "p"), FinishedRun { trace_id, ..run(1) }, 200);
        }
        log.flush().await;
        assert_eq!(LogReader::open(log.path()).unwrap().newest().unwrap(), kept, "{sample}");
    }
}

#[test]
fn deletes_runs_by_age_and_by_count() {
    let folder = tempfile::tempdir().unwrap();
    let mut conn = database::open(&folder.path().join("runs.db")).unwrap();
    let runs: Vec<_> = (0..100).map(|n| execution(request("a", "p"), failed(n), 200, n as i64)).collect();
    database::write(&mut conn, &runs, &[], 1).unwrap();
    let count = || conn.query_row("SELECT count(*) FROM execution", [], |row| row.get::<_, i64>(0)).unwrap();
    assert!(database::delete_expired(&conn, 0, 60, 30).unwrap(), "one batch is deleted at a time");
    assert_eq!(count(), 70);
    assert!(!database::delete_expired(&conn, 0, 60, 30).unwrap());
    assert_eq!(count(), 60);
    assert!(!database::delete_expired(&conn, 90, 60, 60).unwrap());
    assert_eq!(count(), 10);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_does_not_block_callers() {
    let folder = tempfile::tempdir().unwrap();
    // A folder has the name of the file.
    std::fs::create_dir(folder.path().join("runs.db")).unwrap();
    let log = ExecutionLog::start(options(folder.path())).unwrap();
    for _ in 0..3 * QUEUE_RUNS_MAX {
        log.record(request("a", "p"), failed(1), 200);
    }
    log.flush().await;
    let shared = &log.shared;
    let lost = shared.dropped.load(Ordering::Relaxed) + shared.failed.load(Ordering::Relaxed);
    assert_eq!((lost, shared.written.load(Ordering::Relaxed)), (3 * QUEUE_RUNS_MAX as u64, 0));
    assert_eq!(shared.waiting.runs(), 0);
}

#[tokio::test]
async fn counts_that_could_not_be_written_are_written_later() {
    let folder = tempfile::tempdir().unwrap();
    let log = ExecutionLog::start(options(folder.path())).unwrap();
    let count = |page| log.record(request("a", page), run(1), 200);
    let runs = || {
        let summaries = LogReader::open(log.path()).unwrap().summaries(None, 0).unwrap();
        summaries.into_iter().map(|summary| (summary.page, summary.stats.runs)).collect::<Vec<_>>()
    };
    count("p");
    log.flush().await;
    let other = rusqlite::Connection::open(log.path()).unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON page_stats BEGIN SELECT raise(ABORT, 'full'); END";
    other.execute_batch(full).unwrap();
    for page in ["p", "q"] {
        count(page);
    }
    log.flush().await;
    assert_eq!(runs(), [("p".to_owned(), 1)]);
    other.execute_batch("DROP TRIGGER full").unwrap();
    // No page runs meanwhile.
    log.flush().await;
    assert_eq!(runs(), [("p".to_owned(), 2), ("q".to_owned(), 1)]);
}

/// How many runs of each brand the file has, and the ids of the oldest.
fn stored(conn: &rusqlite::Connection) -> Vec<(String, i64, i64)> {
    let sql = "SELECT brand, count(*), min(id) FROM execution GROUP BY brand ORDER BY brand";
    let mut statement = conn.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn brand_that_floods_the_log_erases_only_its_own_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut conn = database::open(&folder.path().join("runs.db")).unwrap();
    let quiet: Vec<_> = (0..10).map(|_| execution_of("quiet")).collect();
    database::write(&mut conn, &quiet, &[], 1).unwrap();
    let flood: Vec<_> =
        (0..200).map(|_| execution(request("loud", "p"), logged(&"x".repeat(10_000)), 200, 2)).collect();
    database::write(&mut conn, &flood, &[], 1).unwrap();
    database::trim(&conn, 1_000_000, 30).unwrap();
    let bytes: i64 = conn
        .query_row("SELECT sum(length(run)) FROM execution WHERE brand = 'loud'", [], |row| row.get(0))
        .unwrap();
    assert!((960_000..=1_000_000).contains(&bytes), "{bytes}");
    let usage: i64 =
        conn.query_row("SELECT bytes FROM brand_usage WHERE brand = 'loud'", [], |row| row.get(0)).unwrap();
    assert_eq!(usage, bytes, "the counters are exact");
    let by_brand = stored(&conn);
    assert_eq!(by_brand[1], ("quiet".into(), 10, 1));
    assert!(by_brand[0].2 > 100, "the oldest runs of the loud brand are deleted: {by_brand:?}");
    while database::delete_expired(&conn, 0, 20, 30).unwrap() {}
    assert_eq!(stored(&conn)[1], ("quiet".into(), 10, 1), "the number of runs is shared, too");
    assert_eq!(stored(&conn)[0].1, 10);
}

#[test]
fn a_stored_run_has_at_most_64_kib() {
    let folder = tempfile::tempdir().unwrap();
    let mut conn = database::open(&folder.path().join("runs.db")).unwrap();
    let mut failure = Failure::new(&"n".repeat(1 << 20), "m".repeat(4 << 20));
    (failure.file, failure.stack) = ("f".repeat(1 << 20), "s".repeat(1 << 20));
    let mut report = RunReport::not_run(Outcome::Error, Some(failure.clone()), Session::default());
    for text in [String::new(), "x".repeat(30_000)].iter().cycle().take(5_000) {
        report.effects.console.lines.push(ConsoleLine { level: Level::Log, text: text.clone() });
    }
    let mut template = FinishedRun::new(&RunReport { failure: None, ..report.clone() }, true, "0".repeat(32));
    template.template_failed(&failure);
    let long = "/p".repeat(1 << 20);
    let info = RequestInfo { path: &long, ..request("a", &long) };
    let runs = [FinishedRun::new(&report, true, "0".repeat(32)), template];
    let runs = runs.map(|run| {
        assert_eq!(run.console.lines.len() + run.console.dropped, 5_000);
        execution(info, run, 500, 1)
    });
    database::write(&mut conn, &runs, &[], 1).unwrap();
    let largest: i64 =
        conn.query_row("SELECT max(length(run)) FROM execution", [], |row| row.get(0)).unwrap();
    assert!((45 << 10..=64 << 10).contains(&largest), "{largest}");
}

#[test]
fn counts_the_runs_of_a_file_of_version_1() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut conn = database::open(&path).unwrap();
    database::write(&mut conn, &[execution_of("a"), execution_of("a"), execution_of("b")], &[], 1).unwrap();
    conn.execute_batch(
        "DROP TABLE host_stats; DROP TABLE brand_usage; DROP TRIGGER execution_added; DROP TRIGGER execution_deleted;
         DROP INDEX execution_brand; DROP INDEX execution_failures; DROP INDEX execution_job;
         ALTER TABLE execution DROP COLUMN kind; ALTER TABLE execution DROP COLUMN job;
         PRAGMA user_version = 1",
    )
    .unwrap();
    drop(conn);
    let conn = database::open(&path).unwrap();
    let sql = "SELECT group_concat(brand || runs || (bytes > 100), ' ') FROM brand_usage";
    assert_eq!(conn.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap(), "a21 b11");
}

fn failed_with(page: &str, message: &str, at_ms: i64) -> Execution {
    let failure = Failure { file: page.into(), line: 3, column: 5, ..Failure::new("Error", message) };
    let run = FinishedRun { outcome: "error", failure: Some(failure), ..run(1) };
    execution(request("a", page), run, 500, at_ms)
}

#[test]
fn groups_failures_so_that_a_loud_one_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut conn = database::open(&path).unwrap();
    let mut runs: Vec<Execution> =
        (0..500).map(|at| failed_with("pages/loud.html", &format!("row {at} is missing"), at)).collect();
    runs.insert(100, failed_with("pages/quiet.html", "no price", 100));
    runs.push(failed_with("pages/loud.html", "no table", 40));
    runs.push(execution_of("a"));
    database::write(&mut conn, &runs, &[], 1).unwrap();

    let reader = LogReader::open(&path).unwrap();
    let filter = FailureFilter { to_ms: 500, parts: 5, limit: 10, ..FailureFilter::default() };
    let found = reader.failures(&filter).unwrap();
    let shown: Vec<(&str, u64, i64, i64)> = found
        .groups
        .iter()
        .map(|group| (group.last.page.as_str(), group.count, group.first_ms, group.last_ms))
        .collect();
    assert_eq!(
        shown,
        [("pages/loud.html", 500, 0, 499), ("pages/loud.html", 1, 40, 40), ("pages/quiet.html", 1, 100, 100)]
    );
    let [loud, ..] = found.groups.as_slice() else { panic!("there are groups") };
    assert_eq!(loud.trend, [100; 5]);
    assert_eq!(loud.last.error.as_ref().unwrap().message, "row 499 is missing");
    let outcomes =
        OutcomeCount { outcome: "error".to_owned(), runs: 502, brands: vec![("a".to_owned(), 502)] };
    assert_eq!((found.groups_all, &found.outcomes), (3, &vec![outcomes]));
    assert_eq!(loud.since, 0);

    let few = reader.failures(&FailureFilter { limit: 1, ..filter.clone() }).unwrap();
    assert_eq!((few.groups.len(), few.groups_all), (1, 3));
    let early = FailureFilter { to_ms: 50, page: Some("pages/loud.html".into()), ..filter };
    assert_eq!(reader.failures(&early).unwrap().groups.iter().map(|group| group.count).sum::<u64>(), 51);

    // Those that somebody has hidden make room for others, and count as outcomes.
    let one = FailureFilter { to_ms: 500, limit: 1, ..FailureFilter::default() };
    let shown = reader
        .failures_if(&one, |kind, _, last_ms| kind.message != "Error: row # is missing" && last_ms < 500);
    let shown = shown.unwrap();
    assert_eq!((shown.groups_all, shown.groups[0].count, shown.outcomes[0].runs), (2, 1, 502));
    assert_eq!(reader.kind_of(loud.last.id).unwrap().as_ref(), Some(&loud.kind));
    assert_eq!(reader.kind_of(i64::MAX).unwrap(), None);
    let kinds = reader.kinds(Some("a")).unwrap();
    assert!(kinds.len() == 3 && kinds.contains(&(loud.kind.clone(), 499)), "{kinds:?}");
    assert!(reader.kinds(Some("b")).unwrap().is_empty());

    let counts = |order| -> Vec<u64> {
        let asked = FailureFilter {
            order,
            since_ms: Some(490),
            to_ms: 500,
            parts: 1,
            limit: 9,
            ..FailureFilter::default()
        };
        let groups = reader.failures(&asked).unwrap().groups;
        assert_eq!(groups.iter().map(|group| group.since).sum::<u64>(), 10);
        groups.iter().map(|group| group.count).collect()
    };
    assert_eq!(counts(FailureOrder::Rarest), [1, 1, 500]);
    assert_eq!(counts(FailureOrder::Latest), [500, 1, 1]);
    assert_eq!(counts(FailureOrder::Newest), [1, 1, 500]);

    let like = reader.like(loud.last.id, 3).unwrap();
    let messages: Vec<&str> = like.iter().map(|run| run.error.as_ref().unwrap().message.as_str()).collect();
    assert_eq!(messages, ["row 498 is missing", "row 497 is missing", "row 496 is missing"]);
}

#[test]
fn newest_run_of_each_job_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut conn = database::open(&path).unwrap();
    let of_job = |brand, job| Execution { job: Some(String::from(job)), ..execution_of(brand) };
    let runs = [of_job("a", "1"), of_job("a", "2"), of_job("a", "1"), of_job("b", "1"), execution_of("a")];
    database::write(&mut conn, &runs, &[], 1).unwrap();
    let reader = LogReader::open(&path).unwrap();
    let jobs = ["1", "2", "3"].map(str::to_owned);
    let found = reader.last_runs_of_jobs("a", &jobs).unwrap();
    assert_eq!(found, [("1".to_owned(), 3), ("2".to_owned(), 2)]);
    assert_eq!(reader.find(3).unwrap().unwrap().job.as_deref(), Some("1"));
}

#[test]
fn numbers_do_not_matter_for_the_kind_of_a_failure() {
    let kind = |message: &str| StoredError::from(&Failure::new("Error", message)).kind();
    assert_eq!(kind("order 1234 of 5 is missing"), "Error: order # of # is missing");
    assert_eq!(kind("order 7 of 89 is missing"), kind("order 1 of 2 is missing"));
    assert_ne!(kind("order 7 is late"), kind("order 7 is missing"));
    assert!(kind(&"é".repeat(5_000)).chars().count() <= KIND_CHARS_MAX);
}
