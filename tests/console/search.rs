//! One search for pages, failures, jobs and entries of all brands.

use serde_json::{Value, json};

use sluice_test_support::postgres::Database;

use super::logged_in;
use crate::browser::quiet::complaints;
use crate::harness::{Request, Server, ServerOptions, TestSite};

const CRM: &str = "[[entity]]\nslug = 'leads'\nname = 'Leads'\n[[entity.field]]\nkey = 'email'\nlabel = 'Email'\nindex = true\n";

/// Fourteen brands. `b07` has a customer and a failing page.
fn start() -> (TestSite, Server) {
    let site = TestSite::new();
    for number in 0..14 {
        let brand = format!("brands/b{number:02}");
        let default = if number == 0 { "default = true\n" } else { "" };
        site.write(&format!("{brand}/brand.toml"), &format!("{default}domains = [\"b{number:02}.test\"]\n"));
        site.write(&format!("{brand}/pages/index.html"), "a page");
        site.write(&format!("{brand}/crm.toml"), CRM);
    }
    site.write(
        "brands/b12/pages/vouchers.html",
        "<script scope=\"backend\">throw new Error('no such voucher')</script>",
    );
    let server = Server::start(site.path());
    server.get("b12.test", "/vouchers");
    for (brand, id, email) in [("b07", "lena", "lena@example.org"), ("b12", "lenz", "lenz@example.org")] {
        let entry = json!({ "reference_type": "customer", "reference_id": id, "values": { "email": email } });
        let request = Request::new("POST", &format!("/api/brands/{brand}/crm/leads"));
        let request = request.header("content-type", "application/json").body(entry.to_string().as_bytes());
        assert_eq!(request.operator().send(server.admin_address).status, 201);
    }
    server.runs("b12", 1);
    (site, server)
}

fn search(server: &Server, query: &str) -> Value {
    let answer = server.admin(&format!("/api/search?{query}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

#[test]
fn one_search_finds_pages_failures_and_entries_of_all_brands_in_bounded_steps() {
    let (_site, server) = start();
    // By the beginning of an indexed field, and by any text in capitals or not.
    for text in ["lena@ex", "LENA"] {
        let found = search(&server, &format!("q={text}"));
        assert_eq!(found["entries"].as_array().unwrap().len(), 1, "{text}: {found}");
        assert_eq!(
            (&found["entries"][0]["brand"], &found["entries"][0]["entity"]),
            (&json!("b07"), &json!("leads"))
        );
        assert_eq!(found["entries"][0]["reference"], "customer lena");
    }
    // By its id.
    let id = search(&server, "q=lena")["entries"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(search(&server, &format!("q={id}"))["entries"][0]["id"], id);
    // Names and failures are found at once. The entries of ten brands are searched at a time.
    let found = search(&server, "q=voucher");
    assert_eq!(found["pages"], json!([{ "brand": "b12", "path": "/vouchers" }]));
    assert_eq!(found["failures"][0]["message"], "Error: no such voucher");
    let searched = found["searched"].as_array().unwrap().len();
    assert_eq!((searched, &found["next"], &found["brands_all"]), (10, &json!("b09"), &json!(14)));
    let first = search(&server, "q=lenz");
    assert_eq!(first["entries"], json!([]));
    let second = search(&server, &format!("q=lenz&after={}", first["next"].as_str().unwrap()));
    assert_eq!((&second["entries"][0]["brand"], &second["next"]), (&json!("b12"), &Value::Null));
    assert_eq!(second["searched"], json!(["b10", "b11", "b12", "b13"]));
    // Nothing matches a text that is too short, and a long one is refused.
    assert_eq!(search(&server, "q=l")["searched"], json!([]));
    assert_eq!(server.admin(&format!("/api/search?q={}", "x".repeat(201))).status, 400);
    assert_eq!(search(&server, "q=%25_'%22%00%3C")["entries"], json!([]));
}

#[test]
fn a_search_ends_in_time_within_a_brand() {
    let database = Database::create();
    let site = TestSite::with(&[("crm.toml", CRM), ("pages/lena.html", "a page")]);
    let server = ServerOptions::of(site.path()).postgres(&database.url()).start();
    std::thread::scope(|scope| {
        let hold = "BEGIN; LOCK TABLE crm_entry IN ACCESS EXCLUSIVE MODE;
                    DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_class WHERE relname = 'release')
                    LOOP PERFORM pg_sleep(0.05); END LOOP; END $$; COMMIT";
        let holder = scope.spawn(|| database.sql(hold));
        let held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted
                    AND relation = 'crm_entry'::regclass";
        server.wait_until("the table is locked", || database.sql(held) == "1");
        let found = search(&server, "q=lena");
        assert_eq!((&found["partly"], &found["searched"]), (&json!(["demo"]), &json!(["demo"])));
        assert_eq!(found["pages"][0]["path"], "/lena", "what was found is shown");
        let page = server.admin("/search?q=lena").body;
        assert!(page.contains("ended before everything was searched in demo"), "{page}");
        database.sql("CREATE TABLE release ()");
        holder.join().unwrap();
    });
    assert_eq!(search(&server, "q=lena")["partly"], json!([]));
}

#[test]
fn operator_comes_to_the_search_by_a_key_and_to_what_it_found() {
    let (_site, server) = start();
    let (browser, console) = logged_in(&server);
    browser.eval("(document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '/', bubbles: true, cancelable: true })), true)");
    assert_eq!(browser.eval("document.activeElement.id"), json!("search"));
    for width in [1280, 390] {
        browser.resize(width, 844);
        browser.go(&console);
        browser.fill("#search", "lena");
        browser.eval("(document.querySelector('form.search').requestSubmit(), true)");
        browser.wait_for("document.querySelector('h1').textContent", &json!("Search: lena"));
        let over = browser.eval("document.documentElement.scrollWidth - window.innerWidth");
        assert!(over.as_i64().unwrap() <= 0, "{over} at {width}");
    }
    browser.click(".hits a");
    browser.wait_for("document.querySelector('h1').textContent", &json!("customer lena"));
    // What the search does not find among the first brands is found further on.
    browser.go(&format!("{console}/search?q=lenz"));
    browser.click("a[rel=next]");
    browser.wait_for("document.querySelector('.hits a')?.textContent ?? ''", &json!("customer lenz"));
    assert_eq!(complaints(&browser), Vec::<String>::new());
}
