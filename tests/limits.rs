//! `sluice limits`, and the limits of a running server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;

use crate::harness::{Request, Server, ServerOptions, TestSite};

fn limits(site: &TestSite, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["limits", "show"])
        .args(args)
        .arg(site.path())
        .env("SLUICE_LIMITS__COOKIES_MAX", "7")
        .output()
        .unwrap()
}

fn site() -> TestSite {
    let site = TestSite::with(&[
        (
            "pages/weight/checkin.html",
            "<script scope=\"backend\">let s = 0; while (true) s++;</script><p>here",
        ),
        ("pages/blog/{slug}.html", "blog"),
    ]);
    site.write("sluice.toml", "[limits]\nheaders_max = 9\n[limits.max]\nfuel = 2_000_000\n");
    site.write(
        "brands/demo/brand.toml",
        "default = true\non_error = \"page\"\n[limits]\nfuel = 1_000_000\n[[page]]\npath = \"/weight/checkin\"\nlimits = { fuel = 5_000_000 }\n",
    );
    site
}

#[test]
fn shows_every_limit_with_its_origin() {
    let site = site();
    let output = limits(&site, &["/weight/checkin"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |name: &str| {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("{name} is not in\n{text}"))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert!(text.starts_with("pages/weight/checkin.html of brand demo\n"), "{text}");
    let fuel = row("fuel");
    assert!(
        fuel.starts_with("fuel 2_000_000 units brands/demo/brand.toml, [[page]] /weight/checkin"),
        "{fuel}"
    );
    assert!(fuel.contains("5_000_000") && fuel.contains("[limits.max]"), "{fuel}");
    assert_eq!(row("headers_max"), "headers_max 9 headers sluice.toml, [limits]");
    assert_eq!(row("cookies_max"), "cookies_max 7 cookies SLUICE_LIMITS__COOKIES_MAX");
    assert_eq!(row("imports_max"), "imports_max 10 modules default");

    let output = limits(&site, &["/blog/any", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["page"], "pages/blog/{slug}.html");
    let fuel = report["limits"].as_array().unwrap().iter().find(|limit| limit["name"] == "fuel").unwrap();
    assert_eq!((&fuel["value"], &fuel["origin"]["from"]), (&1_000_000.into(), &"brand".into()));
    assert_eq!(fuel["unit"], "units");
}

#[test]
fn suggests_a_similar_path_if_there_is_no_page() {
    let output = limits(&site(), &["/weight/chekin"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.contains("no page at /weight/chekin") && error.contains("/weight/checkin"), "{error}");
    let output = limits(&site(), &["/weight/checkin", "--brand", "dmeo"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("no brand dmeo") && error.contains("demo"), "{error}");
}

#[test]
fn clamps_limits_of_pages_and_logs_it() {
    let site = site();
    let server = Server::start(site.path());
    assert!(server.get("localhost", "/weight/checkin").body.contains("<p>here"));
    let run = server.runs("demo", 1).remove(0);
    assert_eq!(run["outcome"], "fuel");
    assert!(run["message"].as_str().unwrap().contains("2_000_000 units"), "{run}");
    let warned = server.wait_told("[[page]] /weight/checkin: fuel = 5000000");
    assert_eq!(warned[0]["fields"]["brand"], "demo");
}

#[test]
fn limits_imports_and_compilation() {
    let site = TestSite::with(&[
        ("modules/a.js", "export { b } from 'b';"),
        ("modules/b.js", "export const b = 1;"),
        ("pages/deep.html", "<script scope=\"backend\">import { b } from 'a'; response.json(b)</script>"),
        ("pages/many.html", "<script scope=\"backend\">import 'a'; import 'b'; response.json(2)</script>"),
        ("pages/slow.html", "<script scope=\"backend\">response.json(3)</script>"),
        ("pages/fine.html", "<script scope=\"backend\">import 'b'; response.json(4)</script>"),
    ]);
    site.write(
        "brands/demo/brand.toml",
        "default = true\non_error = \"error\"\n[limits]\nimport_depth_max = 1\nimports_max = 1\n\
         [[page]]\npath = \"/slow\"\nlimits = { compile_fuel = 1000 }\n",
    );
    let server = Server::start(site.path());
    for (path, status) in [("/deep", 500), ("/many", 500), ("/slow", 500), ("/fine", 200)] {
        assert_eq!(server.get("localhost", path).status, status, "{path}");
    }
    for reason in ["deeper than 1 modules", "at most 1 modules", "while compiling"] {
        let told = server.wait_told(reason);
        assert!(told.iter().any(|entry| entry["fields"]["brand"] == "demo"), "{reason}: {told:#?}");
    }
}

#[test]
fn limit_changes_under_load_without_failed_requests() {
    const VISITORS: usize = 100;
    let site = TestSite::with(&[(
        "pages/index.html",
        "<script scope=\"backend\">for (let i = 0; i < 2000; i++) { setVariable('i', i); }</script>{{ var.i }}",
    )]);
    // A page that runs out of fuel is shown.
    site.write("brands/demo/brand.toml", "default = true\non_error = \"page\"\n");
    let server = Server::start(site.path());
    let last = || server.get("localhost", "/").body;
    assert_eq!(last(), "1999");
    let (stop, failed) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..VISITORS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    if server.get("localhost", "/").status != 200 {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let change = serde_json::json!({"page": "/", "limit": "fuel", "value": 1_000_000});
        let request = Request::new("PUT", "/api/brands/demo/limits").operator();
        let request = request.header("content-type", "application/json").body(change.to_string().as_bytes());
        let answer = request.send(server.admin_address);
        // The new limit applies as soon as the server has answered.
        let now = last();
        // An invalid file changes nothing.
        site.write("brands/demo/brand.toml", "default = oops");
        let reload = Request::new("POST", "/api/reload").operator().send(server.admin_address);
        let after = last();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(now.parse::<u32>().unwrap() < 1999, "{now}");
        assert!(reload.body.contains("oops") || reload.body.contains("brand.toml"), "{}", reload.body);
        assert_eq!(after, now, "the last valid limit applies");
    });
    assert_eq!(failed.into_inner(), 0, "no request failed");
    server.wait_log_entries(&[("message", "the site was reloaded")], 1);
}

#[test]
fn brand_cannot_raise_its_limits_without_bound() {
    let site = TestSite::with(&[("pages/index.html", "shown")]);
    site.write(
        "brands/demo/brand.toml",
        "default = true\n[limits]\nfuel = 9_000_000_000_000_000_000\nbody_bytes_max = 2_000_000_000\n",
    );
    let server = Server::start(site.path());
    assert_eq!(server.get("localhost", "/").body, "shown");
    for told in [
        "[limits]: fuel = 9000000000000000000 is more than the host allows; 10000000000 applies instead",
        "[limits]: body_bytes_max = 2000000000 is more than the host allows; 655360 applies instead",
    ] {
        assert_eq!(server.wait_told(told).len(), 1, "{told}");
    }
}

#[test]
fn body_limit_of_a_brand_holds_only_for_its_pages() {
    let site = TestSite::new();
    site.write("sluice.toml", "[limits.max]\nbody_bytes_max = 2_000_000_000\n");
    let echo = "<script scope=\"backend\">response.json({ length: request.body?.length ?? null })</script>";
    for (brand, limits) in [("one", "[limits]\nbody_bytes_max = 2_000_000_000\n"), ("two", "")] {
        site.write(&format!("brands/{brand}/brand.toml"), &format!("domains = [\"{brand}.test\"]\n{limits}"));
        site.write(&format!("brands/{brand}/pages/index.html"), echo);
        site.write(&format!("brands/{brand}/public/file.txt"), "file");
    }
    let server = ServerOptions::of(site.path()).env("SLUICE_SERVER__BODY_TIMEOUT", "2s").start();
    let text = format!("\"{}\"", "x".repeat(300_000));
    let post = Request::new("POST", "/").host("one.test").header("content-type", "application/json");
    assert_eq!(post.body(text.as_bytes()).send(server.address).body, "{\"length\":300000}");
    let post = Request::new("POST", "/").host("two.test").header("content-type", "application/json");
    assert_eq!(post.body(text.as_bytes()).send(server.address).body, "{\"length\":null}");
    // The server does not wait for the rest of a body that it does not keep.
    for target in ["POST / HTTP/1.1\r\nhost: two.test", "POST /file.txt HTTP/1.1\r\nhost: one.test"] {
        let mut connection = TcpStream::connect(server.address).unwrap();
        let head = "connection: close\r\ncontent-type: application/json\r\ncontent-length: 3000000\r\n\r\n\"";
        connection.write_all(format!("{target}\r\n{head}").as_bytes()).unwrap();
        // The server may close the connection in the middle.
        let _ = connection.write_all(&vec![b'x'; 1_100_000]);
        let mut answer = String::new();
        let _ = connection.read_to_string(&mut answer);
        assert!(!answer.contains(" 408 ") && !answer.contains("length\":3"), "{target}: {answer}");
    }
}
