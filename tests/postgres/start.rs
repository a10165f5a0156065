//! Starting a host on PostgreSQL.

use sluice_test_support::postgres::{Database, OwnServer};

use super::{host, sluice};
use crate::harness::{APP_KEY, Request, TestSite};

/// The error message of a start that fails.
pub(super) fn complaint(url: &str, environment: &[(&str, &str)]) -> String {
    let site = TestSite::with(&[("pages/index.html", "<p>Hello</p>")]);
    let mut all = vec![("SLUICE_DATABASE__URL", url), ("SLUICE_SERVER__LISTEN", "127.0.0.1:0")];
    all.extend(environment);
    let done = sluice(&["serve", site.path().to_str().unwrap(), "--admin-listen", "127.0.0.1:0"], &all);
    assert_eq!(done.status.code(), Some(1));
    String::from_utf8(done.stderr).unwrap()
}

#[test]
fn requires_an_application_key() {
    let database = Database::create();
    let error = complaint(&database.url(), &[]);
    assert!(error.contains("APP_KEY is not set"), "{error}");
    let error = complaint(&database.url(), &[("APP_KEY", "too short")]);
    assert!(error.contains("APP_KEY") && error.contains("32 bytes"), "{error}");
}

#[test]
fn data_flag_does_not_replace_the_database_server() {
    let database = Database::create();
    let site = TestSite::with(&[("pages/index.html", "<p>Hello</p>")]);
    let data = tempfile::tempdir().unwrap();
    let url = database.url();
    let environment = [("SLUICE_DATABASE__URL", url.as_str()), ("APP_KEY", APP_KEY)];
    let arguments = ["jobs", "list", site.path().to_str().unwrap(), "--data", data.path().to_str().unwrap()];
    let done = sluice(&arguments, &environment);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let tables = "SELECT count(*) > 0 FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(database.sql(tables), "t", "the tables are on the server");
    assert!(!data.path().join("sluice.db").exists(), "no embedded database was created");
}

#[test]
fn names_the_setting_of_a_database_that_cannot_be_used() {
    let key = [("APP_KEY", APP_KEY)];
    let unknown = Database::create().url().replace("/t", "/nosuch");
    let error = complaint(&unknown, &key);
    assert!(error.contains("database.url") && error.contains("does not exist"), "{error}");
    let error = complaint("postgres://ann:secret@127.0.0.1:1/site?sslmode=verify-ca", &key);
    assert!(error.contains("database.url") && error.contains("sslmode=verify-ca"), "{error}");
    let database = Database::create();
    let error = complaint(&format!("{}?sslmode=require", database.url()), &key);
    assert!(
        error.contains("database.url") && error.contains("TLS"),
        "the server does not support TLS: {error}"
    );
    let error = complaint("mysql://ann:secret@127.0.0.1:1/site", &key);
    assert!(error.contains("postgres://HOST/DATABASE") && !error.contains("secret"), "{error}");
}

#[test]
fn host_starts_without_its_database_and_joins_it_later() {
    let page = "<script scope=\"backend\">
        let state;
        try { state = setCrmField({ slug: 'leads', referenceId: '1', fieldKey: 'a', value: 1 }); } catch { state = 'caught'; }
        response.json(state);
    </script>";
    let site = TestSite::with(&[
        ("pages/index.html", "<p>Hello</p>"),
        ("pages/write.html", page),
        ("public/a.txt", "a file"),
        ("crm.toml", "[[entity]]\nslug = 'leads'\n"),
    ]);
    let database = OwnServer::start();
    database.kill();
    let server = host(site.path(), &database.url());
    let get = |path: &str| server.get("localhost", path).body;
    let readyz = || Request::get("/readyz").send(server.admin_address).body;
    assert_eq!((get("/").as_str(), get("/a.txt").as_str()), ("<p>Hello</p>", "a file"));
    assert_eq!(get("/write"), r#""caught""#);
    assert!(readyz().starts_with("ready without the database: "), "{}", readyz());

    database.restart();
    server.wait_until("the host joins the database", || get("/write") == "true");
    assert_eq!(readyz(), "ready\n");
    assert_eq!(database.sql("SELECT count(*) FROM crm_value"), "1", "migrations and crm.toml were applied");
}
