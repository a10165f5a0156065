//! TLS between a host and a database server that requires it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use sluice_test_support::postgres::{OwnServer, as_server_user};

use super::host;
use super::start::complaint;
use crate::harness::{APP_KEY, TestSite};

/// Runs openssl in `dir` as the server's user, because the server must own its key.
fn openssl(dir: &Path, arguments: &str) {
    let mut openssl: Command = as_server_user(Path::new("openssl"));
    let done = openssl.current_dir(dir).args(arguments.split(' ')).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Makes `NAME.pem`, the certificate of an authority.
fn make_authority(dir: &Path, name: &str) {
    let make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(dir, &format!("{make} -subj /CN={name} -keyout {name}.key -out {name}.pem"));
}

/// A server that accepts only TLS. The authority `known.pem` in the server's folder has issued
/// its certificate for 127.0.0.1; `other.pem` is another authority.
fn server() -> (OwnServer, String) {
    server_that("hostssl all all 127.0.0.1/32 trust\n")
}

/// The same. `rules` decide who may connect.
fn server_that(rules: &str) -> (OwnServer, String) {
    let mut folder = None;
    let server = OwnServer::start_prepared(|dir| {
        make_authority(dir, "known");
        make_authority(dir, "other");
        openssl(
            dir,
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=db -keyout server.key -out server.csr",
        );
        fs::write(dir.join("names"), "subjectAltName = IP:127.0.0.1").unwrap();
        openssl(
            dir,
            "x509 -req -in server.csr -CA known.pem -CAkey known.key -CAcreateserial -days 2 -extfile names -out server.crt",
        );
        let settings = dir.join("postgresql.conf");
        let ssl = "ssl = on\nssl_ca_file = 'known.pem'\n";
        fs::write(&settings, fs::read_to_string(&settings).unwrap() + ssl).unwrap();
        fs::write(dir.join("pg_hba.conf"), rules).unwrap();
        folder = Some(dir.to_str().unwrap().to_owned());
    });
    (server, folder.unwrap())
}

#[test]
fn connects_with_tls() {
    let (database, folder) = server();
    let page = "<script scope=\"backend\">
        const n = (session.get('n') ?? 0) + 1;
        response.json([session.set('n', n), n]);
    </script>";
    let site = TestSite::with(&[("pages/index.html", page)]);
    let server =
        host(site.path(), &format!("{}?sslmode=verify-full&sslrootcert={folder}/known.pem", database.url()));
    assert_eq!(server.get("localhost", "/").body, "[true,1]");
    let encrypted = "SELECT bool_and(ssl), min(version) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'sluice'";
    assert_eq!(database.sql(encrypted), "t|TLSv1.3");
    let metric = "db_client_operation_duration_seconds_count";
    assert!(server.metric(metric, &["db_system_name=\"postgresql\""]) > 0.0);
    assert_eq!(server.metric(metric, &["db_system_name=\"sqlite\""]), 0.0);
}

#[test]
fn shows_its_certificate_to_servers_that_require_one() {
    let names = [("host", "known"), ("stranger", "known"), ("forged", "other")];
    let (database, folder) = server_that(
        "hostssl all host 127.0.0.1/32 trust clientcert=verify-full\nhostssl all sluice 127.0.0.1/32 trust\n",
    );
    database.sql("CREATE ROLE host LOGIN SUPERUSER");
    let dir = Path::new(&folder);
    for (name, authority) in names {
        // The name in the certificate must be that of the database's user.
        let subject = if name == "forged" { "host" } else { name };
        let request = format!("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={subject}");
        openssl(dir, &format!("{request} -keyout {name}.key -out {name}.csr"));
        let sign =
            format!("x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial");
        openssl(dir, &format!("{sign} -days 2 -out {name}.crt"));
        fs::set_permissions(dir.join(format!("{name}.key")), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let url = database.url().replace("sluice@", "host@");
    let url = format!("{url}?sslmode=verify-full&sslrootcert={folder}/known.pem");
    let with =
        |certificate: &str, key: &str| format!("{url}&sslcert={folder}/{certificate}&sslkey={folder}/{key}");
    let key = [("APP_KEY", APP_KEY)];
    let error = complaint(&url, &key);
    assert!(error.contains("certificate"), "{error}");
    let error = complaint(&with("stranger.crt", "stranger.key"), &key);
    assert!(error.contains("authentication failed for user"), "{error}");
    let error = complaint(&with("forged.crt", "forged.key"), &key);
    assert!(error.contains("database.url"), "{error}");
    let error = complaint(&with("known.pem", "host.key"), &key);
    assert!(error.contains("sslkey: the private key does not fit"), "{error}");
    let error = complaint(&with("host.crt", "host.crt"), &key);
    assert!(error.contains("sslkey") && error.contains("no private key"), "{error}");
    let site =
        TestSite::with(&[("pages/index.html", "<script scope=\"backend\">session.set('n', 1)</script>")]);
    let server = host(site.path(), &with("host.crt", "host.key"));
    assert!(server.get("localhost", "/").session_cookie().is_some());
}

#[test]
fn rejects_servers_without_a_valid_certificate() {
    let (database, folder) = server();
    let key = [("APP_KEY", APP_KEY)];
    let url = database.url();
    let error = complaint(&format!("{url}?sslmode=require"), &key);
    assert!(error.contains("database.url") && error.contains("UnknownIssuer"), "{error}");
    let error = complaint(&format!("{url}?sslmode=verify-full&sslrootcert={folder}/other.pem"), &key);
    assert!(error.contains("database.url") && error.contains("certificate"), "{error}");
    let by_name = url.replace("127.0.0.1", "localhost");
    let error = complaint(&format!("{by_name}?sslmode=verify-full&sslrootcert={folder}/known.pem"), &key);
    assert!(error.contains("database.url") && error.contains("localhost"), "{error}");
    let error = complaint(&format!("{url}?sslmode=verify-full&sslrootcert={folder}/names"), &key);
    assert!(error.contains("sslrootcert") && error.contains("no certificate"), "{error}");
    let error = complaint(&url, &key);
    assert!(error.contains("no encryption"), "the server rejects connections without TLS: {error}");
}
