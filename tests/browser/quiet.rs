//! Every page of the sample site loads all that it asks for, logs nothing in the browser, and says the same without
//! scripts.

use std::path::Path;

use serde_json::{Value, json};

use super::{Browser, Walk};
use crate::harness::Server;

/// What a page logs apart from its own status, which a page that answers with an error logs, too.
pub(crate) fn complaints(browser: &Browser) -> Vec<String> {
    let own = browser.eval("[location.href, performance.getEntriesByType('navigation')[0].responseStatus]");
    let (address, status) = (own[0].as_str().unwrap(), own[1].as_u64().unwrap());
    let is_own = |line: &String| {
        status >= 400 && line.starts_with(address) && line.contains(&format!("status of {status}"))
    };
    browser.log().into_iter().filter(|line| !is_own(line)).collect()
}

/// What a page says, without numbers, which can change from visit to visit.
const SAYS: &str = "(document.querySelector('main') ?? document.body).innerText.replace(/\\d+/g, '0').replace(/\\s+/g, ' ').trim()";

#[test]
fn every_page_of_the_sample_site_is_quiet_and_says_the_same_without_scripts() {
    let server = Server::start(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts"));
    let walk = Walk::begin(&server);
    walk.go("/shop/weir");
    walk.send("main form");
    walk.is_at("/cart");
    walk.go("/login");
    walk.browser.fill("#email", "ann@example.com");
    walk.send("main form");
    walk.click(".mail .button");
    walk.send("main form");
    walk.is_at("/members");
    walk.browser.devtools("Network.enable", &json!({}));
    let scripts_are = |blocked: bool| {
        let urls = if blocked { json!(["*.js"]) } else { json!([]) };
        walk.browser.devtools("Network.setBlockedURLs", &json!({ "urls": urls }));
    };
    let visit = |path: &str| {
        walk.go(path);
        walk.browser.wait_for("document.readyState", &json!("complete"));
    };
    let pages: Vec<Value> = serde_json::from_str(&server.admin("/api/brands/millrace/pages").body).unwrap();
    assert!(pages.len() > 30, "{}", pages.len());
    for page in &pages {
        let path = match page["path"].as_str().unwrap() {
            "/shop/{slug}" => "/shop/weir",
            "/members/recipes/{slug}" => "/members/recipes/tray",
            "/go/{code}" => "/go/quiz",
            // Their answers are no pages.
            "/api/price" | "/hooks/payment" => continue,
            path => path,
        };
        assert!(!path.contains('{'), "name an address of {path}");
        scripts_are(false);
        // The first visit can change what the following ones say.
        visit(path);
        visit(path);
        assert_eq!(complaints(&walk.browser), Vec::<String>::new(), "{path}");
        let with = walk.browser.eval(SAYS);
        assert!(with.as_str().unwrap().len() > 10, "{path}: {with}");
        scripts_are(true);
        visit(path);
        assert_eq!(walk.browser.eval(SAYS), with, "{path}");
        walk.browser.log();
    }
}
