//! What an operator sees of a brand whose files are wrong: everything that is still served, and what is wrong.

use serde_json::{Value, json};

use super::{logged_in, visited};

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
        assert_eq!(browser.eval("document.querySelectorAll('main pre').length - document.querySelectorAll('.chart pre, .run pre').length"), json!(0), "{path}");
        browser.wait_for(&format!("({FAULT}).includes('demo is outdated')"), &json!(true));
    }
    // The page's view has all but the forms.
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    browser.wait_for("document.querySelectorAll('.chart .uplot canvas').length", &json!(3));
    browser.wait_for("document.querySelectorAll('.failures tbody tr').length", &json!(1));
    let limits = browser.eval("document.querySelector('section[aria-labelledby=limits]').innerText");
    let limits = limits.as_str().unwrap();
    assert!(limits.contains("Limits cannot be set") && limits.contains("1 G"), "{limits}");
    assert_eq!(browser.eval("document.querySelectorAll('form.set').length"), json!(0));

    site.write("brands/demo/brand.toml", "default = true\n");
    server.reload();
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    browser.wait_for("document.querySelectorAll('form.set').length > 3", &json!(true));
    assert_eq!(browser.eval(FAULT), json!(""));
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
