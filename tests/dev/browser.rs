//! `sluice dev` in Chromium.

use serde_json::json;

use super::start;
use crate::browser::Browser;
use crate::harness::{Server, TestSite};

const OVERLAY: &str = "document.querySelector('sluice-overlay')?.shadowRoot.textContent";

fn open(server: &Server, path: &str) -> Browser {
    let browser = Browser::open();
    browser.go(&format!("http://localhost:{}{path}", server.address.port()));
    browser
}

fn shows(browser: &Browser, text: &str) {
    browser.wait_for(&format!("({OVERLAY} ?? '').includes({})", json!(text)), &json!(true));
}

fn shows_nothing(browser: &Browser) {
    browser.wait_for("document.querySelector('sluice-overlay') === null", &json!(true));
}

fn body(browser: &Browser, text: &str) {
    browser.wait_for("document.body.innerText.trim()", &json!(text));
}

#[test]
fn pages_reload_and_show_their_mistakes() {
    let site = TestSite::with(&[("pages/index.html", "<!doctype html><p>first")]);
    let server = start(&site);
    let browser = open(&server, "/");
    body(&browser, "first");
    let index = |text: &str| site.write("brands/demo/pages/index.html", text);
    index("<!doctype html><p>second");
    body(&browser, "second");
    browser.wait_for("document.scripts.length", &json!(0));
    browser.wait_for("document.compatMode", &json!("CSS1Compat"));

    // An element that is not closed does not prevent the next reload.
    index("<!doctype html><textarea><p>third");
    browser.wait_for("document.querySelector('textarea')?.value", &json!("<p>third"));

    // A syntax error is shown over the last good version.
    index("<script scope=\"backend\">\n  const <b>x</b> = 1;\n</script>");
    shows(&browser, "pages/index.html:2:");
    shows(&browser, "   2 |   const <b>x</b> = 1;");
    shows(&browser, "The last version without this mistake is served.");
    browser.wait_for("document.querySelector('textarea')?.value", &json!("<p>third"));
    index("<!doctype html><p>fourth");
    body(&browser, "fourth");
    shows_nothing(&browser);

    // A template error, then a run that throws.
    index("<p>{{ var.name | uper }}");
    shows(&browser, "TemplateError");
    shows(&browser, "upper");
    index(
        "<script scope=\"backend\">\nfunction f() { throw new TypeError('no & <i>') }\nf();</script><p>fifth",
    );
    shows(&browser, "TypeError: no & <i>");
    shows(&browser, "pages/index.html:2:");
    body(&browser, "fifth");
    // The overlay is a modal dialog, and visible.
    browser.wait_for(
        "(() => { const d = document.querySelector('sluice-overlay').shadowRoot.querySelector('dialog'); \
         return d.matches(':modal') && d.getBoundingClientRect().height > 100 })()",
        &json!(true),
    );
    browser.press("\u{e00c}");
    shows_nothing(&browser);
    body(&browser, "fifth");

    // A mistake in settings appears, and disappears when it is fixed.
    site.write("brands/demo/brand.toml", "default = 1\n");
    shows(&browser, "brand.toml");
    site.write("brands/demo/brand.toml", "default = true\n");
    shows(&browser, "TypeError: no & <i>");
    browser.wait_for(&format!("{OVERLAY}.includes('brand.toml')"), &json!(false));
    index("<p>sixth");
    body(&browser, "sixth");
    shows_nothing(&browser);
}

#[test]
fn works_under_a_strict_policy_and_keeps_it() {
    let policy = "default-src 'none'; style-src 'none'; base-uri 'none'; require-trusted-types-for 'script'";
    let site = TestSite::with(&[
        ("brand.toml", &format!("default = true\n[headers]\ncontent-security-policy = \"{policy}\"\n")),
        (
            "pages/index.html",
            "<script scope=\"backend\">nope()</script><!doctype html><p>first<script>document.title = 'ran'</script>",
        ),
    ]);
    let server = start(&site);
    let browser = open(&server, "/");
    shows(&browser, "nope is not defined");
    // The overlay's styles are applied.
    browser.wait_for(
        "getComputedStyle(document.querySelector('sluice-overlay').shadowRoot.querySelector('h1')).fontSize",
        &json!("16px"),
    );
    browser.wait_for("document.title", &json!(""));
    site.write("brands/demo/pages/index.html", "<!doctype html><p>second");
    body(&browser, "second");
    shows_nothing(&browser);
}

#[test]
fn page_shows_failures_of_its_own_requests() {
    let site = TestSite::with(&[(
        "pages/index.html",
        "<script scope=\"backend\">if (request.method === 'POST') request.body.deep.er;</script>\
         <p>page<button onclick=\"fetch('/', {method: 'POST', headers: {'content-type': 'application/json'}, \
         body: '{}'}).then((r) => r.text()).then((t) => window.got = t)\">send</button>",
    )]);
    let server = start(&site);
    let browser = open(&server, "/");
    browser.wait_for("document.readyState", &json!("complete"));
    shows_nothing(&browser);
    browser.click("button");
    shows(&browser, "'er' of undefined");
    browser.wait_for("window.got?.includes('/.sluice/')", &json!(false));
}

#[test]
fn page_offers_what_the_check_found_about_it() {
    let site = TestSite::with(&[
        ("pages/index.html", "<!doctype html><p>{{ var.nmae }}"),
        ("pages/fine.html", "<!doctype html><p>fine"),
    ]);
    let server = start(&site);
    let browser = open(&server, "/");
    let button = "document.querySelector('sluice-findings')?.shadowRoot.querySelector('button')";
    browser.wait_for(&format!("{button}?.textContent"), &json!("1 finding of sluice check"));
    // A finding does not cover the page until somebody asks for it.
    shows_nothing(&browser);
    browser.wait_for(&format!("({button}.click(), true)"), &json!(true));
    shows(&browser, "pages/index.html:1:");
    shows(&browser, "warning: nothing sets the template variable `nmae`");

    browser.go(&format!("http://localhost:{}/fine", server.address.port()));
    body(&browser, "fine");
    browser.wait_for(button, &json!(null));
    site.write("brands/demo/pages/fine.html", "<!doctype html><p>{{ vra.name }}");
    browser.wait_for(&format!("{button}?.textContent"), &json!("1 finding of sluice check"));
    site.write("brands/demo/pages/fine.html", "<!doctype html><p>again");
    body(&browser, "again");
    browser.wait_for(button, &json!(null));
}
