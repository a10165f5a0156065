//! How an operator narrows down what is shown, and gets from one view to another.

use serde_json::{Value, json};
use sluice_kit::clock::{iso_utc, now_ms};

use super::{log_in, logged_in, visited};
use crate::browser::Browser;
use crate::harness::ADMIN_TOKEN;

const MINUTE_MS: i64 = 60 * 1_000;

#[test]
fn own_range_counts_whole_quarters_of_an_hour_and_says_so() {
    let (_site, server, _data) = visited();
    let written = |at: i64| iso_utc(at)[..16].to_owned();
    let now = now_ms();
    let query = format!("from={}&to={}", written(now - MINUTE_MS), written(now + MINUTE_MS));
    let view: Value = serde_json::from_str(&server.admin(&format!("/api/overview?{query}")).body).unwrap();
    let all: Value = serde_json::from_str(&server.admin("/api/overview").body).unwrap();
    assert_eq!((&view["runs"], &view["outcomes"]), (&all["runs"], &all["outcomes"]));
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/?{query}"));
    let is_rounded = now % (15 * MINUTE_MS) / MINUTE_MS != 1;
    if is_rounded {
        browser.wait_for(
            "document.querySelector('.rounded')?.innerText.includes('in quarters of an hour')",
            &json!(true),
        );
    }
    // A range that cannot be.
    for wrong in ["from=2026-01-02T00:00&to=2026-01-01T00:00", "to=2026-01-01T00:00", "from=yesterday"] {
        assert_eq!(server.admin(&format!("/api/overview?{wrong}")).status, 400, "{wrong}");
    }
}

#[test]
fn filters_that_match_nothing_are_rejected() {
    let (_site, server, _data) = visited();
    for (query, reason) in [
        ("status=abc", "is not a status"),
        ("status=5000", "is not a status"),
        ("outcome=eror", "did you mean \"error\"?"),
        ("outcome=ok&failed=true", "no failed run has the outcome ok"),
    ] {
        let answer = server.admin(&format!("/api/brands/demo/runs?{query}"));
        assert_eq!(answer.status, 400, "{query}");
        let error: Value = serde_json::from_str(&answer.body).unwrap();
        assert!(error["error"].as_str().unwrap().contains(reason), "{query}: {error}");
    }
    // The console keeps the form.
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo/runs?status=abc"));
    browser.wait_for(
        "document.querySelector('[role=alert]').innerText.includes('is not a status')",
        &json!(true),
    );
    assert_eq!(browser.eval("document.querySelector('[name=status]').value"), json!("abc"));
}

#[test]
fn runs_are_of_a_time_and_keep_it() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    let rows = "document.querySelectorAll('.runs li').length";
    browser.go(&format!("{console}/brands/demo/runs?from=2026-01-01T00:00&to=2026-01-01T01:00"));
    browser.wait_for(rows, &json!(0));
    browser.click(".range .choices a");
    browser.wait_for(rows, &json!(25));
    browser.click(".range [value='1']");
    browser.wait_for("new URLSearchParams(location.search).get('hours')", &json!("1"));
    browser.fill("[name=text]", "sum is");
    browser.click(".filter button");
    browser.wait_for("location.search", &json!("?hours=1&page=&outcome=&status=&text=sum+is"));
    browser.click(".runs li a");
    browser.wait_for(
        "[location.pathname.startsWith('/brands/demo/runs/'), location.search]",
        &json!([true, "?hours=1"]),
    );
    let links = "[...document.querySelectorAll('nav a')].every((one) => one.search === '?hours=1')";
    assert_eq!(browser.eval(links), json!(true));
}

#[test]
fn second_click_on_a_heading_reverses_the_order() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo"));
    let paths = "[...document.querySelectorAll('tbody th a:first-child')].map(one => one.textContent)";
    let sorted = "[...document.querySelectorAll('[aria-sort]')].map(one => [one.textContent, one.ariaSort])";
    assert_eq!(browser.eval(sorted), json!([["total fuel", "descending"]]));
    browser.click("thead th:nth-child(7) a");
    browser.wait_for(sorted, &json!([["runs", "descending"]]));
    let most: Vec<String> = serde_json::from_value(browser.eval(paths)).unwrap();
    assert_eq!(most[0], "/heavy");
    browser.click("thead th:nth-child(7) a");
    browser.wait_for(sorted, &json!([["runs", "ascending"]]));
    let least: Vec<String> = serde_json::from_value(browser.eval(paths)).unwrap();
    assert_eq!(least.last(), most.first());
}

#[test]
fn login_leads_to_the_page_that_was_asked_for() {
    let (_site, server, _data) = visited();
    let console = format!("http://localhost:{}", server.admin_address.port());
    let browser = Browser::open();
    let asked = "/brands/demo/page?path=/blog/%7Bslug%7D&hours=1";
    browser.go(&format!("{console}{asked}"));
    browser.wait_for("location.pathname", &json!("/login"));
    browser.fill("#token", "wrong");
    browser.click("button");
    browser.wait_for("document.querySelector('#wrong') !== null", &json!(true));
    browser.fill("#token", ADMIN_TOKEN);
    browser.click("button");
    browser.wait_for("location.pathname + location.search", &json!(asked));
    // Another host is none of them.
    browser.click("header .logout button");
    browser.wait_for("location.pathname", &json!("/login"));
    browser.go(&format!("{console}/login?next=//evil.example/"));
    assert_eq!(browser.eval("document.querySelector('[name=next]')"), Value::Null);
    log_in(&browser, &console);
}

/// Fingers need room: every control that is not part of a sentence is at least 24 pixels high.
#[test]
fn targets_are_large_enough_on_a_phone() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    browser.resize(390, 844);
    let small = "[...document.querySelectorAll('button, input:not([type=hidden]), select, summary, thead a, nav a, .stacked th a, .jump a, .runs li > a, label.check')]\
        .filter(one => one.checkVisibility() && one.getBoundingClientRect().right > 0)\
        .filter(one => { const { width, height } = (one.closest('label.check') ?? one).getBoundingClientRect(); return width < 24 || height < 24; })\
        .map(one => `${one.outerHTML.slice(0, 120)} ${Math.round(one.getBoundingClientRect().height)}`)";
    for path in [
        "/",
        "/brands/demo",
        "/brands/demo/page?path=/heavy",
        "/brands/demo/runs",
        "/brands/demo/runs/1",
        "/brands/demo/crm",
        "/brands/demo/crm/deals",
        "/brands/demo/jobs",
    ] {
        browser.go(&format!("{console}{path}"));
        browser.wait_for("document.readyState", &json!("complete"));
        assert_eq!(browser.eval(small), json!([]), "{path}");
    }
    // Fewer than ten forms of limits are unfolded.
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    let forms = browser
        .eval("[...document.querySelectorAll('form.set')].filter(one => one.checkVisibility()).length");
    assert!((1..10).contains(&forms.as_u64().unwrap()), "{forms}");
}
