//! Who changed what, as operators look back at it.

use serde_json::{Value, json};

use super::{logged_in, visited};

const FUEL: &str = "form.set:has([value=fuel])";

#[test]
fn operator_sees_who_changed_a_limit_and_moved_an_entry() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    browser.fill(&format!("{FUEL} [name=value]"), "2_500_000_000");
    browser.click(&format!("{FUEL} button"));
    browser.wait_for("document.querySelector('.done') !== null", &json!(true));
    // The row of the limit says it.
    let row = browser.eval("document.querySelector('#limit-fuel .last-change').textContent");
    let row = row.as_str().unwrap().to_owned();
    assert!(row.starts_with("set from 1 G to 2.5 G at ") && row.contains(" by session "), "{row}");
    // A move of an operator, after that of a script.
    let entries: Vec<Value> =
        serde_json::from_str(&server.admin("/api/brands/demo/crm/deals?stage=sales/new").body).unwrap();
    let entry = entries[0]["id"].as_str().unwrap();
    browser.go(&format!("{console}/brands/demo/crm/deals/{entry}"));
    browser.click("details.more summary");
    browser.eval("(document.querySelector('select[name=stage]').value = 'sales/won', true)");
    browser.click("form.entry .actions button");
    browser.wait_for("document.querySelector('.done') !== null", &json!(true));
    let by = "[...document.querySelectorAll('#history ~ .wide td[data-name=by]')].map((one) => one.textContent.trim())";
    let by = browser.eval(by);
    assert!(by[0].as_str().unwrap().starts_with("session ") && by[1] == "no operator", "{by}");

    for width in [1280, 390] {
        browser.resize(width, 844);
        browser.go(&console);
        browser.click("nav a[href^='/changes']");
        browser.wait_for("document.querySelector('h1').textContent", &json!("Changes"));
        let rows =
            browser.eval("[...document.querySelectorAll('.changes tbody tr')].map((one) => one.innerText)");
        let rows: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row.as_str().unwrap()).collect();
        assert_eq!(rows.len(), 3, "{rows:?}");
        assert!(
            rows[0].contains("change an entry") && rows[0].contains("sales/new → sales/won"),
            "{}",
            rows[0]
        );
        assert!(rows[1].contains("set a limit") && rows[1].contains("1 G → 2.5 G"), "{}", rows[1]);
        assert!(rows[2].contains("log in"), "{}", rows[2]);
        let over = browser.eval("document.documentElement.scrollWidth - window.innerWidth");
        assert!(over.as_i64().unwrap() <= 0, "{over} at {width}");
    }
    // The changes of an operator, with what was asked for before.
    browser.go(&format!("{console}/changes?action=limit.&outcome=done&hours=24"));
    browser.click(".changes td[data-name='by whom'] a");
    let asked = "[...new URLSearchParams(location.search).entries()].filter(([name]) => name !== 'operator').flat().join(' ')";
    browser.wait_for(asked, &json!("action limit. outcome done hours 24"));
    let by = browser.eval("document.querySelector('[name=operator]').value");
    assert!(by.as_str().unwrap().starts_with("session "), "{by}");
    assert_eq!(browser.eval("document.querySelectorAll('.changes tbody tr').length"), json!(1));
    // From the change to what was changed.
    browser.click(".changes td a[href*='#limit-fuel']");
    browser.wait_for("location.hash", &json!("#limit-fuel"));
    // Of the brand, and only what was refused.
    browser.go(&format!("{console}/brands/demo/changes"));
    assert_eq!(browser.eval("document.querySelectorAll('.changes tbody tr').length"), json!(2));
    assert_eq!(browser.eval("document.querySelector('nav [aria-current]').textContent"), json!("Changes"));
    browser.go(&format!("{console}/brands/demo/changes?outcome=refused"));
    assert_eq!(browser.eval("document.querySelector('.empty').textContent"), json!("No change matches."));
}
