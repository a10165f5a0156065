//! Starts Pebble, the ACME server that Let's Encrypt offers for tests.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tempfile::TempDir;

use super::free_address;

const PATIENCE: Duration = Duration::from_secs(30);

/// An ACME server that only one test uses. It resolves every name to 127.0.0.1. Dropping it ends it.
pub struct Pebble {
    dir: TempDir,
    address: SocketAddr,
    management: SocketAddr,
    names: Child,
    names_address: SocketAddr,
    server: Mutex<Option<Child>>,
}

impl Pebble {
    /// Starts a server that asks names on these ports, for http-01 and tls-alpn-01.
    pub fn start(http_port: u16, tls_port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (address, management) = (free_address(), free_address());
        let (names_address, names_management) = (free_address(), free_address());
        make_certificate(dir.path());
        let config = serde_json::json!({"pebble": {
            "listenAddress": address.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": dir.path().join("cert.pem"),
            "privateKey": dir.path().join("key.pem"),
            "httpPort": http_port,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": 90 * 24 * 60 * 60,
        }});
        fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        let names = Command::new("pebble-challtestsrv")
            .args(["-dns01", &names_address.to_string(), "-management", &names_management.to_string()])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("pebble-challtestsrv: {error} (`make setup` installs pebble)"));
        let pebble = Self { dir, address, management, names, names_address, server: Mutex::default() };
        pebble.restart();
        pebble
    }

    /// The URL of the server's directory.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.address)
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of the server itself, which signs itself, in PEM.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// The key of that certificate, for a server in front of this one.
    pub fn key_file(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    /// The certificate, in PEM, that the issued certificates lead to.
    pub fn root(&self) -> String {
        String::from_utf8(self.get("/roots/0").unwrap()).unwrap()
    }

    /// How often a text is in the server's log since it was started last.
    pub fn logged(&self, text: &str) -> usize {
        fs::read_to_string(self.dir.path().join("log")).unwrap().matches(text).count()
    }

    /// How many certificates it has issued since it was started last.
    pub fn issued(&self) -> usize {
        self.logged("Issued certificate serial")
    }

    /// Ends the server. It forgets everything.
    pub fn kill(&self) {
        if let Some(mut server) = self.server.lock().take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Starts the server again, at the same address.
    pub fn restart(&self) {
        self.kill();
        let log = File::create(self.dir.path().join("log")).unwrap();
        let server = Command::new("pebble")
            .arg("-config")
            .arg(self.dir.path().join("config.json"))
            .args(["-dnsserver", &self.names_address.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("pebble: {error} (`make setup` installs it)"));
        *self.server.lock() = Some(server);
        let began = Instant::now();
        while self.get("/roots/0").is_none() || std::net::TcpStream::connect(self.address).is_err() {
            assert!(began.elapsed() < PATIENCE, "pebble does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn get(&self, path: &str) -> Option<Vec<u8>> {
        let got = Command::new("curl")
            .args(["--silent", "--fail", "--noproxy", "*", "--cacert"])
            .arg(self.ca_file())
            .arg(format!("https://{}{path}", self.management))
            .output()
            .unwrap();
        got.status.success().then_some(got.stdout)
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.kill();
        drop(self.names.kill());
        drop(self.names.wait());
    }
}

fn make_certificate(dir: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        // rustls accepts no certificate of an authority for a server.
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-subj", "/CN=the ACME server of the tests", "-days", "2"])
        .args([
            "-addext",
            "subjectAltName=IP:127.0.0.1,DNS:localhost",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
