//! HTTPS without a proxy, as curl and openssl see it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::harness::{Server, ServerOptions, TestSite};

const PAGE: &str = "<script scope=\"backend\">\n\
    session.set('seen', 1); cookie.set('a', 'b');\n\
    response.send(`${request.headers.host} ${request.method} ${JSON.stringify(request.body)}`)\n</script>";

/// An authority of the tests, and a data folder with certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    data: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Authority of the tests");
        let key = KeyPair::generate().unwrap();
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::create_dir(data.path().join("tls")).unwrap();
        Self { issuer: Issuer::new(params, key), data }
    }

    /// The data folder.
    pub(crate) fn data_dir(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.data.path().join("ca.pem")
    }

    /// Puts a certificate for `names` into the data folder, under this serial number.
    pub(crate) fn issue(&self, file: &str, names: &[&str], serial: u64) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.serial_number = Some(serial.into());
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let folder = self.data.path().join("tls");
        fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
        fs::write(folder.join(format!("{file}.crt")), certificate.pem()).unwrap();
    }

    fn serve(&self, site: &TestSite) -> Server {
        self.options(site).start()
    }

    pub(crate) fn options(&self, site: &TestSite) -> ServerOptions {
        ServerOptions::of(site.path())
            .data(self.data.path())
            .env("SLUICE_SERVER__HTTPS", "true")
            .env("SLUICE_SERVER__HTTP_LISTEN", "127.0.0.1:0")
    }

    /// What curl prints for a path of a host: the head and the body of the response.
    pub(crate) fn curl(
        &self,
        server: SocketAddr,
        scheme: &str,
        host: &str,
        path: &str,
        options: &[&str],
    ) -> String {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--include", "--noproxy", "*", "--max-time", "60", "--cacert"])
            .arg(self.ca_file())
            .args(["--resolve", &format!("{host}:{}:127.0.0.1", server.port())])
            .args(options)
            .arg(format!("{scheme}://{host}:{}{path}", server.port()))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        text(&output.stdout) + &text(&output.stderr)
    }
}

fn site() -> TestSite {
    let site = TestSite::with(&[("pages/index.html", PAGE)]);
    site.write("brands/demo/brand.toml", "domains = [\"shop.test\", \"*.shop.test\"]\nform_bodies = true\n");
    site
}

fn openssl(server: &Server, options: &[&str]) -> Output {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &server.address.to_string(), "-servername", "shop.test"])
        .args(options);
    command.stdin(Stdio::null()).output().unwrap()
}

fn serial_of(server: &Server) -> String {
    let output = openssl(server, &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let from = text.find("-----BEGIN CERTIFICATE-----").unwrap();
    let mut x509 = Command::new("openssl");
    x509.args(["x509", "-noout", "-serial"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut x509 = x509.spawn().unwrap();
    x509.stdin.take().unwrap().write_all(&text.as_bytes()[from..]).unwrap();
    let mut serial = String::new();
    x509.stdout.take().unwrap().read_to_string(&mut serial).unwrap();
    x509.wait().unwrap();
    serial.trim().to_owned()
}

/// The address that redirects to https.
fn redirecting(server: &Server) -> SocketAddr {
    let printed = server.wait_printed("redirecting");
    printed.rsplit_once("://").unwrap().1.parse().unwrap()
}

#[test]
fn pages_are_served_over_https_and_redirected_to_it() {
    let (authority, site) = (Authority::new(), site());
    authority.issue("shop", &["shop.test", "*.shop.test"], 1);
    let server = authority.serve(&site);
    let answer = authority.curl(server.address, "https", "shop.test", "/", &["--http1.1", "--data", "a=1"]);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(
        answer.ends_with(&format!("shop.test:{} POST {{\"a\":\"1\"}}", server.address.port())),
        "{answer}"
    );
    let cookies: Vec<_> = answer.lines().filter(|line| line.starts_with("set-cookie: ")).collect();
    assert_eq!(cookies.len(), 2, "{answer}");
    assert!(cookies.iter().all(|cookie| cookie.contains("; Secure")), "{cookies:?}");
    assert!(cookies.iter().any(|cookie| cookie.contains("__Host-")), "{cookies:?}");
    let below = authority.curl(server.address, "https", "www.shop.test", "/", &[]);
    assert!(below.starts_with("HTTP/2 200"), "{below}");

    let redirecting = redirecting(&server);
    let answer = authority.curl(redirecting, "http", "shop.test", "/a/b?c=%20d", &["--data", "a=1"]);
    assert!(answer.starts_with("HTTP/1.1 308 Permanent Redirect"), "{answer}");
    let location = format!("location: https://shop.test:{}/a/b?c=%20d\r\n", server.address.port());
    assert!(answer.contains(&location), "{answer}");
    let other = authority.curl(redirecting, "http", "elsewhere.test", "/", &[]);
    assert!(other.starts_with("HTTP/1.1 421") && !other.contains("location"), "{other}");
    // What is not encrypted gets no page, and neither does a name without a certificate.
    let plain = authority.curl(server.address, "http", "shop.test", "/", &[]);
    assert!(!plain.contains("HTTP/1.1 200"), "{plain}");
    let unknown = authority.curl(server.address, "https", "elsewhere.test", "/", &[]);
    assert!(unknown.contains("curl: (35)"), "{unknown}");
    let expires = server.metric("sluice_tls_certificate_expiry_seconds", &["server_address=\"shop.test\""]);
    assert!(expires > 1.7e9, "{expires}");
}

#[test]
fn renewed_certificate_is_used_and_connections_stay() {
    let (authority, site) = (Authority::new(), site());
    authority.issue("shop", &["shop.test"], 7);
    let server = authority.serve(&site);
    assert_eq!(serial_of(&server), "serial=07");
    let mut kept = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &server.address.to_string(), "-servername", "shop.test"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut to, mut from) =
        (kept.stdin.take().unwrap(), BufReader::new(kept.stdout.take().unwrap()).lines());
    let mut ask = || {
        to.write_all(b"GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n").unwrap();
        // The body before has no line break.
        from.any(|line| line.unwrap().ends_with("HTTP/1.1 200 OK"))
    };
    assert!(ask());
    authority.issue("shop", &["shop.test"], 9);
    server.reload();
    server.wait_until("the new certificate is used", || serial_of(&server) == "serial=09");
    assert!(ask());
    kept.kill().unwrap();
    kept.wait().unwrap();
    // A broken file is reported, and changes nothing.
    fs::write(authority.data.path().join("tls/shop.crt"), "nothing").unwrap();
    server.ask_to_reload();
    server.wait_told("the certificate cannot be used");
    assert_eq!(serial_of(&server), "serial=09");
}

#[test]
fn weak_protocols_are_refused() {
    let (authority, site) = (Authority::new(), site());
    authority.issue("shop", &["shop.test"], 1);
    let server = authority.serve(&site);
    // With this level, openssl itself would use them.
    let weak = ["-cipher", "ALL:@SECLEVEL=0"];
    for (options, is_accepted) in [
        (&["-tls1_3"][..], true),
        (&["-tls1_2"], true),
        (&["-tls1_1"], false),
        (&["-tls1"], false),
        (&["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"], false),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"], false),
        (&["-tls1_2", "-cipher", "NULL:eNULL:@SECLEVEL=0"], false),
    ] {
        let level = if is_accepted || options.contains(&"-cipher") { &[][..] } else { &weak };
        let output = openssl(&server, &[options, level].concat());
        assert_eq!(output.status.success(), is_accepted, "{options:?}: {output:?}");
    }
}

#[test]
fn connection_that_agrees_on_nothing_is_closed() {
    let (authority, site) = (Authority::new(), site());
    authority.issue("shop", &["shop.test"], 1);
    let server = authority.options(&site).env("SLUICE_SERVER__HEADERS_TIMEOUT", "1s").start();
    let mut silent = TcpStream::connect(server.address).unwrap();
    let mut half = TcpStream::connect(server.address).unwrap();
    half.write_all(&[0x16, 3, 1, 2, 0, 1]).unwrap();
    for stream in [&mut silent, &mut half] {
        assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0);
    }
}

#[test]
fn server_without_a_certificate_does_not_start() {
    let (authority, site) = (Authority::new(), site());
    let told = |expected: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .arg("serve")
            .arg(site.path())
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"])
            .arg(authority.data.path())
            .env("SLUICE_SERVER__HTTPS", "true")
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success());
        for text in expected {
            assert!(error.contains(text), "{error}");
        }
    };
    let folder = authority.data.path().join("tls");
    told(&["there is no certificate", &path(&folder), "NAME.crt"]);
    fs::write(folder.join("shop.crt"), "").unwrap();
    told(&["shop.key", "No such file", "there is no certificate"]);
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
