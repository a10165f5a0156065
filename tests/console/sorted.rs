//! The entries of an entity in the order that an operator chooses, and all of them ticked at once.

use serde_json::{Value, json};

use super::logged_in;
use crate::harness::{Request, Server, TestSite};

const CRM: &str = "[[entity]]\nslug = 'deals'\nname = 'Deals'\n\
    [[entity.field]]\nkey = 'name'\nlabel = 'Name'\nindex = true\n\
    [[entity.field]]\nkey = 'note'\nlabel = 'Note'\n";
const PAGE: &str = "<script scope=\"backend\">
  const { of, name } = request.body;
  response.json(createCrmEntry({ slug: 'deals', referenceId: of, fields: { name, note: 'n' } }));
</script>";

/// 60 deals, whose names are in another order than they were created.
fn start() -> (TestSite, Server) {
    let site = TestSite::with(&[("crm.toml", CRM), ("pages/write.html", PAGE)]);
    let server = Server::start(site.path());
    for index in 0..60 {
        let body = json!({ "of": format!("c{index:02}"), "name": format!("name {:02}", index * 7 % 60) });
        let request = Request::new("POST", "/write").header("content-type", "application/json");
        assert_eq!(request.body(body.to_string().as_bytes()).send(server.address).status, 200);
    }
    (site, server)
}

#[test]
fn entries_are_sorted_by_indexed_fields_and_by_their_creation() {
    let (_site, server) = start();
    let (browser, console) = logged_in(&server);
    let names = "[...document.querySelectorAll('.entries tbody tr')].map(row => row.querySelector('[data-name=Name]').textContent)";
    let shown = || -> Vec<String> { serde_json::from_value(browser.eval(names)).unwrap() };
    let sorted = "[...document.querySelectorAll('[aria-sort]')].map(one => [one.textContent, one.ariaSort])";
    browser.go(&format!("{console}/brands/demo/crm/deals"));
    assert_eq!(browser.eval(sorted), json!([["created", "descending"]]));
    // Only what has an index is a link.
    let links = "[...document.querySelectorAll('.entries thead a')].map(one => one.textContent)";
    assert_eq!(browser.eval(links), json!(["Name", "created"]));
    browser.click(".entries thead a[href*='sort=name']");
    browser.wait_for(sorted, &json!([["Name", "ascending"]]));
    let expected = |from: usize, to: usize| (from..to).map(|at| format!("name {at:02}")).collect::<Vec<_>>();
    assert_eq!(shown(), expected(0, 50));
    browser.click("[rel=next]");
    browser.wait_for(&format!("({names}).length"), &json!(10));
    assert_eq!(shown(), expected(50, 60));
    browser.click(".entries thead a[href*='sort=name']");
    browser.wait_for(sorted, &json!([["Name", "descending"]]));
    assert_eq!(shown()[0], "name 59");
    // A search keeps the order.
    browser.fill("[name=text]", "name 1");
    browser.click(".filter button");
    browser.wait_for(&format!("({names}).length"), &json!(10));
    assert_eq!((shown()[0].as_str(), shown()[9].as_str()), ("name 19", "name 10"));
    browser.go(&format!("{console}/brands/demo/crm/deals?order=up"));
    browser.wait_for(sorted, &json!([["created", "ascending"]]));
    assert_eq!(&shown()[..3], ["name 00", "name 07", "name 14"]);
    for (query, status) in [("sort=nothing", 400), ("sort=name&after=zz", 400), ("sort=name&after=", 200)] {
        assert_eq!(server.admin(&format!("/brands/demo/crm/deals?{query}")).status, status, "{query}");
    }
}

#[test]
fn one_box_ticks_all_entries_of_the_page() {
    let (_site, server) = start();
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo/crm/deals"));
    let ticked = "document.querySelectorAll('[name=id]:checked').length";
    for width in [1280, 390] {
        browser.resize(width, 844);
        browser.click("input.all");
        browser.wait_for(ticked, &json!(50));
        browser.click("tbody [name=id]");
        let state =
            "(({ checked, indeterminate }) => [checked, indeterminate])(document.querySelector('input.all'))";
        browser.wait_for(state, &json!([false, true]));
        browser.click("input.all");
        browser.wait_for(ticked, &json!(50));
        browser.click("input.all");
        browser.wait_for(ticked, &json!(0));
    }
    browser.click("input.all");
    browser.click("#chosen button");
    browser.wait_for("document.querySelector('h1').textContent", &json!("Delete 50 entries?"));
    browser.click("button.danger");
    browser.wait_for("document.querySelector('.done')?.textContent", &json!("50 entries were deleted."));
    let left: Vec<Value> = serde_json::from_str(&server.admin("/api/brands/demo/crm/deals").body).unwrap();
    assert_eq!(left.len(), 10);
}

#[test]
fn page_says_what_an_import_does_not_do_before_somebody_imports() {
    let (_site, server) = start();
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo/crm/deals#csv"));
    let said = browser.eval("document.querySelector('#csv-says').innerText");
    for part in
        ["does not move them to a stage", "stage slug", "created at", "history of stages is not in the file"]
    {
        assert!(said.as_str().unwrap().contains(part), "{part} is not in {said}");
    }
    let before = "document.querySelector('#csv-says').compareDocumentPosition(document.querySelector('[type=file]')) & Node.DOCUMENT_POSITION_FOLLOWING";
    assert_eq!(browser.eval(before), json!(4));
}
