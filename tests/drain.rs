//! SIGTERM loses no request that a client has sent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use sluice_test_support::free_address;

use crate::harness::{Request, Server, ServerOptions, TestSite};

const PAGE: &str =
    "<script scope=\"backend\">setVariable('n', request.query.n ?? 0);</script><p>{{ var.n }}</p>";
const CONNECTIONS: usize = 40;
const RESTARTS: usize = 10;
const CLIENTS: usize = 4;

/// A connection that stays open between requests.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(BufReader::new(stream))
    }

    /// Returns the status, and whether the response closes the connection. `None` if the
    /// connection ended without a response.
    fn get(&mut self, path: &str) -> Option<(u16, bool)> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).ok()?;
        let (mut line, mut length, mut closes, mut status) = (String::new(), 0, false, 0);
        loop {
            line.clear();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let header = line.trim_end().to_ascii_lowercase();
            match header.split_once(": ") {
                Some(("content-length", bytes)) => length = bytes.parse().unwrap(),
                Some(("connection", how)) => closes = how == "close",
                Some(_) => {}
                None if header.is_empty() => break,
                None => status = header.split(' ').nth(1)?.parse().ok()?,
            }
        }
        self.0.read_exact(&mut vec![0; length]).ok()?;
        Some((status, closes))
    }
}

#[test]
fn answers_requests_on_open_connections_after_sigterm() {
    let site = TestSite::with(&[("pages/index.html", PAGE)]);
    let mut server = ServerOptions::of(site.path()).env("SLUICE_SERVER__DRAIN", "5s").start();
    let mut connections: Vec<Connection> =
        (0..CONNECTIONS).map(|_| Connection::open(server.address)).collect();
    for connection in &mut connections {
        assert_eq!(connection.get("/?n=1"), Some((200, false)), "the connection stays open");
    }
    server.ask_to_stop();
    server.wait_told("stopping: requests are served");
    let ready = Request::get("/readyz").send(server.admin_address);
    assert_eq!(ready.status, 503, "load balancers send no further requests");
    for connection in &mut connections {
        assert_eq!(
            connection.get("/?n=2"),
            Some((200, true)),
            "the request is answered before the connection is closed"
        );
    }
    assert_eq!(
        Connection::open(server.address).get("/?n=3"),
        Some((200, true)),
        "new clients are served, too"
    );
    assert!(server.wait().success());
}

#[test]
fn second_signal_ends_the_drain() {
    let site = TestSite::with(&[("pages/index.html", PAGE)]);
    let mut server = ServerOptions::of(site.path()).env("SLUICE_SERVER__DRAIN", "1d").start();
    server.ask_to_stop();
    server.wait_told("stopping: requests are served");
    assert!(server.terminate().success());
}

/// HAProxy in front of two hosts, without retries.
struct Balancer {
    process: Child,
    address: SocketAddr,
}

impl Balancer {
    fn start(folder: &Path, hosts: &[[SocketAddr; 2]]) -> Self {
        let address = free_address();
        let mut config = format!(
            "global\n  maxconn 256\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  \
             timeout server 30s\n  retries 0\n  http-reuse always\n\
             frontend visitors\n  bind {address}\n  default_backend hosts\n\
             backend hosts\n  balance roundrobin\n  option httpchk\n  \
             http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost\n  \
             default-server inter 100ms fastinter 100ms downinter 100ms fall 1 rise 1\n"
        );
        for (number, [visitors, operators]) in hosts.iter().enumerate() {
            let port = operators.port();
            config.push_str(&format!("  server host{number} {visitors} check port {port}\n"));
        }
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, config).unwrap();
        let process = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("haproxy is missing: run .ci/setup");
        let balancer = Self { process, address };
        while TcpStream::connect(balancer.address).is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        balancer
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // Killing fails if the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sets a flag at the end of its scope, and when the test panics.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn rolling_restarts_behind_a_load_balancer_fail_no_request() {
    let site = TestSite::with(&[("pages/index.html", PAGE)]);
    let folder = tempfile::tempdir().unwrap();
    let addresses = [[free_address(), free_address()], [free_address(), free_address()]];
    let start = |number: usize| -> Server {
        let data = folder.path().join(format!("data{number}"));
        let [visitors, operators] = addresses[number];
        ServerOptions::of(site.path())
            .data(&data)
            .listen(visitors, operators)
            .env("SLUICE_SERVER__DRAIN", "1s")
            .start()
    };
    let mut hosts = [start(0), start(1)];
    let balancer = Balancer::start(folder.path(), &addresses);
    let (stop, answered, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut connection = Connection::open(balancer.address);
                while !stop.load(Ordering::SeqCst) {
                    match connection.get("/?n=1") {
                        Some((200, closes)) => {
                            answered.fetch_add(1, Ordering::SeqCst);
                            if closes {
                                connection = Connection::open(balancer.address);
                            }
                        }
                        _ => {
                            thread::sleep(Duration::from_millis(10));
                            failed.fetch_add(1, Ordering::SeqCst);
                            connection = Connection::open(balancer.address);
                        }
                    }
                }
            });
        }
        // The clients stop even if an assertion fails.
        let _stop = StopOnDrop(&stop);
        for restart in 0..RESTARTS {
            let number = restart % hosts.len();
            assert!(hosts[number].terminate().success());
            hosts[number] = start(number);
            // The balancer checks hosts every 100 ms. The other host may stop once the balancer
            // has checked this one.
            let before = hosts[number].metric("http_server_request_duration_seconds_count", &[]);
            hosts[number].wait_for_metric("http_server_request_duration_seconds_count", &[], before + 1.0);
        }
    });
    let (answered, failed) = (answered.into_inner(), failed.into_inner());
    assert_eq!(failed, 0, "of {answered} requests");
    assert!(answered > 100, "{answered}");
}
