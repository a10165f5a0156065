//! Kept files in a bucket that answers late, and visitors who only begin to send files.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::Value;

use crate::harness::{Answer, Request, Server, ServerOptions, TestSite};

const SETTINGS: &str = "default = true\n[[page]]\npath = \"/send\"\nlimits = { wall_ms_max = 2_000 }\n\
    uploads = { bytes_max = \"1 MB\" }\n";

/// Keeps a file as a public one.
const SEND: &str = "<script scope=\"backend\">\
    response.json(files.keep(request.files[0], { name: 'a', public: true }).url)</script>";

#[derive(Default)]
struct State {
    /// The methods of the requests so far.
    seen: Vec<String>,
    /// The method whose answers are held back.
    held: Option<&'static str>,
}

/// A service that takes every file and answers when the test lets it.
struct Bucket {
    address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Bucket {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<(Mutex<State>, Condvar)>::default();
        let of_all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&of_all);
                std::thread::spawn(move || answer(stream.unwrap(), &shared));
            }
        });
        Self { address, shared }
    }

    fn hold(&self, method: Option<&'static str>) {
        self.shared.0.lock().unwrap().held = method;
        self.shared.1.notify_all();
    }

    fn seen(&self, method: &str) -> usize {
        self.shared.0.lock().unwrap().seen.iter().filter(|seen| *seen == method).count()
    }

    fn serve(&self, site: &TestSite) -> Server {
        ServerOptions::of(site.path())
            .env("SLUICE_FILES__S3__ENDPOINT", &format!("http://{}", self.address))
            .env("SLUICE_FILES__S3__BUCKET", "bucket")
            .env("SLUICE_FILES__S3__REGION", "eu-central-1")
            .env("SLUICE_FILES__S3__KEY_ID", "key")
            .env("SLUICE_FILES__S3__SECRET_KEY", "secret")
            .start()
    }
}

fn answer(stream: TcpStream, (state, changed): &(Mutex<State>, Condvar)) {
    let mut stream = BufReader::new(stream);
    let lines = (&mut stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let lines: Vec<_> = lines.map(|line| line.to_ascii_lowercase()).collect();
    let length = lines.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    std::io::copy(&mut (&mut stream).take(length.unwrap_or(0)), &mut std::io::sink()).unwrap();
    let method = lines[0].split(' ').next().unwrap().to_ascii_uppercase();
    let mut state = state.lock().unwrap();
    state.seen.push(method.clone());
    drop(changed.wait_while(state, |state| state.held == Some(method.as_str())).unwrap());
    let body = match (method.as_str(), lines[0].contains("list-type=2")) {
        ("GET", true) => {
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsTruncated>false</IsTruncated></ListBucketResult>"
        }
        ("GET" | "HEAD", _) => "hello",
        _ => "",
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let body = if method == "HEAD" { "" } else { body };
    drop(stream.get_mut().write_all((head + body).as_bytes()));
}

fn site() -> TestSite {
    let site = TestSite::with(&[("pages/send.html", SEND)]);
    site.write("brands/demo/brand.toml", SETTINGS);
    site
}

fn send(server: &Server) -> Answer {
    let body =
        "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nhello\r\n--B--\r\n";
    let request = Request::new("POST", "/send").header("content-type", "multipart/form-data; boundary=B");
    request.body(body.as_bytes()).send(server.address)
}

#[test]
fn a_file_that_is_kept_too_late_for_its_run_is_deleted() {
    let (site, bucket) = (site(), Bucket::start());
    let server = bucket.serve(&site);
    assert_eq!(send(&server).status, 200);
    bucket.hold(Some("PUT"));
    assert!(send(&server).status >= 500);
    assert_eq!((bucket.seen("PUT"), bucket.seen("DELETE")), (2, 0));
    bucket.hold(None);
    server.wait_until("the file is deleted", || bucket.seen("DELETE") == 1);
}

#[test]
fn visitors_of_a_bucket_that_hangs_are_bounded() {
    let (site, bucket) = (site(), Bucket::start());
    site.write("sluice.toml", "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    let server = bucket.serve(&site);
    let url: Value = serde_json::from_str(&send(&server).body).unwrap();
    let url = url.as_str().unwrap();
    let get = |visitor: &str| Request::get(url).header("x-forwarded-for", visitor).send(server.address);
    let is_refused = |visitor: &str| {
        let refused = get(visitor);
        (refused.status, refused.header("retry-after").as_deref()) == (503, Some("1"))
    };
    bucket.hold(Some("HEAD"));
    std::thread::scope(|scope| {
        let mut readers = Vec::new();
        for (visitor, seen) in [("203.0.113.1", 32), ("203.0.113.2", 64)] {
            readers.extend((0..32).map(|_| scope.spawn(move || get(visitor))));
            server.wait_until("all read", || bucket.seen("HEAD") == seen);
            assert!(is_refused(visitor), "{visitor} takes more than half of the places");
        }
        assert!(is_refused("203.0.113.3"));
        assert_eq!(bucket.seen("HEAD"), 64);
        bucket.hold(None);
        for reader in readers {
            let read = reader.join().unwrap();
            assert_eq!((read.status, read.body.as_str()), (200, "hello"));
        }
    });
    // Their places are free.
    server.wait_until("the file is sent again", || get("203.0.113.3").status == 200);
}

#[test]
fn browsers_keep_a_file_no_longer_than_its_address_works() {
    let pages = [
        (
            "pages/send.html",
            "<script scope=\"backend\">response.json(files.keep(request.files[0]).id)</script>",
        ),
        (
            "pages/address.html",
            "<script scope=\"backend\">response.json(files.url(request.query.id, Number(request.query.ttl)))</script>",
        ),
    ];
    let site = TestSite::with(&pages);
    site.write("brands/demo/brand.toml", SETTINGS);
    let server = ServerOptions::of(site.path()).start();
    let id: String = serde_json::from_str(&send(&server).body).unwrap();
    let age = |ttl: u64| {
        let url = server.get("localhost", &format!("/address?id={}&ttl={ttl}", id.replace('/', "%2F"))).body;
        let url: String = serde_json::from_str(&url).unwrap();
        let control = server.get("localhost", &url).header("cache-control").unwrap();
        control.strip_prefix("private, max-age=").unwrap().parse::<u64>().unwrap()
    };
    assert!((1..=100).contains(&age(100)));
    assert_eq!(age(3_600), 300);
}

#[test]
fn visitors_who_only_begin_to_send_files_take_no_memory() {
    let site = site();
    site.write("brands/guest/brand.toml", "domains = [\"guest.test\"]\n");
    site.write("brands/guest/pages/quick.html", "<script scope=\"backend\">response.json('quick')</script>");
    site.write("sluice.toml", "[server]\nmemory_max = 512_000_000\nbody_timeout = \"10m\"\n");
    let server = ServerOptions::of(site.path()).start();
    let head = "POST /send HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=B\r\n\
        content-length: 50000\r\nexpect: 100-continue\r\n\r\n";
    let idle: Vec<_> = (0..600)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            assert!(line.starts_with("HTTP/1.1 100"), "{line}");
            stream
        })
        .collect();
    for _ in 0..5 {
        assert_eq!(server.get("guest.test", "/quick").body, "\"quick\"");
    }
    drop(idle);
}
