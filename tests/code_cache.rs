//! Compiled code survives a restart. A host uses only code that it compiled itself.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Server, ServerOptions, TestSite};

const PAGE: &str = "<script scope=\"backend\">import { text } from 'shared'; setVariable('t', text);</script>@component(\"box\", {t: var.t})";

fn site() -> TestSite {
    let site = TestSite::with(&[
        ("pages/index.html", PAGE),
        ("pages/plain.html", "plain {{ 1 + 1 }}"),
        ("pages/own.html", "<script scope=\"backend\">setVariable('x', 1)</script>{{ var.x }}"),
        ("pages/broken.html", "<script scope=\"backend\">let let</script>broken"),
        ("modules/shared.js", "export const text = 'one';"),
        ("components/box.html", "[{{ t }}]"),
    ]);
    // The page that does not compile is shown.
    site.write("brands/demo/brand.toml", "default = true\non_error = \"page\"\n");
    site
}

fn start(site: &TestSite, data: &Path) -> Server {
    ServerOptions::of(site.path()).data(data).own_key().start()
}

fn compiled(server: &Server) -> u64 {
    server.wait_told("the site is loaded").pop().unwrap()["fields"]["pages_compiled"].as_u64().unwrap()
}

fn check(server: &Server, text: &str) {
    assert_eq!(server.get("localhost", "/").body, format!("[{text}]"));
    assert_eq!(server.get("localhost", "/plain").body, "plain 2");
    assert_eq!(server.get("localhost", "/own").body, "1");
    assert_eq!(server.get("localhost", "/broken").body, "broken");
}

fn entries(data: &Path) -> Vec<PathBuf> {
    fs::read_dir(data.join("cache")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn restart_compiles_only_changed_pages() {
    let site = site();
    let data = tempfile::tempdir().unwrap();
    let server = start(&site, data.path());
    assert_eq!(compiled(&server), 4);
    check(&server, "one");
    drop(server);
    let server = start(&site, data.path());
    // Pages that do not compile are tried again at each start.
    assert_eq!(compiled(&server), 1);
    check(&server, "one");
    drop(server);
    for (file, text) in
        [("modules/shared.js", "export const text = 'two';"), ("components/box.html", "[{{ t | upper }}]")]
    {
        site.write(&format!("brands/demo/{file}"), text);
        let server = start(&site, data.path());
        assert_eq!(compiled(&server), 2, "{file} is used by one page");
        check(&server, if file.starts_with("modules") { "two" } else { "TWO" });
    }
    // A new file that an import now resolves to.
    site.write(
        "brands/demo/modules/shared.html",
        "<script scope=\"backend\">export const text = 'three';</script>",
    );
    fs::remove_file(site.brand_dir("demo").join("modules/shared.js")).unwrap();
    let server = start(&site, data.path());
    assert_eq!(compiled(&server), 2);
    check(&server, "THREE");
    // Failures still name places in the author's files.
    site.write(
        "brands/demo/modules/shared.html",
        "<script scope=\"backend\">\n\nthrow new Error('x')</script>",
    );
    drop(server);
    for _ in 0..2 {
        let server = start(&site, data.path());
        server.get("localhost", "/");
        let run = server.runs("demo", 1).pop().unwrap();
        let message = run["message"].as_str().unwrap();
        assert!(message.contains("modules/shared.html:3:") || message.contains("SyntaxError"), "{message}");
    }
}

#[test]
fn compiles_again_instead_of_using_foreign_or_damaged_entries() {
    let site = site();
    let data = tempfile::tempdir().unwrap();
    drop(start(&site, data.path()));
    let paths = entries(data.path());
    assert!(paths.len() >= 5, "{paths:?}");
    for damage in [0usize, 40, usize::MAX] {
        for path in &paths {
            let mut bytes = fs::read(path).unwrap();
            let at = damage.min(bytes.len() - 1);
            bytes[at] ^= 0x55;
            fs::write(path, bytes).unwrap();
        }
        let server = start(&site, data.path());
        server.wait_told("this compiled code was not written with this host's key or is damaged");
        check(&server, "one");
    }
    // With another application key, no entry is trusted.
    let server = ServerOptions::of(site.path()).data(data.path()).env("APP_KEY", &"k".repeat(32)).start();
    server.wait_told("this compiled code was not written with this host's key or is damaged");
    check(&server, "one");
    drop(server);
    // An entry that is lost while the site is served is compiled again at the next request.
    let server = start(&site, data.path());
    drop(server);
    let server = start(&site, data.path());
    for path in entries(data.path()) {
        fs::remove_file(path).unwrap();
    }
    check(&server, "one");
    server.wait_told("it is compiled again");
}

#[test]
fn hosts_can_share_a_data_folder() {
    let site = site();
    let data = tempfile::tempdir().unwrap();
    let cache = data.path().join("cache");
    let key = "k".repeat(32);
    let servers: Vec<Server> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    ServerOptions::of(site.path())
                        .env("SLUICE_CACHE__DIR", cache.to_str().unwrap())
                        .env("APP_KEY", &key)
                        .start()
                })
            })
            .collect();
        starting.into_iter().map(|server| server.join().unwrap()).collect()
    });
    for server in &servers {
        check(server, "one");
        assert!(server.told("compiled again").is_empty());
    }
    let drafts = entries(data.path()).iter().filter(|path| path.to_string_lossy().contains("draft")).count();
    assert_eq!(drafts, 0);
}
