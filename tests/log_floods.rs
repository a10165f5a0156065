//! Pages that log without end, and the size of the log.

use crate::harness::{Request, ServerOptions, TestSite};

/// The most bytes of one record.
const RECORD_BYTES_MAX: usize = 64 << 10;

#[test]
fn large_errors_are_cut_before_they_reach_a_log() {
    let page = r#"<script scope="backend">
      class X extends Error {}
      Object.defineProperty(X.prototype, 'name', { value: '\u0007'.repeat(1e6) });
      console.log('"\u0001'.repeat(1e5));
      for (let i = 0; i < 300; i++) console.log('');
      throw new X("x".repeat(4e6));
    </script>"#;
    let site = TestSite::with(&[("pages/index.html", page), ("pages/{rest}.html", "rest")]);
    let server = ServerOptions::of(site.path()).env("SLUICE_LOG", "debug").start();
    for _ in 0..40 {
        server.get("localhost", "/");
    }
    let long = format!("/{}", "%22".repeat(2_000));
    Request::get(&long).host("localhost").header("tracestate", &"a=b,".repeat(500)).send(server.address);
    server.wait_for_metric("sluice_execution_log_runs_total", &["result=\"written\""], 40.0);
    server.wait_log_entries(&[("brand", "demo"), ("outcome", "error")], 1);
    let entries = server.log_entries(&[]);
    let sizes: Vec<usize> = entries.iter().map(|entry| entry.to_string().len()).collect();
    assert!(sizes.iter().all(|size| *size <= RECORD_BYTES_MAX), "{sizes:?}");
    let all: usize = sizes.iter().sum();
    assert!(all < 4 << 20, "40 requests made {all} bytes of log");
    let runs = server.admin("/api/brands/demo/runs?limit=100").body;
    assert!(runs.len() < 40 * RECORD_BYTES_MAX * 2, "{}", runs.len());
    assert!(runs.contains("xxx…"), "what was cut is marked");
    let file = std::fs::metadata(server.data_dir().join("runs.db")).unwrap().len();
    assert!(file < 8 << 20, "the file of the log has {file} bytes");
}

#[test]
fn flood_of_one_brand_is_sampled_and_counted() {
    let page = "<script scope=\"backend\">for (let i = 0; i < 200; i++) console.log('line', i)</script>";
    let site = TestSite::with(&[("pages/index.html", page)]);
    site.write("brands/quiet/brand.toml", "domains = [\"quiet.test\"]\n");
    site.write("brands/quiet/pages/index.html", "<script scope=\"backend\">console.log('hello')</script>");
    let server = ServerOptions::of(site.path()).start();
    for _ in 0..40 {
        server.get("localhost", "/");
    }
    server.get("quiet.test", "/");
    server.wait_log_entries(&[("brand", "quiet"), ("message", "console: hello")], 1);
    let said = server.wait_told("more records like this one were not logged: console: line");
    assert_eq!(said[0]["fields"]["brand"], "demo");
    let lines = || {
        let mut lines = server.log_entries(&[("brand", "demo"), ("level", "log")]);
        lines.retain(|entry| entry["fields"]["message"].as_str().unwrap().starts_with("console: line"));
        lines.len() as u64
    };
    let dropped = || -> u64 {
        let said = server.told("more records like this one were not logged: console: line");
        said.iter().map(|entry| entry["fields"]["dropped"].as_u64().unwrap()).sum()
    };
    server.wait_until("all lines are logged or counted", || lines() + dropped() == 8_000);
    assert!(lines() < 4_000, "{} lines were logged", lines());
}

#[test]
fn stored_runs_of_a_brand_are_bounded_by_bytes() {
    let page = "<script scope=\"backend\">throw new Error(\"x\".repeat(8000))</script>";
    let site = TestSite::with(&[("pages/index.html", page)]);
    site.write("brands/quiet/brand.toml", "domains = [\"quiet.test\"]\n");
    site.write("brands/quiet/pages/index.html", "<script scope=\"backend\">console.log('hello')</script>");
    let server = ServerOptions::of(site.path()).env("SLUICE_LOG__BYTES_MAX", "100000").start();
    server.get("quiet.test", "/");
    for _ in 0..40 {
        server.get("localhost", "/");
    }
    server.wait_for_metric("sluice_execution_log_runs_total", &["result=\"written\""], 41.0);
    let count = |brand: &str| {
        let runs = server.admin(&format!("/api/brands/{brand}/runs?limit=100")).body;
        serde_json::from_str::<Vec<serde_json::Value>>(&runs).unwrap().len()
    };
    assert!((5..=12).contains(&count("demo")), "{}", count("demo"));
    assert_eq!(count("quiet"), 1);
}
