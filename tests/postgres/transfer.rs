//! Backing up and exporting a site in use, and moving it from SQLite to PostgreSQL.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use sluice_test_support::postgres::Database;

use super::sluice;
use crate::harness::{Request, Server, ServerOptions, TestSite};

const PAGE: &str = "<script scope=\"backend\">
    const { n, name } = request.query;
    if (name) session.set('name', name);
    const own = { slug: 'log', referenceType: 'line', referenceId: '1' };
    if (n) setCrmFields({ ...own, fields: [{ fieldKey: 'a', value: n }, { fieldKey: 'b', value: n }] });
    const both = getCrmFields({ ...own, fieldKeys: ['a', 'b'] });
    response.json([both.a === both.b, both.a, session.get('name')]);
</script>";

fn site() -> TestSite {
    TestSite::with(&[("pages/index.html", PAGE), ("crm.toml", "[[entity]]\nslug = 'log'\n")])
}

fn json(server: &Server, path: &str, cookie: &str) -> Value {
    let answer = Request::get(path).header("cookie", cookie).send(server.address);
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {answer:?}"))
}

fn succeeds(args: &[&str], environment: &[(&str, &str)]) -> String {
    let done = sluice(args, environment);
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn fails(args: &[&str], environment: &[(&str, &str)]) -> String {
    let done = sluice(args, environment);
    assert_eq!(done.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&done.stdout));
    String::from_utf8(done.stderr).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Does `work` while a visitor writes two fields that are always equal.
fn in_use<T>(server: &Server, work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                assert_eq!(json(server, &format!("/?n={n}"), "")[0], json!(true));
            }
        });
        server.wait_until("something is written", || json(server, "/", "")[1] != Value::Null);
        let done = work();
        stop.store(true, Ordering::SeqCst);
        done
    })
}

#[test]
fn backup_of_a_site_in_use_is_consistent() {
    let (site, dir) = (site(), tempfile::tempdir().unwrap());
    let server = ServerOptions::of(site.path()).own_key().start();
    let visitor = server.get("localhost", "/?name=ann").session_cookie().unwrap();
    let data = path(server.data_dir());
    let site_dir = path(site.path());
    let copy = dir.path().join("sluice.db");
    let said = in_use(&server, || succeeds(&["backup", path(&copy), site_dir, "--data", data], &[]));
    assert!(said.contains("app.key"), "{said}");
    assert!(fails(&["backup", path(&copy), site_dir, "--data", data], &[]).contains("already exists"));

    std::fs::copy(server.data_dir().join("app.key"), dir.path().join("app.key")).unwrap();
    let restored = ServerOptions::of(site.path()).data(dir.path()).own_key().start();
    let found = json(&restored, "/", &visitor);
    assert_eq!((&found[0], &found[2]), (&json!(true), &json!("ann")));
    assert!(found[1].is_string());
}

#[test]
fn site_in_use_moves_to_postgresql_and_back() {
    let (site, dir, database) = (site(), tempfile::tempdir().unwrap(), Database::create());
    let server = ServerOptions::of(site.path()).own_key().start();
    let visitor = server.get("localhost", "/?name=ann").session_cookie().unwrap();
    let (data, site_dir) = (path(server.data_dir()), path(site.path()));
    let [file, again, back] = ["file", "again", "back"].map(|name| dir.path().join(name));
    in_use(&server, || succeeds(&["export", path(&file), site_dir, "--data", data], &[]));
    assert!(fails(&["export", path(&file), site_dir, "--data", data], &[]).contains("already exists"));

    let url = database.url();
    let there = [("SLUICE_DATABASE__URL", url.as_str())];
    let cut = dir.path().join("cut");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&cut, text.rsplit_once("{\"end\"").unwrap().0).unwrap();
    assert!(fails(&["import", path(&cut), site_dir], &there).contains("the file is incomplete"));
    succeeds(&["import", path(&file), site_dir], &there);
    let refused = fails(&["import", path(&file), site_dir], &there);
    assert!(refused.contains("the database is not empty"), "{refused}");
    succeeds(&["export", path(&again), site_dir], &there);
    assert_eq!(std::fs::read_to_string(&again).unwrap(), text);
    assert!(fails(&["backup", "x", site_dir], &there).contains("pg_dump"));

    // The visitor's session stays valid because the key moved along.
    let key = std::fs::read_to_string(server.data_dir().join("app.key")).unwrap();
    let moved = ServerOptions::of(site.path()).postgres(&url).env("APP_KEY", key.trim()).start();
    let found = json(&moved, "/", &visitor);
    assert_eq!((&found[0], &found[2]), (&json!(true), &json!("ann")));
    let copy = in_use(&moved, || succeeds(&["export", "-", site_dir], &there));
    std::fs::write(&back, &copy).unwrap();
    let data = dir.path().join("data");
    succeeds(&["import", path(&back), site_dir, "--data", path(&data)], &[]);
    std::fs::copy(server.data_dir().join("app.key"), data.join("app.key")).unwrap();
    let back = ServerOptions::of(site.path()).data(&data).own_key().start();
    let found = json(&back, "/", &visitor);
    assert_eq!((&found[0], &found[2]), (&json!(true), &json!("ann")));
}
