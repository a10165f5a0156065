//! What other programs read of `sluice check` and `sluice test`: SARIF, JUnit's XML and exit codes.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{ServerOptions, TestSite};

const TESTS: &str = "test('passes & more', () => { expect(1).toBe(1); });
test.skip('later');
test('fails', () => {
  console.log('seen <this>');
  expect('a').toBe('b');
});
";

fn sluice(site: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.arg("--quiet").args(args).current_dir(site).env("SLUICE_LOG", "off").output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn site() -> TestSite {
    TestSite::with(&[
        ("pages/index.html", "<script scope=\"backend\">\n  sesion.get('a');\n</script>"),
        ("pages/{id}.html", "<p>{{ var.nmae }}"),
        ("pages/index.test.js", TESTS),
        ("pages/broken.test.js", "test('a', () => { expect(1 });\n"),
    ])
}

/// What SARIF's schema requires of a log with one run.
fn validated_sarif(text: &str) -> Value {
    let log: Value = serde_json::from_str(text).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().contains("sarif-2.1.0"));
    let runs = log["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1);
    let driver = &runs[0]["tool"]["driver"];
    assert!(!driver["name"].as_str().unwrap().is_empty());
    let rules = driver["rules"].as_array().unwrap();
    assert!(rules.iter().all(|rule| rule["id"].is_string()));
    for result in runs[0]["results"].as_array().unwrap() {
        assert!(result["message"]["text"].is_string(), "{result}");
        assert!(["error", "warning"].contains(&result["level"].as_str().unwrap()), "{result}");
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert!(uri.starts_with("brands/demo/") && !uri.contains(['{', ' ', '\\']), "{uri}");
        for (name, number) in place["region"].as_object().into_iter().flatten() {
            assert!(number.as_u64().unwrap() >= 1, "{name}: {result}");
        }
    }
    runs[0]["results"].clone()
}

/// The names of the elements of an XML document, which must be well-formed.
fn elements(xml: &str) -> Vec<String> {
    let (mut open, mut all) = (Vec::new(), Vec::new());
    let body = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        assert!(!text.contains('>') && !text.contains('"'), "text is escaped: {text}");
        if let Some(end) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(end));
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap().to_owned();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if !tag.ends_with('/') {
            open.push(name.clone());
        }
        all.push(name);
    }
    assert!(open.is_empty(), "{open:?} have no end");
    all
}

#[test]
fn check_writes_sarif() {
    let site = site();
    let output = sluice(site.path(), &["check", "--format", "sarif"]);
    assert_eq!(output.status.code(), Some(1));
    let results = validated_sarif(&out(&output));
    let told: Vec<(&str, &str)> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["ruleId"].as_str().unwrap(), one["level"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("syntax", "error"), ("unknown-global", "error"), ("unknown-variable", "warning")]);
    let place = &results[2]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "brands/demo/pages/%7Bid%7D.html");
    assert_eq!(place["region"]["startLine"], 1);
    let clean = TestSite::with(&[("pages/index.html", "<p>a")]);
    let output = sluice(clean.path(), &["check", "--format", "sarif"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(validated_sarif(&out(&output)), serde_json::json!([]));
}

#[test]
fn check_writes_junit() {
    let site = site();
    let output = sluice(site.path(), &["check", "--format", "junit"]);
    assert_eq!(output.status.code(), Some(1));
    let xml = out(&output);
    let names = elements(&xml);
    assert_eq!(names.iter().filter(|name| *name == "testsuite").count(), 3);
    assert!(
        xml.contains(
            "<testsuites name=\"sluice check\" tests=\"3\" failures=\"2\" errors=\"0\" skipped=\"1\""
        ),
        "{xml}"
    );
    assert!(xml.contains("file=\"brands/demo/pages/index.html\" line=\"2\""), "{xml}");
    let denied = sluice(site.path(), &["check", "--format", "junit", "--deny-warnings"]);
    assert!(out(&denied).contains("failures=\"3\" errors=\"0\" skipped=\"0\""));
    let clean = TestSite::with(&[("pages/index.html", "<p>a")]);
    let output = sluice(clean.path(), &["check", "--format", "junit"]);
    assert_eq!(elements(&out(&output)), ["testsuites", "testsuite", "testcase"]);
}

#[test]
fn tests_write_junit() {
    let site = site();
    let output = sluice(site.path(), &["test", "--format", "junit"]);
    assert_eq!(output.status.code(), Some(1));
    let xml = out(&output);
    let names = elements(&xml);
    assert_eq!(names.iter().filter(|name| *name == "testcase").count(), 4);
    assert!(
        xml.contains(
            "<testsuites name=\"sluice test\" tests=\"4\" failures=\"2\" errors=\"0\" skipped=\"1\""
        ),
        "{xml}"
    );
    for part in [
        "classname=\"demo/pages/index.test.js\" name=\"passes &amp; more\"",
        "<skipped/>",
        "name=\"fails\"",
        "file=\"brands/demo/pages/index.test.js\" line=\"5\"",
        "<failure type=\"AssertionError\"",
        "expected: &quot;b&quot;",
        "<system-out>log: seen &lt;this&gt;</system-out>",
        "name=\"the file can be run\"",
    ] {
        assert!(xml.contains(part), "{part} is not in:\n{xml}");
    }
}

#[test]
fn tests_write_sarif() {
    let site = site();
    let output = sluice(site.path(), &["test", "--format", "sarif"]);
    assert_eq!(output.status.code(), Some(1));
    let results = validated_sarif(&out(&output));
    let told: Vec<(&str, &Value)> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let place = &one["locations"][0]["physicalLocation"];
            (one["ruleId"].as_str().unwrap(), &place["region"]["startLine"])
        })
        .collect();
    assert_eq!(told, [("test-file", &1.into()), ("test-failed", &5.into())]);
}

#[test]
fn reports_of_tests_mask_secrets() {
    let site = TestSite::with(&[(
        "pages/index.test.js",
        "test('a', () => { expect(secrets.get('KEY')).toBe(`not ${secrets.get('KEY')}`); });\n",
    )]);
    for format in ["junit", "sarif"] {
        let output = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(["test", "--format", format])
            .current_dir(site.path())
            .env("SLUICE_SECRET_DEMO_KEY", "a<secret>&value")
            .output()
            .unwrap();
        let text = out(&output);
        assert!(text.contains("AssertionError"), "{text}");
        assert!(!text.contains("secret>") && !text.contains("secret&gt;"), "{text}");
    }
}

#[test]
fn exit_codes_are_as_documented() {
    let good = TestSite::with(&[
        ("pages/index.html", "<p>a"),
        ("pages/index.test.js", "test('a', () => { expect(1).toBe(1); });\n"),
    ]);
    let bad = site();
    let folder = tempfile::tempdir().unwrap();
    let build = folder.path().join("out").display().to_string();
    for (command, failure) in
        [(&["check"][..], 1), (&["build", "--out", &build], 1), (&["test"], 1), (&["run", "/"], 1)]
    {
        assert_eq!(sluice(good.path(), command).status.code(), Some(0), "{command:?}");
        assert_eq!(sluice(bad.path(), command).status.code(), Some(failure), "{command:?}");
        let invalid = [command, &["--no-such-flag"]].concat();
        assert_eq!(sluice(good.path(), &invalid).status.code(), Some(2), "{invalid:?}");
    }
    assert_eq!(sluice(good.path(), &["run", "/nowhere"]).status.code(), Some(2));
    for command in [&["logs"][..], &["jobs", "list"], &["backup", "copy"], &["serve"], &["dev"], &["types"]] {
        assert_eq!(sluice(folder.path(), command).status.code(), Some(1), "{command:?}");
    }
}

#[test]
fn server_logs_syntax_errors_as_the_check_prints_them() {
    let site = TestSite::with(&[(
        "pages/index.html",
        "<script scope=\"backend\">\n  const a = 1;\n</script>\n<script scope=\"backend\">\n  setVariable(\"user\", { name: \"Ann\" age: 3 });\n</script>",
    )]);
    let output = sluice(site.path(), &["check", "--format", "json"]);
    let told: Value = serde_json::from_str(&out(&output)).unwrap();
    let found = &told["diagnostics"][0];
    let text = |field: &str| found[field].as_str().unwrap().to_owned();
    let expected = format!(
        "pages/index.html:{}:{}: SyntaxError: {}; {}",
        found["line"],
        found["column"],
        text("message"),
        text("help")
    );
    let server = ServerOptions::of(site.path()).start();
    server.get("localhost", "/");
    assert_eq!(server.runs("demo", 1)[0]["message"], expected);
    let logged = server.log_entries(&[("brand", "demo")]);
    let logged: Vec<&str> = logged.iter().filter_map(|entry| entry["fields"]["message"].as_str()).collect();
    assert!(logged.iter().any(|line| line.contains(&expected)), "{expected} is not in {logged:#?}");
}
