//! What pages learn about their run and their sources under `sluice dev`.

use serde_json::{Value, json};

use super::start;
use crate::harness::{Answer, Server, TestSite};

/// What `data-run` of the page's element names.
fn run_of(answer: &Answer) -> String {
    let (_, rest) = answer.body.split_once("data-run=\"").expect("the page has its author's element");
    rest.split_once('"').unwrap().0.to_owned()
}

#[test]
fn pages_find_their_run_and_their_sources() {
    let script = "<script scope=\"backend\">\n  console.log('hello');\n  session.set('seen', 1);\n  setVariable('a', [1]);\n  \
        setCrmField({ slug: 'notes', referenceId: '7', fieldKey: 'text', value: 'x' });\n</script>\n<p>{{ var.a }}";
    let site = TestSite::with(&[
        ("pages/index.html", script),
        (
            "pages/large.html",
            "<script scope=\"backend\">setVariable('a', 'x'.repeat(600_000))</script><p>large",
        ),
        ("pages/bad.html", "<script scope=\"backend\">nope()</script><p>bad"),
        ("modules/words.js", "export const word = 'one';"),
        ("crm.toml", "[[entity]]\nslug = \"notes\"\nmode = \"data\"\n"),
    ]);
    site.write("brands/other/brand.toml", "domains = [\"other.localhost\"]\n");
    site.write("brands/other/pages/index.html", "<p>other");
    let server = start(&site);
    let described = |host: &str, id: &str| server.get(host, &format!("/.sluice/runs/{id}"));
    let run = |path: &str| -> Value {
        let found = described("localhost", &run_of(&server.get("localhost", path)));
        assert_eq!((found.status, found.header("cache-control").as_deref()), (200, Some("no-store")));
        assert_eq!(found.header("cross-origin-resource-policy").as_deref(), Some("same-origin"));
        serde_json::from_str(&found.body).unwrap()
    };
    let ran = run("/?from=mail");
    assert_eq!(ran["request"], json!({"method": "GET", "address": "/"}));
    assert_eq!((&ran["response"]["status"], &ran["run"]["outcome"]), (&200.into(), &"ok".into()));
    assert_eq!((&ran["run"]["page"], &ran["variables"]["a"][0]), (&"pages/index.html".into(), &1.into()));
    assert_eq!(
        (&ran["session"]["values"]["seen"], &ran["session"]["changed"][0]),
        (&1.into(), &"seen".into())
    );
    assert_eq!(
        (&ran["console"][0]["text"], &ran["crm"][0]["call"]),
        (&"hello".into(), &"setCrmField".into())
    );
    assert!(ran["run"]["fuel"].as_u64().unwrap() < ran["limits"]["fuel"].as_u64().unwrap());
    assert_eq!(run("/bad")["run"]["failure"]["line"], 1);
    let large = run("/large");
    assert_eq!((&large["variables"], &large["run"]["outcome"]), (&Value::Null, &"ok".into()));
    assert!(large["warnings"][0].as_str().unwrap().contains("sluice run"));

    // Only pages of the same brand find a run, and only the last ones are kept.
    let id = run_of(&server.get("localhost", "/"));
    assert_eq!((described("other.localhost", &id).status, described("localhost", "0").status), (404, 404));
    for _ in 0..40 {
        server.get("localhost", "/bad");
    }
    assert_eq!(described("localhost", &id).status, 404);

    let source = |host: &str, file: &str| server.get(host, &format!("/.sluice/sources/{file}"));
    assert_eq!(source("localhost", "pages/index.html").body, script);
    assert_eq!(source("localhost", "modules/words.js").body, "export const word = 'one';");
    for file in [
        "brand.toml",
        "crm.toml",
        "modules/..%2fbrand.toml",
        "pages/missing.html",
        "%2e%2e/other/pages/index.html",
    ] {
        assert!(source("localhost", file).status >= 400, "{file}");
    }
    assert_eq!(source("other.localhost", "pages/index.html").body, "<p>other");

    // `sluice serve` has none of it.
    let public = Server::start(site.path());
    assert!(!public.get("localhost", "/").body.contains(".sluice"));
    for path in ["/.sluice/sources/pages/index.html", "/.sluice/runs/1", "/.sluice/client.js"] {
        assert_eq!(public.get("localhost", path).status, 404, "{path}");
    }
}
