//! An ACME server, the hosts that use it, and a client that trusts it.

use std::cell::Cell;
use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use sluice_test_support::free_address;
use sluice_test_support::pebble::Pebble;
use sluice_test_support::postgres::Database;
use tempfile::TempDir;

use crate::harness::{Server, ServerOptions, TestSite};

pub(super) const NAME: &str = "shop.test";

/// An ACME server that checks names at two addresses, and a database.
pub(super) struct World {
    pub(super) pebble: Pebble,
    pub(super) database: Database,
    /// Where the ACME server asks over HTTP, and in handshakes.
    pub(super) http: SocketAddr,
    pub(super) tls: SocketAddr,
    dir: TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        let (http, tls) = (free_address(), free_address());
        let pebble = Pebble::start(http.port(), tls.port());
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("root.pem"), pebble.root()).unwrap();
        Self { pebble, database: Database::create(), http, tls, dir }
    }

    /// A host that orders certificates for the site.
    pub(super) fn host(&self, site: &TestSite) -> ServerOptions {
        acme(site.path(), &self.pebble.directory(), &self.pebble.ca_file()).postgres(&self.database.url())
    }

    /// The head and the body of the response of a name over HTTPS. The client checks the certificate.
    pub(super) fn get(&self, server: &Server, name: &str) -> String {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--include", "--noproxy", "*", "--max-time", "60", "--cacert"])
            .arg(self.dir.path().join("root.pem"))
            .args(["--resolve", &format!("{name}:{}:127.0.0.1", server.address.port())])
            .arg(format!("https://{name}:{}/", server.address.port()))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        text(&output.stdout) + &text(&output.stderr)
    }

    /// Changes what the hosts know of names, as if time had passed.
    pub(super) fn pass_time(&self, what: &str) {
        self.database.sql(&format!("UPDATE acme_name SET {what}"));
    }

    /// Lets certificates become so old that they are renewed.
    pub(super) fn grow_old(&self) {
        let days = 70_i64 * 86_400_000;
        self.pass_time(&format!("not_before = not_before - {days}, not_after = not_after - {days}"));
    }

    /// Waits until every host shows a certificate for the name that is not `old`, and returns it.
    pub(super) fn wait_certificate(&self, hosts: &[&Server], name: &str, old: Option<&str>) -> String {
        let shown = |host: &Server| certificate(host, name).filter(|shown| Some(shown.as_str()) != old);
        let reloaded = Cell::new(None::<Instant>);
        for host in hosts {
            host.wait_until(&format!("there is a new certificate for {name}"), || {
                let is_shown = shown(host).is_some();
                // By themselves, hosts look for the certificates of others only now and then.
                if !is_shown && reloaded.get().is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
                    hosts.iter().for_each(|host| host.ask_to_reload());
                    reloaded.set(Some(Instant::now()));
                }
                is_shown
            });
        }
        let mut shown: Vec<String> = hosts.iter().filter_map(|host| shown(host)).collect();
        assert_eq!(shown.len(), hosts.len());
        shown.dedup();
        assert_eq!(shown.len(), 1, "every host shows the same certificate");
        shown.remove(0)
    }
}

/// `sluice serve` with certificates of the ACME server at `directory`.
pub(super) fn acme(site: &Path, directory: &str, ca_file: &Path) -> ServerOptions {
    ServerOptions::of(site)
        .env("SLUICE_SERVER__HTTPS", "true")
        .env("SLUICE_SERVER__HTTP_LISTEN", "127.0.0.1:0")
        .env("SLUICE_ACME__ENABLED", "true")
        .env("SLUICE_ACME__DIRECTORY", directory)
        .env("SLUICE_ACME__CA_FILE", ca_file.to_str().unwrap())
        // The names have no addresses, and hosts would ask port 80.
        .env("SLUICE_ACME__CHECK", "false")
}

/// A brand with these domains.
pub(super) fn site(domains: &str) -> TestSite {
    let page = "<script scope=\"backend\">response.send('host ' + request.headers.host)</script>";
    let site = TestSite::with(&[("pages/index.html", page)]);
    serve_domains(&site, domains);
    site
}

pub(super) fn serve_domains(site: &TestSite, domains: &str) {
    site.write("brands/demo/brand.toml", &format!("domains = {domains}\n"));
}

/// What a client sees that asks for a name, also if no authority vouches for it.
pub(super) fn handshake(server: &Server, name: &str, options: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &server.address.to_string(), "-servername", name])
        .args(options)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The certificate, in PEM, that a client gets that asks for a name.
pub(super) fn certificate(server: &Server, name: &str) -> Option<String> {
    let shown = handshake(server, name, &[]);
    let from = shown.find("-----BEGIN CERTIFICATE-----")?;
    let until = shown.find("-----END CERTIFICATE-----")?;
    Some(shown[from..until].to_owned())
}

/// A connection that stays open.
pub(super) struct Kept {
    client: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
}

impl Kept {
    pub(super) fn open(server: &Server) -> Self {
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &server.address.to_string(), "-servername", NAME])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (to, from) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
        Self { client, to, from: BufReader::new(from).lines() }
    }

    /// Whether a request is answered.
    pub(super) fn asks(&mut self) -> bool {
        let sent = self.to.write_all(format!("GET / HTTP/1.1\r\nhost: {NAME}\r\n\r\n").as_bytes());
        // The body before has no line break.
        sent.is_ok() && self.from.any(|line| line.is_ok_and(|line| line.ends_with("HTTP/1.1 200 OK")))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.client.kill());
        drop(self.client.wait());
    }
}
