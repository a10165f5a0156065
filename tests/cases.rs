//! A folder for each rule: `tests/cases/<name>/` holds a brand (`pages/`,
//! `modules/`, `brand.toml`, `crm.toml`) and `case.toml`, which says what is
//! sent and what must come back. A new case needs no Rust.
//!
//! ```toml
//! rule = "1-scripts 1.5: the sentence that this proves"
//!
//! [[request]]
//! path = "/"                    # method = "GET", host, headers, body, json
//! keep_cookies = false          # send the cookies that earlier answers set
//! [request.expect]
//! status = 200
//! headers = { content-type = "text/html; charset=utf-8" }
//! absent = ["set-cookie"]       # headers that must not be there
//! body = "exactly this"         # trailing white space does not count
//! contains = ["…"]
//! lacks = ["…"]
//! json = { ok = true }
//! outcome = "ok"                # of the run, from the execution log
//! fuel = [10_000, 1_000_000]
//! log = ["text in some log line of this case"]
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::harness::{Answer, Request, Server, TestSite};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    rule: String,
    request: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default = "get")]
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    json: Option<Value>,
    #[serde(default)]
    keep_cookies: bool,
    #[serde(default)]
    expect: Expect,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Expect {
    status: Option<u16>,
    headers: BTreeMap<String, String>,
    absent: Vec<String>,
    body: Option<String>,
    contains: Vec<String>,
    lacks: Vec<String>,
    json: Option<Value>,
    outcome: Option<String>,
    fuel: Option<(u64, u64)>,
    log: Vec<String>,
}

fn get() -> String {
    "GET".into()
}

#[test]
fn every_case_folder_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases");
    let mut cases: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty(), "there are no cases");
    let site = TestSite::new();
    for case in &cases {
        publish(case, &site);
    }
    let server = Server::start(site.path());
    let failures: Vec<String> = cases.iter().flat_map(|case| run_case(case, &server)).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    println!("{} cases passed", cases.len());
}

/// Copies a case into the site as a brand with a domain of its own.
fn publish(case: &Path, site: &TestSite) {
    let name = name(case);
    let brand = site.brand_dir(&name);
    copy(case, &brand);
    let own = fs::read_to_string(case.join("brand.toml")).unwrap_or_default();
    fs::write(brand.join("brand.toml"), format!("domains = [\"{name}.test\"]\n{own}")).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn name(case: &Path) -> String {
    case.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Every expectation that does not hold, as a line.
fn run_case(folder: &Path, server: &Server) -> Vec<String> {
    let name = name(folder);
    let text = fs::read_to_string(folder.join("case.toml")).unwrap();
    let case: Case = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}/case.toml: {error}"));
    let mut failures = Vec::new();
    let mut cookies: BTreeMap<String, String> = BTreeMap::new();
    let mut runs = 0;
    for (index, step) in case.request.iter().enumerate() {
        let answer = send(step, &name, server, &cookies);
        remember(&answer, &mut cookies);
        let mut wrong: Vec<String> = check_answer(&step.expect, &answer);
        if step.expect.outcome.is_some() || step.expect.fuel.is_some() {
            runs += 1;
            let run = server.runs(&name, runs).pop().unwrap();
            wrong.extend(check_run(&step.expect, &run));
        }
        wrong.extend(check_log(&step.expect, &name, server));
        failures.extend(wrong.into_iter().map(|wrong| {
            format!("{name}, request {}: {wrong}\n    rule: {}\n    answer: {answer:?}", index + 1, case.rule)
        }));
    }
    failures
}

fn send(step: &Step, name: &str, server: &Server, cookies: &BTreeMap<String, String>) -> Answer {
    let mut request = Request::new(&step.method, &step.path).host(&format!("{name}.test"));
    for (header, value) in &step.headers {
        request = request.header(header, value);
    }
    if let Some(json) = &step.json {
        request = request.header("content-type", "application/json").body(json.to_string().as_bytes());
    }
    if let Some(body) = &step.body {
        request = request.body(body.as_bytes());
    }
    if step.keep_cookies {
        let all: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request = request.header("cookie", &all.join("; "));
    }
    request.send(server.address)
}

fn remember(answer: &Answer, cookies: &mut BTreeMap<String, String>) {
    for line in answer.header("set-cookie").unwrap_or_default().lines() {
        let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
        cookies.insert(name.to_owned(), value.to_owned());
    }
}

fn check_answer(expect: &Expect, answer: &Answer) -> Vec<String> {
    let mut wrong = Vec::new();
    let status = expect.status.unwrap_or(200);
    if answer.status != status {
        wrong.push(format!("status {}, not {status}", answer.status));
    }
    for (header, value) in &expect.headers {
        if answer.header(header).as_ref() != Some(value) {
            wrong.push(format!("header {header} is {:?}, not {value:?}", answer.header(header)));
        }
    }
    wrong.extend(
        expect
            .absent
            .iter()
            .filter(|name| answer.header(name).is_some())
            .map(|name| format!("header {name} is there")),
    );
    if let Some(body) = expect.body.as_ref().filter(|body| body.trim() != answer.body.trim()) {
        wrong.push(format!("body is not {body:?}"));
    }
    wrong.extend(
        expect
            .contains
            .iter()
            .filter(|text| !answer.body.contains(*text))
            .map(|text| format!("body lacks {text:?}")),
    );
    wrong.extend(
        expect
            .lacks
            .iter()
            .filter(|text| answer.body.contains(*text))
            .map(|text| format!("body has {text:?}")),
    );
    if let Some(json) = &expect.json {
        let found: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
        if found != *json {
            wrong.push(format!("json is {found}, not {json}"));
        }
    }
    wrong
}

fn check_run(expect: &Expect, run: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(outcome) = expect.outcome.as_ref().filter(|outcome| run["outcome"] != outcome.as_str()) {
        wrong.push(format!("outcome is {}, not {outcome}: {}", run["outcome"], run["message"]));
    }
    if let Some((least, most)) = expect.fuel {
        let fuel = run["fuel"].as_u64().unwrap();
        if !(least..=most).contains(&fuel) {
            wrong.push(format!("fuel is {fuel}, not {least} to {most}"));
        }
    }
    wrong
}

fn check_log(expect: &Expect, name: &str, server: &Server) -> Vec<String> {
    let entries = || server.log_entries(&[("brand", name)]);
    let has = |text: &str| {
        entries().iter().any(|entry| {
            let fields = entry["fields"].as_object().unwrap();
            fields.values().any(|value| value.as_str().is_some_and(|value| value.contains(text)))
        })
    };
    // The log arrives through a pipe, after the answer.
    let lacks = |text: &&String| !server.holds_soon(|| has(text));
    let missing = expect.log.iter().filter(lacks);
    missing.map(|text| format!("the log lacks {text:?}: {:?}", entries())).collect()
}
