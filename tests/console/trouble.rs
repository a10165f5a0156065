//! What an operator sees of a brand whose files are wrong: everything that is still served, and what is wrong.

use serde_json::{Value, json};

use super::{logged_in, visited};
use crate::harness::Request;

const FAULT: &str = "document.querySelector('.fault')?.innerText ?? ''";

#[test]
fn brand_with_an_invalid_file_stays_readable() {
    let (site, server, _data) = visited();
    site.write("brands/demo/brand.toml", "default = true\nsession = \"demo\n");
    server.reload();
    assert_eq!(server.admin("/api/brands/demo/limits?path=/heavy").status, 409);
    let (browser, console) = logged_in(&server);
    // The overview names the brand and leads to it, and the mark stands below the mistake.
    let fault = browser.eval(FAULT);
    let fault = fault.as_str().unwrap();
    for part in [
        "demo is outdated",
        "visitors get the last good version",
        "brand.toml: TOML parse error at line 2",
        "Since 2",
    ] {
        assert!(fault.contains(part), "{part} is not in {fault}");
    }
    let marks = "getComputedStyle(document.querySelector('.fault pre')).whiteSpace";
    assert_eq!(browser.eval(marks), json!("pre"));
    browser.click(".fault a");
    browser.wait_for("location.pathname", &json!("/brands/demo"));
    for path in ["", "/page?path=/heavy", "/runs", "/crm", "/jobs"] {
        browser.go(&format!("{console}/brands/demo{path}"));
        // One line, which leads to the overview.
        assert_eq!(browser.eval("document.querySelectorAll('main pre').length - document.querySelectorAll('.chart pre, .run pre, .locked pre').length"), json!(0), "{path}");
        browser.wait_for(&format!("({FAULT}).includes('demo is outdated')"), &json!(true));
    }
    // The page's view has all but the forms.
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    browser.wait_for("document.querySelectorAll('.chart .uplot canvas').length", &json!(3));
    browser.wait_for("document.querySelectorAll('.failures tbody tr').length", &json!(1));
    let limits = browser.eval("document.querySelector('section[aria-labelledby=limits]').innerText");
    let limits = limits.as_str().unwrap();
    for part in
        ["No limit can be changed now", "brands/demo/brand.toml is invalid", "2 | session = \"demo", "1 G"]
    {
        assert!(limits.contains(part), "{part} is not in {limits}");
    }
    assert_eq!(browser.eval("document.querySelectorAll('form.set').length"), json!(0));
    // The mistake keeps its lines where the reload and what was refused are listed.
    let value = json!({ "page": "/heavy", "limit": "fuel", "value": 5_000_000 }).to_string();
    let change = Request::new("PUT", "/api/brands/demo/limits").header("content-type", "application/json");
    let change = change.body(value.as_bytes());
    assert_eq!(change.operator().send(server.admin_address).status, 409);
    for width in [1280, 390] {
        browser.resize(width, 844);
        browser.go(&format!("{console}/changes"));
        for place in [".loads pre.what", ".changes pre.said"] {
            let lines = browser.eval(&format!("document.querySelector('{place}').innerText"));
            assert!(lines.as_str().unwrap().contains("2 | session = \"demo\n"), "{place}: {lines}");
        }
        let over = browser.eval("document.documentElement.scrollWidth - window.innerWidth");
        assert!(over.as_i64().unwrap() <= 0, "{over} at {width}");
    }

    site.write("brands/demo/brand.toml", "default = true\n");
    server.reload();
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    browser.wait_for("document.querySelectorAll('form.set').length > 3", &json!(true));
    assert_eq!(browser.eval(FAULT), json!(""));
}

#[test]
fn limit_that_cannot_be_set_says_what_to_mend() {
    let (site, server, _data) = visited();
    site.write(
        "brands/demo/pages/heavy.html",
        "<script scope=\"backend\">const all = 'x'.repeat(7_200_000);</script>heavy",
    );
    server.reload();
    server.get("localhost", "/heavy");
    let close = || -> Value {
        let view: Value = serde_json::from_str(&server.admin("/api/overview").body).unwrap();
        view["close"][0].clone()
    };
    server.wait_until("the visit is counted", || close()["path"] == "/heavy");
    assert_eq!(close()["is_locked"], false);
    site.write("brands/demo/brand.toml", "default = true\nsession = \"demo\n");
    server.reload();
    assert_eq!(close()["is_locked"], true);
    let (browser, console) = logged_in(&server);
    for width in [1280, 390] {
        browser.resize(width, 844);
        browser.go(&console);
        let link = browser.eval("document.querySelector('a.raise').textContent");
        assert_eq!(link, json!("Cannot be set now: brand.toml is invalid"));
        browser.click("a.raise");
        browser.wait_for("document.activeElement?.id", &json!("set-heap_bytes_max"));
        browser.click("#set-heap_bytes_max a");
        browser.wait_for("location.hash", &json!("#locked"));
        let said = browser.eval("document.querySelector('#locked').innerText");
        assert!(said.as_str().unwrap().contains("Mend it there, then reload the site"), "{said}");
    }
}

#[test]
fn broken_page_says_why_since_when_and_what_is_served() {
    let (site, server, _data) = visited();
    site.write("brands/demo/pages/deal.html", "<script scope=\"backend\">\nconst a = [1, 2;\n</script>deal");
    server.reload();
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo/page?path=/deal"));
    let said = browser.eval("document.querySelector('section.broken').innerText");
    let said = said.as_str().unwrap();
    for part in ["visitors get the last good version", "pages/deal.html:2:", "const a = [1, 2;", "Since 2"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert_eq!(
        browser.eval("document.querySelector('.broken .meant').textContent.includes('const a')"),
        json!(true)
    );
    // The brand's other pages say it, too.
    for path in ["", "/runs", "/jobs", "/crm"] {
        browser.go(&format!("{console}/brands/demo{path}"));
        browser.wait_for(
            "[...document.querySelectorAll('p.problem a')].some((one) => one.textContent === '/deal')",
            &json!(true),
        );
    }
    let broken: Value = serde_json::from_str(&server.admin("/api/overview").body).unwrap();
    let broken = broken["broken"].as_array().unwrap();
    let deal = broken.iter().find(|page| page["path"] == "/deal").unwrap();
    assert!(deal["since_ms"].is_i64() && deal["is_kept"] == true, "{deal}");
}

#[test]
fn paths_in_errors_stay_as_they_are() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/nobody"));
    browser.wait_for("document.querySelector('.reason').innerText", &json!("There is no brand nobody"));
    let styled = "getComputedStyle(document.querySelector('.reason'), '::first-letter').textTransform";
    assert_eq!(browser.eval(styled), json!("none"));
    let answer = server.admin("/brands/demo/limits?path=/heavy");
    assert_eq!(answer.header("location").as_deref(), Some("/brands/demo/page?path=/heavy&hours=24#limits"));
}
