use sluice_sandbox::outcome::Level;

use sluice_kit::operator_dir::OperatorDir;

use super::query::{Filter, LogReader};
use super::*;

fn options(folder: &std::path::Path) -> ExecutionLogOptions {
    ExecutionLogOptions {
        path: OperatorDir::outside(&folder.join("site"), folder).unwrap().file("runs.db").unwrap(),
        keep: Duration::from_secs(3_600),
        rows_max: 1_000,
        sample: 0.0,
    }
}

fn request<'a>(brand: &'a str, page: &'a str) -> RequestInfo<'a> {
    RequestInfo { brand, page, method: "GET", path: "/a" }
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
    assert_eq!(shared.queued.load(Ordering::Relaxed), 0);
    assert_eq!(shared.queued_bytes.load(Ordering::Relaxed), 0);
}
