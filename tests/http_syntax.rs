//! The syntax of requests, over raw sockets: every part of a chain of servers must read the same
//! requests with the same hosts.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::harness::{Server, TestSite};

/// Sends these bytes and reads the response until the server closes the connection.
fn raw(address: SocketAddr, bytes: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answer = Vec::new();
    // A connection that is reset was also rejected.
    let _ = connection.write_all(bytes.as_bytes());
    let _ = connection.shutdown(std::net::Shutdown::Write);
    let _ = connection.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn absolute_target_decides_the_host() {
    let site = TestSite::new();
    for brand in ["one", "two"] {
        site.write(&format!("brands/{brand}/brand.toml"), &format!("domains = [\"{brand}.test\"]\n"));
        site.write(
            &format!("brands/{brand}/pages/index.html"),
            "<script scope=\"backend\">response.send(request.headers.host + ' ' + request.path);</script>",
        );
    }
    let server = Server::start(site.path());
    let visit = |target: &str, host: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = raw(server.address, &request);
        let body = answer.rsplit("\r\n").next().unwrap_or_default().to_owned();
        (answer.get(9..12).unwrap_or_default().to_owned(), body)
    };
    let ok = |body: &str| ("200".to_owned(), body.to_owned());
    assert_eq!(visit("/", "two.test"), ok("two.test /"));
    assert_eq!(visit("http://one.test/", "two.test"), ok("one.test /"));
    assert_eq!(visit("HTTP://ONE.test:80", "two.test"), ok("ONE.test:80 /"));
    assert_eq!(visit("http://two.test@one.test/?a", "two.test"), ok("one.test /"));
    assert_eq!(visit("http://none.test/", "two.test").0, "421");
    for invalid in ["one.test", "one.test:80", "*", "", "http:///", "//", "http://one.test/ /"] {
        assert_eq!(visit(invalid, "two.test").0, "400", "{invalid:?}");
    }
    // The admin listener checks this host, too.
    let ask = |target: &str, host: &str| {
        raw(
            server.admin_address,
            &format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"),
        )
    };
    assert!(ask("/login", "localhost").starts_with("HTTP/1.1 200 "));
    assert!(ask("http://localhost/login", "evil.example").starts_with("HTTP/1.1 200 "));
    assert!(ask("http://evil.example/login", "localhost").starts_with("HTTP/1.1 421 "));
}

const PAGE: &str = "<script scope=\"backend\">
    session.set('visits', (session.get('visits') ?? 0) + 1);
    response.json({ path: request.path, body: request.body });
</script>";

/// Sends these bytes to both listeners, after which nothing may be served.
fn rejected(server: &Server, bytes: &str) {
    for address in [server.address, server.admin_address] {
        let answer = raw(address, bytes);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{bytes:?}: {answer}");
        assert!(!answer.contains("200 OK") && !answer.contains("\"path\""), "{bytes:?}: {answer}");
    }
}

#[test]
fn rejects_lines_that_end_with_lf_alone() {
    let site = TestSite::with(&[("pages/index.html", PAGE), ("pages/smuggled.html", PAGE)]);
    let server = Server::start(site.path());
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for head in [
        "GET / HTTP/1.1\nhost: localhost\n\n",
        "GET / HTTP/1.1\nhost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\n\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: a\ntransfer-encoding: chunked\r\n\r\n",
        "\nGET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: a\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: \r \r\n\r\n",
    ] {
        rejected(&server, &format!("{head}{smuggled}"));
    }
    // Not the first request of a connection either, nor one after a body.
    let post = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    for (first, body) in [
        ("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), "null"),
        (format!("{post}content-length: 5\r\n\r\n[1\n ]"), "[1]"),
        (format!("{post}transfer-encoding: chunked\r\n\r\n3\r\n[\n1\r\n1\r\n]\r\n0\r\n\r\n"), "[1]"),
    ] {
        let answer = raw(server.address, &format!("{first}GET /smuggled HTTP/1.1\nhost: localhost\r\n\r\n"));
        assert!(answer.contains("200 OK") && answer.contains("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains(&format!("{{\"path\":\"/\",\"body\":{body}}}")), "{answer}");
        assert!(!answer.contains("/smuggled"), "{answer}");
    }
    // Nor in the trailers of a chunked body.
    let chunked = format!("{post}transfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n");
    for trailers in ["x: y\n\r\n\r\n", "\n\r\n\r\n", "x: y\r\nz: \nGET / HTTP/1.1\r\n\r\n"] {
        let answer = raw(server.address, &format!("{chunked}{trailers}{smuggled}"));
        assert!(answer.starts_with("HTTP/1.1 400 ") && !answer.contains("200 OK"), "{trailers:?}: {answer}");
    }
    let valid = raw(server.address, &format!("{chunked}x: y\r\n\r\n{smuggled}"));
    assert_eq!(valid.matches("200 OK").count(), 2, "{valid}");
}

#[test]
fn rejects_requests_with_two_lengths() {
    let site = TestSite::with(&[("pages/index.html", PAGE)]);
    let server = Server::start(site.path());
    for lengths in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "content-length: 0\r\ntransfer-encoding: chunked",
        "content-length: 4\r\ncontent-length: 4",
        "content-length: 4, 4",
        "content-length: 0x4",
        "content-length: +4",
        "content-length: ",
        "content-length : 4",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: identity",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: \u{b}chunked",
        "transfer-encoding : chunked",
    ] {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{lengths}\r\n\r\n"
        );
        rejected(&server, &format!("{head}0\r\n\r\nGET / HTTP/1.1\r\nhost: localhost\r\n\r\n"));
    }
    let old = "POST / HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    rejected(&server, old);
    let twice = "GET / HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n";
    rejected(&server, twice);
    rejected(&server, "GET / HTTP/1.1\r\n\r\n");
}
