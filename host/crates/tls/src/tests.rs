use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use sluice_kit::operator_dir::OperatorDir;

use super::*;

/// A certificate that vouches for itself, as PEM.
struct Made {
    chain: String,
    key: String,
}

fn make(names: &[&str]) -> Made {
    let key = KeyPair::generate().unwrap();
    let params =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    Made { chain: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn certificate(names: &[&str]) -> Certificate {
    let Made { chain, key } = make(names);
    Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()
}

/// One that expires in so many days.
fn lasting(names: &[&str], days: i64) -> Certificate {
    let mut params =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.not_after = (SystemTime::now() + Duration::from_secs(1_000 * 86_400)).into();
    params.not_after -= Duration::from_secs(u64::try_from(1_000 - days).unwrap() * 86_400);
    let key = KeyPair::generate().unwrap();
    let chain = params.self_signed(&key).unwrap().pem();
    Certificate::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap()
}

fn own(certificate: &Certificate) -> CertificateDer<'static> {
    certificate.key.cert[0].clone()
}

/// The certificate that a client gets that asks for `name` and offers `protocol`.
fn shown(
    certificates: &Arc<Certificates>,
    name: &str,
    protocol: Option<&[u8]>,
) -> Option<CertificateDer<'static>> {
    let mut roots = RootCertStore::empty();
    let known = certificates.server_config().unwrap();
    for name in ["shop.example", "a.wild.example", "other.example"] {
        if let Some(key) = certificates.of_name(name) {
            roots.add(key.cert[0].clone()).unwrap();
        }
    }
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocol.into_iter().map(<[u8]>::to_vec).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = ServerConnection::new(known).unwrap();
    for _ in 0..4 {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets().ok()?;
        let mut bytes = Vec::new();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        if client.process_new_packets().is_err() {
            break;
        }
    }
    client.peer_certificates().map(|chain| chain[0].clone())
}

#[test]
fn connections_get_the_certificate_of_the_name_that_they_ask_for() {
    let certificates = Arc::new(Certificates::default());
    assert!(certificates.is_empty());
    let [shop, wild, other] =
        [&["shop.example", "www.shop.example"][..], &["*.wild.example"], &["other.example"]].map(certificate);
    certificates.set_files([shop.clone(), wild.clone()]);
    certificates.install(vec![("other.example".into(), other.clone())]);
    for (name, expected) in [
        ("shop.example", Some(&shop)),
        ("WWW.shop.example", Some(&shop)),
        ("a.wild.example", Some(&wild)),
        ("wild.example", None),
        ("a.b.wild.example", None),
        ("other.example", Some(&other)),
        ("unknown.example", None),
    ] {
        let got = certificates.of_name(name).map(|key| key.cert[0].clone());
        assert_eq!(got, expected.map(own), "{name}");
    }
    assert_eq!(shown(&certificates, "shop.example", Some(b"http/1.1")), Some(own(&shop)));
    assert_eq!(shown(&certificates, "shop.example", None), Some(own(&shop)));
    assert_eq!(shown(&certificates, "unknown.example", None), None);
    // A client that names no host gets one only if there is no choice.
    assert_eq!(shown(&certificates, "192.0.2.1", None), None);
}

#[test]
fn files_have_precedence_over_issued_certificates() {
    let certificates = Arc::new(Certificates::default());
    let [issued, of_file] = [certificate(&["shop.example"]), certificate(&["shop.example"])];
    certificates.install(vec![("shop.example".into(), issued.clone())]);
    assert_eq!(certificates.only().map(|key| key.cert[0].clone()), Some(own(&issued)));
    certificates.set_files([of_file.clone()]);
    assert_eq!(certificates.of_name("shop.example").unwrap().cert[0], own(&of_file));
    let expiries = certificates.expiries();
    assert_eq!((expiries.len(), expiries[0].at_s), (1, of_file.expires_s()));
    certificates.set_files([]);
    assert_eq!(certificates.of_name("shop.example").unwrap().cert[0], own(&issued));
}

#[test]
fn an_expired_file_gives_way_to_an_issued_certificate() {
    let certificates = Arc::new(Certificates::default());
    let issued = certificate(&["shop.example"]);
    let [expired, soon] = [-1, 2].map(|days| lasting(&["shop.example", "*.wild.example"], days));
    certificates.set_files([expired.clone()]);
    let shown = || certificates.of_name("shop.example").unwrap().cert[0].clone();
    assert_eq!(shown(), own(&expired), "it is better than none");
    assert!(!certificates.is_of_file("shop.example"));
    certificates.install(vec![("shop.example".into(), issued.clone())]);
    assert_eq!(shown(), own(&issued));
    assert_eq!(certificates.expiries()[1].at_s, issued.expires_s());
    certificates.set_files([soon.clone()]);
    assert_eq!(shown(), own(&soon));
    assert!(!certificates.is_of_file("shop.example"), "a spare one can be ordered");
    certificates.set_files([lasting(&["shop.example", "*.wild.example"], 8)]);
    for (name, is_of_file) in
        [("shop.example", true), ("a.wild.example", true), ("*.wild.example", true), ("wild.example", false)]
    {
        assert_eq!(certificates.is_of_file(name), is_of_file, "{name}");
    }
}

#[test]
fn retired_names_get_no_issued_certificate() {
    let certificates = Arc::new(Certificates::default());
    let [one, other] = [certificate(&["one.example"]), certificate(&["other.example"])];
    certificates.install(vec![("one.example".into(), one), ("other.example".into(), other.clone())]);
    assert!(certificates.has(Some("ONE.example")) && !certificates.has(None));
    certificates.retire(&["one.example".into(), "unknown.example".into()]);
    assert!(!certificates.has(Some("one.example")) && certificates.has(None));
    assert_eq!(certificates.of_name("other.example").unwrap().cert[0], own(&other));
}

#[test]
fn unusable_certificates_are_described() {
    let [shop, other] = [make(&["shop.example"]), make(&["other.example"])];
    let nameless = make(&[]);
    for (chain, key, expected) in [
        ("", &*shop.key, "it has no certificate"),
        (&*shop.chain, "", "it has no private key"),
        (&*shop.chain, &*shop.chain, "it has no private key"),
        (&*shop.chain, &*other.key, "the private key does not fit the certificate"),
        (&*nameless.chain, &*nameless.key, "the certificate names no host"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &*shop.key, "cannot be read"),
        ("-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n", &*shop.key, "not valid PEM"),
    ] {
        let error = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn changed_files_replace_certificates_and_broken_ones_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let site = tempfile::tempdir().unwrap();
    let dir = OperatorDir::outside(site.path(), &folder.path().join("tls")).unwrap();
    let certificates = Arc::new(Certificates::default());
    let watched = CertificateFolder::new(dir);
    assert!(watched.refresh(&certificates).unwrap().loaded.is_empty());
    let tls = folder.path().join("tls");
    fs::create_dir(&tls).unwrap();
    let write = |stem: &str, made: &Made| {
        replace(&tls.join(format!("{stem}.key")), &made.key);
        replace(&tls.join(format!("{stem}.crt")), &made.chain);
    };
    let shown = |name: &str| certificates.of_name(name).map(|key| key.cert[0].clone());
    let of = |made: &Made| Certificate::from_pem(made.chain.as_bytes(), made.key.as_bytes()).unwrap();
    let (first, second, other) = (make(&["shop.example"]), make(&["shop.example"]), make(&["other.example"]));
    write("shop", &first);
    write("other", &other);
    assert_eq!(watched.refresh(&certificates).unwrap().loaded.len(), 2);
    assert!(watched.refresh(&certificates).unwrap().loaded.is_empty());
    // Half of a renewal: the chain is there and its key is not.
    replace(&tls.join("shop.crt"), &second.chain);
    let refreshed = watched.refresh(&certificates).unwrap();
    assert_eq!(refreshed.failed[0].0, tls.join("shop.crt"));
    assert_eq!(shown("shop.example"), Some(own(&of(&first))));
    replace(&tls.join("shop.key"), &second.key);
    assert_eq!(watched.refresh(&certificates).unwrap().loaded, [tls.join("shop.crt")]);
    assert_eq!(shown("shop.example"), Some(own(&of(&second))));
    assert_eq!(shown("other.example"), Some(own(&of(&other))));
    fs::remove_file(tls.join("other.crt")).unwrap();
    watched.refresh(&certificates).unwrap();
    assert_eq!(shown("other.example"), None);
    fs::write(tls.join("long.crt"), vec![b'x'; (1 << 20) + 1]).unwrap();
    let refreshed = watched.refresh(&certificates).unwrap();
    assert!(refreshed.failed[0].1.to_string().contains("more than 1 MB"), "{refreshed:?}");
}

/// Replaces a file as tools that renew certificates do.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}
