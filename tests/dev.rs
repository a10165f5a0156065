//! `sluice dev`: serves changes, prints them, and shows mistakes.

pub(crate) mod behind;
mod browser;
mod jobs;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::harness::{Answer, Request, Server, ServerOptions, TestSite};

fn start(site: &TestSite) -> Server {
    ServerOptions::dev(site.path()).start()
}

/// The page without the element that `sluice dev` adds.
pub(crate) fn text(answer: &Answer) -> String {
    let Some((before, rest)) = answer.body.split_once("<script async src=\"/.sluice/client.js") else {
        return answer.body.clone();
    };
    format!("{before}{}", rest.split_once("</script>").unwrap().1)
}

fn waits_for(server: &Server, path: &str, expected: &str) {
    server.wait_until(&format!("{path} answers {expected:?}"), || {
        text(&server.get("localhost", path)).trim() == expected
    });
}

/// The mistakes that are shown over the page.
pub(crate) fn mistakes(answer: &Answer) -> Vec<Value> {
    let (_, rest) = answer.body.split_once("data-mistakes=\"").expect("the page has its author's element");
    let json = rest.split_once('"').unwrap().0;
    let json = json.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    serde_json::from_str(&json).unwrap()
}

fn waits_for_mistake(server: &Server, path: &str, message: &str) -> Value {
    let found = || {
        let all = mistakes(&server.get("localhost", path));
        all.into_iter().find(|mistake| mistake["message"].as_str().unwrap().contains(message))
    };
    server.wait_until(&format!("{path} shows {message:?}"), || found().is_some());
    found().unwrap()
}

#[test]
fn answers_only_to_loopback_names_and_those_given() {
    let site = TestSite::with(&[("pages/index.html", "secret"), ("public/file.txt", "file")]);
    site.write("brands/shop/brand.toml", "domains = [\"shop.example\", \"shop.localhost\"]\n");
    site.write("brands/shop/pages/index.html", "shop");
    let server = ServerOptions::dev(site.path()).arg("--host").arg("Given.example").start();
    for host in ["localhost", "LOCALHOST:8080", "127.0.0.1", "[::1]:80", "any.localhost", "given.example:1"] {
        assert_eq!(text(&server.get(host, "/")), "secret", "{host}");
    }
    assert_eq!(text(&server.get("shop.localhost", "/")), "shop");
    // `default = true` and the brand's own domain do not matter: a site can come from somebody else.
    for host in ["evil.example", "shop.example", "192.0.2.1", "localhost.evil.example", ""] {
        for path in [
            "/",
            "/file.txt",
            "/nothing",
            "/.sluice/client.js",
            "/.sluice/events?generation=0",
            "/.sluice/runs/1",
            "/.sluice/sources/pages/index.html",
        ] {
            let answer = server.get(host, path);
            assert_eq!(answer.status, 421, "{host} {path}");
            assert!(
                answer.body.contains("--host NAME") && !answer.body.contains("secret"),
                "{}",
                answer.body
            );
        }
        assert_eq!(Request::new("PUT", "/").host(host).send(server.address).status, 421, "{host}");
    }
}

#[test]
fn serves_every_saved_change() {
    let site = TestSite::with(&[
        ("layouts/main.html", "({{ var.mark }})@yield(\"content\")"),
        ("components/box.html", "[{{ text }}]"),
        ("modules/words.js", "export const word = 'one';"),
        (
            "pages/index.html",
            "<script scope=\"backend\">import { word } from \"words\"; setVariable('word', word);</script>\
             @extends(\"main\")@block(\"content\")@component(\"box\", {text: var.word})@endblock",
        ),
        ("pages/other.html", "other"),
    ]);
    let server = start(&site);
    waits_for(&server, "/", "()[one]");
    site.write("brands/demo/modules/words.js", "export const word = 'two';");
    waits_for(&server, "/", "()[two]");
    site.write("brands/demo/components/box.html", "({{ text }})");
    waits_for(&server, "/", "()(two)");
    site.write("brands/demo/layouts/main.html", "<b>{{ var.mark }}</b>@yield(\"content\")");
    site.write("brands/demo/layouts/main.html", "<i>{{ var.mark }}@yield(\"content\")");
    waits_for(&server, "/", "<i>(two)");
    site.write("brands/demo/brand.toml", "default = true\n[variables]\nmark = \"M\"\n");
    waits_for(&server, "/", "<i>M(two)");

    // Editors that save by renaming; files and folders that are added and removed.
    site.write("brands/demo/pages/.other.html.swp", "renamed");
    fs::rename(
        site.brand_dir("demo").join("pages/.other.html.swp"),
        site.brand_dir("demo").join("pages/other.html"),
    )
    .unwrap();
    waits_for(&server, "/other", "renamed");
    site.write("brands/demo/pages/new/folder/page.html", "new");
    waits_for(&server, "/new/folder/page", "new");
    fs::remove_dir_all(site.brand_dir("demo").join("pages/new")).unwrap();
    server.wait_until("the page is gone", || server.get("localhost", "/new/folder/page").status == 404);
    site.write("brands/demo/public/a.txt", "public");
    waits_for(&server, "/a.txt", "public");

    // Limits of the brand and of the site, and the CRM.
    let loops = "<script scope=\"backend\">for (let i = 0; i < 3e5; i++); setVariable('done', 1)</script>{{ var.done }}";
    site.write("brands/demo/pages/loop.html", loops);
    waits_for(&server, "/loop", "1");
    site.write("brands/demo/brand.toml", "default = true\non_error = \"page\"\n[limits]\nfuel = 1_000_000\n");
    waits_for(&server, "/loop", "");
    site.write("brands/demo/brand.toml", "default = true\non_error = \"page\"\n");
    waits_for(&server, "/loop", "1");
    site.write("sluice.toml", "[limits]\nfuel = 1_000_000\n");
    waits_for(&server, "/loop", "");
    site.write(
        "brands/demo/pages/crm.html",
        "<script scope=\"backend\">const at = { slug: 'notes', referenceType: 'note', referenceId: '1' };\
         setCrmField({ ...at, fieldKey: 'text', value: 'kept' });\
         setVariable('text', getCrmField({ ...at, fieldKey: 'text' }))</script>{{ var.text }}",
    );
    waits_for_mistake(&server, "/crm", "notes");
    site.write("brands/demo/crm.toml", "[[entity]]\nslug = \"notes\"\nmode = \"data\"\n");
    waits_for(&server, "/crm", "kept");
}

#[test]
fn compiles_only_changed_pages_and_prints_them() {
    let site = TestSite::with(&[
        ("modules/words.js", "export const word = 'one';"),
        (
            "pages/a.html",
            "<script scope=\"backend\">import { word } from 'words'; setVariable('w', word)</script>{{ var.w }}",
        ),
        (
            "pages/b.html",
            "<script scope=\"backend\">console.log('seen', [1]); console.warn('\\u001b[31mred')</script>b",
        ),
        ("pages/c.html", "c"),
        ("pages/go.html", "<script scope=\"backend\">redirect('/c')</script>"),
    ]);
    let server = start(&site);
    server.wait_printed("4 pages, compiled pages/a.html, pages/b.html, pages/c.html and 1 more, ");
    // Saving the same text again is not a change.
    site.write(
        "brands/demo/pages/a.html",
        &fs::read_to_string(site.brand_dir("demo").join("pages/a.html")).unwrap(),
    );
    site.write("brands/demo/modules/words.js", "export const word = 'two';");
    let printed = server.wait_printed("brands/demo/modules/words.js changed: compiled pages/a.html, ");
    assert!(!printed.contains("a.html changed"), "{printed}");

    server.get("localhost", "/b?secret=1");
    let printed = server.wait_printed("200 GET /b ");
    let run = printed.lines().find(|line| line.starts_with("200 GET /b ")).unwrap();
    assert!(run.contains(" ok, ") && run.contains(" fuel, ") && run.ends_with(" ms"), "{run}");
    let printed = server.wait_printed("    warn  \\u{1b}[31mred");
    assert!(printed.contains("    log  seen [1]") || printed.contains("    log  seen [ 1 ]"), "{printed}");
    assert!(!printed.contains("secret"), "{printed}");
    server.get("localhost", "/c");
    server.wait_printed("200 GET /c ");
    server.get("localhost", "/go");
    server.wait_printed("302 GET /go ");
    server.wait_printed(" ms, to /c");
    assert!(!server.printed().contains('\u{1b}'), "there are no colours without a terminal");

    site.write("brands/demo/pages/b.html", "<script scope=\"backend\">\nconst a = 1;\na.b.c;\n</script>");
    server.wait_printed("pages/b.html changed");
    server.get("localhost", "/b");
    server.wait_printed("pages/b.html:3:");
    for line in ["    2 | const a = 1;", "    3 | a.b.c;", "      |     ^"] {
        server.wait_printed(line);
    }
}

#[test]
fn shows_mistakes_in_the_page_until_they_are_fixed() {
    let good = "<script scope=\"backend\">setVariable('v', 'good')</script><p>{{ var.v }}</p>";
    let site = TestSite::with(&[("pages/index.html", good), ("pages/other.html", "other")]);
    let server = start(&site);
    waits_for(&server, "/", "<p>good</p>");
    assert_eq!(mistakes(&server.get("localhost", "/")), Vec::<Value>::new());

    // The last good version is still served, below the mistake.
    site.write(
        "brands/demo/pages/index.html",
        "<p>\n<script scope=\"backend\">\n  let x = 1 +* 2;\n</script>",
    );
    let shown = waits_for_mistake(&server, "/", "unexpected `*`; add what is missing");
    assert_eq!(shown["file"], "pages/index.html");
    assert_eq!((shown["line"].as_u64(), shown["column"].as_u64()), (Some(3), Some(14)));
    assert_eq!(shown["excerpt"][2]["text"], "  let x = 1 +* 2;");
    assert_eq!(shown["excerpt"][2]["mark"], 13);
    assert!(shown["note"].as_str().unwrap().contains("last version"), "{shown}");
    assert_eq!(text(&server.get("localhost", "/")), "<p>good</p>");
    assert_eq!(mistakes(&server.get("localhost", "/other")), Vec::<Value>::new(), "this page has no mistake");

    server.wait_printed("pages/index.html changed: mistakes in pages/index.html, ");

    // The last good version fails. The failure's line belongs to the old text, so none is shown.
    let failing = "<script scope=\"backend\">\nif (request.query.fail) null.x;\n</script>kept";
    site.write("brands/demo/pages/index.html", failing);
    waits_for(&server, "/", "kept");
    site.write("brands/demo/pages/index.html", "<script scope=\"backend\">\nlet new = 2;\n</script>");
    waits_for_mistake(&server, "/", "`new` is a reserved word");
    let shown = waits_for_mistake(&server, "/?fail=1", "'x' of null");
    assert_eq!((shown["line"].as_u64(), shown["excerpt"].as_array().unwrap().len()), (Some(2), 0));
    assert!(shown["note"].as_str().unwrap().contains("may have moved"), "{shown}");

    // A page that never compiled, with a mistake in its template.
    site.write("brands/demo/pages/new.html", "<p>\n  {{ var.name | uper }}</p>");
    server.wait_until("the page is there", || server.get("localhost", "/new").status == 500);
    let shown = waits_for_mistake(&server, "/new", "upper");
    assert_eq!((shown["name"].as_str(), shown["line"].as_u64()), (Some("TemplateError"), Some(2)));

    // A page that never compiled has one mistake, with oxc's explanation.
    site.write("brands/demo/pages/script.html", "<script scope=\"backend\">\nlet let = 1;\n</script>");
    let of_script = || mistakes(&server.get("localhost", "/script"));
    server.wait_until("the page is there", || !of_script().is_empty());
    let all = of_script();
    assert_eq!((all.len(), all[0]["line"].as_u64()), (1, Some(2)), "{all:?}");
    let form = Request::new("POST", "/other").header("content-type", "application/x-www-form-urlencoded");
    form.body(b"a=1").send(server.address);
    server.wait_printed("    the request's form was not read: brand.toml needs `form_bodies = true`");

    // A run that fails in a module.
    site.write("brands/demo/modules/deep.js", "export function deep(o) {\n  return o.a.b;\n}");
    site.write(
        "brands/demo/pages/index.html",
        "<script scope=\"backend\">\nimport { deep } from 'deep';\ndeep({});\n</script>shown",
    );
    let shown = waits_for_mistake(&server, "/", "'b' of undefined");
    assert_eq!((shown["file"].as_str(), shown["line"].as_u64()), (Some("modules/deep.js"), Some(2)));
    assert!(shown["stack"].as_str().unwrap().contains("pages/index.html:3:"), "{shown}");

    // A brand that answers to no host name, until it does again.
    site.write("brands/demo/brand.toml", "");
    server.wait_until("no brand is there", || server.get("localhost", "/").status == 421);
    waits_for_mistake(
        &server,
        "/",
        "no brand serves the host localhost: a brand.toml needs `default = true`",
    );

    // A mistake in settings is shown in every page.
    site.write("brands/demo/brand.toml", "default = true\nvariabels = 1\n");
    let shown = waits_for_mistake(&server, "/other", "did you mean `variables`?");
    assert_eq!((shown["file"].as_str(), shown["line"].as_u64()), (Some("brands/demo/brand.toml"), Some(2)));
    assert_eq!(shown["excerpt"][1]["text"], "variabels = 1");
    site.write("brands/demo/brand.toml", "default = true\n");
    site.write("brands/demo/crm.toml", "[[entity]]\nslg = 1\n");
    let shown = waits_for_mistake(&server, "/other", "slg");
    assert_eq!((shown["file"].as_str(), shown["line"].as_u64()), (Some("brands/demo/crm.toml"), Some(2)));
    site.write("brands/demo/crm.toml", "");
    site.write("sluice.toml", "[serverr]\n");
    waits_for_mistake(&server, "/other", "serverr");
    site.write("sluice.toml", "");
    site.write("brands/demo/pages/index.html", good);
    server.wait_until("all mistakes are gone", || {
        ["/", "/other"].iter().all(|path| mistakes(&server.get("localhost", path)).is_empty())
    });
    waits_for(&server, "/", "<p>good</p>");
}

#[test]
fn prints_findings_of_the_check_once() {
    let page =
        |code: &str| format!("<script scope=\"backend\">\nfunction never() {{ {code} }}\n</script>page");
    let site = TestSite::with(&[
        ("pages/index.html", &page("sesion.get('a')")),
        ("pages/other.html", "{{ vra.a }}"),
        ("pages/broken.html", "<script scope=\"backend\">\n1 +* 2\n</script>"),
    ]);
    let server = start(&site);
    let printed = server.wait_printed("brands/demo/pages/other.html:1:4: warning: ");
    assert!(
        printed
            .contains("3 pages, compiled pages/index.html, pages/other.html, mistakes in pages/broken.html")
    );
    assert!(
        printed
            .contains("brands/demo/pages/index.html:2:20: error: `sesion` is not defined [unknown-global]")
    );
    assert_eq!(printed.matches("broken.html:2:4").count(), 1, "{printed}");

    site.write("brands/demo/pages/index.html", &page("session.gett('a')"));
    let printed = server.wait_printed("error: `session` has no `gett`");
    for known in ["`sesion` is not defined", "`vra` is not defined"] {
        assert_eq!(printed.matches(known).count(), 1, "{printed}");
    }
    // A mistake that was fixed and made again is printed again.
    site.write("brands/demo/pages/index.html", &page("session.get('a')"));
    let is_compiled =
        || server.printed().matches("index.html changed: compiled pages/index.html").count() == 2;
    server.wait_until("the page is compiled a second time", is_compiled);
    site.write("brands/demo/crm.toml", "[[entity]]\nslug = \"notes\"\nname = \"Notes\"\nmode = \"data\"\n");
    let printed = server.wait_printed("crm.toml changed: ");
    assert!(server.wait_printed("    crm: ").contains("notes"), "{printed}");
    // The new finding shows that this state was checked.
    site.write("brands/demo/pages/other.html", "{{ vrb.a }}");
    server.wait_printed("`vrb` is not defined");
    site.write("brands/demo/pages/index.html", &page("sesion.get('a')"));
    server.wait_until("it is printed again", || {
        server.printed().matches("`sesion` is not defined").count() == 2
    });
}

#[test]
fn reports_an_address_in_use_before_loading_the_site() {
    let site = TestSite::with(&[("pages/index.html", "page")]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut sluice = std::process::Command::new(env!("CARGO_BIN_EXE_sluice"));
    let refused = sluice.arg("dev").arg(site.path()).args(["--listen", &address]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains(&format!("{address} is in use")) && told.contains("--listen"), "{told}");
    assert!(!told.contains("preparing") && !site.path().join("data").exists(), "nothing was loaded: {told}");
}

#[test]
fn serve_exposes_no_development_features() {
    let site = TestSite::with(&[
        ("pages/index.html", "<script scope=\"backend\">let secret = 1; secret.a.b;</script><p>page</p>"),
        ("pages/broken.html", "<script scope=\"backend\">let let</script><p>{{ var.x | uper }}</p>"),
    ]);
    let server = Server::start(site.path());
    for path in ["/", "/broken", "/nothing"] {
        let answer = server.get("localhost", path);
        for word in ["sluice", "data-mistakes", "secret", "TypeError", "uper", "let let"] {
            assert!(!answer.body.contains(word), "{path}: {}", answer.body);
        }
    }
    for path in [
        "/.sluice/client.js",
        "/.sluice/events?generation=0",
        "/.sluice/runs/1",
        "/.sluice/sources/pages/index.html",
    ] {
        assert_eq!(server.get("localhost", path).status, 404, "{path}");
    }
}

#[test]
fn changes_only_pages_that_a_browser_shows() {
    let policy = "default-src 'none'; script-src 'nonce-a'";
    let site = TestSite::with(&[
        ("brand.toml", &format!("default = true\n[headers]\ncontent-security-policy = \"{policy}\"\n")),
        ("pages/index.html", "<!doctype html>\n<html lang=\"en\"><p>page"),
        ("pages/json.html", "<script scope=\"backend\">response.json({ a: 1 })</script>"),
        ("pages/part.html", "<script scope=\"backend\">response.send('<p>part')</script>"),
        ("public/a.html", "<p>public"),
    ]);
    let server = start(&site);
    let page = server.get("localhost", "/");
    assert!(page.body.starts_with("<!doctype html><script async src=\"/.sluice/client.js"), "{}", page.body);
    let allowed = page.header("content-security-policy").unwrap();
    let nonce = page.body.split_once("nonce=\"").unwrap().1.split_once('"').unwrap().0;
    assert_eq!(
        allowed,
        format!("default-src 'none'; script-src 'nonce-a' 'nonce-{nonce}'; connect-src 'self'")
    );
    assert!(
        server.get("localhost", "/part").body.contains("/.sluice/"),
        "HTML that a script sends is a page, too"
    );
    assert!(
        server.get("localhost", "/nothing").body.contains("/.sluice/"),
        "the page for unknown addresses is a page, too"
    );
    let fetched = Request::get("/part").header("sec-fetch-dest", "empty").send(server.address);
    assert_eq!(fetched.body, "<p>part");
    assert_eq!(fetched.header("content-security-policy").unwrap(), policy);
    assert_eq!(server.get("localhost", "/json").body, "{\"a\":1}");
    assert_eq!(server.get("localhost", "/a.html").body, "<p>public");
    let client = server.get("localhost", "/.sluice/client.js");
    assert_eq!(client.header("content-type").unwrap(), "text/javascript; charset=utf-8");
}

#[test]
fn waits_until_the_site_can_be_served() {
    let site = TestSite::with(&[("pages/index.html", "fine"), ("crm.toml", "[[entity]]\nslg = 1\n")]);
    // The harness waits until the server prints its addresses. Meanwhile, the mistake is fixed.
    let crm = site.brand_dir("demo").join("crm.toml");
    let fixing = std::thread::spawn(move || {
        // The site is served whether this happens before or after the first attempt to load it.
        std::thread::sleep(std::time::Duration::from_secs(2));
        fs::write(crm, "").unwrap();
    });
    let server = start(&site);
    fixing.join().unwrap();
    waits_for(&server, "/", "fine");

    let folder = tempfile::tempdir().unwrap();
    let refused =
        std::process::Command::new(env!("CARGO_BIN_EXE_sluice")).arg("dev").arg(folder.path()).output();
    let refused = refused.unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("this is not a site") && told.contains("sluice new"), "{told}");
}

#[test]
fn server_stops_although_browsers_are_connected() {
    let site = TestSite::with(&[("pages/index.html", "page")]);
    let mut server = start(&site);
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(stream, "GET /.sluice/events?generation=0 HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    // The browser's page is of another generation, so it is told to reload at once.
    assert!(lines.into_iter().any(|line| line == "event: reload"));
    assert!(server.terminate().success());
}

#[test]
fn quiet_prints_mistakes_only() {
    let site = TestSite::with(&[
        ("pages/index.html", "fine"),
        ("pages/bad.html", "<script scope=\"backend\">null.x</script>"),
    ]);
    let server = ServerOptions::dev(site.path()).arg("--quiet").start();
    server.get("localhost", "/");
    server.get("localhost", "/bad");
    let printed = server.wait_printed("pages/bad.html:1:");
    assert!(!printed.contains("GET / ") && !printed.contains("2 pages"), "{printed}");
}
