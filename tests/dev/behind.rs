//! What pages learn about their run and their sources under `sluice dev`.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::{Value, json};

use super::start;
use crate::harness::{Answer, Server, ServerOptions, TestSite};
use crate::http_calls::{Remote, response};

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

/// An address where nobody listens.
pub(crate) fn nobody() -> String {
    let free = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 9), 0)).unwrap();
    free.local_addr().unwrap().to_string()
}

#[test]
fn calls_are_shown_without_paths_headers_and_bodies() {
    let remote = Remote::start(|head, _| match head.contains("/never") {
        true => loop {
            std::thread::park();
        },
        false => response("201 Created", "x-answered: hidden\r\n", "hidden answer"),
    });
    let (host, nobody) = (remote.address.to_string(), nobody());
    let calls = "
        http.post('http://HOST/hidden?token=hidden', 'hidden body', { 'x-own': 'hidden' });
        http.get('http://NOBODY/hidden');
        storage.set('shown', { a: 1 });
        try { storage.increment('shown') } catch {}
        files.list({ prefix: 'cups/' });
        try { files.delete('nothing') } catch {}";
    let page = |script: &str| {
        let script = script.replace("HOST", &host).replace("NOBODY", &nobody);
        format!("<script scope=\"backend\">{script}</script><p>shown")
    };
    let site = TestSite::with(&[
        (
            "brand.toml",
            &format!(
                "default = true\n[http]\nallow = [\"{host}\", \"{nobody}\"]\n[[page]]\npath = \"/late\"\n\
                 limits = {{ wall_ms_max = 200 }}\n"
            ),
        ),
        ("pages/index.html", &page(calls)),
        ("pages/late.html", &page("http.get('http://HOST/never')")),
        ("pages/forgotten.html", &page("fetch('http://HOST/never')")),
    ]);
    let server =
        ServerOptions::dev(site.path()).env("SLUICE_HTTP__PRIVATE_NETWORKS", "[\"127.0.0.9/32\"]").start();
    let run = |path: &str| -> Value {
        let id = run_of(&server.get("localhost", path));
        serde_json::from_str(&server.get("localhost", &format!("/.sluice/runs/{id}")).body).unwrap()
    };
    let mut ran = run("/");
    for call in ran["http"].as_array_mut().unwrap() {
        assert!(call["ms"].take().as_f64().unwrap() > 0.0);
    }
    assert_eq!(
        ran["http"],
        json!([
            { "method": "POST", "host": host, "status": 201, "ms": null, "bytes_sent": 11, "bytes_received": 13, "error": null },
            { "method": "GET", "host": nobody, "status": null, "ms": null, "bytes_sent": 0, "bytes_received": 0,
              "error": "127.0.0.9 cannot be reached: connection refused" },
        ])
    );
    assert!(!ran.to_string().contains("hidden"), "{ran}");
    assert_eq!(
        ran["storage"],
        json!([
            { "call": "storage.set", "arguments": ["shown", { "a": 1 }], "result": true },
            { "call": "storage.increment", "arguments": ["shown"],
              "error": "TypeError: storage.increment: the value of \"shown\" is not a number" },
        ])
    );
    assert_eq!(
        (
            &ran["files"][0]["call"],
            &ran["files"][0]["options"]["prefix"],
            &ran["files"][0]["result"]["files"]
        ),
        (&json!("files.list"), &json!("cups/"), &json!([]))
    );
    assert_eq!(ran["files"][1]["error"], "TypeError: \"nothing\" is not the id of a kept file");
    assert_eq!(
        (&ran["limits"]["http_calls_max"], &ran["limits"]["files_calls_max"]),
        (&json!(5), &json!(20))
    );

    // A call that was under way when its run ended is shown, too.
    let ended = "the run ended before the server answered";
    assert_eq!(
        (&run("/late")["http"][0]["error"], &run("/late")["run"]["outcome"]),
        (&json!(ended), &json!("timeout"))
    );
    let forgotten = run("/forgotten");
    assert_eq!(
        (&forgotten["http"][0]["host"], &forgotten["http"][0]["error"]),
        (&json!(host), &json!(ended))
    );
    let advice = |ran: &Value| ran["console"].to_string().contains("write `await` before `fetch`");
    assert_eq!((advice(&forgotten), advice(&run("/late"))), (true, false));

    // The terminal has a line for each.
    let printed = server.wait_printed(&format!("GET {nobody}: no response after "));
    assert!(
        printed.contains(&format!("POST {host}: 201 in ")) && printed.contains(" ms, 13 bytes"),
        "{printed}"
    );
    assert!(!printed.contains("hidden"), "{printed}");
    server.wait_printed(ended);
}

/// Everything that `sluice dev` shows and visitors must not see is `hidden` here.
#[test]
fn visitors_see_what_is_behind_a_page_if_the_operator_says_so() {
    let script = "<script scope=\"backend\">
  session.set('seen', (session.get('seen') ?? 0) + 1);
  console.log('hidden line');
  storage.set('a', 'hidden value');
  setVariable('a', 'hidden variable');
  setCrmField({ slug: 'notes', referenceId: '7', fieldKey: 'text', value: 'hidden field' });
  if (request.query.fail) throw new Error('hidden reason');
</script><!doctype html><p>page";
    let cached =
        "<script scope=\"backend\">setHeader('cache-control', 'public, max-age=60')</script><p>cached";
    let site = TestSite::with(&[
        ("pages/index.html", script),
        ("pages/index.test.js", "// hidden test"),
        ("pages/cached.html", cached),
        ("pages/plain.html", "<p>plain"),
        ("modules/words.js", "export const word = 'one';"),
        ("public/file.html", "<p>file"),
        ("crm.toml", "[[entity]]\nslug = \"notes\"\nmode = \"data\"\n"),
    ]);
    site.write("brands/other/brand.toml", "domains = [\"other.localhost\"]\n");
    site.write("brands/other/pages/index.html", script);
    site.write("brands/other/pages/cached.html", cached);
    site.write("sluice.toml", "[brands.demo]\nbehind_pages = true\n");
    let server = Server::start(site.path());
    server.wait_told("everybody can read the sources of its pages");
    let run = |answer: &Answer| -> Value {
        let found = server.get("localhost", &format!("/.sluice/runs/{}", run_of(answer)));
        assert_eq!(found.status, 200);
        assert!(!found.body.contains("hidden"), "{}", found.body);
        serde_json::from_str(&found.body).unwrap()
    };
    let answer = server.get("localhost", "/");
    // A cache would give this visitor's run to others.
    let cache_control = |host: &str| server.get(host, "/cached").header("cache-control").unwrap();
    assert_eq!(
        (cache_control("localhost"), cache_control("other.localhost")),
        ("no-store".into(), "public, max-age=60".into())
    );
    let ran = run(&answer);
    assert_eq!(ran["session"]["values"], json!({ "seen": 1 }));
    assert_eq!((&ran["run"]["outcome"], &ran["run"]["crm_calls"]), (&json!("ok"), &json!(1)));
    assert!(ran["run"]["fuel"].as_u64().unwrap() < ran["limits"]["fuel"].as_u64().unwrap());
    for key in ["variables", "console", "crm", "storage", "http", "files"] {
        assert_eq!(ran[key], Value::Null, "{key}");
    }
    let failed = run(&server.get("localhost", "/?fail=1"));
    assert_eq!((&failed["run"]["outcome"], &failed["run"]["failure"]), (&json!("error"), &Value::Null));
    // Each visitor has an address of their own, which is long and random.
    let other = server.get("localhost", "/");
    assert_ne!(run_of(&answer), run_of(&other));
    assert_eq!(run_of(&other).len(), 32);
    assert_eq!(run(&other)["session"]["values"], json!({ "seen": 1 }));

    let source = |host: &str, file: &str| server.get(host, &format!("/.sluice/sources/{file}"));
    assert_eq!(source("localhost", "pages/index.html").body, script);
    assert_eq!(source("localhost", "modules/words.js").status, 200);
    for file in ["pages/index.test.js", "brand.toml", "crm.toml", "..%2fother/pages/index.html"] {
        assert!(source("localhost", file).status >= 400, "{file}");
    }
    // Other brands, and what is no page with a run, have none of it.
    let of_other = server.get("other.localhost", "/");
    assert!(!of_other.body.contains(".sluice"), "{}", of_other.body);
    assert_eq!(source("other.localhost", "pages/index.html").status, 404);
    let id = run_of(&server.get("localhost", "/"));
    for path in [format!("/.sluice/runs/{id}"), "/.sluice/behind.js".into(), "/.sluice/events".into()] {
        assert_eq!(server.get("other.localhost", &path).status, 404, "{path}");
    }
    assert_eq!(server.get("localhost", "/.sluice/events").status, 404);
    assert!(!server.get("localhost", "/file.html").body.contains(".sluice"));
}
