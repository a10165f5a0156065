//! Kinds of failures that operators resolve and mute.

use sluice_test_support::postgres::Database;

use super::*;

/// The kinds that are listed, with what was said about them.
fn listed(server: &Server, show: &str) -> Vec<Value> {
    let overview = json(&server.admin(&format!("/api/overview?show={show}&kinds=latest")));
    overview["failure_groups"].as_array().unwrap().clone()
}

fn brands(server: &Server, show: &str) -> Vec<String> {
    let of = |row: &Value| row["brand"].as_str().unwrap().to_owned();
    let mut found: Vec<String> = listed(server, show).iter().map(of).collect();
    found.sort();
    found
}

/// The id of the only kind of a brand.
fn kind(server: &Server, brand: &str) -> String {
    let all = listed(server, "all");
    let row = all.iter().find(|row| row["brand"] == brand).unwrap();
    row["kind"].as_str().unwrap().to_owned()
}

fn act(server: &Server, brand: &str, kind: &str, action: &str) -> Answer {
    let path = format!("/api/brands/{brand}/failures/{kind}/{action}");
    Request::new("POST", &path).operator().send(server.admin_address)
}

/// Both pages fail once, and the log has it.
fn fail_both(server: &Server) {
    server.get("localhost", "/shop");
    server.get("other.test", "/other");
    server.wait_until("the failures are stored", || listed(server, "all").len() == 2);
}

/// Fails until a kind is open again: a failure in the millisecond in which it was resolved counts as older.
fn fail_until_back(server: &Server) {
    let is_back = || {
        server.get("localhost", "/shop");
        brands(server, "open") == ["other", "shop"]
    };
    server.wait_until("the kind has come back", is_back);
}

fn hides_what_is_resolved_and_muted(server: &Server) {
    fail_both(server);
    assert_eq!(listed(server, "open")[0]["mark"], Value::Null);
    let shop = kind(server, "shop");
    assert_eq!(json(&act(server, "shop", &shop, "resolve")), json!({ "kind": shop }));
    assert_eq!(
        (brands(server, "open"), brands(server, "resolved")),
        (vec!["other".to_owned()], vec!["shop".to_owned()])
    );
    assert_eq!(brands(server, "all"), ["other", "shop"]);
    let mark = &listed(server, "resolved")[0]["mark"];
    assert_eq!((&mark["state"], &mark["operator"]), (&json!("resolved"), &json!("token")));
    let overview = json(&server.admin("/api/overview"));
    let kinds = json!({"open": 1, "resolved": 1, "muted": 0, "resolved_failures": 1, "muted_failures": 0});
    assert_eq!(overview["failure_kinds"], kinds);
    assert_eq!(overview["failure_groups_all"], 1);
    // Every number of failures says how many of them the lists leave out.
    let hidden = |rows: &Value, key: &str, name: &str| {
        let row = rows.as_array().unwrap().iter().find(|row| row[key] == name).unwrap();
        [row["failures"].as_u64().unwrap(), row["hidden_failures"].as_u64().unwrap()]
    };
    assert_eq!(hidden(&overview["brands"], "id", "shop"), [1, 1]);
    assert_eq!(hidden(&overview["brands"], "id", "other"), [1, 0]);
    assert_eq!(hidden(&json(&server.admin("/api/brands/shop/pages")), "path", "/shop"), [1, 1]);
    assert_eq!(json(&server.admin("/api/brands/other/page?path=/other"))["hidden_failures"], 0);
    fail_until_back(server);
    let all = listed(server, "open");
    let row = all.iter().find(|row| row["brand"] == "shop").unwrap();
    assert_eq!(row["mark"]["state"], "came_back");
    // What is muted does not come back.
    let path = format!("{shop}/mute?for=7d");
    let mute = Request::new("POST", &format!("/api/brands/shop/failures/{path}")).operator();
    assert_eq!(mute.send(server.admin_address).status, 200);
    let before = listed(server, "muted")[0]["count"].as_u64().unwrap();
    let is_counted = || {
        server.get("localhost", "/shop");
        listed(server, "muted")[0]["count"].as_u64().unwrap() > before
    };
    server.wait_until("a muted failure is counted", is_counted);
    assert_eq!(brands(server, "open"), ["other"]);
    let mark = listed(server, "muted")[0]["mark"].clone();
    let lasts = mark["until_ms"].as_i64().unwrap() - mark["at_ms"].as_i64().unwrap();
    assert_eq!((&mark["state"], lasts), (&json!("muted"), 7 * 24 * 3_600_000));
    assert_eq!(act(server, "shop", &shop, "reopen").status, 200);
    assert_eq!(brands(server, "open"), ["other", "shop"]);
    assert_eq!(act(server, "shop", &shop, "reopen").status, 404);
    // Who did it.
    let log = json(&server.admin("/api/changes?brand=shop&action=failure."));
    let lines: Vec<String> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            let part = |name: &str| line[name].as_str().unwrap().to_owned();
            [part("action"), part("target"), part("outcome"), part("was").chars().take(11).collect()]
                .join(" ")
        })
        .collect();
    assert_eq!(
        lines,
        [
            "failure.reopen pages/shop.html refused ",
            "failure.reopen pages/shop.html done muted until",
            "failure.mute pages/shop.html done resolved",
            "failure.resolve pages/shop.html done ",
        ]
    );
    assert!(!log.to_string().contains("shop broke"), "messages can have data of visitors: {log}");
}

#[test]
fn a_kind_is_hidden_once_it_is_resolved_or_muted() {
    let site = site();
    hides_what_is_resolved_and_muted(&Server::start(site.path()));
    let database = Database::create();
    hides_what_is_resolved_and_muted(&ServerOptions::of(site.path()).postgres(&database.url()).start());
}

#[test]
fn all_hosts_hide_what_one_operator_has_resolved() {
    let database = Database::create();
    let site = site();
    let data = tempfile::tempdir().unwrap();
    let start = || ServerOptions::of(site.path()).data(data.path()).postgres(&database.url()).start();
    let (mut here, there) = (start(), ServerOptions::of(site.path()).postgres(&database.url()).start());
    fail_both(&here);
    there.get("localhost", "/shop");
    there.wait_until("the failure is stored", || listed(&there, "all").len() == 1);
    let (shop, other) = (kind(&here, "shop"), kind(&here, "other"));
    assert_eq!(kind(&there, "shop"), shop, "a kind has the same id on every host");
    for (brand, kind) in [("shop", &shop), ("other", &other)] {
        assert_eq!(act(&here, brand, kind, "mute").status, 200);
    }
    assert!(brands(&there, "open").is_empty());
    // A kind that failed on the other host only can be ended here, and one that nobody knows cannot be marked.
    assert_eq!(act(&there, "other", &other, "resolve").status, 200);
    assert_eq!(brands(&here, "resolved"), ["other"]);
    assert_eq!(act(&there, "other", &other, "mute").status, 200);
    for (brand, kind) in [("shop", "0123"), ("other", shop.as_str()), ("nobody", shop.as_str())] {
        assert_eq!(act(&there, brand, kind, "mute").status, 404, "{brand} {kind}");
    }
    assert_eq!(act(&there, "shop", &shop, "forget").status, 404);
    let long = format!("/api/brands/shop/failures/{shop}/mute?for=");
    for wrong in ["366d", "0d", "soon", "-1d"] {
        let answer = Request::new("POST", &(long.clone() + wrong)).operator().send(there.admin_address);
        assert_eq!(answer.status, 400, "{wrong}");
    }
    let marks = json(&there.admin("/api/brands/other/failures/marks"));
    let mark = &marks[0];
    assert_eq!(
        (&mark["kind"], &mark["state"], &mark["page"]),
        (&json!(other), &json!("muted"), &json!("pages/other.html"))
    );
    assert_eq!(marks.as_array().unwrap().len(), 1);
    // Without the other host, which would delete the mark of a kind that only this one has noticed.
    drop(there);
    // Marks that are older than the log live as long as their kind still fails on some host.
    database.sql("UPDATE failure_mark SET marked = 1, seen = 1");
    assert!(here.terminate().success());
    database.sql(
        "INSERT INTO failure_mark VALUES ('shop', 'gone', 'p', 'error', 'm', 'muted', 1, NULL, 'token', 1)",
    );
    let here = start();
    here.wait_until("the old mark is deleted", || {
        database.sql("SELECT kind FROM failure_mark WHERE kind = 'gone'").is_empty()
    });
    assert!(brands(&here, "open").is_empty());
    // Without the database, nothing is hidden.
    database.sql("ALTER TABLE failure_mark RENAME TO away");
    assert_eq!(brands(&here, "open"), ["other", "shop"]);
    let overview = json(&here.admin("/api/overview"));
    assert_eq!(overview["failure_marks_known"], false);
    assert_eq!(act(&here, "shop", &shop, "mute").status, 503);
}
