//! No request holds the thread of a worker for more than 10 ms, whatever its page does.

use crate::harness::{Request, Server, ServerOptions, TestSite};

/// Fails if a request used more than 10 ms of processor time without a pause.
pub(crate) fn assert_no_stall(server: &Server) {
    let stalls = |bound: &str| server.metric("sluice_worker_stall_seconds_bucket", &[bound]);
    let (within, all) = (stalls("le=\"0.01\""), stalls("le=\"+Inf\""));
    let metrics = server.admin("/metrics").body;
    let lines: Vec<_> = metrics.lines().filter(|line| line.contains("worker_stall")).collect();
    assert_eq!(within, all, "polls over 10 ms:\n{}", lines.join("\n"));
}

/// What a script can do that takes long.
const SCRIPTS: &[(&str, &str)] = &[
    ("loop", "for (let i = 0; i < 1e6; i++) {}"),
    ("fill", "for (let i = 0; i < 20; i++) new Uint8Array(7e6).fill(i)"),
    ("copy", "const a = new Uint8Array(3e6); for (let i = 0; i < 50; i++) a.slice()"),
    ("repeat", "for (let i = 0; i < 50; i++) 'x'.repeat(5e6)"),
    ("regex", "/(a+)+$/.test('a'.repeat(22) + 'b')"),
    ("sort", "Array.from({ length: 1e5 }, (_, i) => -i).sort((a, b) => a - b)"),
    ("text", "setVariable('a', 'x'.repeat(1e6))"),
    ("arrays", "setVariable('a', Array.from({ length: 50000 }, () => []))"),
    ("many", "for (let i = 0; i < 200; i++) setVariable('a' + i, Array.from({ length: 2000 }, () => [i]))"),
    ("send", "response.send(Array.from({ length: 20000 }, (_, i) => 'line ' + i * 7919).join('\\n'))"),
    ("json", "response.json(Array.from({ length: 30000 }, (_, i) => ({ i })))"),
    ("session", "for (let i = 0; i < 60; i++) session.set('k' + i, 'x'.repeat(1000))"),
    ("console", "for (let i = 0; i < 200; i++) console.log('x'.repeat(300))"),
    ("throw", "throw new Error('x'.repeat(4e6))"),
    ("memory", "const all = []; for (;;) all.push(new Uint8Array(1e5).fill(1))"),
    ("recursion", "function f() { f() } f()"),
    ("nested", "JSON.parse('['.repeat(20000))"),
];

#[test]
fn scripts_hold_no_worker() {
    let site = TestSite::new();
    site.write("brands/demo/brand.toml", "default = true\nform_bodies = true\n");
    for (name, script) in SCRIPTS {
        let page = format!("<script scope=\"backend\">{script}</script><p>{name}</p>");
        site.write(&format!("brands/demo/pages/{name}.html"), &page);
    }
    let server = Server::start(site.path());
    for (name, _) in SCRIPTS {
        for encoding in ["identity", "br", "gzip", "zstd"] {
            let answer = Request::get(&format!("/{name}")).header("accept-encoding", encoding);
            let status = answer.send(server.address).status;
            assert!(matches!(status, 200 | 500), "{name}: {status}");
        }
    }
    let body = format!("[{}0]", "[],".repeat(19_990));
    for page in ["loop", "arrays"] {
        let post = Request::new("POST", &format!("/{page}")).header("content-type", "application/json");
        assert_eq!(post.body(body.as_bytes()).send(server.address).status, 200);
    }
    assert_no_stall(&server);
}

#[test]
fn loading_a_large_page_from_the_code_cache_holds_no_worker() {
    let site = TestSite::new();
    site.write("brands/demo/brand.toml", "default = true\n");
    let rows = "<p class=\"{{ var.a | upper }}\">@if(var.b)one@else two@endif</p>\n".repeat(10_000);
    site.write(
        "brands/demo/pages/index.html",
        &format!("<script scope=\"backend\">redirect('/other')</script>{rows}"),
    );
    let first = Server::start(site.path());
    assert_eq!(first.get("localhost", "/").status, 302);
    let second = ServerOptions::of(site.path()).data(first.data_dir()).start();
    assert_eq!(second.get("localhost", "/").status, 302);
    assert_eq!(second.metric("sluice_runs_total", &[]), 1.0);
    assert_no_stall(&second);
}

#[test]
fn compressing_a_large_page_holds_no_worker() {
    let site = TestSite::new();
    site.write("brands/demo/brand.toml", "default = true\n");
    let lines: String = (0..100_000).map(|i: u64| format!("<p>{}</p>\n", i * 7_919 % 100_003)).collect();
    site.write("brands/demo/pages/index.html", &lines);
    site.write("brands/demo/public/lines.txt", &lines);
    let server = Server::start(site.path());
    for path in ["/", "/lines.txt"] {
        for encoding in ["br", "gzip", "zstd"] {
            let answer = Request::get(path).header("accept-encoding", encoding).send(server.address);
            assert_eq!(answer.header("content-encoding").as_deref(), Some(encoding), "{path}");
        }
    }
    assert_no_stall(&server);
}
