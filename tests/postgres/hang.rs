//! PostgreSQL hangs: it accepts connections and does not answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sluice_test_support::postgres::OwnServer;

use super::host;
use crate::harness::{Request, ServerOptions, TestSite};

const READ: &str = "<script scope=\"backend\">
    let caught = 0;
    for (let n = 0; n < 6; n++) {
        try { getCrmField({ slug: 'leads', referenceId: '1', fieldKey: 'a' }); } catch { caught++; }
    }
    response.json(caught);
</script>";

/// More visitors than sandboxes ask for a page that reads from the database.
#[test]
fn pages_without_a_database_call_are_served_while_the_database_hangs() {
    const SANDBOXES: usize = 8;
    const VISITORS: usize = 40;
    let database = OwnServer::start();
    let site = TestSite::with(&[
        ("pages/read.html", READ),
        ("pages/plain.html", "<script scope=\"backend\">response.json('plain')</script>"),
        ("crm.toml", "[[entity]]\nslug = 'leads'\n"),
    ]);
    site.write("sluice.toml", &format!("[limits.max]\nconcurrent_runs = {SANDBOXES}\n"));
    let server = host(site.path(), &database.url());
    let get = |path: &str| Request::get(path).send(server.address).body;
    assert_eq!((get("/read").as_str(), get("/plain").as_str()), ("0", r#""plain""#));

    database.signal("STOP");
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..VISITORS {
            scope.spawn(|| {
                let caught = get("/read");
                answered.fetch_add(1, Ordering::SeqCst);
                assert!(caught == "6" || caught.contains("Too busy"), "{caught}");
            });
        }
        let is_taken = || server.metric("sluice_sandbox_waiting", &[]) >= 1.0;
        server
            .wait_until("visitors wait for a sandbox", || is_taken() || answered.load(Ordering::SeqCst) > 0);
        assert_eq!(get("/plain"), r#""plain""#);
        let running = server.metric("sluice_sandbox_running", &[]);
        assert!(running < SANDBOXES as f64, "{running} run, which leaves none for other pages");
    });
    server.wait_until("the host notices", || server.metric("sluice_database_available", &[]) == 0.0);
    assert!(Request::get("/readyz").send(server.admin_address).body.contains("without the database"));
    assert_eq!((get("/read").as_str(), get("/plain").as_str()), ("6", r#""plain""#));

    database.signal("CONT");
    server.wait_until("the database is found again", || get("/read") == "0");
    assert_eq!(Request::get("/readyz").send(server.admin_address).body, "ready\n");
}

const PLAIN: &str = "<script scope=\"backend\">response.json('plain')</script>";

/// Many visitors ask for pages that wait for the database without a sandbox: in a template, or to save the
/// session.
#[test]
fn requests_without_a_sandbox_leave_memory_to_other_brands_while_the_database_hangs() {
    const VISITORS: usize = 120;
    const MEMORY_MAX: u64 = 500_000_000;
    /// What one run reserves, and a little more.
    const ONE_RUN: f64 = 40e6;
    let call = "{{ getCrmField({ slug: 'leads', referenceId: '1', fieldKey: 'a' }) }}";
    let database = OwnServer::start();
    let site = TestSite::with(&[
        ("pages/template.html", call),
        ("pages/script.html", &format!("<script scope=\"backend\">setVariable('a', 1)</script>{call}")),
        (
            "pages/session.html",
            "<script scope=\"backend\">session.set('a', String(Math.random())); response.json(1)</script>",
        ),
        ("crm.toml", "[[entity]]\nslug = 'leads'\n"),
    ]);
    site.write("brands/other/brand.toml", "domains = ['other.test']\n");
    site.write("brands/other/pages/plain.html", PLAIN);
    let server = ServerOptions::of(site.path())
        .postgres(&database.url())
        .env("SLUICE_SERVER__MEMORY_MAX", &MEMORY_MAX.to_string())
        .start();
    let reserved = || server.metric("sluice_memory_reserved_bytes", &[]);
    let plain = || server.get("other.test", "/plain").body;
    for path in ["/template", "/script", "/session"] {
        let status = || server.get("localhost", path).status;
        server.wait_until("the database answers", || status() == 200);
        assert_eq!(plain(), r#""plain""#);
        let idle = reserved();
        database.signal("STOP");
        let answered = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..VISITORS {
                scope.spawn(|| {
                    assert_eq!(status(), 503);
                    answered.fetch_add(1, Ordering::SeqCst);
                });
            }
            let mut seen = Vec::new();
            while answered.load(Ordering::SeqCst) == 0 {
                seen.push(reserved());
                assert_eq!(plain(), r#""plain""#);
                std::thread::sleep(Duration::from_millis(20));
            }
            // A run that no longer waits keeps its memory for a moment, until its answer is made, while the next one
            // has its place. What counts is what is reserved all the time.
            let lasting = |samples: &[f64]| samples.iter().copied().fold(f64::INFINITY, f64::min);
            let most = seen.windows(5).map(lasting).fold(idle, f64::max);
            assert!(most > idle, "{path}: visitors wait");
            let share = idle + MEMORY_MAX as f64 / 2.0;
            assert!(most <= share + ONE_RUN, "{path}: {most} bytes are reserved, {idle} of them by the host");
        });
        database.signal("CONT");
    }
}
