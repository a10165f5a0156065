//! Purges reach every host that shares the database.

use sluice_test_support::postgres::Database;

use super::{NOW, get};
use crate::harness::{Request, Server, ServerOptions, TestSite};

const PURGE: &str = "<script scope=\"backend\">response.json(cache.purge(request.query.tag));</script>";

fn site() -> TestSite {
    TestSite::with(&[
        ("pages/posts.html", NOW),
        ("pages/prices.html", NOW),
        ("pages/purge.html", PURGE),
        (
            "brand.toml",
            "default = true
[[page]]
path = \"/posts\"
cache = { ttl = \"1h\", tags = [\"posts\", \"all\"] }
[[page]]
path = \"/prices\"
cache = { ttl = \"1h\", tags = [\"prices\", \"all\"] }
",
        ),
    ])
}

/// Waits until a host answers a path with something else than before.
fn changes(host: &Server, path: &str, before: &str) -> String {
    host.wait_until(&format!("{path} is dropped"), || get(host, path).body != before);
    get(host, path).body
}

fn purges_reach_both(hosts: &[Server; 2]) {
    let read = |path: &str| hosts.each_ref().map(|host| get(host, path).body);
    let (posts, prices) = (read("/posts"), read("/prices"));
    assert_eq!((read("/posts"), read("/prices")), (posts.clone(), prices.clone()));
    // A tag, by a script.
    assert_eq!(get(&hosts[0], "/purge?tag=posts").body, "true");
    assert_ne!(get(&hosts[0], "/posts").body, posts[0], "this host drops it at once");
    changes(&hosts[1], "/posts", &posts[1]);
    assert_eq!(read("/prices"), prices, "other tags keep their answers");
    assert_eq!(get(&hosts[0], "/purge?tag=unknown").body, "false");
    // A tag, by an operator.
    let posts = read("/posts");
    let purge = |host: &Server, body: &str| {
        let request = Request::new("POST", "/api/brands/demo/page-cache/purge").operator();
        request.header("content-type", "application/json").body(body.as_bytes()).send(host.admin_address)
    };
    assert_eq!(purge(&hosts[1], "{\"tag\": \"prices\"}").status, 200);
    assert_ne!(get(&hosts[1], "/prices").body, prices[1]);
    let of_first = changes(&hosts[0], "/prices", &prices[0]);
    assert_eq!(purge(&hosts[0], "{\"tag\": \"unknown\"}").status, 404);
    assert_eq!(purge(&hosts[0], "{\"tag\": 1}").status, 400);
    // Everything of the brand.
    assert_eq!(purge(&hosts[1], "{}").status, 200);
    changes(&hosts[0], "/prices", &of_first);
    changes(&hosts[0], "/posts", &posts[0]);
    assert_ne!(get(&hosts[1], "/posts").body, posts[1]);
}

#[test]
fn purges_reach_both_hosts_on_sqlite() {
    let (site, data) = (site(), tempfile::tempdir().unwrap());
    let hosts = [(); 2].map(|()| ServerOptions::of(site.path()).data(data.path()).start());
    purges_reach_both(&hosts);
}

#[test]
fn purges_reach_both_hosts_on_postgres() {
    let (site, database) = (site(), Database::create());
    let hosts = [(); 2].map(|()| ServerOptions::of(site.path()).postgres(&database.url()).start());
    purges_reach_both(&hosts);
}

#[test]
fn console_drops_answers() {
    let site = site();
    let host = ServerOptions::of(site.path()).start();
    let before = get(&host, "/posts").body;
    let page = host.admin("/brands/demo").body;
    assert!(page.contains("Cached answers") && page.contains("1 answers take"), "{page}");
    assert!(page.contains("name=\"tag\" value=\"posts\""), "{page}");
    let form = |body: &str| {
        let request = Request::new("POST", "/brands/demo/page-cache/purge").operator();
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.header("origin", "http://localhost").body(body.as_bytes()).send(host.admin_address)
    };
    let dropped = form("tag=posts");
    assert_eq!(dropped.status, 303, "{dropped:?}");
    assert_ne!(get(&host, "/posts").body, before);
    let shown: serde_json::Value =
        serde_json::from_str(&host.admin("/api/brands/demo/page-cache").body).unwrap();
    assert_eq!(shown["pages"], serde_json::json!(["/posts", "/prices"]));
    assert_eq!(shown["tags"], serde_json::json!(["all", "posts", "prices"]));
    // The host also follows its own purge, after which nothing is kept.
    assert!(shown["answers"].as_u64().is_some_and(|answers| answers <= 1), "{shown}");
}
