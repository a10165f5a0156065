//! Every page of the console logs nothing in the browser, and works without scripts.

use serde_json::{Value, json};

use super::{logged_in, visited};
use crate::browser::quiet::complaints;

/// The headings, the links and the tables. Scripts change only the zone of their times.
const SAYS: &str = "(() => {
  const texts = (found) => [...document.querySelectorAll(found)].map((one) => one.textContent.replace(/\\s+/g, ' ').replace(/\\d{4}-\\d\\d-\\d\\d[ T][\\d:.]+Z?/g, 'then').trim());
  return [texts('h1, h2, h3'), texts('nav a'), texts('main th:not(details th, .u-legend th)'),
    [...document.querySelectorAll('main a[href]')].map((one) => one.getAttribute('href'))];
})()";

#[test]
fn every_page_of_the_console_is_quiet_and_says_the_same_without_scripts() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    let entries: Vec<Value> = serde_json::from_str(&server.admin("/api/brands/demo/crm/deals").body).unwrap();
    let runs: Vec<Value> =
        serde_json::from_str(&server.admin("/api/brands/demo/runs?failed&outcome=error").body).unwrap();
    let of = "/brands/demo";
    let pages = [
        "/".to_owned(),
        "/?hours=1".to_owned(),
        of.to_owned(),
        format!("{of}?sort=time"),
        format!("{of}/page?path=/heavy"),
        format!("{of}/page?path=/broken"),
        format!("{of}/runs"),
        format!("{of}/runs?failed=true"),
        format!("{of}/runs/{}", runs[0]["id"]),
        format!("{of}/crm"),
        format!("{of}/crm/deals"),
        format!("{of}/crm/deals/{}", entries[0]["id"].as_str().unwrap()),
        format!("{of}/jobs"),
        format!("{of}/calls"),
        format!("{of}/changes"),
        "/changes".to_owned(),
        "/search".to_owned(),
        "/search?q=ann".to_owned(),
        "/changes?brand=demo&outcome=done".to_owned(),
        "/brands/nobody".to_owned(),
        "/login".to_owned(),
    ];
    let scripts_are = |disabled: bool| {
        browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": disabled }));
    };
    for path in pages {
        let visit = || {
            browser.go(&format!("{console}{path}"));
            browser.wait_for("document.readyState", &json!("complete"));
        };
        visit();
        assert_eq!(complaints(&browser), Vec::<String>::new(), "{path}");
        let with = browser.eval(SAYS);
        let title = browser.eval("document.title");
        assert!(title.as_str().unwrap().ends_with("Sluice"), "{path}: {title}");
        scripts_are(true);
        browser.go(&format!("{console}{path}"));
        scripts_are(false);
        assert_eq!(browser.eval(SAYS), with, "{path}");
        // What needs a script is not offered without one, and charts are there.
        let offered = "[...document.querySelectorAll('.live, [data-copy]')].filter((one) => one.checkVisibility()).length";
        assert_eq!(browser.eval(offered), json!(0), "{path}");
        let missing = "[...document.querySelectorAll('figure.chart')].filter((one) => !one.querySelector('svg, .empty')?.checkVisibility()).length";
        assert_eq!(browser.eval(missing), json!(0), "{path}");
        assert_eq!(complaints(&browser), Vec::<String>::new(), "{path}");
    }
}
