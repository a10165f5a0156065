//! A folder for each rule: `tests/cases/<name>/` holds a brand (`pages/`,
//! `modules/`, `brand.toml`, `crm.toml`) and `case.toml`, which lists requests and the
//! expected responses. A new case needs a folder and its name in the list below.
//!
//! ```toml
//! rule = "1-scripts 1.5: the sentence that this proves"
//!
//! [[request]]
//! path = "/"                    # method = "GET", host, headers, body, json
//! keep_cookies = false          # send the cookies that earlier responses set
//! [request.expect]
//! status = 200
//! headers = { content-type = "text/html; charset=utf-8" }
//! absent = ["set-cookie"]       # headers that the response must not have
//! body = "exactly this"         # white space at both ends does not count
//! contains = ["…"]              # texts that the body must contain
//! lacks = ["…"]                 # texts that the body must not contain
//! json = { ok = true }
//! outcome = "ok"                # of the run, from the execution log
//! fuel = [10_000, 1_000_000]    # least and most
//! log = ["text in some log line of this case"]
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use sluice_test_support::postgres::Database;

use crate::harness::folders::{self, folder_tests};
use crate::harness::{Answer, Request, Server, ServerOptions, TestSite};

folder_tests! { "cases", holds:
    await_forever body cache comparisons compile_error console console_bytes console_hostile console_limit
    cookie_limits cookies cors crm crm_bad_input crm_ensure crm_entries crm_fields crm_moves crm_reassign crm_relations crm_search
    crm_second_names crm_seeds crm_shapes crm_to_entity crm_unknown_slug cross_origin crypto encoding engine_json
    engine_memory_reuse engine_regexp engine_strings engine_variables error_position error_stacks exact_values forms
    forms_off fuel_quota header_limits headers_and_status heap_quota import_limits limit_positions_fuel limit_positions_memory limit_positions_time link_probe
    live_customer memory_quota methods missing_await module_forms module_mistakes modules not_there on_error
    one_module page_cycles page_methods paths queue_arguments queue_limits random_differs read_only_globals redirect request_headers
    request_object schema
    schema_linear schema_missing_objects schema_values script_blocks session_limits session_values set_customer
    stop_inside_import storage_arguments storage_limits storage_mutate storage_values structured_clone structured_clone_errors template_comments template_crm
    template_extends_page template_filters template_session
    template_json_attributes template_raw template_request_names template_translations thrown_values token_limits url
    variable_limits variables variables_json wall_clock
}

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

/// Serves the brand of a case, sends its requests and checks the responses. A case about stored data
/// must hold on both databases.
fn holds(folder: &Path) {
    holds_on(folder, |options| options);
    let stores_data = ["cache", "crm", "queue", "session", "storage", "set-customer", "live-customer"];
    if stores_data.iter().any(|start| folders::name(folder).starts_with(start)) {
        let database = Database::create();
        let url = database.url();
        holds_on(folder, |options| options.postgres(&url));
    }
}

fn holds_on(folder: &Path, database: impl FnOnce(ServerOptions) -> ServerOptions) {
    let site = TestSite::new();
    publish(folder, &site);
    let server = database(ServerOptions::of(site.path())).start();
    let failures = run_case(folder, &server);
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Sends the requests of these cases to one server, and checks the responses.
pub(crate) fn hold_on(names: &[&str], start: impl FnOnce(&Path) -> Server) {
    let site = TestSite::new();
    let cases: Vec<_> = names.iter().map(|name| folders::folder("cases", name)).collect();
    cases.iter().for_each(|case| publish(case, &site));
    let server = start(site.path());
    let failures: Vec<String> = cases.iter().flat_map(|case| run_case(case, &server)).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Copies a case into the site as a brand with its own domain.
fn publish(case: &Path, site: &TestSite) {
    let name = folders::name(case);
    let brand = site.brand_dir(&name);
    folders::copy(case, &brand);
    let own = fs::read_to_string(case.join("brand.toml")).unwrap_or_default();
    fs::write(brand.join("brand.toml"), format!("domains = [\"{name}.test\"]\n{own}")).unwrap();
}

/// Describes every expectation that does not hold, one a line.
fn run_case(folder: &Path, server: &Server) -> Vec<String> {
    let name = folders::name(folder);
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
            .map(|name| format!("there is a header {name}")),
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
            .map(|text| format!("body contains {text:?}")),
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
    // The log comes through a pipe, maybe after the response.
    let lacks = |text: &&String| !server.holds_soon(|| has(text));
    let missing = expect.log.iter().filter(lacks);
    missing.map(|text| format!("the log lacks {text:?}: {:?}", entries())).collect()
}
