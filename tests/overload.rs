//! More requests than a host can serve: which of them are rejected, and how that affects the
//! others.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::harness::{Request, Server, ServerOptions, TestSite};

/// The brands `flood` and `guest`. The page of `flood` runs until its time limit.
fn two_brands(sluice_toml: &str) -> TestSite {
    let site = TestSite::new();
    // Brands cannot have that much fuel by themselves.
    site.write("sluice.toml", &format!("{sluice_toml}[limits]\nfuel = 1_000_000_000_000\n"));
    for brand in ["flood", "guest"] {
        site.write(
            &format!("brands/{brand}/brand.toml"),
            &format!("domains = [\"{brand}.test\"]\n[limits]\nwall_ms_max = 300_000\n"),
        );
        site.write(&format!("brands/{brand}/pages/plain.html"), "no script");
        site.write(
            &format!("brands/{brand}/pages/quick.html"),
            "<script scope=\"backend\">response.json('quick')</script>",
        );
        site.write(&format!("brands/{brand}/pages/busy.html"), BUSY);
        site.write(
            &format!("brands/{brand}/pages/loop.html"),
            "<script scope=\"backend\">while (true) {}</script>",
        );
    }
    site
}

/// Sends a request and leaves the connection open.
fn send(to: SocketAddr, host: &str, path: &str) -> TcpStream {
    let mut connection = TcpStream::connect(to).unwrap();
    connection.write_all(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).unwrap();
    connection
}

/// Reads the status of the response.
fn status(mut connection: TcpStream) -> u16 {
    let mut head = [0; 12];
    connection.read_exact(&mut head).unwrap();
    std::str::from_utf8(&head[9..]).unwrap().parse().unwrap()
}

#[test]
fn full_queue_rejects_requests_of_the_brand_that_fills_it() {
    let site = two_brands(
        "[server]\nqueue_requests_max = 2\nqueue_wait = \"10m\"\n[limits.max]\nconcurrent_runs = 1\n",
    );
    let server = Server::start(site.path());
    // One request runs and two wait. All of them are of the brand `flood`.
    let line: Vec<_> = (0..3).map(|_| send(server.address, "flood.test", "/loop")).collect();
    server.wait_for_metric("sluice_sandbox_waiting", &[], 2.0);

    let refused = server.get("flood.test", "/quick");
    assert_eq!((refused.status, refused.header("retry-after").as_deref()), (503, Some("1")));
    // Requests that need no sandbox are served.
    assert_eq!(server.get("flood.test", "/plain").body, "no script");
    assert_eq!(Request::get("/healthz").send(server.admin_address).status, 200);

    // The newest waiting request of `flood` is rejected to make room for one of `guest`.
    let guest = send(server.address, "guest.test", "/quick");
    let (mut turned_away, mut open) = (0, Vec::new());
    while turned_away == 0 {
        for connection in &line {
            connection.set_nonblocking(true).unwrap();
            let mut byte = [0];
            if connection.peek(&mut byte).is_ok() {
                turned_away += 1;
            }
        }
        std::thread::yield_now();
    }
    for connection in line {
        connection.set_nonblocking(false).unwrap();
        let mut byte = [0];
        connection.set_read_timeout(Some(std::time::Duration::from_millis(1))).unwrap();
        if connection.peek(&mut byte).is_ok() {
            assert_eq!(status(connection), 503);
        } else {
            open.push(connection);
        }
    }
    assert_eq!((turned_away, open.len()), (1, 2));
    server.wait_for_metric("sluice_sandbox_waiting", &[], 2.0);
    drop(guest);
}

#[test]
fn brand_is_served_while_another_runs_endless_loops() {
    let site = two_brands("[server]\nmemory_max = 8_000_000_000\n");
    let server = Server::start(site.path());
    assert_eq!(server.get("guest.test", "/quick").body, "\"quick\"");
    // Three quarters of the 128 sandboxes run the loops, and the other requests wait.
    let loops: Vec<_> = (0..200).map(|_| send(server.address, "flood.test", "/loop")).collect();
    server.wait_for_metric("sluice_sandbox_waiting", &[], 104.0);
    assert_eq!(server.metric("sluice_sandbox_running", &[]), 96.0);
    for _ in 0..50 {
        assert_eq!(server.get("guest.test", "/quick").body, "\"quick\"");
        // This page takes long enough to compete with the loops.
        assert_eq!(server.get("guest.test", "/busy").status, 200);
    }
    assert_eq!(server.metric("sluice_sandbox_running", &[]), 96.0, "no loop has ended");
    drop(loops);
}

#[test]
fn run_that_gets_no_processor_is_answered_503() {
    let site = two_brands("[server]\nmemory_max = 8_000_000_000\n");
    site.write(
        "brands/flood/brand.toml",
        "domains = [\"flood.test\"]\n[limits]\nfuel = 1_000_000_000_000\nwall_ms_max = 2_000\n",
    );
    let server = Server::start(site.path());
    // A loop that has a processor for itself has used up its own time.
    assert_ne!(server.get("flood.test", "/loop").status, 503);
    let loops: Vec<_> = (0..96).map(|_| send(server.address, "flood.test", "/loop")).collect();
    let statuses: Vec<_> = loops.into_iter().map(status).collect();
    assert!(statuses.contains(&503), "{statuses:?}");
    assert!(server.metric("sluice_requests_rejected_total", &["reason=\"overload\""]) > 0.0);
}

#[test]
fn rate_limit_says_when_to_retry() {
    let site = TestSite::with(&[("pages/index.html", "here"), ("pages/other.html", "other")]);
    site.write("brands/demo/brand.toml", "default = true\n[[page]]\npath = \"/\"\nrate = \"2/d\"\n");
    let server = Server::start(site.path());
    for _ in 0..2 {
        assert_eq!(server.get("localhost", "/").body, "here");
    }
    let refused = server.get("localhost", "/");
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(refused.status, 429);
    assert!((1..=86_400).contains(&seconds), "{seconds}");
    assert_eq!(server.get("localhost", "/other").body, "other");
}

#[test]
fn hosts_on_one_database_share_rate_limits() {
    let site = TestSite::with(&[("pages/index.html", "here")]);
    site.write("brands/demo/brand.toml", "default = true\n[[page]]\npath = \"/\"\nrate = \"4/d\"\n");
    let first = Server::start(site.path());
    let second = ServerOptions::of(site.path()).data(first.data_dir()).start();
    let statuses: Vec<u16> =
        (0..6).map(|n| if n % 2 == 0 { &first } else { &second }.get("localhost", "/").status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429]);
}

/// A host with two sandboxes and four places in the queue.
fn small_host(page: &str) -> (TestSite, Server) {
    let site = TestSite::with(&[("pages/index.html", page)]);
    site.write("sluice.toml", "[server]\nqueue_requests_max = 4\n[limits.max]\nconcurrent_runs = 2\n");
    let server = Server::start(site.path());
    (site, server)
}

const BUSY: &str = "<script scope=\"backend\">
    let s = 0; for (let i = 0; i < 200000; i++) s += i;
    console.log('done'); response.json(s)
</script>";

#[test]
fn host_recovers_from_ten_times_its_capacity() {
    const VISITORS: usize = 60;
    const VISITS: usize = 20;
    let (_site, server) = small_host(BUSY);
    assert_eq!(server.get("localhost", "/").status, 200);
    let before = server.resident_bytes();
    let statuses = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..VISITORS {
            scope.spawn(|| {
                for _ in 0..VISITS {
                    let answer = server.get("localhost", "/");
                    assert_eq!(answer.status == 503, answer.header("retry-after").is_some());
                    statuses.lock().unwrap().push(answer.status);
                }
            });
        }
    });
    let statuses = statuses.into_inner().unwrap();
    let count = |status: u16| statuses.iter().filter(|found| **found == status).count();
    assert!(count(200) > 0 && count(503) > 0, "{} served, {} rejected", count(200), count(503));
    assert_eq!(count(200) + count(503), VISITORS * VISITS);
    // Two sandboxes need at most 128 MB. Nothing else may have grown.
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 160 << 20, "{grown} bytes more");
    assert_eq!(server.metric("sluice_sandbox_waiting", &[]), 0.0);
    for _ in 0..20 {
        assert_eq!(server.get("localhost", "/").status, 200, "service is normal again");
    }
}

/// Makes one request on its own connection. Returns the status of a complete response.
fn visit(to: SocketAddr) -> Option<u16> {
    let mut connection = TcpStream::connect(to).ok()?;
    connection.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    assert_eq!(length.unwrap().parse::<usize>().unwrap(), body.len(), "a response was truncated");
    head.get(9..12)?.parse().ok()
}

#[test]
fn sigterm_under_load_finishes_every_accepted_request() {
    let site = TestSite::with(&[("pages/index.html", BUSY)]);
    let mut server = Server::start(site.path());
    let (address, served) = (server.address, std::sync::atomic::AtomicUsize::new(0));
    let server_ref = &server;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                // Until the server stops listening.
                while TcpStream::connect(address).is_ok() {
                    if visit(address) == Some(200) {
                        served.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    }
                }
            });
        }
        server_ref.wait_for_metric("sluice_runs_total", &[], 50.0);
        server_ref.ask_to_stop();
    });
    assert!(server.wait().success());
    // The log has every run that started, and each got a complete response.
    let log = std::process::Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["logs", "--json", "--lines", "1000000", "--data"])
        .arg(server.data_dir())
        .arg(site.path())
        .output()
        .unwrap();
    let runs = String::from_utf8(log.stdout).unwrap().lines().count();
    assert!(runs >= 50, "{runs}");
    assert_eq!(served.into_inner(), runs);
}
