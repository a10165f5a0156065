//! The log of runs, as operators read it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::{Server, ServerOptions, TestSite};

fn site() -> TestSite {
    TestSite::with(&[
        ("pages/index.html", "<script scope=\"backend\">setVariable('a', 1)</script>quiet"),
        (
            "pages/talks.html",
            "<script scope=\"backend\">console.warn('careful\\u001b[31m', { a: 1 })</script>",
        ),
        (
            "pages/fails.html",
            "<p>markup</p>\n<script scope=\"backend\">\n  function inner() { throw new TypeError('broken'); }\n  inner();\n</script>",
        ),
        ("pages/template.html", "{{ dump(}}"),
    ])
}

fn sluice(site: &TestSite, server: &Server, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(args).arg(site.path()).arg("--data").arg(server.data_dir()).env("SLUICE_LOG__SAMPLE", "0");
    command
}

fn output(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn written(server: &Server, count: f64) {
    server.wait_for_metric("sluice_execution_log_runs_total", &["result=\"written\""], count);
}

#[test]
fn log_shows_failures_and_console_lines() {
    let site = site();
    let server = ServerOptions::of(site.path()).env("SLUICE_LOG__SAMPLE", "0").start();
    for path in ["/", "/talks?secret=1", "/fails", "/template"] {
        server.get("localhost", path);
    }
    written(&server, 3.0);
    let text = output(sluice(&site, &server, &["logs"]));
    assert!(text.contains("demo pages/fails.html GET /fails 200 error"), "{text}");
    assert!(text.contains("    pages/fails.html:3:32: TypeError: broken"), "{text}");
    assert!(text.contains("pages/fails.html:4:"), "the stack is the author's: {text}");
    assert!(text.contains("    warn: careful\\u{1b}[31m"), "{text}");
    assert!(text.contains("/template 500 template"), "{text}");
    assert!(!text.contains("secret") && !text.contains("pages/index.html"), "{text}");

    let failed = output(sluice(&site, &server, &["logs", "--failed", "--page", "/fails", "--json"]));
    let run: Value = serde_json::from_str(failed.trim()).unwrap();
    assert_eq!((&run["outcome"], &run["error"]["line"]), (&"error".into(), &3.into()));
    assert_eq!(run["trace_id"].as_str().unwrap().len(), 32);
    assert!(run["fuel"].as_u64().unwrap() > 0 && run["memory_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn logs_follow_prints_new_runs() {
    let site = site();
    let server = Server::start(site.path());
    server.get("localhost", "/talks");
    written(&server, 1.0);
    let mut command = sluice(&site, &server, &["logs", "--follow", "--json"]);
    let mut follow = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines().map_while(Result::ok);
    let page = |line: String| serde_json::from_str::<Value>(&line).unwrap()["page"].clone();
    assert_eq!(page(lines.next().unwrap()), "pages/talks.html");
    server.get("localhost", "/fails");
    assert_eq!(page(lines.next().unwrap()), "pages/fails.html");
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[test]
fn suggests_limits_from_the_costs_of_runs() {
    let site = site();
    site.write(
        "brands/demo/pages/heavy.html",
        "<script scope=\"backend\">let s = 0; for (let i = 0; i < 20000; i++) s += i;</script>",
    );
    let server = Server::start(site.path());
    for _ in 0..100 {
        server.get("localhost", "/heavy");
    }
    server.get("localhost", "/");
    server.wait_until("the log exists", || server.data_dir().join("runs.db").exists());
    let suggest = || -> Vec<Value> {
        serde_json::from_str(&output(sluice(&site, &server, &["limits", "suggest", "--json"]))).unwrap()
    };
    let heavy_fuel = |rows: &[Value]| {
        rows.iter().find(|row| row["path"] == "/heavy" && row["limit"] == "fuel").cloned().unwrap_or_default()
    };
    server.wait_until("all runs are stored", || heavy_fuel(&suggest())["runs"] == 100);
    let rows = suggest();
    let fuel = heavy_fuel(&rows);
    let (most, suggested) = (fuel["p999"].as_u64().unwrap(), fuel["suggested"].as_u64().unwrap());
    assert!(suggested >= 2 * most && suggested <= 3 * most, "{fuel}");
    assert_eq!((&fuel["quota"], &fuel["is_close"]), (&1_000_000_000.into(), &false.into()));
    let index = rows.iter().find(|row| row["path"] == "/").unwrap();
    assert_eq!((&index["runs"], &index["suggested"]), (&1.into(), &Value::Null), "too few runs");

    // With a limit just above its cost, the page is close to the limit.
    let quota = fuel["max"].as_u64().unwrap() * 11 / 10;
    site.write(
        "brands/demo/brand.toml",
        &format!("default = true\n[[page]]\npath = \"/heavy\"\nlimits = {{ fuel = {quota} }}\n"),
    );
    let text = output(sluice(&site, &server, &["limits", "suggest"]));
    let close = text.split("at 80 % of a limit or more:").nth(1).unwrap();
    assert!(close.contains("demo /heavy: fuel reached"), "{text}");
}

/// The shell's file size limit makes writes fail once the log has grown, as a full disk does.
/// The site's own database stays below the limit.
#[test]
fn pages_are_served_although_the_log_cannot_be_written() {
    let site = TestSite::with(&[(
        "pages/index.html",
        "<script scope=\"backend\">console.log('x'.repeat(50000))</script>here",
    )]);
    // With this limit, the script does not compile either.
    site.write("brands/demo/brand.toml", "default = true\non_error = \"page\"\n");
    let server = ServerOptions::of(site.path()).file_bytes_max(512 << 10).start();
    let failed = || server.metric("sluice_execution_log_runs_total", &["result=\"failed\""]);
    server.wait_until("the log's disk is full", || {
        assert_eq!(server.get("localhost", "/").body.trim(), "here");
        failed() > 0.0
    });
    let before = failed();
    for _ in 0..20 {
        assert_eq!(server.get("localhost", "/").body.trim(), "here");
    }
    server.wait_until("what is lost is counted", || failed() >= before + 20.0);
    assert_eq!(server.metric("sluice_execution_log_queued", &[]), 0.0);
    server.wait_log_entries(&[("message", "runs are missing from the execution log")], 1);
}
