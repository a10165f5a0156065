//! Changing a site while it is served.

use std::fs;

use crate::harness::{Request, Server, ServerOptions, TestSite};

fn site() -> TestSite {
    let site = TestSite::new();
    for brand in ["one", "two"] {
        site.write(&format!("brands/{brand}/brand.toml"), &format!("domains = [\"{brand}.test\"]\n"));
        site.write(&format!("brands/{brand}/pages/index.html"), "first");
    }
    site
}

fn index(site: &TestSite, brand: &str, text: &str) {
    site.write(&format!("brands/{brand}/pages/index.html"), text);
}

fn read(server: &Server, brand: &str) -> String {
    server.get(&format!("{brand}.test"), "/").body
}

#[test]
fn page_that_stops_compiling_keeps_its_last_good_version() {
    let site = site();
    site.write("brands/one/modules/text.js", "export const text = 'module 1';");
    site.write("brands/one/components/box.html", "[{{ text }}]");
    let server = Server::start(site.path());
    index(
        &site,
        "one",
        "<script scope=\"backend\">import { text } from 'text'; setVariable('text', text);</script>@component(\"box\", {text: var.text})",
    );
    assert_eq!(read(&server, "one"), "first", "nothing changes before the reload");
    server.reload();
    assert_eq!(read(&server, "one"), "[module 1]");

    // A module, a component, the template and the script get a mistake, one after the other.
    for (file, broken, good, after) in [
        ("modules/text.js", "export const text = ;", "export const text = 'module 2';", "[module 2]"),
        ("components/box.html", "[{{ text | uper }}]", "({{ text }})", "(module 2)"),
        (
            "pages/index.html",
            "@if(1) <script scope=\"backend\">setVariable('a', 1)</script>",
            "<script scope=\"backend\">setVariable('a', 2)</script>{{ var.a }}",
            "2",
        ),
        ("pages/index.html", "<script scope=\"backend\">let let = 1</script>gone", "back", "back"),
        ("pages/index.html", "\0", "again", "again"),
    ] {
        let before = read(&server, "one");
        site.write(&format!("brands/one/{file}"), broken);
        server.reload();
        assert_eq!(read(&server, "one"), before, "{file} is broken: {broken}");
        let told = server.wait_told("its last good version is served");
        let told = told.last().unwrap()["fields"]["message"].as_str().unwrap().to_owned();
        assert!(told.contains("brand one") && told.contains(file), "{told}");
        site.write(&format!("brands/one/{file}"), good);
        server.reload();
        assert_eq!(read(&server, "one"), after, "{file} is fixed");
    }

    // A page that never compiled has no good version. A deleted page is not served.
    site.write("brands/one/pages/new.html", "<script scope=\"backend\">let let</script>shown");
    server.reload();
    let broken = server.get("one.test", "/new");
    assert_eq!(broken.status, 500, "{}", broken.body);
    assert!(!broken.body.contains("shown"), "{}", broken.body);
    fs::remove_file(site.brand_dir("one").join("pages/new.html")).unwrap();
    server.reload();
    assert_eq!(server.get("one.test", "/new").status, 404);
}

#[test]
fn brand_with_invalid_settings_keeps_its_version_and_others_reload() {
    let site = site();
    let server = Server::start(site.path());
    for (brand_toml, told) in [
        ("domains = [\"one.test\"]\nvariabels = {}\n", "did you mean \"variables\"?"),
        (
            "domains = [\"one.test\"]\n[[access]]\npath = \"members\"\nrequire = \"customer\"\n",
            "does not start with /",
        ),
        ("domains = [\"one.test\", \"two.test\"]\n", "brands one and two both list the domain two.test"),
        ("domains = [", "brand.toml"),
    ] {
        site.write("brands/one/brand.toml", brand_toml);
        index(&site, "one", "not yet");
        index(&site, "two", told);
        server.reload();
        assert_eq!(read(&server, "one"), "first", "{brand_toml}");
        assert_eq!(read(&server, "two"), told, "{brand_toml}");
        server.wait_told(told);
    }
    site.write("brands/one/brand.toml", "domains = [\"one.test\"]\n");
    site.write("brands/one/crm.toml", "[[entity]]\nslg = 1\n");
    server.reload();
    assert_eq!(read(&server, "one"), "first");
    site.write("brands/one/crm.toml", "[[entity]]\nslug = \"lead\"\nname = \"Lead\"\nmode = \"data\"\n");
    server.reload();
    assert_eq!(read(&server, "one"), "not yet");

    // Brands are added, get other Hosts, and are removed.
    site.write("brands/three/brand.toml", "domains = [\"three.test\"]\n");
    site.write("brands/three/pages/index.html", "third");
    site.write("brands/two/brand.toml", "domains = [\"zwei.test\"]\n");
    server.reload();
    assert_eq!(read(&server, "three"), "third");
    assert_eq!(server.get("two.test", "/").status, 421);
    assert_eq!(server.get("zwei.test", "/").status, 200);
    fs::remove_dir_all(site.brand_dir("three")).unwrap();
    server.reload();
    assert_eq!(server.get("three.test", "/").status, 421);
}

#[test]
fn log_says_why_an_operators_reload_failed() {
    let site = site();
    let server = Server::start(site.path());
    let reload = || Request::new("POST", "/api/reload").operator().send(server.admin_address);
    site.write("brands/one/brand.toml", "domains = [\"one.test\"]\nvariabels = {}\n");
    assert_eq!(reload().status, 200);
    server.wait_told("did you mean \"variables\"?");
    site.write("sluice.toml", "[limits]\nfuell = 1\n");
    reload();
    server.wait_told("did you mean \"fuel\"?");
}

#[test]
fn limits_change_without_a_restart() {
    let site = site();
    index(
        &site,
        "one",
        "<script scope=\"backend\">for (let i = 0; i < 3e5; i++); setVariable('done', 1)</script>{{ var.done }}",
    );
    let server = Server::start(site.path());
    assert_eq!(read(&server, "one"), "1");
    site.write(
        "sluice.toml",
        "[server]\nworkers = 1\n[limits]\nfuel = 1_000_000\n[limits.max]\nconcurrent_runs = 3\n",
    );
    server.reload();
    assert_eq!(server.get("one.test", "/").status, 500, "the run reached its new limit");
    for told in ["[server] changed, which needs a restart", "limits.max.concurrent_runs changed"] {
        assert_eq!(server.wait_told(told).len(), 1, "{told}");
    }
    site.write("sluice.toml", "[limits]\nfuell = 1\n");
    index(&site, "two", "second");
    server.reload();
    assert_eq!(read(&server, "two"), "first", "an invalid file changes nothing");
    server.wait_told("did you mean \"fuel\"?");
    site.write("sluice.toml", "");
    server.reload();
    assert_eq!((read(&server, "one").as_str(), read(&server, "two").as_str()), ("1", "second"));
}

#[test]
fn request_finishes_with_the_version_it_started_with() {
    let site = site();
    site.write("sluice.toml", "[limits]\nfuel = 1_000_000_000_000\n");
    let server = Server::start(site.path());
    // Long enough for a reload during the request.
    index(
        &site,
        "one",
        "<script scope=\"backend\">const began = Date.now(); let rounds = 0;\
         while (Date.now() - began < 3000) rounds++; setVariable('v', 'old script');</script>{{ var.v }}, old template",
    );
    server.reload();
    let running = || server.metric("sluice_sandbox_running", &[]);
    std::thread::scope(|scope| {
        let visitor = scope.spawn(|| read(&server, "one"));
        server.wait_until("the script runs", || running() >= 1.0);
        index(&site, "one", "new template");
        server.reload();
        assert_eq!(read(&server, "one"), "new template");
        assert_eq!(visitor.join().unwrap(), "old script, old template");
    });
}

#[test]
fn reloads_keep_no_earlier_version_of_a_page_in_memory() {
    const RELOADS: usize = 200;
    let site = site();
    let server = ServerOptions::of(site.path()).start();
    let change = |n: usize| {
        let page = format!("<script scope=\"backend\">setVariable('n', {n})</script>{{{{ var.n }}}}");
        index(&site, "one", &page);
        let reloaded = Request::new("POST", "/api/reload").operator().send(server.admin_address);
        assert_eq!(reloaded.status, 200, "{}", reloaded.body);
        assert_eq!(read(&server, "one"), n.to_string());
    };
    read(&server, "two");
    (0..20).for_each(change);
    let (mappings, resident) = (server.mappings(), server.resident_bytes());
    (20..20 + RELOADS).for_each(change);
    assert_eq!(server.metric("sluice_pages_loaded", &[]), 2.0);
    // Machine code takes mappings: each version that is kept has at least two.
    let more = server.mappings().saturating_sub(mappings);
    assert!(more < RELOADS / 2, "{more} mappings more");
    // Each version that is kept takes 110 KB.
    let grown = server.resident_bytes().saturating_sub(resident);
    assert!(grown < (RELOADS as u64) * 50_000, "{grown} bytes more");
}

#[test]
fn change_of_a_brand_is_visible_while_another_brand_compiles() {
    let site = site();
    let server = Server::start(site.path());
    // Three hundred pages, each of which is compiled together with half a megabyte.
    site.write("brands/one/modules/large.js", &format!("export const n = 1;\n{}", "f();\n".repeat(100_000)));
    let importing = "<script scope=\"backend\">import { n } from 'large'; setVariable('n', n)</script>";
    for page in 0..300 {
        site.write(&format!("brands/one/pages/p{page}.html"), importing);
    }
    let still_reloads = || server.told("was reloaded").is_empty();
    index(&site, "two", "second");
    server.ask_to_reload();
    server.wait_until("brand two changes", || read(&server, "two") == "second");
    assert!(still_reloads(), "brand one is not ready");
    // The next reload does not wait for the first one either.
    index(&site, "two", "third");
    server.ask_to_reload();
    server.wait_until("brand two changes again", || read(&server, "two") == "third");
    assert!(still_reloads(), "brand one is not ready");
    assert_eq!(read(&server, "one"), "first");
}

#[test]
fn concurrent_reloads_serve_the_newest_version_of_each_brand() {
    let site = site();
    let server = Server::start(site.path());
    for round in 0..20 {
        index(&site, "one", &format!("one {round}"));
        index(&site, "two", &format!("two {round}"));
        server.ask_to_reload();
    }
    fs::remove_dir_all(site.brand_dir("two")).unwrap();
    index(&site, "one", "last");
    server.ask_to_reload();
    server.wait_until("the last version is served", || {
        read(&server, "one") == "last" && server.get("two.test", "/").status == 421
    });
    server.reload();
    assert_eq!((read(&server, "one").as_str(), server.get("two.test", "/").status), ("last", 421));
}
