//! Reading requests: limits of bodies, slow clients, malformed requests, proxies, secrets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Request, Server, ServerOptions, TestSite};

const ECHO: &str = "<script scope=\"backend\">
    response.json({ method: request.method, length: request.body?.length ?? null, body: request.body === null, ip: request.ip, ip6: request.ip6, host: request.headers.host });
</script>";

fn echo() -> TestSite {
    TestSite::with(&[("pages/index.html", ECHO)])
}

/// Sends these bytes and reads the response until the server closes the connection.
fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answer = Vec::new();
    // A connection that is reset was also rejected.
    let _ = connection.write_all(bytes);
    let _ = connection.shutdown(std::net::Shutdown::Write);
    let _ = connection.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn still_serves(server: &Server) {
    assert_eq!(server.get("localhost", "/").status, 200);
}

#[test]
fn script_gets_bodies_up_to_64_kb_and_no_part_of_larger_ones() {
    let site = echo();
    let server = Server::start(site.path());
    let sent = |length: usize| {
        let body = format!("\"{}\"", "x".repeat(length - 2));
        let request = Request::new("POST", "/").header("content-type", "application/json; charset=utf-8");
        let answer = request.body(body.as_bytes()).send(server.address);
        serde_json::from_str::<Value>(&answer.body).unwrap()["length"].clone()
    };
    assert_eq!(sent(64 * 1024), json!(64 * 1024 - 2));
    assert_eq!(sent(64 * 1024 + 1), Value::Null);
    assert_eq!(
        sent(900_000),
        Value::Null,
        "the body is read to its end, so that the client gets the response"
    );
    still_serves(&server);
}

#[test]
fn limits_chunked_bodies() {
    let site = echo();
    let server = Server::start(site.path());
    let chunked = |count: usize| {
        let mut bytes = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n1\r\n\"\r\n".to_vec();
        for _ in 0..count {
            bytes.extend_from_slice(b"400\r\n");
            bytes.extend_from_slice(&[b'x'; 1024]);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"1\r\n\"\r\n0\r\n\r\n");
        raw(server.address, &bytes)
    };
    assert!(chunked(63).contains("\"length\":64512"));
    assert!(chunked(65).contains("\"length\":null"));
    // The server does not read a body of this size to its end.
    let flood = chunked(20_000);
    assert!(flood.is_empty() || flood.contains("\"length\":null"), "{flood}");
    still_serves(&server);
}

#[test]
fn rejects_invalid_lengths_and_malformed_requests() {
    let site = echo();
    let server = Server::start(site.path());
    let head =
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n";
    for smuggled in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "content-length: 4\r\ncontent-length: 5\r\n\r\n\"ab\"",
        "content-length: +4\r\n\r\n\"ab\"",
        "content-length: -1\r\n\r\n",
        "content-length: 99999999999999999999\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    ] {
        let answer = raw(server.address, format!("{head}{smuggled}").as_bytes());
        let accepted = answer.starts_with("HTTP/1.1 200") && answer.contains("\"body\":false");
        assert!(!accepted, "{smuggled:?}: {answer}");
        assert!(
            answer.matches("HTTP/1.1").count() <= 1,
            "one request has one response: {smuggled:?}: {answer}"
        );
    }
    for nonsense in [
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\0\0\0\0",
        "GET /\0 HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        assert!(!raw(server.address, nonsense.as_bytes()).contains("200 OK"), "{nonsense:?}");
    }
    let huge = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx-large: {}\r\n\r\n", "x".repeat(1 << 20));
    assert!(!raw(server.address, huge.as_bytes()).contains("200 OK"));
    still_serves(&server);
}

/// An incomplete request must have no effects.
#[test]
fn does_not_run_the_page_for_an_incomplete_body() {
    let site = echo();
    let server = Server::start(site.path());
    let head =
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n";
    for broken in [
        "content-length: 50\r\n\r\n\"half",
        "transfer-encoding: chunked\r\n\r\n0x2\r\n[]\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n[]\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n2\n[]\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n2\r\n[]\r\n",
    ] {
        let answer = raw(server.address, format!("{head}{broken}").as_bytes());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{broken:?}: {answer}");
        assert!(!answer.contains("\"body\""), "{broken:?}: {answer}");
    }
    still_serves(&server);
    let runs = server.runs("demo", 1);
    assert!(runs.iter().all(|run| run["method"] == "GET"), "{runs:?}");
}

#[test]
fn closes_connections_of_clients_that_do_not_read_the_response() {
    let site = echo();
    let large = vec![b'x'; 32 << 20];
    site.write_bytes(&site.brand_dir("demo").join("public/large.bin"), &large);
    let server = ServerOptions::of(site.path()).env("SLUICE_SERVER__WRITE_TIMEOUT", "1s").start();
    let mut stalled = TcpStream::connect(server.address).unwrap();
    stalled.write_all(b"GET /large.bin HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    // Linux lists the server's socket with its own address, the client's, and the state
    // (01: established).
    let theirs = format!(":{:04X}", stalled.local_addr().unwrap().port());
    let is_open = || {
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let fields = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        sockets.lines().map(fields).any(|line| line[2].ends_with(&theirs) && line[3] == "01")
    };
    assert!(is_open());
    server.wait_until("the connection is closed", || !is_open());
    let mut taken = Vec::new();
    let _ = stalled.read_to_end(&mut taken);
    assert!(taken.len() < large.len(), "the rest was not sent");
    let answer = server.get("localhost", "/large.bin");
    assert_eq!(
        (answer.status, answer.body.len()),
        (200, large.len()),
        "a client that reads gets the whole file"
    );
}

#[test]
fn rejects_bodies_that_time_out() {
    let site = echo();
    let server = ServerOptions::of(site.path()).env("SLUICE_SERVER__BODY_TIMEOUT", "1s").start();
    let mut connection = TcpStream::connect(server.address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n\"slow";
    connection.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 4096];
    let length = connection.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 408 ") && !answer.contains("\"body\""), "{answer}");
    still_serves(&server);
}

#[test]
fn closes_the_connection_if_headers_time_out() {
    let site = echo();
    let server = ServerOptions::of(site.path()).env("SLUICE_SERVER__HEADERS_TIMEOUT", "1s").start();
    let mut connection = TcpStream::connect(server.address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: ").unwrap();
    let mut answer = String::new();
    let _ = connection.read_to_string(&mut answer);
    assert!(!answer.contains("200 OK"), "{answer}");
    still_serves(&server);
}

#[test]
fn accepts_only_get_head_and_post() {
    let site = echo();
    let server = Server::start(site.path());
    let get = server.get("localhost", "/");
    let head = Request::new("HEAD", "/").send(server.address);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-type"), get.header("content-type"));
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
        let answer = Request::new(method, "/").send(server.address);
        assert_eq!(
            (answer.status, answer.header("allow").as_deref()),
            (405, Some("GET, HEAD, POST")),
            "{method}"
        );
    }
}

#[test]
fn trusts_only_listed_proxies() {
    let site = echo();
    site.write("sluice.toml", "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\n");
    let trusting = Server::start(site.path());
    let seen = |server: &Server| {
        let request = Request::get("/").header("x-forwarded-for", "6.6.6.6, 203.0.113.9");
        let request = request.header("x-forwarded-proto", "https");
        let answer = request.send(server.address);
        serde_json::from_str::<Value>(&answer.body).unwrap()
    };
    assert_eq!(seen(&trusting)["ip"], "203.0.113.9");
    drop(trusting);
    site.write("sluice.toml", "");
    let plain = Server::start(site.path());
    assert_eq!((&seen(&plain)["ip"], &seen(&plain)["ip6"]), (&json!("127.0.0.1"), &Value::Null));
}

#[test]
fn https_behind_a_proxy_gets_a_host_cookie() {
    let site = TestSite::with(&[(
        "pages/index.html",
        "<script scope=\"backend\">session.set('n', (session.get('n') ?? 0) + 1); cookie.set('a', 'b'); response.json(session.get('n'))</script>",
    )]);
    site.write("sluice.toml", "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    let server = Server::start(site.path());
    let visit = |cookie: &str| {
        let request = Request::get("/").header("x-forwarded-for", "203.0.113.9");
        request.header("x-forwarded-proto", "https").header("cookie", cookie).send(server.address)
    };
    let cookies = visit("").header("set-cookie").unwrap();
    let session = cookies.lines().find(|line| line.starts_with("__Host-sluice=")).unwrap();
    assert!(
        session.ends_with("; HttpOnly; SameSite=Lax; Secure") && session.contains("; Path=/; "),
        "{session}"
    );
    assert!(cookies.lines().any(|line| line == "a=b; Path=/; HttpOnly; SameSite=Lax; Secure"), "{cookies}");
    let cookie = session.split(';').next().unwrap();
    assert_eq!(visit(cookie).body, "2");
    let hidden = Request::get("/").header("x-forwarded-proto", "https").send(server.address);
    assert!(
        hidden.header("set-cookie").unwrap().contains("__Host-sluice="),
        "the proxy may omit the client's address"
    );
    assert_eq!(
        visit(&format!("{cookie}; {cookie}")).body,
        "1",
        "a session cookie that is sent twice is ignored"
    );
}

#[test]
fn secrets_reach_scripts_but_not_the_log() {
    let page = "<script scope=\"backend\">
        console.log('key is', secrets.get('api_key'), { key: secrets.get('API_KEY') });
        setVariable('found', [secrets.get('api_key') === 's3cr3t-value', secrets.get('none'), secrets.get(1)]);
        throw new Error('failed with ' + secrets.get('api_key'));
    </script>{{ var.found | json | raw }} {{ secrets.api_key }}";
    let site = TestSite::with(&[("pages/index.html", page)]);
    site.write("brands/demo-two/brand.toml", "domains = [\"two.test\"]\n");
    site.write("brands/demo-two/pages/index.html", page);
    let server = ServerOptions::of(site.path()).env("SLUICE_SECRET_DEMO_API_KEY", "s3cr3t-value").start();
    assert_eq!(server.get("localhost", "/").body.trim(), "[true,null,null]");
    assert_eq!(server.get("two.test", "/").body.trim(), "[false,null,null]", "another brand has no secrets");
    server.runs("demo", 1);
    let log = format!("{:?}", server.log_entries(&[]));
    assert!(log.contains("[secret API_KEY]") && !log.contains("s3cr3t-value"), "{log}");
}
