//! The admin listener answers although all sandboxes are busy.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Request, Server, ServerOptions, TestSite};

#[test]
fn healthz_answers_while_all_sandboxes_are_busy() {
    const VISITORS: usize = 200;
    let site = TestSite::with(&[
        ("pages/loop.html", "<script scope=\"backend\">while (true) {}</script>"),
        ("pages/index.html", "here"),
    ]);
    // Far more than the visitors' requests can use before the response.
    site.write("sluice.toml", "[limits]\nfuel = 1_000_000_000_000\n");
    let server = Server::start(site.path());
    let (sent, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (sent, finished, address) = (&sent, &finished, server.address);
    std::thread::scope(|scope| {
        for _ in 0..VISITORS {
            scope.spawn(move || {
                let connection = std::net::TcpStream::connect(address);
                let Ok(mut connection) = connection else { return };
                connection.write_all(b"GET /loop HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
                sent.fetch_add(1, Ordering::SeqCst);
                // The server is stopped below. The request fails unless a response came before.
                let mut byte = [0];
                if matches!(connection.read(&mut byte), Ok(1)) {
                    finished.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        while sent.load(Ordering::SeqCst) < VISITORS {
            std::thread::yield_now();
        }
        let answer = Request::get("/healthz").send(server.admin_address);
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
        // A page without a script is also served.
        assert_eq!(server.get("localhost", "/").body, "here");
        assert_eq!(finished.load(Ordering::SeqCst), 0, "no loop has reached its limit yet");
        drop(server);
    });
}

#[test]
fn visitors_port_does_not_serve_admin_paths() {
    let site = TestSite::with(&[("pages/index.html", "here")]);
    let server = Server::start(site.path());
    assert_eq!(server.get("localhost", "/healthz").status, 404);
    let answer = Request::get("/").send(server.admin_address);
    assert_eq!((answer.status, answer.header("location").as_deref()), (303, Some("/login")));
}

#[test]
fn sigterm_finishes_running_requests_and_exits_cleanly() {
    let site = TestSite::with(&[("pages/index.html", "here")]);
    let mut server = Server::start(site.path());
    assert_eq!(server.get("localhost", "/").body, "here");
    assert!(server.terminate().success());
}

#[test]
fn healthz_answers_while_visitors_use_all_descriptors_that_they_may() {
    const LIMIT: usize = 300;
    let site = TestSite::with(&[("pages/index.html", "here")]);
    let server = ServerOptions::of(site.path()).open_files_max(LIMIT).start();
    let warning = &server.wait_told("the limit of open files (ulimit -n) is low")[0]["fields"];
    assert_eq!(warning["limit"], LIMIT);
    let open = || std::fs::read_dir(format!("/proc/{}/fd", server.process_id())).unwrap().count();
    let before = open();
    let connect = || std::net::TcpStream::connect(server.address).unwrap();
    let visitors: Vec<_> = (0..LIMIT).map(|_| connect()).collect();
    let accepted = warning["connections"].as_u64().unwrap() as usize;
    server.wait_until("visitors are accepted", || open() >= before + accepted / 2);
    let answer = Request::get("/healthz").send(server.admin_address);
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
    drop(visitors);
    server.wait_until("visitors are served again", || server.get("localhost", "/").body == "here");
}
