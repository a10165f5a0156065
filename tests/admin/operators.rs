//! Operators with a token of their own, and what those may do who only read.

use super::changes::{address, changes, changing_routes};
use super::*;

const ANN: &str = "the-token-of-ann-0123456789";
const BOB: &str = "the-token-of-bob-0123456789";

fn operators() -> String {
    format!(
        "[{{ name = \"ann\", token = \"{ANN}\" }}, {{ name = \"bob\", token = \"{BOB}\", role = \"read\" }}]"
    )
}

fn by(request: Request, token: &str) -> Request {
    request.header("authorization", &format!("Bearer {token}"))
}

fn session(server: &Server, token: &str) -> String {
    let cookie = log_in(token).send(server.admin_address).header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

fn purge(session: &str) -> Request {
    Request::new("POST", "/brands/shop/page-cache/purge")
        .header("cookie", session)
        .header("origin", "http://localhost")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(b"tag=")
}

#[test]
fn the_log_of_changes_names_the_operator() {
    let site = site();
    let data = tempfile::tempdir().unwrap();
    let options = || ServerOptions::of(site.path()).data(data.path());
    let mut server = options().env("SLUICE_ADMIN__OPERATORS", &operators()).start();
    let set = |token: &str, value: u64| {
        let request = by(put("/api/brands/shop/limits", &set_fuel(value)), token);
        request.send(server.admin_address).status
    };
    assert_eq!((set(ADMIN_TOKEN, 5_000_000), set(ANN, 6_000_000)), (200, 200));
    assert_eq!((set(BOB, 7_000_000), set("the-token-of-nobody", 7_000_000)), (403, 401));
    let own = session(&server, ANN);
    assert_eq!(purge(&own).send(server.admin_address).status, 303);
    let log = changes(&server, "?operator=ann");
    let actions: Vec<&str> = log.iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["cache.purge", "login.in", "limit.set"]);
    assert_eq!(changes(&server, "?operator=token&action=limit.").len(), 1);
    let refused = changes(&server, "?operator=bob");
    assert_eq!((&refused[0]["action"], &refused[0]["outcome"]), (&json!("limit.set"), &json!("refused")));
    assert!(refused[0]["said"].as_str().unwrap().contains("the role of bob is \"read\""), "{}", refused[0]);
    // The page about the limit says it, too, and each operator sees who they are.
    let page = Request::get("/brands/shop/page?path=/shop").header("cookie", &own).send(server.admin_address);
    assert!(page.body.contains("<span class=\"by\">ann from 127.0.0.1</span>"), "{}", page.body);
    assert!(page.body.contains("Log out ann"), "{}", page.body);
    // A kind of failure says who resolved it.
    server.get("localhost", "/shop");
    let groups = || json(&server.admin("/api/overview?show=all"))["failure_groups"].clone();
    server.wait_until("the failure is stored", || groups()[0]["kind"].is_string());
    let path = format!("/api/brands/shop/failures/{}/resolve", groups()[0]["kind"].as_str().unwrap());
    assert_eq!(by(Request::new("POST", &path), ANN).send(server.admin_address).status, 200);
    assert_eq!(groups()[0]["mark"]["operator"], "ann");
    // Nothing has a token in it.
    let whole = [server.admin("/api/changes").body, server.admin("/changes").body, server.printed()].concat();
    let lines = format!("{:?}", server.log_entries(&[]));
    for token in [ANN, BOB, ADMIN_TOKEN, "the-token-of-nobody"] {
        assert!(!whole.contains(token) && !lines.contains(token), "{token}");
    }
    // Whoever is taken out of the settings is out, with their sessions.
    assert!(server.terminate().success());
    let server = options().start();
    let overview = Request::get("/api/overview");
    assert_eq!(by(overview, ANN).send(server.admin_address).status, 401);
    assert_eq!(Request::get("/api/overview").header("cookie", &own).send(server.admin_address).status, 401);
    assert_eq!(changes(&server, "?operator=ann").len(), 4, "what they did is kept");
}

#[test]
fn an_operator_who_only_reads_can_change_nothing() {
    let site = site();
    let data = tempfile::tempdir().unwrap();
    park_two(data.path());
    let server =
        ServerOptions::of(site.path()).data(data.path()).env("SLUICE_ADMIN__OPERATORS", &operators());
    let server = server.start();
    let before = std::fs::read_to_string(site.brand_dir("shop").join("brand.toml")).unwrap();
    let bob = session(&server, BOB);
    for (method, pattern) in changing_routes() {
        if ["/login", "/logout"].contains(&pattern.as_str()) {
            continue;
        }
        let path = address(&pattern);
        let kind =
            if path.starts_with("/api/") { "application/json" } else { "application/x-www-form-urlencoded" };
        let request = || Request::new(&method, &path).header("content-type", kind).body(b"{}");
        let answers = [
            by(request(), BOB).send(server.admin_address),
            request().header("cookie", &bob).header("origin", "http://localhost").send(server.admin_address),
        ];
        for answer in answers {
            let at = format!("{method} {pattern}: {} {}", answer.status, answer.body);
            assert_eq!(answer.status, 403, "{at}");
            assert!(answer.body.contains("role of bob is"), "{at}");
            assert_eq!(answer.body.contains("<h1>Not allowed</h1>"), !path.starts_with("/api/"), "{at}");
            let newest = changes(&server, "").swap_remove(0);
            let part = |name: &str| newest[name].as_str().unwrap_or_default().to_owned();
            assert_eq!(
                (part("operator"), part("outcome")),
                ("bob".to_owned(), "refused".to_owned()),
                "{at} {newest}"
            );
            assert_ne!(part("action"), "unknown", "{at} {newest}");
            let brand = if pattern.contains("{brand}") { "nobody" } else { "" };
            assert_eq!(part("brand"), brand, "{at} {newest}");
        }
    }
    // What no route answers, too.
    let other = by(Request::new("DELETE", "/anything"), BOB).send(server.admin_address);
    assert_eq!(other.status, 403);
    assert_eq!(std::fs::read_to_string(site.brand_dir("shop").join("brand.toml")).unwrap(), before);
    // They see what others see, without the forms.
    server.get("localhost", "/shop");
    server.wait_until("the failure is stored", || server.admin("/brands/shop/runs/1").status == 200);
    for path in [
        "/",
        "/?show=all",
        "/brands/shop",
        "/brands/shop/page?path=/shop",
        "/brands/shop/runs",
        "/brands/shop/runs/1",
        "/brands/shop/crm",
        "/brands/shop/jobs",
        "/brands/shop/changes",
        "/changes",
        "/search?q=shop",
    ] {
        let page = Request::get(path).header("cookie", &bob).send(server.admin_address);
        assert_eq!(page.status, 200, "{path}");
        let forms: Vec<&str> = page.body.split("method=\"post\"").skip(1).collect();
        assert_eq!(forms.len(), 1, "{path}: {forms:?}");
        assert!(forms[0].contains("/logout") && page.body.contains("reads only"), "{path}");
    }
    for path in ["/brands/shop/page?path=/shop", "/brands/shop/runs/1"] {
        let page = server.admin(path);
        assert!(page.body.matches("method=\"post\"").count() > 1, "{path}: others have the forms");
    }
    let logout = Request::new("POST", "/logout").header("cookie", &bob).header("origin", "http://localhost");
    assert_eq!(logout.send(server.admin_address).status, 303);
    assert_eq!(Request::get("/").header("cookie", &bob).send(server.admin_address).status, 303);
}

#[test]
fn operators_that_cannot_be_told_apart_keep_the_host_from_starting() {
    let site = site();
    for (operators, reason) in [
        (format!("[{{ name = \"ann\", token = \"{ADMIN_TOKEN}\" }}]"), "another operator has this token"),
        ("[{ name = \"token\", token = \"a-token-that-is-long\" }]".to_owned(), "a name has at most 32"),
        ("[{ name = \"ann\", token = \"a-short-token\" }]".to_owned(), "a token has at least 16 characters"),
        ("[{ name = \"ann\" }]".to_owned(), "missing field `token`"),
        ("[\"a-token-that-is-long\"]".to_owned(), "each operator is"),
    ] {
        let error = ServerOptions::of(site.path()).env("SLUICE_ADMIN__OPERATORS", &operators).start_error();
        assert!(error.contains(reason), "{operators}: {error}");
        assert!(!error.contains(ADMIN_TOKEN) && !error.contains("a-token-that"), "{error}");
    }
}
