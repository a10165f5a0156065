//! HTTP/2, as curl and a client that keeps the rules see it.

mod attacks;
mod raw;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{Connection, ResponseFuture, SendRequest};
use http::{HeaderMap, Request};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Server, ServerOptions, TestSite};
use crate::https::Authority;

const ECHO: &str = "<script scope=\"backend\">\n\
    const n = (session.get('n') ?? 0) + 1; session.set('n', n);\n\
    response.json({ host: request.headers.host, method: request.method, body: request.body,\n\
      cookies: request.cookies, n })\n</script>";
const LONG: &str = "<script scope=\"backend\">\n\
    response.send(Array.from({ length: 60000 }, (_, i) => `line ${i}\\n`).join(''))\n</script>";
const LOOP: &str = "<script scope=\"backend\">while (true) {}</script>";
const FILES: &str =
    "<script scope=\"backend\">response.json(request.files.map((file) => file.size))</script>";

fn site() -> TestSite {
    let site = TestSite::with(&[
        ("pages/index.html", ECHO),
        ("pages/long.html", LONG),
        ("pages/loop.html", LOOP),
        ("pages/files.html", FILES),
        ("pages/plain.html", "<p>Plain</p>"),
    ]);
    site.write(
        "brands/demo/brand.toml",
        "domains = [\"shop.test\"]\nform_bodies = true\n[limits]\nwall_ms_max = 300_000\n\
         [[page]]\npath = \"/files\"\n\
         uploads = { files_max = 1, bytes_max = \"4 MB\", types = [\"image/png\"] }\n",
    );
    // Brands cannot have that much fuel by themselves.
    site.write(
        "sluice.toml",
        "[server]\nqueue_requests_max = 200\nqueue_wait = \"10m\"\n\
         [limits]\nfuel = 1_000_000_000_000\n[limits.max]\nconcurrent_runs = 1\n",
    );
    site.write("brands/demo/public/file.txt", "a file\n");
    site.write_bytes(&site.brand_dir("demo").join("public/large.bin"), &vec![b'x'; LARGE]);
    site
}

/// More than the system keeps for a connection.
const LARGE: usize = 16 << 20;

/// A client that speaks HTTP/2.
pub(crate) struct Client {
    runtime: Runtime,
    requests: SendRequest<Bytes>,
    /// Ends with the connection.
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// What came back: the status, the headers and the body.
type Answer = (u16, HeaderMap, String);

impl Client {
    fn connect(authority: &Authority, server: &Server) -> Self {
        Self::with(authority, server, &h2::client::Builder::new())
    }

    fn with(authority: &Authority, server: &Server, builder: &h2::client::Builder) -> Self {
        let runtime = Runtime::new().unwrap();
        let (requests, connection) = runtime.block_on(connect(authority, server.address, builder));
        let connection = runtime.spawn(connection);
        Self { runtime, requests, connection }
    }

    /// Sends a request. Its body follows.
    fn begin(&self, request: Request<()>) -> (ResponseFuture, SendStream<Bytes>) {
        let requests = self.requests.clone();
        self.runtime.block_on(async { requests.ready().await.unwrap().send_request(request, false).unwrap() })
    }

    /// Sends a request without a body.
    fn send(&self, request: Request<()>) -> ResponseFuture {
        self.try_send(request).expect("the connection is open")
    }

    /// The same, unless the server has ended the connection.
    fn try_send(&self, request: Request<()>) -> Option<ResponseFuture> {
        let requests = self.requests.clone();
        let sent = async { requests.ready().await.ok()?.send_request(request, true).ok() };
        self.runtime.block_on(sent).map(|(response, _)| response)
    }

    fn answer(&self, response: ResponseFuture) -> Result<Answer, h2::Error> {
        self.runtime.block_on(answer(response))
    }

    fn ask(&self, request: Request<()>) -> Answer {
        self.answer(self.send(request)).unwrap()
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(get(path))
    }

    /// Waits until the server has ended the connection.
    fn ended(self) -> Result<(), h2::Error> {
        drop(self.requests);
        match self.runtime.block_on(self.connection).unwrap() {
            // The server may have closed the connection while the client wrote its own end.
            Err(error) if error.is_io() => Ok(()),
            ended => ended,
        }
    }
}

pub(crate) fn tls(authority: &Authority) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.ca_file()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

async fn connect(
    authority: &Authority,
    server: SocketAddr,
    builder: &h2::client::Builder,
) -> (SendRequest<Bytes>, Connection<TlsStream<TcpStream>>) {
    let stream = TcpStream::connect(server).await.unwrap();
    let name = ServerName::try_from("shop.test").unwrap();
    let stream = TlsConnector::from(tls(authority)).connect(name, stream).await.unwrap();
    builder.handshake(stream).await.unwrap()
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("https://shop.test{path}")).body(()).unwrap()
}

/// A request with a JSON body.
fn post(path: &str) -> Request<()> {
    let request =
        Request::post(format!("https://shop.test{path}")).header("content-type", "application/json");
    request.body(()).unwrap()
}

async fn answer(response: ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, mut received) = response.await?.into_parts();
    let mut body = Vec::new();
    while let Some(chunk) = received.data().await {
        let chunk = chunk?;
        received.flow_control().release_capacity(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok((head.status.as_u16(), head.headers, String::from_utf8(body).unwrap()))
}

fn options(site: &TestSite) -> (Authority, ServerOptions) {
    let authority = Authority::new();
    authority.issue("shop", &["shop.test", "other.test"], 1);
    let options = authority.options(site);
    (authority, options)
}

fn serve(site: &TestSite) -> (Authority, Server) {
    let (authority, options) = options(site);
    (authority, options.start())
}

#[test]
fn pages_and_files_are_served_over_http2_and_over_http1() {
    let site = site();
    let (authority, server) = serve(&site);
    let ask = |path, options: &[&str]| authority.curl(server.address, "https", "shop.test", path, options);
    let answer = ask("/", &["--http2", "--data", "a=1"]);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/2 200"), "{answer}");
    let length = format!("content-length: {}", body.len());
    assert!(head.lines().any(|line| line == length), "{answer}");
    assert!(head.contains("\r\ndate: ") && head.contains("; Secure"), "{answer}");
    assert!(!head.contains("\r\nconnection:") && !head.contains("transfer-encoding"), "{answer}");
    let port = server.address.port();
    let host = format!("\"host\":\"shop.test:{port}\",\"method\":\"POST\",\"body\":{{\"a\":\"1\"}}");
    assert!(body.contains(&host), "{answer}");
    let old = ask("/", &["--http1.1", "--data", "a=1"]);
    assert!(old.starts_with("HTTP/1.1 200 OK"), "{old}");
    for (protocol, count) in [("h2", 1.0), ("http/1.1", 1.0)] {
        let labels = ["outcome=\"completed\"", &*format!("protocol=\"{protocol}\"")];
        server.wait_for_metric("sluice_tls_handshakes_total", &labels, count);
    }
    let file = ask("/file.txt", &["--http2"]);
    assert!(file.starts_with("HTTP/2 200") && file.ends_with("a file\n"), "{file}");
    let part = ask("/file.txt", &["--http2", "--range", "2-"]);
    assert!(part.starts_with("HTTP/2 206") && part.ends_with("\r\n\r\nfile\n"), "{part}");
    let head = ask("/plain", &["--http2", "--head"]);
    assert!(head.starts_with("HTTP/2 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(ask("/nowhere", &["--http2"]).starts_with("HTTP/2 404"));
    let long = ask("/long", &["--http2"]);
    assert!(long.ends_with("\nline 59999\n") && long.len() > 600_000, "{}", long.len());
    let large = ask("/large.bin", &["--http2"]);
    assert_eq!(large.split_once("\r\n\r\n").unwrap().1.len(), LARGE);
}

#[test]
fn responses_have_the_headers_of_http1() {
    let site = site();
    let (authority, server) = serve(&site);
    let ask = |version: &str, path: &str, options: &[&str]| {
        let options = [&[version][..], options].concat();
        let answer = authority.curl(server.address, "https", "shop.test", path, &options);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
        let varies = |line: &&str| {
            ["date: ", "set-cookie: ", "connection: "]
                .iter()
                .any(|name| line.to_ascii_lowercase().starts_with(name))
        };
        let mut headers: Vec<_> = lines.filter(|line| !varies(line)).map(str::to_ascii_lowercase).collect();
        headers.sort_unstable();
        (status, headers, body.to_owned())
    };
    let etag = ask("--http1.1", "/file.txt", &[]).1.iter().find(|line| line.starts_with("etag: ")).cloned();
    let known = etag.unwrap().replace("etag: ", "if-none-match: ");
    for (path, options, expected) in [
        ("/plain", &[][..], "200"),
        ("/plain", &["--head"], "200"),
        ("/file.txt", &[], "200"),
        ("/file.txt", &["--head"], "200"),
        ("/file.txt", &["--range", "2-3"], "206"),
        ("/file.txt", &["--header", &*known], "304"),
        ("/large.bin", &["--head"], "200"),
        ("/long", &["--compressed"], "200"),
        ("/plain", &["--request", "OPTIONS"], "405"),
        ("/plain", &["--request", "BREW"], "405"),
        ("/plain/", &[], "308"),
        ("/nowhere", &[], "404"),
        ("//", &[], "400"),
    ] {
        let [old, new] = ["--http1.1", "--http2"].map(|version| ask(version, path, options));
        assert_eq!(old, new, "{path} {options:?}");
        assert_eq!(new.0, expected, "{path} {options:?}");
    }
}

#[test]
fn bodies_have_the_limits_of_http1() {
    let site = site();
    let (authority, options) = options(&site);
    let server = options.env("SLUICE_SERVER__BODY_TIMEOUT", "3s").start();
    let body = |bytes: usize| {
        let file = authority.data_dir().join("body");
        std::fs::write(&file, [b"\x89PNG\r\n\x1a\n", &*"b".repeat(bytes - 8).into_bytes()].concat()).unwrap();
        file
    };
    let send = |version: &str, path: &str, option: &str, value: &str| {
        let options = [version, "--header", "expect:", option, value];
        let answer = authority.curl(server.address, "https", "shop.test", path, &options);
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        (status, answer.rsplit("\r\n").next().unwrap_or_default().to_owned())
    };
    // Larger than what the page accepts, and than what a client may send at once.
    for bytes in [70_000, 900_000] {
        for version in ["--http1.1", "--http2"] {
            let value = format!("@{}", body(bytes).display());
            let (status, answer) = send(version, "/", "--data-binary", &value);
            assert!(
                status == "200" && answer.contains("\"body\":null"),
                "{bytes} {version}: {status} {answer}"
            );
        }
    }
    for (bytes, expected) in [(3_000_000, "[3000000]"), (5_000_000, "[]")] {
        let value = format!("f=@{};type=image/png", body(bytes).display());
        let [old, new] = ["--http1.1", "--http2"].map(|version| send(version, "/files", "--form", &value));
        assert_eq!(old, new, "{bytes}");
        assert_eq!(new == ("200".to_owned(), expected.to_owned()), bytes == 3_000_000, "{new:?}");
    }
    // Larger than what the server reads: the client gets the response, and is told to send no more of it.
    let client = Client::connect(&authority, &server);
    let (response, mut sender) = client.begin(post("/"));
    sender.send_data(Bytes::from(vec![b'b'; 20_000_000]), true).unwrap();
    let (status, _, answer) = client.answer(response).unwrap();
    assert!(status == 200 && answer.contains("\"body\":null"), "{status} {answer}");
    // A body that does not arrive. The response closes the connection, as over HTTP/1.1.
    let client = Client::connect(&authority, &server);
    let (response, _sender) = client.begin(post("/"));
    assert_eq!(client.answer(response).unwrap().0, 408);
    client.ended().unwrap();
    // A body that the client does not complete.
    let client = Client::connect(&authority, &server);
    let (response, mut sender) = client.begin(post("/"));
    sender.send_data(Bytes::from_static(b"[1"), false).unwrap();
    sender.send_reset(h2::Reason::CANCEL);
    assert!(client.answer(response).is_err());
    assert_eq!(Client::connect(&authority, &server).get("/plain").0, 200);
}

#[test]
fn requests_of_one_connection_are_answered_beside_each_other() {
    let site = site();
    let (authority, server) = serve(&site);
    let client = Client::connect(&authority, &server);
    let (first, mut sender) = client.begin(post("/"));
    let others: Vec<_> = (0..100).map(|_| client.get("/plain").0).collect();
    assert_eq!(others, [200; 100]);
    let together: Vec<_> = (0..20).map(|_| client.send(get("/plain"))).collect();
    assert!(together.into_iter().all(|response| client.answer(response).unwrap().0 == 200));
    sender.send_data(Bytes::from_static(b"[1]"), true).unwrap();
    let (status, _, body) = client.answer(first).unwrap();
    assert!(status == 200 && body.contains("\"body\":[1]"), "{status} {body}");
}

#[test]
fn cookies_and_the_authority_reach_the_script_as_over_http1() {
    let site = site();
    let (authority, server) = serve(&site);
    let client = Client::connect(&authority, &server);
    let request = Request::get("https://shop.test/").header("cookie", "a=1").header("cookie", "b=2; c=3");
    let (status, headers, body) = client.ask(request.body(()).unwrap());
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(r#""host":"shop.test","method":"GET""#), "{body}");
    assert!(body.contains(r#""cookies":{"a":"1","b":"2","c":"3"},"n":1"#), "{body}");
    let cookies = headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let cookies: Vec<_> = cookies.map(|cookie| cookie.split(';').next().unwrap()).collect();
    let request = Request::get("https://shop.test/").header("cookie", cookies.join("; ")).body(()).unwrap();
    let (_, _, body) = client.ask(request);
    assert!(body.ends_with(r#""n":2}"#), "{body}");
    // A browser uses a connection for all names of its certificate.
    assert_eq!(client.ask(Request::get("https://other.test/").body(()).unwrap()).0, 421);
}

#[test]
fn full_queue_rejects_requests() {
    let site = site();
    let (authority, options) = options(&site);
    let server = options.env("SLUICE_SERVER__QUEUE_REQUESTS_MAX", "2").start();
    let client = Client::connect(&authority, &server);
    // One request runs and two wait.
    let line: Vec<_> = (0..3).map(|_| client.send(get("/loop"))).collect();
    server.wait_for_metric("sluice_sandbox_waiting", &[], 2.0);
    let (status, headers, _) = client.get("/");
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (503, "1"));
    assert_eq!(client.get("/plain").0, 200, "requests that need no sandbox are served");
    drop(line);
}

#[test]
fn stop_waits_for_requests_in_progress() {
    let site = site();
    let (authority, server) = serve(&site);
    let client = Client::connect(&authority, &server);
    let (response, mut sender) = client.begin(post("/"));
    assert_eq!(client.get("/plain").0, 200);
    server.ask_to_stop();
    server.wait_told("stopping: new connections are rejected");
    sender.send_data(Bytes::from_static(b"[1]"), true).unwrap();
    let (status, _, body) = client.answer(response).unwrap();
    assert!(status == 200 && body.contains("\"body\":[1]"), "{status} {body}");
    client.ended().unwrap();
}

#[test]
fn drain_ends_connections_without_losing_a_request() {
    let site = site();
    let (authority, options) = options(&site);
    let mut server = options.env("SLUICE_SERVER__DRAIN", "5s").start();
    let clients: Vec<_> = (0..10).map(|_| Client::connect(&authority, &server)).collect();
    assert!(clients.iter().all(|client| client.get("/plain").0 == 200));
    server.ask_to_stop();
    server.wait_told("stopping: requests are served");
    for client in clients {
        // As many as the client sends until it knows of the end.
        let requests: Vec<_> = std::iter::from_fn(|| client.try_send(get("/plain"))).take(10).collect();
        assert!(!requests.is_empty());
        for request in requests {
            match client.answer(request) {
                Ok(answer) => assert_eq!(answer.0, 200),
                // It crossed with the end of the connection. The client knows that it was not begun, and sends it again.
                Err(error) => {
                    assert!(error.is_go_away() && error.is_remote(), "{error:?}");
                    assert_eq!(error.reason(), Some(h2::Reason::NO_ERROR));
                    assert_eq!(Client::connect(&authority, &server).get("/plain").0, 200);
                }
            }
        }
        // The client is told that it is to open another connection.
        client.ended().unwrap();
    }
    let late = Client::connect(&authority, &server);
    assert_eq!(late.get("/plain").0, 200);
    late.ended().unwrap();
    assert!(server.wait().success());
}
