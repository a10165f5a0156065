//! When the server reads what visitors send, and how much of the memory that takes.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use crate::harness::{Answer, Request, Server, ServerOptions, TestSite};

const SETTINGS: &str = "default = true\nform_bodies = true\n\
    [[access]]\npath = \"/members/**\"\nrequire = \"customer\"\nredirect = \"/login\"\n\
    [[page]]\npath = \"/members/send\"\nuploads = { bytes_max = \"1 MB\" }\n\
    [[page]]\npath = \"/rare\"\nrate = \"1/h\"\nuploads = { bytes_max = \"1 MB\" }\n\
    [[page]]\npath = \"/open\"\nuploads = { bytes_max = \"1 MB\" }\n";

const COUNT: &str = "<script scope=\"backend\">response.json(request.files?.length ?? 0)</script>";

fn site() -> TestSite {
    let site = TestSite::with(&[
        ("pages/members/send.html", COUNT),
        ("pages/rare.html", COUNT),
        ("pages/open.html", COUNT),
        (
            "pages/login.html",
            "<script scope=\"backend\">session.setCustomer({ email: 'ann@example.com' })</script>in",
        ),
        ("pages/logout.html", "<script scope=\"backend\">session.clearCustomer()</script>out"),
    ]);
    site.write("brands/demo/brand.toml", SETTINGS);
    site.write("sluice.toml", "[server]\nbody_timeout = \"10m\"\n");
    site
}

const FILE: &str =
    "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nhello\r\n--B--\r\n";

/// Sends a request with a file without the file, and whatever headers stand in `more`.
fn begin(server: &Server, path: &str, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let length = FILE.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=B\r\n\
         content-length: {length}\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// The status line and the headers of the response.
fn head_of(stream: TcpStream) -> Vec<String> {
    let lines = BufReader::new(stream).lines().map(|line| line.unwrap().to_ascii_lowercase());
    lines.take_while(|line| !line.is_empty()).collect()
}

fn cookie_of(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie").unwrap();
    format!("cookie: {}\r\n", cookie.split(';').next().unwrap())
}

#[test]
fn a_request_that_is_rejected_need_not_send_its_files() {
    let site = site();
    let server = ServerOptions::of(site.path()).start();
    assert_eq!(server.get("localhost", "/rare").body, "0");
    for (path, header, status) in [
        ("/members/send", "", "http/1.1 303 see other"),
        ("/rare", "", "http/1.1 429 too many requests"),
        ("/open", "origin: https://elsewhere.example\r\n", "http/1.1 403 forbidden"),
        ("/open", &*format!("cookie: {}\r\n", "a=1; ".repeat(65)), "http/1.1 400 bad request"),
    ] {
        let head = head_of(begin(&server, path, header));
        assert_eq!(head[0], status);
        assert!(head.contains(&"connection: close".to_owned()), "{head:?}");
    }
    let mut whole = begin(&server, "/open", "connection: close\r\n");
    whole.write_all(FILE.as_bytes()).unwrap();
    let mut answer = String::new();
    whole.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n\r\n1"), "{answer}");
}

#[test]
fn a_visitor_who_logs_out_while_files_arrive_does_not_reach_the_page() {
    let site = site();
    let server = ServerOptions::of(site.path()).start();
    let cookie = cookie_of(&server.get("localhost", "/login"));
    let reserved = || server.metric("sluice_memory_reserved_bytes", &[]);
    let send = |is_logged_out: bool| {
        let expect = format!("{cookie}expect: 100-continue\r\nconnection: close\r\n");
        let before = reserved();
        let mut stream = begin(&server, "/members/send", &expect);
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 100"), "{line}");
        stream.write_all(&FILE.as_bytes()[..30]).unwrap();
        server.wait_until("the file is arriving", || reserved() > before);
        if is_logged_out {
            let (name, value) = cookie.trim().split_once(": ").unwrap();
            let left = Request::new("GET", "/logout").header(name, value).send(server.address);
            assert_eq!(left.body, "out");
        }
        stream.write_all(&FILE.as_bytes()[30..]).unwrap();
        let head = head_of(stream);
        head.into_iter().find(|line| line.starts_with("http/1.1") && !line.contains(" 100 ")).unwrap()
    };
    assert_eq!(send(false), "http/1.1 200 ok");
    assert_eq!(send(true), "http/1.1 303 see other");
}

#[test]
fn bodies_for_one_brand_leave_memory_to_others() {
    let site = TestSite::with(&[("pages/read.html", "<script scope=\"backend\">response.json(1)</script>")]);
    let limits = "default = true\n[[page]]\npath = \"/read\"\nlimits = { body_bytes_max = 655_360 }\n";
    site.write("brands/demo/brand.toml", limits);
    site.write("brands/guest/brand.toml", "domains = [\"guest.test\"]\n");
    site.write("brands/guest/pages/quick.html", "<script scope=\"backend\">response.json('quick')</script>");
    site.write("sluice.toml", "[server]\nmemory_max = 512_000_000\nbody_timeout = \"10m\"\n");
    let server = ServerOptions::of(site.path()).start();
    let part = vec![b' '; 640_000];
    let streams: Vec<_> = (0..500)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            let head = "POST /read HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 650000\r\n\r\n";
            // Fails if the server has rejected the body already.
            drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&part)));
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    // A stream without a response has nothing to read yet.
    let is_rejected = |stream: &&TcpStream| {
        stream.peek(&mut [0]).map_err(|error| error.kind()) != Err(ErrorKind::WouldBlock)
    };
    server.wait_until("bodies are rejected", || streams.iter().filter(is_rejected).count() > 100);
    for _ in 0..5 {
        assert_eq!(server.get("guest.test", "/quick").body, "\"quick\"");
    }
    drop(streams);
}
