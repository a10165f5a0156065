//! Resolving and muting kinds of failures, as an operator does it.

use serde_json::json;

use super::{logged_in, visited};
use crate::browser::Browser;

const ROWS: &str =
    "[...document.querySelectorAll('.failures tbody tr')].map((row) => row.innerText).join('|')";

fn rows(browser: &Browser) -> String {
    browser.eval(ROWS).as_str().unwrap().to_owned()
}

fn click_text(browser: &Browser, selector: &str, text: &str) {
    let click = format!(
        "(() => {{ const found = [...document.querySelectorAll('{selector}')].find((one) => one.textContent.trim() === '{text}');\
         found?.click(); return found !== undefined; }})()"
    );
    assert_eq!(browser.eval(&click), json!(true), "{text}");
}

fn fits(browser: &Browser, width: u32) {
    let over = browser.eval("document.documentElement.scrollWidth - window.innerWidth");
    assert!(over.as_i64().unwrap() <= 0, "{over} at {width}");
}

#[test]
fn operator_resolves_and_mutes_a_kind_of_failure() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    for width in [1280, 390] {
        browser.resize(width, 844);
        browser.go(&console);
        assert!(rows(&browser).contains("no <i>such</i> thing"), "{}", rows(&browser));
        assert_eq!(browser.eval("document.querySelector('.shown')"), json!(null), "nothing is hidden yet");
        // To the kind, and resolve it.
        click_text(&browser, ".failures .message", "TypeError: no <i>such</i> thing");
        browser.wait_for("document.querySelector('#kind')?.textContent", &json!("This kind of failure"));
        fits(&browser, width);
        click_text(&browser, ".marks button", "Resolve");
        browser
            .wait_for("document.querySelector('.done')?.textContent.startsWith('Resolved.')", &json!(true));
        assert!(browser.eval("location.pathname").as_str().unwrap().starts_with("/brands/demo/runs/"));
        let state = browser.eval("document.querySelector('section[aria-labelledby=kind]').innerText");
        assert!(state.as_str().unwrap().contains("resolved by session "), "{state}");
        // It is hidden, and the filter shows it.
        browser.go(&console);
        assert!(!rows(&browser).contains("no <i>such</i> thing"), "{}", rows(&browser));
        click_text(&browser, ".shown a", "resolved (1)");
        browser.wait_for(&format!("{ROWS}.includes('no <i>such</i> thing')"), &json!(true));
        assert!(rows(&browser).contains("resolved"), "{}", rows(&browser));
        fits(&browser, width);
        browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
        assert!(!rows(&browser).contains("no <i>such</i> thing"), "nor on the page about the page");
        // It fails again, and has come back.
        let is_back = || {
            server.get("localhost", "/heavy?fail=1");
            browser.go(&console);
            rows(&browser).contains("came back")
        };
        server.wait_until("the kind has come back", is_back);
        // Muted for a week.
        click_text(&browser, ".failures .message", "TypeError: no <i>such</i> thing");
        browser.wait_for("document.querySelector('#kind')?.textContent", &json!("This kind of failure"));
        browser.eval("(document.querySelector('.marks select').value = '7d', true)");
        click_text(&browser, ".marks button", "Mute");
        browser.wait_for("document.querySelector('.done')?.textContent.startsWith('Muted.')", &json!(true));
        browser.go(&format!("{console}/?show=muted"));
        assert!(rows(&browser).contains("muted until "), "{}", rows(&browser));
        // Wherever failures are counted, it is said how many of them the list leaves out.
        for (page, place, part) in [
            ("/", "dd:has(a[href='#failures'])", "of 1 muted kind"),
            ("/", "table.brands td[data-name=failed]", "muted or resolved"),
            ("/brands/demo", "tbody tr:has(a[href*='heavy']) td[data-name=failed]", "muted or resolved"),
            ("/brands/demo/page?path=/heavy", "dd .hidden-said", "of 1 muted kind"),
        ] {
            browser.go(&format!("{console}{page}"));
            let said = browser.eval(&format!("document.querySelector(\"{place}\").textContent"));
            assert!(said.as_str().unwrap().contains(part), "{page}: {said}");
            fits(&browser, width);
        }
        // In a time without its failures, it is listed by itself, and can be ended.
        browser.go(&format!("{console}/?show=muted&from=2020-01-01T00:00&to=2020-01-01T01:00"));
        assert_eq!(browser.eval("document.querySelectorAll('ul.marks li').length"), json!(1));
        fits(&browser, width);
        click_text(&browser, "ul.marks button", "Unmute");
        browser.wait_for(
            "document.querySelector('.done')?.textContent",
            &json!("The failures of this kind are shown again."),
        );
        browser.go(&console);
        assert!(rows(&browser).contains("no <i>such</i> thing"), "{}", rows(&browser));
        browser.go(&format!("{console}/changes"));
        let first = browser.eval("document.querySelector('.changes tbody').innerText");
        for action in ["reopen a kind of failure", "mute a kind of failure", "resolve a kind of failure"] {
            assert!(first.as_str().unwrap().contains(action), "{first}");
        }
        fits(&browser, width);
    }
}
