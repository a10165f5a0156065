//! The servers that scripts call, as an operator sees them.

use serde_json::{Value, json};

use super::logged_in;
use crate::http_calls::{Remote, options, page, response, site};

#[test]
fn operator_finds_the_server_that_fails() {
    let good = Remote::start(|_, _| response("200 OK", "", "ok"));
    let bad = Remote::start(|head, _| match head.split(' ').nth(1).unwrap() {
        "/none" => response("404 Not Found", "", "none"),
        "/hangs" => {
            // Longer than the run may take.
            std::thread::sleep(std::time::Duration::from_secs(3));
            String::new()
        }
        _ => response("503 Service Unavailable", "", "busy"),
    });
    let call = |url: &str| page(&format!("response.json((await fetch('{url}')).status)"));
    let pages = [
        ("pages/good.html", call("URL/")),
        ("pages/none.html", call(&format!("{}/none", bad.url()))),
        ("pages/busy.html", call(&format!("{}/", bad.url()))),
        ("pages/hangs.html", call(&format!("{}/hangs", bad.url()))),
    ];
    let pages: Vec<(&str, &str)> = pages.iter().map(|(file, text)| (*file, text.as_str())).collect();
    let site = site(&good, "[limits]\nwall_ms_max = 1_000", &pages);
    let brand = std::fs::read_to_string(site.path().join("brands/demo/brand.toml"))
        .unwrap()
        .replace("\"*.example\"", &format!("\"{}\"", bad.address));
    site.write("brands/demo/brand.toml", &brand);
    let server = options(&site).start();
    for (path, count) in [("/good", 3), ("/none", 1), ("/busy", 2), ("/hangs", 1)] {
        for _ in 0..count {
            server.get("localhost", path);
        }
    }
    let calls = || -> Vec<Value> {
        serde_json::from_str(&server.admin("/api/brands/demo/calls?sort=calls").body).unwrap()
    };
    let count = |row: &Value| row["calls"].as_u64().unwrap();
    server.wait_until("the calls are stored", || calls().iter().map(count).sum::<u64>() == 7);
    let rows = calls();
    assert_eq!(rows[0]["host"], json!(bad.address.to_string()));
    let of = |row: &Value| {
        [&row["calls"], &row["unanswered"], &row["status_4xx"], &row["status_5xx"]]
            .map(|n| n.as_u64().unwrap())
    };
    assert_eq!((of(&rows[0]), of(&rows[1])), ([4, 1, 1, 2], [3, 0, 0, 0]));
    // The pages that called it last.
    let callers = |row: &Value| -> Vec<Value> {
        row["callers"].as_array().unwrap().iter().map(|one| one["path"].clone()).collect()
    };
    assert_eq!(callers(&rows[0]), ["/hangs", "/busy", "/none"]);
    assert_eq!(callers(&rows[1]), ["/good"]);
    let failing = rows.iter().map(|row| &row["is_failing"]).collect::<Vec<_>>();
    assert_eq!(failing, [&json!(true), &json!(false)]);
    let overview: Value = serde_json::from_str(&server.admin("/api/overview").body).unwrap();
    let slowest = &overview["slowest_hosts"];
    assert_eq!((&slowest[0]["host"], &slowest[0]["brand"]), (&rows[0]["host"], &json!("demo")));
    assert_eq!((&slowest[1]["host"], &overview["hosts_all"]), (&rows[1]["host"], &json!(2)));
    assert_eq!(rows[0]["last_error"], "the run ended before the server answered");
    assert!(rows[0]["wall_us"]["max"].as_u64().unwrap() >= 900_000, "{}", rows[0]);
    assert!(
        rows[0]["failed_at_ms"].is_i64()
            && rows[1]["failed_at_ms"].is_null()
            && rows[1]["last_error"].is_null()
    );

    let (browser, console) = logged_in(&server);
    for width in [1280, 390] {
        browser.resize(width, 844);
        browser.go(&console);
        let row = browser.eval("document.querySelector('table.hosts tbody tr').innerText");
        for part in [&*bad.address.to_string(), "failing", "demo", "/hangs"] {
            assert!(row.as_str().unwrap().contains(part), "{part} is not in {row}");
        }
        browser.go(&format!("{console}/brands/demo"));
        browser.click("nav a[href^='/brands/demo/calls']");
        let hosts = "[...document.querySelectorAll('.calls tbody th a')].map((one) => one.textContent)";
        browser.wait_for(hosts, &json!([bad.address.to_string(), good.address.to_string()]));
        let row = browser.eval("document.querySelector('.calls tbody tr').innerText");
        assert!(row.as_str().unwrap().contains("the run ended before the server answered"), "{row}");
        for part in ["failing", "/hangs", "/busy", "/none"] {
            assert!(row.as_str().unwrap().contains(part), "{part} is not in {row}");
        }
        let over = browser.eval("document.documentElement.scrollWidth - window.innerWidth");
        assert!(over.as_i64().unwrap() <= 0, "{over} at {width}");
        // Sorted by name, and to the runs of a host.
        browser.go(&format!("{console}/brands/demo/calls?sort=host&order=down"));
        let mut sorted = [bad.address.to_string(), good.address.to_string()];
        sorted.sort();
        sorted.reverse();
        assert_eq!(browser.eval(hosts), json!(sorted));
        browser.click(&format!(".calls a[href*='{}']", good.address.port()));
        browser.wait_for("document.querySelectorAll('.runs li').length", &json!(3));
        // And to the page that called it.
        browser.go(&format!("{console}/brands/demo/calls"));
        browser.click(".calls td a[href*='/page?path=/hangs']");
        browser.wait_for("document.querySelector('h1').textContent", &json!("/hangs"));
    }
    assert_eq!(server.admin("/api/brands/nobody/calls").status, 404);
}
