//! What the console says in words where a newcomer would otherwise guess: what a visitor saw, where a line failed, what
//! a term means.

use serde_json::json;

use super::{logged_in, visited};

#[test]
fn failed_run_says_what_its_visitor_saw_and_marks_the_place() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    for (width, height) in [(1280, 900), (390, 844)] {
        browser.resize(width, height);
        browser.go(&console);
        // Of how many runs, what the visitor saw, and since when, at each width.
        let row = browser.eval(
            "[...document.querySelectorAll('.failures tbody tr')].find((one) => one.innerText.includes('thing')).innerText",
        );
        let row = row.as_str().unwrap().replace('\n', " ");
        assert!(row.contains("1 of 111") && row.contains("answered with the page"), "{width}: {row}");
        assert_eq!(row.matches(" ago").count(), 2, "first and last at {width}: {row}");
        browser.click(".failures a.message[title*='thing']");
        browser.wait_for("document.querySelector('.facts .saw dd') !== null", &json!(true));
        let saw = browser.eval("document.querySelector('.facts .saw dd').innerText");
        assert!(saw.as_str().unwrap().starts_with("The visitor got status 200 and the page"), "{saw}");
        let mark = "document.querySelector('.source .meant mark')";
        assert_eq!(browser.eval(&format!("{mark}.textContent")), json!("TypeError"), "{width}");
        let right = browser.eval(&format!("{mark}.getBoundingClientRect().right"));
        assert!(right.as_f64().unwrap() <= f64::from(width), "{right} is visible at {width}");
    }
    // A page that cannot be loaded is an error page.
    browser.go(&format!("{console}/brands/demo/runs?failed=true"));
    let rows = browser.eval("document.querySelector('ul.runs').innerText");
    let rows = rows.as_str().unwrap();
    assert!(rows.contains("answered with the page"), "{rows}");
}

#[test]
fn terms_are_explained_by_keyboard_and_without_scripts() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    browser.go(&console);
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": false }));
    let shown = "document.querySelector('#term-fuel').checkVisibility()";
    assert_eq!(browser.eval(shown), json!(false));
    browser.click("#heaviest .term");
    assert_eq!(browser.eval(shown), json!(true));
    let text = browser.eval("document.querySelector('#term-fuel').innerText");
    assert!(text.as_str().unwrap().contains("the work of the processor"), "{text}");
    browser.click("#term-fuel button");
    assert_eq!(browser.eval(shown), json!(false));
    // Every question has an answer on its page.
    for path in ["/", "/brands/demo", "/brands/demo/page?path=/heavy", "/brands/demo/jobs"] {
        browser.go(&format!("{console}{path}"));
        let open = "[...document.querySelectorAll('.term')].filter((one) => !document.getElementById(one.getAttribute('popovertarget'))).length";
        assert_eq!(browser.eval(open), json!(0), "{path}");
        assert_ne!(browser.eval("document.querySelectorAll('.term').length"), json!(0), "{path}");
    }
}

#[test]
fn charts_of_a_young_process_begin_with_their_values() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/?hours=24"));
    browser.wait_for("document.querySelectorAll('.chart .uplot canvas').length", &json!(5));
    let data = browser.eval(
        "(() => { const chart = JSON.parse(document.querySelector('#outcomes ~ .narrow .charts figure').dataset.chart);
           return (chart.to_ms - chart.from_ms) / 3_600_000; })()",
    );
    assert!(data.as_f64().unwrap() <= 1.0, "{data} hours");
    let said = browser.eval("document.querySelector('#outcomes ~ .narrow .charts figcaption').innerText");
    assert!(said.as_str().unwrap().contains("no values before"), "{said}");
    // The legend names the interval of the values that it shows.
    let legend = browser.eval("document.querySelector('#outcomes ~ .narrow .charts .u-legend').innerText");
    let legend = legend.as_str().unwrap();
    assert!(
        legend.contains("interval") && legend.contains(" to ") && legend.contains("not over yet"),
        "{legend}"
    );
}
