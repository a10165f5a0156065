//! `sluice run`: makes one request on an empty database and prints everything it caused.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::TestSite;

/// A copy of the sample site. Files that the tools write are deleted with it.
pub(crate) fn sample_site() -> TestSite {
    copy_of("scripts")
}

/// A copy of a site with five short pages, whose source and cost tests and benchmarks rely on.
pub(crate) fn plain_site() -> TestSite {
    copy_of("tests/plain_site")
}

fn copy_of(folder: &str) -> TestSite {
    let site = TestSite::new();
    let brands = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder).join("brands");
    copy(&brands, Path::new("brands"), &site);
    site
}

fn copy(from: &Path, to: &Path, site: &TestSite) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to, site);
        } else {
            site.write_bytes(&to, &std::fs::read(entry.path()).unwrap());
        }
    }
}

pub(crate) fn sluice(site: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(args).current_dir(site).env_remove("APP_KEY").env_remove("SLUICE_LOG");
    command
}

pub(crate) fn out(done: &Output) -> String {
    String::from_utf8(done.stdout.clone()).unwrap()
}

pub(crate) fn err(done: &Output) -> String {
    String::from_utf8(done.stderr.clone()).unwrap()
}

fn run(site: &TestSite, args: &[&str]) -> Output {
    sluice(site.path(), &[&["run"], args].concat()).output().unwrap()
}

fn run_json(site: &TestSite, args: &[&str]) -> (Option<i32>, Value) {
    let done = run(site, &[args, &["--json"]].concat());
    let value = serde_json::from_str(&out(&done));
    (done.status.code(), value.unwrap_or_else(|_| panic!("{}{}", out(&done), err(&done))))
}

#[test]
fn shows_everything_that_a_request_did() {
    let site = plain_site();
    let ann = r#"{"id": "c-1", "email": "ann@example.com"}"#;
    let args = [
        "/weight/checkin",
        "--body",
        r#"{"weight": 80, "unit": "kg"}"#,
        "--customer",
        ann,
        "--clock",
        "2026-03-01T10:00:00Z",
    ];
    let (code, ran) = run_json(&site, &args);
    assert_eq!(code, Some(0), "{ran:#}");
    assert_eq!(ran["request"], json!({"method": "POST", "address": "/weight/checkin", "brand": "demo"}));
    assert_eq!(ran["response"]["status"], 200);
    assert_eq!(ran["response"]["headers"]["cache-control"], "no-store");
    let body: Value = serde_json::from_str(ran["response"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({"ok": true, "data": {"weight": 80, "unit": "kg", "notes": ""}}));
    assert_eq!(ran["run"]["outcome"], "stopped");
    assert_eq!(ran["run"]["page"], "pages/weight/checkin.html");
    assert_eq!(ran["run"]["failure"], Value::Null);
    let call = &ran["crm"][0];
    assert_eq!((&call["call"], &call["result"]), (&json!("setCrmFields"), &json!(true)));
    assert_eq!(call["options"]["fields"][2]["value"], "2026-03-01T10:00:00.000Z");
    assert_eq!(ran["session"]["customer"]["email"], "ann@example.com");

    let text = out(&run(&site, &args));
    for expected in [
        "POST /weight/checkin -> 200 OK\n",
        "pages/weight/checkin.html of brand demo: stopped, responded with JSON\n",
        "  content-type: application/json; charset=utf-8\n",
        "setCrmFields({\"slug\":\"pattern-tracker\"",
        " -> true\n",
        " of 1,000,000,000\n",
        "\"weight\": 80",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

#[test]
fn explains_why_the_script_did_not_get_the_body() {
    let page = "<script scope=\"backend\">console.log(request.body)</script>";
    let site = TestSite::with(&[("pages/index.html", page)]);
    for (args, why) in [
        (&["/", "--form", "--body", "a=1"][..], "brand.toml needs `form_bodies = true`"),
        (&["/", "--body", "{\"a\":"], "not valid JSON"),
        (&["/", "--body", "{}", "--header", "content-type: multipart/form-data"], "neither JSON nor"),
    ] {
        let (code, ran) = run_json(&site, args);
        assert_eq!((code, ran["console"][0]["text"].as_str()), (Some(0), Some("null")));
        assert!(ran["warnings"][0].as_str().unwrap().contains(why), "{}", ran["warnings"]);
    }
    let (_, ran) = run_json(&site, &["/", "--body", "{}"]);
    assert_eq!(ran["warnings"], json!([]));
}

#[test]
fn leaves_nothing_behind_in_the_site() {
    let site = plain_site();
    for _ in 0..2 {
        let (_, ran) = run_json(&site, &["/"]);
        assert_eq!(ran["variables"]["visits"], 1);
        assert_eq!(ran["session"]["changed"], json!(["visits"]));
    }
    let left: Vec<PathBuf> =
        std::fs::read_dir(site.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Compiled code is in the user's cache, not in the site.
    assert_eq!(left, [site.path().join("brands")]);
}

const CHANCE: &str = "<script scope=\"backend\">
  let hash = 0;
  for (let i = 0; i < Math.floor(Math.random() * 1000); i++) hash += Math.random();
  setVariable('uuid', crypto.randomUUID());
  setVariable('hash', hash);
  setVariable('now', new Date().toISOString());
</script>{{ 'now' | date:'yyyy-MM-dd' }}";

#[test]
fn fixed_clock_and_seed_repeat_results_and_fuel() {
    let site = TestSite::with(&[("pages/index.html", CHANCE)]);
    let fixed = |seed: &str| run_json(&site, &["/", "--seed", seed, "--clock", "2026-01-31T12:00:00Z"]).1;
    let (one, again, other) = (fixed("7"), fixed("7"), fixed("8"));
    assert_eq!(one["variables"], again["variables"]);
    assert_eq!(one["run"]["fuel"], again["run"]["fuel"]);
    assert_eq!(one["variables"]["now"], "2026-01-31T12:00:00.000Z");
    assert_eq!(one["response"]["body"], "2026-01-31");
    assert_ne!(one["variables"]["uuid"], other["variables"]["uuid"]);
    let free = || run_json(&site, &["/"]).1["variables"]["uuid"].clone();
    assert_ne!(free(), free());
}

#[test]
fn flags_reach_the_page_like_a_browsers_request() {
    let page = "<script scope=\"backend\">
      console.log(request);
      console.log(session.get('cart'), is_customer, customer?.name);
      cookie.set('seen', 'yes it was', { path: '/a' });
      setHeader('x-own', '1');
      session.delete('cart');
    </script>";
    let site = TestSite::with(&[("pages/a/{slug}.html", page)]);
    site.write("brands/demo/brand.toml", "default = true\nform_bodies = true\n");
    site.write("form.txt", "a=1&b=x+y");
    site.write("session.json", "{\"cart\": {\"items\": 3}}");
    site.write("ann.json", "{\"email\": \"ann@example.com\", \"first_name\": \"Ann\"}");
    let (code, ran) = run_json(
        &site,
        &[
            "/a/b?x=1",
            "--query",
            "y=a b",
            "--header",
            "User-Agent: me",
            "--header",
            "Referer: /",
            "--cookie",
            "theme=dark",
            "--body",
            "form.txt",
            "--form",
            "--session",
            "session.json",
            "--customer",
            "ann.json",
        ],
    );
    assert_eq!(code, Some(0), "{ran:#}");
    let lines = ran["console"].as_array().unwrap();
    let request = lines[0]["text"].as_str().unwrap();
    for part in [
        "method: \"POST\"",
        "path: \"/a/b\"",
        "x: \"1\"",
        "y: \"a b\"",
        "\"user-agent\": \"me\"",
        "theme: \"dark\"",
        "body: { a: \"1\", b: \"x y\" }",
        "route_slug: \"b\"",
        "referer: \"/\"",
    ] {
        assert!(request.contains(part), "{part} is not in {request}");
    }
    assert_eq!(lines[1]["text"], "{ items: 3 } true Ann");
    assert_eq!(ran["response"]["headers"]["x-own"], "1");
    let cookies = ran["response"]["cookies"].as_array().unwrap();
    assert_eq!(cookies[0], "seen=yes%20it%20was; Path=/a; HttpOnly; SameSite=Lax");
    assert_eq!(ran["session"]["values"], json!({}));
    assert_eq!(ran["session"]["changed"], json!(["cart"]));
}

#[test]
fn reads_the_body_from_standard_input() {
    let site = TestSite::with(&[(
        "pages/index.html",
        "<script scope=\"backend\">response.json(request.body)</script>",
    )]);
    let mut process = sluice(site.path(), &["run", "/", "--body", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(b"{\"a\": [1]}").unwrap();
    let done = process.wait_with_output().unwrap();
    let ran: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(ran["response"]["body"], "{\"a\":[1]}");
}

#[test]
fn shows_where_a_script_failed() {
    let site = TestSite::with(&[
        (
            "pages/throws.html",
            "<p>\n<script scope=\"backend\">\n  setVariable('a', 1);\n  nothing.there();\n</script>{{ var.a }}",
        ),
        ("pages/syntax.html", "<script scope=\"backend\">\n  let x = 1 +* 2;\n</script>"),
        ("pages/template.html", "{{ var.a | uper }}"),
        ("pages/loops.html", "<script scope=\"backend\">while (true);</script>"),
    ]);
    site.write("brands/demo/brand.toml", "default = true\n[limits]\nfuel = 1_000_000\n");
    for (page, outcome, place) in [
        ("/throws", "error", "pages/throws.html:4:3: ReferenceError: nothing is not defined"),
        ("/syntax", "compile", "pages/syntax.html:2:14: SyntaxError: "),
        ("/template", "template", "pages/template.html:1:12"),
        (
            "/loops",
            "fuel",
            "pages/loops.html:1:31: FuelLimit: the script used more than its 1_000_000 units of fuel, which are about 2_500 steps of a short loop",
        ),
    ] {
        let (code, ran) = run_json(&site, &[page]);
        assert_eq!((code, &ran["run"]["outcome"]), (Some(1), &json!(outcome)), "{ran:#}");
        let done = run(&site, &[page]);
        assert_eq!(done.status.code(), Some(1), "{page}: {}", err(&done));
        assert!(out(&done).contains(place), "{place} is not in:\n{}", out(&done));
    }
    let shown = out(&run(&site, &["/throws"]));
    assert!(shown.contains("      nothing.there();\n      ^\n"), "{shown}");
    // Variables that were set before the failure are shown.
    assert!(shown.contains("a = 1"), "{shown}");
}

#[test]
fn shows_crm_calls_with_their_results() {
    let page = "<script scope=\"backend\">
      setCrmField({ slug: 'orders', referenceId: '7', fieldKey: 'total', value: 5, async: true });
      setCrmField({ slug: 'orders', referenceId: '7', fieldKey: 'a b', value: 5 });
      try { getCrmField({ slug: 'order', referenceId: '7', fieldKey: 'total' }); } catch (error) { console.log(error.name); }
    </script>";
    let crm = "[[entity]]\nslug = \"orders\"\nname = \"Orders\"\nmode = \"data\"\n";
    let site = TestSite::with(&[("pages/index.html", page), ("crm.toml", crm)]);
    let (code, ran) = run_json(&site, &["/"]);
    assert_eq!(code, Some(0));
    let calls = ran["crm"].as_array().unwrap();
    assert_eq!(calls[0]["result"], true);
    assert!(calls[1]["refused"].as_str().unwrap().contains("fieldKey"), "{:#}", calls[1]);
    assert!(calls[2]["error"].as_str().unwrap().starts_with("TypeError: getCrmField"), "{:#}", calls[2]);
    assert_eq!(ran["console"].as_array().unwrap().last().unwrap()["text"], "TypeError");
}

#[test]
fn finds_pages_by_file_and_by_brand() {
    let site = TestSite::new();
    for brand in ["shop", "blog"] {
        let page = format!("<script scope=\"backend\">console.log(request.headers.host)</script>{brand}");
        site.write(&format!("brands/{brand}/pages/index.html"), &page);
        site.write(&format!("brands/{brand}/brand.toml"), &format!("domains = [\"{brand}.example\"]\n"));
    }
    site.write("brands/blog/pages/404.html", "nothing here");
    assert_eq!(run_json(&site, &["/404", "--brand", "blog"]).0, Some(0));
    let (code, ran) = run_json(&site, &["brands/blog/pages/index.html"]);
    assert_eq!((code, &ran["response"]["body"]), (Some(0), &json!("blog")));
    assert_eq!(ran["console"][0]["text"], "blog.example");
    assert_eq!(run_json(&site, &["/", "--brand", "shop"]).1["response"]["body"], "shop");
    for (args, said) in [
        (vec!["/"], "choose one with --brand: blog, shop"),
        (vec!["/", "--brand", "shp"], "there is no brand \"shp\" (did you mean \"shop\"?)"),
        (vec!["/idex", "--brand", "shop"], "has no page at /idex"),
        (vec!["brands/blog/pages/index.html", "--brand", "shop"], "--brand names another brand"),
        (vec!["/", "--brand", "shop", "--customer", "{\"name\": 1}"], "setCustomer needs `email`"),
        (vec!["/", "--brand", "shop", "--session", "{\"id\": 1}"], "the key `id` is reserved"),
        (vec!["/", "--brand", "shop", "--session", "[1"], "--session: this is not JSON"),
        (vec!["/", "--brand", "shop", "--header", "x"], "--header: \"x\" must be written as \"NAME: VALUE\""),
        (vec!["/", "--brand", "shop", "--clock", "noon"], "write a time such as 2026-01-31T12:00:00Z"),
        (
            vec!["/", "--brand", "shop", "--method", "TRACE"],
            "pages take GET, HEAD, POST, PUT, PATCH and DELETE",
        ),
        (vec!["/", "--brand", "shop", "--body", "gone.json"], "--body: gone.json cannot be read"),
        (vec!["/", "--brand", "shop", "--form", "--body", "{\"a\": []}"], "`a` is none of these"),
        // The brand's 404 page answers visitors, but it is not the page that the user named.
        (vec!["/nope", "--brand", "blog"], "has no page at /nope"),
    ] {
        let done = run(&site, &args);
        assert_eq!(done.status.code(), Some(2), "{args:?}: {}", err(&done));
        assert!(err(&done).contains(said), "{said:?} is not in {}", err(&done));
    }
}

#[test]
fn memory_of_small_pages_is_their_heap() {
    let page = |script: &str| format!("<script scope=\"backend\">{script}</script>");
    let list = "Array.from({ length: 2000 }, (_, i) => ({ i }))";
    let site = TestSite::with(&[
        ("pages/index.html", page("setVariable('a', 1)").as_str()),
        ("pages/kept.html", page(&format!("globalThis.kept = {list};")).as_str()),
        ("pages/dropped.html", page(&format!("{list}.length;")).as_str()),
        ("pages/json.html", page(&format!("response.json({list}.length)")).as_str()),
        ("pages/throws.html", page(&format!("throw {list}.length")).as_str()),
    ]);
    let used = |path: &str| run_json(&site, &[path]).1["run"]["memory_bytes"].as_u64().unwrap();
    let small = used("/");
    for path in ["/kept", "/dropped", "/json", "/throws"] {
        let more = used(path) - small;
        assert!((100_000..1_000_000).contains(&more), "{path}: {more}");
    }
}
