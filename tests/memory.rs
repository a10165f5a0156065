//! The memory that the host takes for runs: what values are charged, and the ceiling of the process.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::{Request, Server, ServerOptions, TestSite};

/// 1,000 rows that are the same array of `columns` empty arrays. The heap holds one row, and the
/// host 72 bytes for each of the arrays.
fn dense(columns: usize) -> String {
    format!("Array(1000).fill(Array({columns}).fill([]))")
}

/// Renders so slowly that requests pile up behind one another.
const SLOW_TEMPLATE: &str =
    "@foreach(row in var.rows)@foreach(cell in row){{ cell }}@endforeach@endforeach{{ var.is_set }}";

fn page(value: &str) -> String {
    let script = format!("setVariable('is_set', setVariable('rows', {value}))");
    format!("<script scope=\"backend\">{script}</script>{SLOW_TEMPLATE}")
}

#[test]
fn values_are_charged_for_what_they_hold() {
    let heavy = dense(1_000);
    let site = TestSite::with(&[
        ("pages/variable.html", &page(&heavy)),
        (
            "pages/session.html",
            "<script scope=\"backend\">response.json([
                session.set('dense', Array(100).fill(Array(500).fill([]))),
                session.set('text', 'x'.repeat(50000)),
                session.set('list', Array(100).fill({ name: 'Ann', total: 12 })),
            ])</script>",
        ),
        (
            "pages/crm.html",
            &format!(
                "<script scope=\"backend\">try {{ setCrmField({{ slug: 'lead', fieldKey: 'a', value: {heavy} }}) }}
                 catch (error) {{ response.json(error.message) }}</script>"
            ),
        ),
        (
            "pages/cookie.html",
            &format!(
                "<script scope=\"backend\">response.json(cookie.set('a', 'b', {{ x: {heavy} }}))</script>"
            ),
        ),
        (
            "pages/many.html",
            "<script scope=\"backend\">let kept = 0;
             for (let i = 0; i < 100; i++) kept += setVariable('v' + i, Array(100).fill(Array(100).fill([])));
             setVariable('v0', 1); response.json([kept, setVariable('late', Array(100).fill(Array(90).fill([])))])</script>",
        ),
        ("pages/usual.html", "<script scope=\"backend\">
            setVariable('rows', Array.from({ length: 2000 }, (_, i) => ({ id: i, name: 'row ' + i, tags: ['a', 'b'] })))
         </script>{{ var.rows.length }}"),
    ]);
    site.write("sluice.toml", "[limits]\nfuel = 10_000_000_000\n");
    let server = ServerOptions::of(site.path()).start();
    let get = |path: &str| server.get("localhost", path).body;
    assert_eq!(get("/variable"), "false");
    server.wait_until("the author is told why", || {
        let runs = server.log_entries(&[("page", "pages/variable.html")]);
        runs.iter().any(|entry| entry.to_string().contains("takes more memory than"))
    });
    assert_eq!(get("/session"), "[false,true,true]");
    assert!(get("/crm").contains("takes more memory than"), "{}", get("/crm"));
    assert_eq!(get("/cookie"), "false");
    assert_eq!(get("/usual"), "2000");
    // All values of a run share one quota, and a replaced value gives back its share.
    let many: serde_json::Value = serde_json::from_str(&get("/many")).unwrap();
    assert!((10..100).contains(&many[0].as_u64().unwrap()), "{many}");
    assert_eq!(many[1], true);
}

/// A host whose allocator returns unused memory after one second instead of ten.
fn short_decay(site: &TestSite) -> ServerOptions {
    ServerOptions::of(site.path()).env("_RJEM_MALLOC_CONF", "dirty_decay_ms:1000")
}

/// The resident bytes after a first request, when the memory that the start needed has been returned. It
/// is almost as much as the base, so an attack could hide in it.
fn settled(server: &Server) -> u64 {
    const NOISE: u64 = 1 << 20;
    assert_eq!(server.get("localhost", "/").body, "here");
    let (mut base, mut samples) = (server.resident_bytes(), 0);
    while samples < 30 {
        std::thread::sleep(Duration::from_millis(100));
        let resident = server.resident_bytes();
        samples = if resident + NOISE < base { 0 } else { samples + 1 };
        base = resident.min(base);
    }
    base
}

/// Sends `count` requests for `/attack` at the same time. Returns the resident bytes at the peak.
fn attack(server: &Server, count: usize) -> u64 {
    let (statuses, peak, is_over) = (Mutex::new(Vec::new()), Mutex::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let resident = server.resident_bytes();
                let mut peak = peak.lock().unwrap();
                *peak = resident.max(*peak);
                drop(peak);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        std::thread::scope(|visitors| {
            for _ in 0..count {
                visitors.spawn(|| {
                    let answer = server.get("localhost", "/attack");
                    if answer.status == 200 {
                        assert!(answer.body.ends_with("true"), "the page is complete");
                    }
                    statuses.lock().unwrap().push(answer.status);
                });
            }
        });
        is_over.store(true, Ordering::Relaxed);
    });
    let statuses = statuses.into_inner().unwrap();
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 503)), "{statuses:?}");
    peak.into_inner().unwrap()
}

/// Waits until the resident memory is 1.5 times its base at most.
fn wait_for_base(server: &Server, base: u64) {
    let what = format!("the resident memory has returned to {base} bytes and half as much");
    server.wait_until(&what, || server.resident_bytes() < base + base / 2);
}

#[test]
fn resident_memory_returns_to_its_base_after_an_attack() {
    const MEMORY_MAX: u64 = 400_000_000;
    // 190,000 arrays take 14 MB, which fits into the quota of one run.
    let site = TestSite::with(&[("pages/attack.html", &page(&dense(190))), ("pages/index.html", "here")]);
    let server = short_decay(&site).env("SLUICE_SERVER__MEMORY_MAX", &MEMORY_MAX.to_string()).start();
    let base = settled(&server);
    let peak = attack(&server, 48);
    assert!(peak < MEMORY_MAX, "{peak} bytes at the peak, {base} before");
    wait_for_base(&server, base);
}

#[test]
fn stacks_return_what_deep_recursion_used() {
    let recursion = "<script scope=\"backend\">
        const deep = (n) => { try { return deep(n + 1) + 1 } catch { return 0 } };
        for (let i = 0; i < 100; i++) deep(0);
    </script>true";
    let site = TestSite::with(&[("pages/attack.html", recursion), ("pages/index.html", "here")]);
    let server = short_decay(&site).start();
    let base = settled(&server);
    attack(&server, 32);
    wait_for_base(&server, base);
}

#[test]
fn sandboxes_of_a_burst_return_what_they_kept() {
    // So many runs at the same time that what their sandboxes keep is more than half of the base.
    let slow = "<script scope=\"backend\">
        const rows = Array.from({ length: 500 }, (_, n) => ({ n, name: 'row ' + n }));
        for (let i = 0; i < 1_000_000; i++);
    </script>true";
    let site = TestSite::with(&[("pages/attack.html", slow), ("pages/index.html", "here")]);
    let server = short_decay(&site).start();
    let base = settled(&server);
    let peak = attack(&server, 96);
    assert!(peak > base + base / 2, "{peak} bytes at the peak, {base} before");
    wait_for_base(&server, base);
    assert_eq!(server.get("localhost", "/attack").body, "true");
}

/// A host whose memory is full as soon as one request holds some.
fn full_host() -> (TestSite, Server) {
    let loops = "<script scope=\"backend\">while (true);</script>";
    let site = TestSite::with(&[
        ("pages/loop.html", loops),
        ("pages/quick.html", "<script scope=\"backend\">response.json('quick')</script>"),
        ("pages/plain.html", "plain"),
        ("public/large.txt", &"x".repeat(100_000)),
    ]);
    site.write(
        "brands/demo/brand.toml",
        "default = true\n[[page]]\npath = \"/loop\"\nlimits = { fuel = 1_000_000_000_000_000, wall_ms_max = 600_000 }\n",
    );
    site.write(
        "sluice.toml",
        "[server]\nmemory_max = 1_000_000\nqueue_requests_max = 1\nqueue_wait = \"10m\"\n",
    );
    let server = ServerOptions::of(site.path()).start();
    (site, server)
}

/// Sends a request without waiting for the response.
pub(crate) fn send(to: SocketAddr, path: &str) -> TcpStream {
    let mut connection = TcpStream::connect(to).unwrap();
    connection.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).unwrap();
    connection
}

#[test]
fn requests_wait_or_are_rejected_when_the_memory_is_full() {
    let (_site, server) = full_host();
    server.wait_told("not enough memory to use every sandbox");
    // A request runs alone even if it needs more than all memory.
    assert_eq!(server.get("localhost", "/quick").body, "\"quick\"");
    assert_eq!(server.get("localhost", "/plain").body, "plain");
    let limit = server.metric("sluice_memory_limit_bytes", &[]);
    let base = server.metric("sluice_memory_reserved_bytes", &[]);
    assert_eq!(limit, 1_000_000.0);
    let _running = send(server.address, "/loop");
    server.wait_for_metric("sluice_memory_reserved_bytes", &[], base + 20e6);
    // There are more sandboxes, but no memory.
    let _waiting = send(server.address, "/quick");
    server.wait_for_metric("sluice_sandbox_waiting", &[], 1.0);
    assert_eq!(server.metric("sluice_sandbox_running", &[]), 1.0);
    let post = Request::new("POST", "/quick").host("localhost").header("content-type", "application/json");
    for (what, answer) in [
        ("the queue is full", server.get("localhost", "/quick")),
        ("a page without a script", server.get("localhost", "/plain")),
        ("a file", server.get("localhost", "/large.txt")),
        ("a body", post.body(b"{\"a\": 1}").send(server.address)),
    ] {
        let retry_after = answer.header("retry-after");
        assert_eq!((answer.status, retry_after.as_deref()), (503, Some("1")), "{what}");
    }
    // The body was rejected before there was a request to observe.
    let refused = server.metric("sluice_requests_rejected_total", &["reason=\"overload\""]);
    assert_eq!(refused, 3.0, "operators see the refusals");
    assert_eq!(Request::get("/healthz").send(server.admin_address).status, 200);
}
