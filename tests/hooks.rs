//! Hooks: functions of modules that run when a page fails, or when an operator's program says so.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use sluice_test_support::postgres::Database;

use crate::author_run::{err, out, sluice};
use crate::harness::{Server, ServerOptions, TestSite};

/// Keeps what the hook gets.
const HOOK: &str =
    "export default (payload) => { storage.set('failed', payload); storage.increment('calls'); };";
const READ: &str = "<script scope=\"backend\">response.json(storage.get(request.query.key));</script>";
const THROWS: &str = "<script scope=\"backend\">\n  throw new Error('no tea ' + request.query.n);\n</script>";

fn site(files: &[(&str, &str)]) -> TestSite {
    let site = TestSite::with(&[("pages/read.html", READ), ("pages/tea.html", THROWS)]);
    for (file, text) in files {
        site.write(&format!("brands/demo/{file}"), text);
    }
    site
}

fn stored(host: &Server, key: &str) -> Value {
    let answer = host.get("localhost", &format!("/read?key={key}"));
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
}

#[test]
fn failed_run_is_told_to_the_hook_at_most_once_a_minute() {
    let site = site(&[("modules/on-error.js", HOOK), ("pages/template.html", "{{ 1 | replace: 'a' }}")]);
    let database = Database::create();
    let hosts = [(); 2].map(|()| ServerOptions::of(site.path()).postgres(&database.url()).start());
    for n in 0..20 {
        hosts[n % 2].get("localhost", &format!("/tea?n={n}"));
    }
    hosts[0].wait_until("the hook has run", || stored(&hosts[0], "calls") != Value::Null);
    let failed = stored(&hosts[0], "failed");
    assert_eq!((&failed["page"], &failed["outcome"]), (&json!("pages/tea.html"), &json!("error")));
    let message = failed["message"].as_str().unwrap();
    assert!(message.starts_with("pages/tea.html:2:") && message.contains("Error: no tea"), "{message}");
    assert!(failed["at"].as_i64().unwrap() > 1_700_000_000_000, "{failed}");
    hosts[1].get("localhost", "/tea?n=last");
    // Each host has asked the database by now.
    let idle = |state: &str| hosts[0].metric("sluice_queue_jobs", &[&format!("state=\"{state}\"")]) == 0.0;
    hosts[0].wait_until("no job is left", || idle("pending") && idle("running"));
    assert_eq!(stored(&hosts[0], "calls"), 1);
}

#[test]
fn hook_that_fails_does_not_call_itself() {
    let site = site(&[(
        "modules/on-error.js",
        "export default ({ page }) => { storage.increment(`told:${page.replaceAll('/', '.')}`); throw new Error('no hook'); };",
    )]);
    let host = ServerOptions::of(site.path()).env("SLUICE_JOBS__RETRY_WAIT", "0s").start();
    host.get("localhost", "/tea");
    host.wait_for_metric("sluice_queue_jobs", &["state=\"parked\""], 1.0);
    assert_eq!(stored(&host, "told:pages.tea.html"), 3, "the job of the hook is tried three times");
    assert_eq!(host.metric("sluice_queue_jobs", &["state=\"parked\""]), 1.0);
    assert_eq!(host.metric("sluice_queue_jobs", &["state=\"pending\""]), 0.0);
}

/// What the hook gets after a page has pushed a job of the module `work`, with these options.
fn told_of_job(work: &str, options: &str) -> Value {
    let push = format!("<script scope=\"backend\">queue.push('work', 1, {options});</script>");
    let site = site(&[("modules/on-error.js", HOOK), ("modules/work.js", work), ("pages/push.html", &push)]);
    let host = Server::start(site.path());
    host.get("localhost", "/push");
    host.wait_until("the hook has run", || stored(&host, "failed") != Value::Null);
    stored(&host, "failed")
}

#[test]
fn job_that_fails_is_told_to_the_hook() {
    let failed =
        told_of_job("export const fails = () => { throw new Error('no work'); };", "{ fn: 'fails' }");
    assert_eq!((&failed["page"], &failed["outcome"]), (&json!("modules/work"), &json!("error")), "{failed}");
}

#[test]
fn job_that_cannot_be_compiled_is_told_to_the_hook() {
    let failed = told_of_job("export default () => {};\nconst broken = ;", "{}");
    assert_eq!(
        (&failed["page"], &failed["outcome"]),
        (&json!("modules/work"), &json!("compile")),
        "{failed}"
    );
}

#[test]
fn test_sees_the_job_of_the_hook() {
    let site = site(&[
        ("modules/on-error.js", HOOK),
        (
            "pages/tea.test.js",
            r#"
          test("somebody is told", () => {
            visit("/tea");
            visit("/tea");
            const [job] = queue.pushed();
            expect(queue.pushed()).toHaveLength(1);
            expect(job).toMatchObject({ module: "on-error", fn: "default", payload: { page: "pages/tea.html", outcome: "error" } });
            expect(queue.run()).toBe(1);
            expect(storage.get("failed").at).toBe(Date.now());
            clock.advance("59s");
            visit("/tea");
            expect(queue.run()).toBe(0);
            clock.advance("1s");
            visit("/tea");
            expect(queue.run()).toBe(1);
          });
        "#,
        ),
    ]);
    let done = sluice(site.path(), &["test"]).output().unwrap();
    assert!(done.status.success(), "{}{}", out(&done), err(&done));
}

#[test]
fn operator_runs_a_module_with_a_payload() {
    let site = site(&[(
        "modules/deploy/done.js",
        "export default (payload) => storage.set('got', payload);\nexport const named = () => storage.set('named', true);",
    )]);
    let data = tempfile::tempdir().unwrap();
    let host = ServerOptions::of(site.path()).data(data.path()).start();
    let hook = |args: &[&str]| {
        let mut command = sluice(site.path(), &[&["hook"], args].concat());
        command.arg("--data").arg(data.path());
        command
    };
    site.write("payload.json", "{\"version\": [1, null, \"ü\"]}");
    let done = hook(&["demo", "deploy/done", "--payload", "payload.json"]).output().unwrap();
    assert!(done.status.success(), "{}", err(&done));
    assert_eq!(out(&done).trim().len(), 32, "the id of the job: {}", out(&done));
    host.wait_until("the hook has run", || stored(&host, "got") == json!({ "version": [1, null, "ü"] }));

    let mut piped = hook(&["demo", "deploy/done", "--payload", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    piped.stdin.take().unwrap().write_all(b"42").unwrap();
    assert!(piped.wait().unwrap().success());
    host.wait_until("the hook has run", || stored(&host, "got") == 42);
    assert!(hook(&["demo", "deploy/done", "--fn", "named"]).output().unwrap().status.success());
    host.wait_until("the hook has run", || stored(&host, "named") == true);

    site.write("broken.json", "{");
    site.write("large.json", &format!("\"{}\"", "x".repeat(70_000)));
    for (args, code, message) in [
        (
            vec!["demo", "deploy/don"],
            1,
            "there is no module \"deploy/don\" in modules/; did you mean \"deploy/done\"?",
        ),
        (
            vec!["demo", "deploy/done", "--fn", "name"],
            1,
            "exports no function `name`; did you mean \"named\"?",
        ),
        (vec!["dem", "deploy/done"], 1, "there is no brand \"dem\""),
        (vec!["demo", "deploy/done", "--payload", "broken.json"], 1, "--payload: broken.json is not JSON"),
        (vec!["demo", "deploy/done", "--payload", "gone.json"], 1, "--payload: gone.json cannot be read"),
        (vec!["demo", "deploy/done", "--payload", "large.json"], 1, "queue_payload_bytes_max is 65536"),
        (vec!["demo"], 2, "<MODULE>"),
    ] {
        let done = hook(&args).output().unwrap();
        assert_eq!(done.status.code(), Some(code), "{args:?}");
        assert!(err(&done).contains(message), "{args:?}: {}", err(&done));
    }
}
