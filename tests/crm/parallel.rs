//! Concurrent requests.

use serde_json::{Value, json};

use super::json;
use crate::harness::{Request, Server, TestSite};

const PAGE: &str = "<script scope=\"backend\">
    const { reference: referenceId, key, value } = request.query;
    const own = { slug: 'leads', referenceType: 'order', referenceId };
    if (key) response.json(setCrmField({ ...own, fieldKey: key, value }));
    response.json(getCrmEntries(own).map((entry) => entry.values_flat));
</script>";

fn start() -> (TestSite, Server) {
    let site = TestSite::with(&[("pages/index.html", PAGE), ("crm.toml", "[[entity]]\nslug = 'leads'\n")]);
    let server = Server::start(site.path());
    (site, server)
}

/// Sends all requests at once. Each response must be `true`.
fn send_all(server: &Server, paths: impl Iterator<Item = String>) {
    std::thread::scope(|scope| {
        for path in paths {
            scope.spawn(move || {
                let answer = Request::get(&path).send(server.address);
                assert_eq!((answer.status, &*answer.body), (200, "true"), "{path}");
            });
        }
    });
}

#[test]
fn concurrent_first_writes_create_one_entry() {
    let (_site, server) = start();
    for round in 0..5 {
        send_all(&server, (0..20).map(|n| format!("/?reference={round}&key=a&value={n}")));
        let entries = json(&server, &format!("/?reference={round}"));
        assert_eq!(entries.as_array().unwrap().len(), 1, "{entries}");
    }
}

#[test]
fn concurrent_writes_to_different_fields_are_all_kept() {
    let (_site, server) = start();
    send_all(&server, (0..50).map(|n| format!("/?reference=1&key=field-{n:02}&value={n}")));
    let expected: serde_json::Map<String, Value> =
        (0..50).map(|n| (format!("field-{n:02}"), json!(n.to_string()))).collect();
    assert_eq!(json(&server, "/?reference=1"), json!([expected]));
}
