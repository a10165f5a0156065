//! Real proxies, with the lines of docs/operations.md, in front of a host with two brands.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use sluice_test_support::free_address;

use crate::harness::{Request, Server, ServerOptions, TestSite};

const OPERATIONS: &str = include_str!("../docs/operations.md");
/// The address of Sluice in the documentation.
const DOCUMENTED: &str = "127.0.0.1:8080";
/// How often a test looks whether a proxy listens, 20 ms apart.
const ATTEMPTS: usize = 1_500;

/// A proxy, stopped when dropped.
struct Proxy {
    process: Child,
    address: SocketAddr,
}

impl Proxy {
    fn start(mut command: Command, address: SocketAddr) -> Self {
        let output = [Stdio::null(), Stdio::null()];
        let [out, err] = output;
        let process = command.stdout(out).stderr(err).spawn();
        let process = process.unwrap_or_else(|error| panic!("{command:?}: {error}: run .ci/setup"));
        let mut proxy = Self { process, address };
        for _ in 0..ATTEMPTS {
            if TcpStream::connect(proxy.address).is_ok() {
                return proxy;
            }
            if let Some(status) = proxy.process.try_wait().unwrap() {
                panic!("{command:?} ended: {status}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{command:?} does not listen on {address}");
    }

    /// nginx with these lines in its `server` block.
    fn nginx(folder: &Path, lines: &str) -> Self {
        let address = free_address();
        let at = folder.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("  {kind}_temp_path {at}/{kind};\n"))
            .collect();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {at}/nginx.pid;\nerror_log {at}/error.log;\n\
             events {{}}\nhttp {{\n  access_log off;\n{temporary}  server {{\n  listen {address};\n{lines}  }}\n}}\n"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let program = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
        let mut command = Command::new(program);
        command.arg("-e").arg(folder.join("start.log")).arg("-c").arg(file);
        Self::start(command, address)
    }

    /// HAProxy with these lines as its `backend`.
    fn haproxy(folder: &Path, lines: &str) -> Self {
        let address = free_address();
        let config = format!(
            "defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
             frontend visitors\n  bind {address}\n  default_backend sluice\n{lines}"
        );
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, config).unwrap();
        let program = if Path::new("/usr/sbin/haproxy").exists() { "/usr/sbin/haproxy" } else { "haproxy" };
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(file);
        Self::start(command, address)
    }

    /// The brand that answers a visitor who asks for `host`, and what else its page shows.
    fn visit(&self, host: &str, headers: &[(&str, &str)]) -> String {
        let request = Request::get("/").host(host);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send(self.address);
        format!("{} {}", answer.status, answer.body)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Killing fails if the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The code block of docs/operations.md that contains `marker`, for this server.
fn documented(marker: &str, server: &Server) -> String {
    documented_with(marker, DOCUMENTED, &server.address.to_string())
}

/// The same, with `place` for the place where the server listens in the documentation.
fn documented_with(marker: &str, in_docs: &str, place: &str) -> String {
    let blocks = OPERATIONS.split("```").skip(1).step_by(2);
    let found = blocks.filter(|block| block.contains(marker) && block.contains(in_docs)).collect::<Vec<_>>();
    let [block] = found.as_slice() else {
        panic!("{} blocks contain {marker:?} and {in_docs:?}", found.len())
    };
    block.split_once('\n').unwrap().1.replace(in_docs, place)
}

/// A site with the brands `shop`, `victim` and, for every other host, `rest`.
fn site(settings: &str) -> TestSite {
    let site = TestSite::new();
    site.write("sluice.toml", &format!("[server]\ntrusted_proxies = [\"127.0.0.1\"]\n{settings}"));
    for (brand, hosts) in [
        ("shop", "domains = [\"shop.example\"]\n"),
        ("victim", "domains = [\"victim.example\"]\n"),
        ("rest", "default = true\n"),
    ] {
        site.write(&format!("brands/{brand}/brand.toml"), hosts);
        site.write(
            &format!("brands/{brand}/pages/index.html"),
            &format!(
                "<script scope=\"backend\">response.send('{brand} ' + request.headers.host + ' ' + request.ip);</script>"
            ),
        );
    }
    site
}

/// What a visitor sends who wants another brand than that of the address.
const FORGED: [(&str, &str); 4] = [
    ("x-forwarded-host", "victim.example"),
    ("x-forwarded-for", "192.0.2.66"),
    ("forwarded", "for=127.0.0.1;host=victim.example"),
    ("x-forwarded-proto", "https"),
];

#[test]
fn forwarded_host_decides_the_brand_only_if_the_operator_trusts_it() {
    let folder = tempfile::tempdir().unwrap();
    let site_without = site("");
    let server = Server::start(site_without.path());
    // A proxy that passes on what visitors send, with a Host of its own or with theirs.
    let careless = format!("location / {{ proxy_pass http://{}; }}\n", server.address);
    let proxy = Proxy::nginx(folder.path(), &careless);
    let own = format!("200 rest {} ", server.address);
    assert!(
        proxy.visit("shop.example", &FORGED).starts_with(&own),
        "{:?}",
        proxy.visit("shop.example", &FORGED)
    );
    let standard = [FORGED[2]];
    assert!(proxy.visit("shop.example", &standard).starts_with(&own));
    drop(proxy);
    let proxy = Proxy::nginx(folder.path(), &documented("proxy_set_header Host $http_host;", &server));
    assert_eq!(proxy.visit("shop.example", &FORGED), "200 shop shop.example 127.0.0.1");
    assert_eq!(proxy.visit("victim.example", &[]), "200 victim victim.example 127.0.0.1");
}

#[test]
fn documented_proxies_name_the_host_that_visitors_ask_for() {
    let folder = tempfile::tempdir().unwrap();
    let site = site("trusted_host_header = \"x-forwarded-host\"\n");
    let server = Server::start(site.path());
    let nginx = documented("proxy_set_header X-Forwarded-Host $http_host;", &server);
    let haproxy = documented("http-request set-header X-Forwarded-Host", &server);
    for proxy in [Proxy::nginx(folder.path(), &nginx), Proxy::haproxy(folder.path(), &haproxy)] {
        for headers in [&[][..], &FORGED] {
            assert_eq!(proxy.visit("shop.example", headers), "200 shop shop.example 127.0.0.1");
            assert_eq!(proxy.visit("victim.example", headers), "200 victim victim.example 127.0.0.1");
            assert_eq!(proxy.visit("none.example", headers), "200 rest none.example 127.0.0.1");
        }
    }
    // Others than the proxies cannot use the header: here every address is one of this machine, so
    // a host that trusts another proxy stands for them.
    drop(server);
    site.write(
        "sluice.toml",
        "[server]\ntrusted_proxies = [\"192.0.2.1\"]\ntrusted_host_header = \"x-forwarded-host\"\n",
    );
    let server = Server::start(site.path());
    let direct = Request::get("/").host("shop.example").header("x-forwarded-host", "victim.example");
    assert_eq!(direct.send(server.address).body, "shop shop.example 127.0.0.1");
}

#[test]
fn proxy_of_the_machine_connects_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let (site, socket) = (site(""), folder.path().join("visitors.sock"));
    let path = socket.to_str().unwrap();
    let start = || ServerOptions::of(site.path()).env("SLUICE_SERVER__SOCKET", path);
    let server = start().start();
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o660, "{mode:o}");
    let lines = documented_with("http://unix:", "/run/sluice/visitors.sock", path);
    let proxy = Proxy::nginx(folder.path(), &lines);
    for headers in [&[][..], &FORGED] {
        assert_eq!(proxy.visit("shop.example", headers), "200 shop shop.example 127.0.0.1");
        assert_eq!(proxy.visit("victim.example", headers), "200 victim victim.example 127.0.0.1");
    }
    assert_eq!(server.get("shop.example", "/").status, 200, "the address is served, too");

    // One that listens is left alone, and one that nobody uses any more is replaced.
    let error = start().start_error();
    assert!(error.contains(path) && error.contains("another program listens on it"), "{error}");
    assert_eq!(proxy.visit("shop.example", &[]), "200 shop shop.example 127.0.0.1");
    server.kill();
    assert!(socket.exists());
    let mut server = start().start();
    assert_eq!(proxy.visit("shop.example", &[]), "200 shop shop.example 127.0.0.1");
    assert!(server.terminate().success());
    assert!(!socket.exists());

    std::fs::write(&socket, "data of somebody").unwrap();
    let error = start().start_error();
    assert!(error.contains(path) && error.contains("there is another file"), "{error}");
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "data of somebody");
}
