//! Responses of servers that behave, and of those that do not.

use std::io::Write as _;
use std::process::Command;
use std::sync::mpsc;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::server::{Server, response};
use super::*;
use crate::ErrorKind;

fn allowing(server: &Server) -> Arc<Rules> {
    rules(&[&server.address.to_string()])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The error of a call of a server that answers with these bytes and closes the connection.
async fn error_of(answer: impl Into<Vec<u8>>, bytes_max: usize) -> CallError {
    let answer = answer.into();
    let server = Server::at((ALLOWED, 0), move |_, stream| {
        drop(stream.write_all(&answer));
        drop(stream.shutdown(std::net::Shutdown::Both));
    });
    let limits = CallLimits { response_bytes_max: bytes_max, ..LIMITS };
    send_within(&client(), &allowing(&server), get(&server.url("/secret?path")), limits).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_and_receives() {
    let headers = "X-A: 1\r\nx-a: 2\r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\ncontent-type: text/plain\r\n";
    let server = Server::saying(response("201 Created", headers, "hello"));
    let call = Call {
        method: "post".into(),
        headers: vec![header("X-Own", "value"), header("user-agent", "mine")],
        body: Some("sent".into()),
        ..get(&server.url("/a/b?c=d#e"))
    };
    let response = send(&client(), &allowing(&server), call).await.unwrap();
    assert_eq!(
        (response.status, response.status_text, response.body.as_slice()),
        (201, "Created", &b"hello"[..])
    );
    assert_eq!((response.url, response.is_redirected), (server.url("/a/b?c=d"), false));
    assert!(response.headers.contains(&header("x-a", "1, 2")), "{:?}", response.headers);
    assert_eq!(response.cookies, ["a=b", "c=d"]);
    let request = server.request(0);
    let head = request.head;
    assert!(head.starts_with("post /a/b?c=d http/1.1\r\n"), "{head}");
    for line in [
        &format!("host: {}", server.address),
        "x-own: value",
        "user-agent: mine",
        "content-length: 4",
        "accept-encoding: gzip",
    ] {
        assert!(head.contains(&format!("{line}\r\n")), "{line}: {head}");
    }
    assert_eq!(request.body, "sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn response_over_the_quota_is_an_error_and_no_part_of_it_is_given() {
    let kind = |error: &CallError| matches!(error, CallError::ResponseBytes { bytes: 100, .. });
    let exact = Server::saying(response("200 OK", "", &"a".repeat(100)));
    let limits = CallLimits { response_bytes_max: 100, ..LIMITS };
    let whole = send_within(&client(), &allowing(&exact), get(&exact.url("/")), limits).await.unwrap();
    assert_eq!(whole.body.len(), 100);
    let error = error_of(response("200 OK", "", &"a".repeat(101)), 100).await;
    assert!(kind(&error), "{error}");
    assert_eq!(error.kind(), ErrorKind::Quota);
    assert_eq!(
        error.to_string(),
        "the response of 127.0.0.9 is larger than 100 bytes (http_response_bytes_max)"
    );
    // Without a length, and in chunks.
    let error = error_of(format!("HTTP/1.1 200 OK\r\n\r\n{}", "a".repeat(101)), 100).await;
    assert!(kind(&error), "{error}");
    let chunks = "33\r\n".to_owned() + &"a".repeat(0x33) + "\r\n";
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}{chunks}0\r\n\r\n");
    let error = error_of(chunked, 100).await;
    assert!(kind(&error), "{error}");
    // A length that would not even fit into memory.
    let error = error_of("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551614\r\n\r\na", 100).await;
    assert!(kind(&error) || error.kind() == ErrorKind::NoAnswer, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn decompression_bomb_ends_at_the_quota() {
    let bomb = gzip(&vec![0; 20 << 20]);
    let mut answer =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len())
            .into_bytes();
    answer.extend(&bomb);
    let error = error_of(answer, 1 << 20).await;
    assert!(matches!(error, CallError::ResponseBytes { .. }), "{error}");
    let small = gzip(b"small");
    let mut answer =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", small.len())
            .into_bytes();
    answer.extend(&small);
    let server = Server::saying(answer);
    assert_eq!(send(&client(), &allowing(&server), get(&server.url("/"))).await.unwrap().body, b"small");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_responses_are_errors_without_what_they_contain() {
    for answer in [
        "",
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-encoding: abcd\r\ncontent-length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
    ] {
        let error = error_of(answer, 1 << 20).await;
        assert_eq!(error.kind(), ErrorKind::NoAnswer, "{answer:?}: {error}");
        let text = error.to_string();
        assert!(text.contains("127.0.0.9") && !text.contains("secret") && !text.contains("abcd"), "{text}");
    }
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(100 << 10));
    assert_eq!(error_of(large, 1 << 20).await.kind(), ErrorKind::NoAnswer);
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1_000));
    assert_eq!(error_of(many, 1 << 20).await.kind(), ErrorKind::NoAnswer);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_body_is_not_part_of_it_or_of_the_next_response() {
    let answer = response("200 OK", "", "first") + &response("200 OK", "", "forged");
    let server = Server::saying(answer);
    let (client, rules) = (client(), allowing(&server));
    for _ in 0..3 {
        match send(&client, &rules, get(&server.url("/"))).await {
            Ok(response) => assert_eq!(response.body, b"first"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NoAnswer, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encoded_responses_without_a_body_have_an_empty_one() {
    let server = Server::at((ALLOWED, 0), |request, stream| {
        let (line, _) = request.head.split_once(' ').unwrap();
        let path = request.head.split(' ').nth(1).unwrap();
        let (status, length) = match path {
            "/204" => ("204 No Content", ""),
            "/304" => ("304 Not Modified", "content-length: 500\r\n"),
            _ if line == "head" => ("200 OK", "content-length: 500\r\n"),
            _ => ("200 OK", "content-length: 0\r\n"),
        };
        let encoding = if path == "/br" { "br" } else { "gzip" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-encoding: {encoding}\r\n{length}\r\n");
        drop(stream.write_all(answer.as_bytes()));
    });
    let (client, rules) = (client(), allowing(&server));
    for (method, path, status) in [
        ("HEAD", "/", 200),
        ("HEAD", "/br", 200),
        ("GET", "/204", 204),
        ("GET", "/304", 304),
        ("GET", "/", 200),
        ("POST", "/br", 200),
    ] {
        let call = Call { method: method.into(), ..get(&server.url(path)) };
        let response = send(&client, &rules, call).await.unwrap();
        assert_eq!((response.status, response.body), (status, Vec::new()), "{method} {path}");
    }
    // The connection can be used for the next call each time.
    assert_eq!(server.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_sends_beside_its_response_is_bounded() {
    let interim = format!("HTTP/1.1 103 Early Hints\r\n{}\r\n", "link: </a>; rel=preload\r\n".repeat(90));
    // The chunks have one byte of a body each, and ten that are not part of it.
    let chunks = "0000001\r\na\r\n".repeat(100);
    for (start, endless) in [("", interim), ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunks)]
    {
        let server = Server::at((ALLOWED, 0), move |_, stream| {
            drop(stream.write_all(start.as_bytes()));
            // Ends when the other side closes the connection.
            while stream.write_all(endless.as_bytes()).is_ok() {}
        });
        let limits = CallLimits { response_bytes_max: 100 << 10, ..LIMITS };
        let result = send_within(&client(), &allowing(&server), get(&server.url("/")), limits).await;
        let error = result.unwrap_err();
        assert_eq!(
            error.to_string(),
            "127.0.0.9 sent more than 532480 bytes for one response (2 × http_response_bytes_max + 320 KB)"
        );
        assert_eq!(error.kind(), ErrorKind::Quota);
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_response_on_a_connection_has_its_own_bound() {
    let server = Server::saying(response("200 OK", "", &"a".repeat(200 << 10)));
    let (client, rules) = (client(), allowing(&server));
    let limits = CallLimits { response_bytes_max: 200 << 10, ..LIMITS };
    for _ in 0..10 {
        let response = send_within(&client, &rules, get(&server.url("/")), limits).await.unwrap();
        assert_eq!(response.body.len(), 200 << 10);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn response_that_does_not_end_ends_at_its_time() {
    // One byte at a time, and nothing at all.
    for drips in [true, false] {
        let server = Server::at((ALLOWED, 0), move |_, stream| {
            let start = if drips { "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" } else { "" };
            drop(stream.write_all(start.as_bytes()));
            while stream.write_all(if drips { b"a" } else { b"" }).is_ok() {
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let limits = CallLimits { wall: Duration::from_millis(200), ..LIMITS };
        let (client, rules) = (client(), allowing(&server));
        let error = send_within(&client, &rules, get(&server.url("/")), limits).await.unwrap_err();
        assert_eq!(error.to_string(), "127.0.0.9 did not answer within 200 ms (http_wall_ms_max)");
        let call = Call { timeout: Some(Duration::from_millis(50)), ..get(&server.url("/")) };
        let error = send(&client, &rules, call).await.unwrap_err();
        assert_eq!(error, CallError::Aborted { host: "127.0.0.9".into(), ms: 50 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn call_that_waits_for_its_turn_says_so() {
    // Answers nobody until the test ends.
    let server = Server::at((ALLOWED, 0), |_, _| ());
    let (client, rules) = (client(), allowing(&server));
    let slow = CallLimits { wall: Duration::from_secs(60), ..LIMITS };
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (client, rules, call) = (client.clone(), Arc::clone(&rules), get(&server.url("/")));
            tokio::spawn(async move { send_within(&client, &rules, call, slow).await })
        })
        .collect();
    while server.connections() < 8 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let limits = CallLimits { wall: Duration::from_millis(100), ..LIMITS };
    let over = send_within(&client, &rules, get(&server.url("/")), limits).await.unwrap_err();
    let call = Call { timeout: Some(Duration::from_millis(50)), ..get(&server.url("/")) };
    let aborted = send(&client, &rules, call).await.unwrap_err();
    for call in calls {
        call.abort();
    }
    assert_eq!(over.kind(), ErrorKind::NoAnswer);
    assert_eq!(
        over.to_string(),
        "the call to 127.0.0.9 waited 100 ms for its turn: a brand makes 32 calls at a time, and 8 to one host"
    );
    assert_eq!(aborted, CallError::NoTurn { host: "127.0.0.9".into(), ms: 50, is_own: true });
    assert_eq!(aborted.kind(), ErrorKind::Aborted);
}

#[tokio::test(flavor = "multi_thread")]
async fn request_over_the_quota_is_not_sent() {
    let server = Server::saying(response("200 OK", "", ""));
    let limits = CallLimits { request_bytes_max: 3, ..LIMITS };
    let call =
        |body: &'static str| Call { method: "PUT".into(), body: Some(body.into()), ..get(&server.url("/")) };
    let (client, rules) = (client(), allowing(&server));
    let error = send_within(&client, &rules, call("four"), limits).await.unwrap_err();
    assert_eq!(error, CallError::RequestBytes(3));
    assert_eq!(server.connections(), 0);
    send_within(&client, &rules, call("abc"), limits).await.unwrap();
    let with_body = Call { body: Some("x".into()), ..get(&server.url("/")) };
    assert_eq!(send(&client, &rules, with_body).await.unwrap_err(), CallError::BodyOfGet("GET"));
    let connect = Call { method: "CONNECT".into(), ..get(&server.url("/")) };
    assert_eq!(send(&client, &rules, connect).await.unwrap_err(), CallError::Method("CONNECT".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_a_server_gives_no_answer() {
    let free = std::net::TcpListener::bind((std::net::Ipv4Addr::from(ALLOWED), 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let error = send(&client(), &rules(&[&address.to_string()]), get(&format!("http://{address}/")))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        CallError::NotConnected { host: "127.0.0.9".into(), reason: "connection refused".into() }
    );
    let (resolver, _) = names(&[]);
    let error = send(&with_resolver(resolver), &rules(&["api.example"]), get("http://api.example/"))
        .await
        .unwrap_err();
    assert_eq!(error, CallError::NotResolved("api.example".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_verified_and_those_of_ca_file_are_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let done =
            Command::new("openssl").current_dir(folder.path()).args(arguments.split(' ')).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let make = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("req -x509 {make} -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"));
    openssl(&format!("req {make} -subj /CN=server -keyout server.key -out server.csr"));
    std::fs::write(folder.path().join("names"), "subjectAltName = IP:127.0.0.9").unwrap();
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt",
    );
    let (key, certificate) = (folder.path().join("server.key"), folder.path().join("server.crt"));
    let (port_known, port) = mpsc::channel();
    let key = rustls::pki_types::pem::PemObject::from_pem_file(key).unwrap();
    let certificate = crate::tls::read("http.ca_file", &certificate).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificate, key)
            .unwrap();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::from(ALLOWED), 0)).unwrap();
        port_known.send(listener.local_addr().unwrap().port()).unwrap();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::Stream::new(&mut session, &mut stream);
            drop(io::Read::read(&mut tls, &mut [0; 4096]));
            drop(tls.write_all(response("200 OK", "", "secure").as_bytes()));
            drop(tls.flush());
        }
    });
    let port = port.recv().unwrap();
    let (url, rules) = (
        format!("https://127.0.0.9:{port}/"),
        rules(&[&format!("127.0.0.9:{port}"), &format!("api.example:{port}")]),
    );
    let error = send(&client(), &rules, get(&url)).await.unwrap_err();
    assert!(matches!(error, CallError::Tls { .. }), "{error}");
    let trusting = with_ca(&folder.path().join("ca.pem"));
    assert_eq!(send(&trusting, &rules, get(&url)).await.unwrap().body, b"secure");
    // The certificate is for an address, and not for this name.
    let (resolver, _) = names(&[&["127.0.0.9"]]);
    let named =
        Client::new(Handle::current(), Box::new(resolver), Some(&folder.path().join("ca.pem"))).unwrap();
    let error = send(&named, &rules, get(&format!("https://api.example:{port}/"))).await.unwrap_err();
    assert!(matches!(error, CallError::Tls { .. }), "{error}");
    assert!(
        Client::new(Handle::current(), Box::new(SystemResolver::default()), Some(Path::new("/none")))
            .is_err()
    );
}
