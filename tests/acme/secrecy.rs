//! Where private keys are, and where they are not.

use std::fs;
use std::path::Path;
use std::process::Command;

use sluice_kit::keys::Keys;

use super::world::{NAME, World, acme, certificate, site};
use crate::harness::{APP_KEY, Server};

/// The private number of a P-256 key in PKCS #8.
const SECRET: std::ops::Range<usize> = 36..68;

/// Everything that handles keys logs everything.
const LOG: &str = "info,sluice_acme=trace,sluice_store=trace,sluice_server=trace,instant_acme=trace,hyper=trace,\
    rustls=trace,tokio_postgres=trace";

/// The secret in the sealed key of a name.
fn secret(sealed: &[u8], directory: &str) -> Vec<u8> {
    let keys = Keys::load(Some(APP_KEY), None, None).unwrap();
    let info = sluice_acme::CERTIFICATE_KEY;
    keys.open(info, NAME.as_bytes(), directory.as_bytes(), sealed).unwrap()[SECRET].to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_log(host: &Server, secret: &[u8]) {
    let log = format!("{:?}", host.told(""));
    assert!(log.contains("a certificate was issued"), "the log was searched");
    let decimal = format!("{:?}", &secret[..8]);
    for shown in [hex(&secret[..8]).as_str(), decimal.trim_matches(['[', ']']), "PRIVATE KEY", "key_pkcs8"] {
        assert!(!log.contains(shown), "{shown} is in the log");
    }
}

#[test]
fn private_keys_are_sealed_in_postgres_and_not_logged() {
    let (world, site) = (World::new(), site("[\"shop.test\"]"));
    let options = world.host(&site).env("SLUICE_SERVER__HTTP_LISTEN", &world.http.to_string());
    let host = options.env("SLUICE_LOG", LOG).start();
    world.wait_certificate(&[&host], NAME, None);
    let sealed =
        world.database.sql("SELECT encode(sealed_key, 'hex') FROM acme_name WHERE name = 'shop.test'");
    let sealed: Vec<u8> =
        (0..sealed.len()).step_by(2).map(|at| u8::from_str_radix(&sealed[at..at + 2], 16).unwrap()).collect();
    let secret = secret(&sealed, &world.pebble.directory());
    let tables = world.database.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
    let rows: String = tables
        .lines()
        .map(|table| world.database.sql(&format!("SELECT row_to_json(t) FROM {table} t")))
        .collect();
    assert!(
        rows.contains(&hex(&sealed)) && rows.contains(&hex(b"BEGIN CERTIFICATE")),
        "the rows were searched"
    );
    for shown in [hex(&secret), hex(b"PRIVATE KEY"), hex(b"key_pkcs8"), "key_pkcs8".to_owned()] {
        assert!(!rows.contains(&shown), "{shown} is in the database");
    }
    check_log(&host, &secret);
}

#[test]
fn private_keys_are_sealed_in_files_and_backups() {
    let (world, site) = (World::new(), site("[\"shop.test\"]"));
    let data = tempfile::tempdir().unwrap();
    let mut host = acme(site.path(), &world.pebble.directory(), &world.pebble.ca_file())
        .env("SLUICE_SERVER__HTTP_LISTEN", &world.http.to_string())
        .data(data.path())
        .start();
    host.wait_until("there is a certificate", || certificate(&host, NAME).is_some());
    let sluice = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(args).arg("--data").arg(data.path()).env("APP_KEY", APP_KEY).current_dir(site.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        output.stdout
    };
    let backup = data.path().join("backup.db");
    sluice(&["backup", backup.to_str().unwrap()]);
    let exported = sluice(&["export", "-"]);
    let database = rusqlite::Connection::open(data.path().join("sluice.db")).unwrap();
    let sealed = "SELECT sealed_key FROM acme_name WHERE name = 'shop.test'";
    let sealed: Vec<u8> = database.query_row(sealed, [], |row| row.get(0)).unwrap();
    let secret = secret(&sealed, &world.pebble.directory());
    check_log(&host, &secret);
    assert!(host.terminate().success());
    let places = [
        ("the data folder", all_bytes(data.path()), true),
        ("the backup", fs::read(&backup).unwrap(), true),
        ("the export", exported, false),
    ];
    for (what, bytes, has_certificate) in places {
        let has = |text: &[u8]| bytes.windows(text.len()).any(|found| found == text);
        assert_eq!(has(b"BEGIN CERTIFICATE") && has(&sealed), has_certificate, "{what}");
        for clear in [&*secret, hex(&secret).as_bytes(), b"PRIVATE KEY", b"key_pkcs8"] {
            assert!(!has(clear), "{what} has a key in clear");
        }
    }
}

/// The bytes of all files in a folder and below.
fn all_bytes(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.extend(if path.is_dir() { all_bytes(&path) } else { fs::read(path).unwrap() });
    }
    all
}
