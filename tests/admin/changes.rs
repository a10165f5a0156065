//! Who changed what: the log of operators' changes.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;

use super::*;

/// The routes of the admin listener that may change something, as its sources register them: method and pattern.
pub(super) fn changing_routes() -> BTreeSet<(String, String)> {
    let mut routes = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/crates/server/src/admin");
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]").next().unwrap();
                for method in ["post", "put", "patch", "delete"] {
                    for (at, _) in text.match_indices(&format!("web::{method}().to(")) {
                        // The text before it that looks like a pattern.
                        let before = &text[..at];
                        let begin = before.rfind("\"/").unwrap() + 1;
                        let pattern = before[begin..].split('"').next().unwrap();
                        routes.insert((method.to_uppercase(), pattern.to_owned()));
                    }
                }
            }
        }
    }
    routes
}

/// An address that the pattern matches. The brand does not exist.
pub(super) fn address(pattern: &str) -> String {
    let part = |part: &str| match part.trim_matches(['{', '}']) {
        "brand" => "nobody".to_owned(),
        "action" if pattern.contains("/failures/") => "mute".to_owned(),
        "action" => "retry".to_owned(),
        "kind:jobs|queue" => "jobs".to_owned(),
        name if name.len() < part.len() => "7".to_owned(),
        name => name.to_owned(),
    };
    pattern.split('/').map(part).collect::<Vec<_>>().join("/")
}

pub(super) fn changes(server: &Server, query: &str) -> Vec<Value> {
    let answer = server.admin(&format!("/api/changes{query}"));
    json(&answer).as_array().unwrap().clone()
}

#[test]
fn every_route_that_changes_something_leaves_a_line() {
    let site = site();
    let server = Server::start(site.path());
    let routes = changing_routes();
    assert!(routes.len() >= 29, "the sources are read: {routes:#?}");
    for (method, pattern) in routes {
        let before = changes(&server, "").first().map(|change| change["id"].clone());
        let path = address(&pattern);
        let (kind, body) = match path.starts_with("/api/") {
            true => ("application/json", "{}".to_owned()),
            false => ("application/x-www-form-urlencoded", format!("token={ADMIN_TOKEN}")),
        };
        let request = Request::new(&method, &path).header("content-type", kind).body(body.as_bytes());
        let answer = request.operator().send(server.admin_address);
        let newest = changes(&server, "").first().cloned().unwrap_or_default();
        let at = format!("{method} {pattern}: {} {newest}", answer.status);
        assert_ne!(Some(&newest["id"]), before.as_ref(), "{at}");
        assert_ne!(newest["action"], "unknown", "a route without a name in admin/changes.rs: {at}");
        assert!(newest["what"].as_str().unwrap().contains(' '), "an action without words: {at}");
        assert_eq!(newest["status"], answer.status, "{at}");
        let is_done = ["/login", "/logout", "/api/reload"].contains(&pattern.as_str());
        assert_eq!(newest["outcome"], if is_done { "done" } else { "refused" }, "{at}");
        let brand = if is_done { Value::Null } else { json!("nobody") };
        assert_eq!(newest["brand"], brand, "{at}");
        assert_eq!(newest["client"], "127.0.0.1", "{at}");
    }
    // Reading leaves none, and what no route answers leaves one.
    let count = changes(&server, "").len();
    server.admin("/api/overview");
    assert_eq!(changes(&server, "").len(), count);
    Request::new("DELETE", "/anything").operator().send(server.admin_address);
    let newest = changes(&server, "").swap_remove(0);
    assert_eq!((&newest["action"], &newest["target"]), (&json!("unknown"), &json!("DELETE /anything")));
}

#[test]
fn a_change_says_who_made_it_from_what_to_what_and_whether_it_was_refused() {
    let site = site();
    let data = tempfile::tempdir().unwrap();
    let mut server = ServerOptions::of(site.path()).data(data.path()).start();
    let set = |server: &Server, value: Value| {
        let change = json!({"page": "/shop", "limit": "fuel", "value": value});
        put("/api/brands/shop/limits", &change).operator().send(server.admin_address).status
    };
    assert_eq!(set(&server, json!(5_000_000)), 200);
    assert_eq!(set(&server, json!(5_000_000_000_000_u64)), 400);
    assert_eq!(set(&server, Value::Null), 200);
    let found = changes(&server, "?brand=shop&action=limit.");
    let part = |at: usize, name: &str| found[at][name].clone();
    assert_eq!(found.len(), 3);
    for (at, action, becomes, outcome) in [
        (2, "limit.set", "5000000", "done"),
        (1, "limit.set", "", "refused"),
        (0, "limit.remove", "", "done"),
    ] {
        assert_eq!(part(at, "action"), action);
        assert_eq!(
            (part(at, "becomes"), part(at, "outcome")),
            (json!(becomes), json!(outcome)),
            "{}",
            found[at]
        );
        assert_eq!((part(at, "target"), part(at, "item")), (json!("/shop"), json!("fuel")));
        assert_eq!(part(at, "operator"), "token");
    }
    assert_eq!((part(2, "was"), part(0, "was")), (json!("1000000000"), json!("5000000")));
    assert!(part(1, "said").as_str().unwrap().contains("allows at most"), "{}", found[1]);
    // Sessions have names of their own.
    let session = log_in(ADMIN_TOKEN).send(server.admin_address).header("set-cookie").unwrap();
    let session = session.split(';').next().unwrap().to_owned();
    let form = Request::new("POST", "/brands/shop/page-cache/purge").header("cookie", &session);
    let form =
        form.header("origin", "http://localhost").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(form.body(b"tag=").send(server.admin_address).status, 303);
    let newest = changes(&server, "");
    let (purge, login) = (&newest[0], &newest[1]);
    let name = purge["operator"].as_str().unwrap();
    assert!(name.starts_with("session ") && name.len() == "session 1a2b3c4d".len(), "{name}");
    assert_eq!((&login["action"], &login["operator"]), (&json!("login.in"), &purge["operator"]));
    assert_eq!(changes(&server, &format!("?operator={}", name.replace(' ', "%20"))).len(), 2);
    // Nothing of it is secret.
    let whole = server.admin("/api/changes").body + &server.admin("/changes").body;
    let cookie = session.split_once('=').unwrap().1;
    for secret in cookie.split('.').skip(1).chain([ADMIN_TOKEN]) {
        assert!(!whole.contains(secret), "{secret} is in {whole}");
    }
    // Pages of other sites do nothing, and that is kept.
    let foreign = Request::new("POST", "/api/reload").operator().header("origin", "http://evil.example");
    assert_eq!(foreign.send(server.admin_address).status, 403);
    let is_kept = || changes(&server, "")[0]["said"] == "the request came from another site";
    server.wait_until("the foreign request is kept", is_kept);
    assert_eq!(server.admin("/api/changes?outcome=maybe").status, 400);
    assert_eq!(server.admin("/api/changes?brand=nobody").status, 404);
    // It is in the database.
    assert!(server.terminate().success());
    let server = ServerOptions::of(site.path()).data(data.path()).start();
    assert_eq!(changes(&server, "?brand=shop&action=limit."), found);
    let older = changes(&server, &format!("?before={}", found[1]["id"]));
    assert_eq!(older, vec![found[2].clone()]);
}

fn finds_changes_by_time_and_text(server: &Server) {
    let set = |page: &str, limit: &str, value: u64| {
        let change = json!({"page": page, "limit": limit, "value": value});
        put("/api/brands/shop/limits", &change).operator().send(server.admin_address).status
    };
    assert_eq!(set("/shop", "fuel", 5_000_000), 200);
    assert_eq!(set("=cmd|'/c calc'!A0", "fuel", 7), 404);
    assert_eq!(set("/shop", "no_such", 7), 404);
    let found = |query: &str| -> Vec<String> {
        let all = changes(server, &format!("?brand=shop&{query}"));
        all.iter().map(|change| change["item"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(found("text=5000000"), ["fuel"]);
    assert_eq!(found("text=NO_SUCH").len(), 1);
    assert_eq!(found("text=%25").len(), 0);
    assert_eq!(found("last=15m").len(), 3);
    assert_eq!(found("from=2020-01-01T00:00&to=2020-01-02T00:00").len(), 0);
    assert_eq!(
        found("from=2020-01-01T00:00&to=2100-01-01T00:00").len(),
        3,
        "a log of changes has no 14 days"
    );
    let long = "x".repeat(201);
    assert_eq!(server.admin(&format!("/api/changes?text={long}")).status, 400);
    assert_eq!(server.admin("/api/changes?from=2020-01-02T00:00&to=2020-01-01T00:00").status, 400);
    // The same as a file.
    for path in ["/api/changes.csv?brand=shop&action=limit.", "/brands/shop/changes.csv?action=limit."] {
        let file = server.admin(path);
        assert_eq!(file.header("content-type").as_deref(), Some("text/csv; charset=utf-8"), "{path}");
        assert_eq!(
            file.header("content-disposition").as_deref(),
            Some("attachment; filename=\"changes.csv\"")
        );
        let lines: Vec<&str> = file.body.trim_end().split("\r\n").collect();
        assert_eq!(lines.len(), 4, "{}", file.body);
        assert!(lines[0].starts_with("number,time,milliseconds,brand,action,what,target,"), "{}", lines[0]);
        assert!(lines[3].contains(",shop,limit.set,set a limit,/shop,fuel,"), "{}", lines[3]);
        let formula = lines.iter().find(|line| line.contains("calc")).unwrap();
        assert!(formula.contains(",'=cmd|'/c calc'!A0,"), "{formula}");
        // No cell of any line, the first one included, is a formula.
        let is_formula = |cell: &str| cell.trim_start_matches('"').starts_with(['=', '+', '-', '@']);
        assert!(!file.body.split(&[',', '\n'][..]).any(is_formula), "{}", file.body);
    }
    assert_eq!(server.admin("/api/changes.csv?brand=nobody").status, 404);
    assert_eq!(server.admin("/changes.csv?text=no_such").body.matches("\r\n").count(), 2);
    // All of more than one piece.
    for _ in 0..501 {
        assert_eq!(set("/shop", "many", 1), 404);
    }
    assert_eq!(server.admin("/api/changes.csv?text=many").body.matches("\r\n").count(), 502);
}

#[test]
fn changes_are_found_by_time_and_text_and_exported() {
    let site = site();
    finds_changes_by_time_and_text(&Server::start(site.path()));
    let site = self::site();
    let database = sluice_test_support::postgres::Database::create();
    finds_changes_by_time_and_text(&ServerOptions::of(site.path()).postgres(&database.url()).start());
}

#[test]
fn a_change_is_kept_although_its_client_has_left() {
    let site = site();
    let server = Server::start(site.path());
    let mut client = TcpStream::connect(server.admin_address).unwrap();
    let request = format!(
        "POST /api/reload HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ADMIN_TOKEN}\r\ncontent-length: 0\r\n\r\n"
    );
    client.write_all(request.as_bytes()).unwrap();
    drop(client);
    server.wait_until("the reload is kept", || !changes(&server, "?action=site.reload").is_empty());
}

#[test]
fn wrong_tokens_cannot_push_changes_out_of_the_log() {
    let site = site();
    let server = Server::start(site.path());
    for _ in 0..8 {
        assert_eq!(log_in("wrong").send(server.admin_address).status, 401);
    }
    server.wait_until("wrong tokens are kept", || !changes(&server, "?action=login.").is_empty());
    let found = changes(&server, "");
    assert!(found.len() <= 2, "{} lines", found.len());
    assert_eq!((&found[0]["outcome"], &found[0]["operator"]), (&json!("refused"), &json!("unknown")));
    assert!(!server.admin("/api/changes").body.contains("token=wrong"));
}

#[test]
fn a_database_that_is_gone_does_not_undo_a_change() {
    let database = sluice_test_support::postgres::Database::create();
    let site = site();
    let server = ServerOptions::of(site.path()).postgres(&database.url()).start();
    assert_eq!(Request::new("POST", "/api/reload").operator().send(server.admin_address).status, 200);
    assert_eq!(changes(&server, "?action=site.reload").len(), 1);
    database.sql("ALTER TABLE operator_change RENAME TO away");
    assert_eq!(Request::new("POST", "/api/reload").operator().send(server.admin_address).status, 200);
    server.wait_told("a change of an operator could not be kept");
    assert_eq!(server.admin("/api/changes").status, 503);
}
