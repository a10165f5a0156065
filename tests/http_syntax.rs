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
