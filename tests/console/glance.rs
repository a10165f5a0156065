//! What an operator finds on the overview at one glance, and where its links lead.

use serde_json::{Value, json};

use super::{logged_in, visited};
use crate::harness::{Request, Server, ServerOptions, TestSite};

const KINDS: &str = "[...document.querySelectorAll('.failures tbody tr')].map(row => row.querySelector('td[data-name=page] a').textContent)";

/// Two brands with a loud failure, a quiet one, and one that is over.
fn failing() -> (TestSite, Server) {
    let throws = |text: &str| format!("<script scope=\"backend\">throw new Error('{text}')</script>");
    let site = TestSite::with(&[
        ("pages/loud.html", &throws("no rates")),
        ("pages/quiet.html", &throws("no voucher")),
        ("pages/index.html", "<script scope=\"backend\">setVariable('a', 1)</script>light"),
    ]);
    site.write("brands/other/brand.toml", "domains = [\"other.test\"]\n");
    site.write("brands/other/pages/late.html", &throws("no list"));
    site.write(
        "brands/other/pages/index.html",
        "<script scope=\"backend\">setVariable('a', 1)</script>other",
    );
    let server = ServerOptions::of(site.path()).start();
    for visit in 0..40 {
        server.get("localhost", "/loud");
        if visit == 20 {
            server.get("localhost", "/quiet");
        }
    }
    for _ in 0..2 {
        server.get("other.test", "/late");
    }
    server.get("localhost", "/");
    (site, server)
}

fn groups(server: &Server) -> Vec<Value> {
    let view: Value = serde_json::from_str(&server.admin("/api/overview").body).unwrap();
    view["failure_groups"].as_array().unwrap().clone()
}

fn failures_of(server: &Server) -> u64 {
    groups(server).iter().filter_map(|group| group["count"].as_u64()).sum()
}

#[test]
fn quiet_failure_is_first_in_another_order_of_the_failures() {
    let (_site, server) = failing();
    server.wait_until("the failures are stored", || failures_of(&server) == 43);
    let (browser, console) = logged_in(&server);
    for width in [1280, 390] {
        browser.resize(width, 844);
        browser.go(&console);
        assert_eq!(browser.eval(KINDS), json!(["/loud", "/late", "/quiet"]));
        // All kinds are on the first screens, each in a line with its page and brand.
        let ends = browser.eval("document.querySelector('.failures').getBoundingClientRect().bottom");
        let screens = if width == 1280 { 1.0 } else { 1.6 };
        assert!(ends.as_f64().unwrap() < 844.0 * screens, "{ends} at {width}");
        let row = browser.eval("document.querySelector('.failures tbody tr:nth-child(2)').innerText");
        for part in ["Error: no list", "/late", "other", "2"] {
            assert!(row.as_str().unwrap().contains(part), "{part} is not in {row}");
        }
        let heights = "[...document.querySelectorAll('.failures tbody tr')].map(row => row.offsetHeight)";
        let heights: Vec<u64> = serde_json::from_value(browser.eval(heights)).unwrap();
        let most = if width == 1280 { 70 } else { 150 };
        assert!(heights.iter().all(|height| *height < most), "{heights:?} at {width}");
        for (label, kinds, value) in [
            ("rarest", json!(["/quiet", "/late", "/loud"]), "rarest"),
            ("latest", json!(["/late", "/loud", "/quiet"]), "latest"),
            ("newest kind", json!(["/late", "/quiet", "/loud"]), "newest"),
        ] {
            let link = format!("p.sort a[href*='kinds={value}']");
            let text = browser.eval(&format!("document.querySelector(\"{link}\").textContent"));
            assert_eq!(text, json!(label));
            browser.click(&link);
            browser.wait_for("new URLSearchParams(location.search).get('kinds')", &json!(value));
            browser.wait_for(KINDS, &kinds);
            let chosen = "document.querySelector('p.sort [aria-current]').textContent";
            browser.wait_for(chosen, &json!(label));
        }
        // Another range keeps the order.
        browser.click(".range [value='168']");
        browser.wait_for("location.search.includes('hours=168')", &json!(true));
        browser.wait_for("new URLSearchParams(location.search).get('kinds')", &json!("newest"));
    }
    assert_eq!(server.admin("/api/overview?kinds=loudest").status, 400);
    let rarest: Value = serde_json::from_str(&server.admin("/api/overview?kinds=rarest").body).unwrap();
    assert_eq!(rarest["failure_groups"][0]["path"], "/quiet");
    // Outcomes lead to the runs that had them.
    browser.click(".outcomes a[href*='/brands/other/runs?outcome=error']");
    browser.wait_for("document.querySelectorAll('.runs li').length", &json!(2));
    browser.wait_for("document.querySelector('[name=outcome]').value", &json!("error"));
}

#[test]
fn failure_is_over_only_if_its_page_has_run_since_the_reload() {
    let (site, server) = failing();
    server.wait_until("the failures are stored", || failures_of(&server) == 43);
    site.write(
        "brands/demo/pages/quiet.html",
        "<script scope=\"backend\">setVariable('a', 1)</script>mended",
    );
    server.reload();
    for _ in 0..2 {
        server.get("localhost", "/quiet");
    }
    server.get("localhost", "/loud");
    server.wait_until("the failures are stored", || failures_of(&server) == 44);
    let since = groups(&server).iter().map(|group| group["since_load"].clone()).collect::<Vec<_>>();
    let of = |count: u64, runs: u64| json!({ "count": count, "runs": runs });
    assert_eq!(since, [of(1, 1), of(0, 0), of(0, 2)]);
    let (browser, _) = logged_in(&server);
    let said = "[...document.querySelectorAll('.failures td.since')].map(cell => cell.textContent)";
    assert_eq!(browser.eval(said), json!(["1 in 1 run", "page not run yet", "none in 2 runs"]));
    let why = browser.eval("document.querySelectorAll('.failures td.since span')[1].title");
    assert!(why.as_str().unwrap().starts_with("Nobody knows whether it is mended"), "{why}");
    let heads = "[...document.querySelectorAll('.failures thead th')].map(one => one.textContent)";
    assert!(browser.eval(heads).as_array().unwrap().contains(&json!("since the reload")));
    // The marks of the charts have names, for the keyboard, too.
    browser.wait_for("document.querySelectorAll('.chart .uplot canvas').length", &json!(5));
    browser.press("\u{E004}");
    browser.eval("(document.querySelector('.u-holder').focus(), true)");
    browser.press("\u{E010}");
    let named = "document.querySelector('.mark-names').textContent";
    server.wait_until("the reload is named", || {
        browser.press("\u{E012}");
        browser.press("\u{E010}");
        browser.eval(named).as_str().unwrap().contains(" reload")
    });
    let said = browser.eval("document.querySelector('.u-holder').getAttribute('aria-valuetext')");
    assert!(said.as_str().unwrap().contains(" reload"), "{said}");
}

#[test]
fn parked_jobs_are_two_clicks_away_with_all_that_one_needs() {
    let site = TestSite::with(&[
        (
            "pages/index.html",
            "<script scope=\"backend\">response.json(queue.push('mail', { order: 'KT-20417', rate: 'LOF-W7' }, { fn: 'send' }))</script>",
        ),
        (
            "pages/later.html",
            "<script scope=\"backend\">response.json(queue.push('mail', {}, { fn: 'send', delay: 3600 }))</script>",
        ),
        (
            "modules/mail.js",
            "export const send = ({ rate }) => { console.log('asks'); throw new Error('unknown rate ' + rate); };\n",
        ),
    ]);
    site.write("brands/other/brand.toml", "domains = [\"other.test\"]\n");
    site.write("brands/other/pages/index.html", "other");
    let server = ServerOptions::of(site.path()).env("SLUICE_JOBS__RETRY_WAIT", "0s").start();
    server.get("localhost", "/");
    server.get("localhost", "/later");
    let parked = || -> Value {
        let view: Value = serde_json::from_str(&server.admin("/api/overview").body).unwrap();
        view["script_jobs"]["parked_of"].clone()
    };
    server.wait_until("the job is parked", || {
        parked() == json!([{ "brand": "demo", "count": 1, "is_served": true }])
    });
    let (browser, _) = logged_in(&server);
    for width in [1280, 390] {
        browser.resize(width, 844);
        browser.click("nav a");
        browser.wait_for("document.querySelector('a.parked').textContent", &json!("demo: 1 parked"));
        browser.click("a.parked");
        browser.wait_for("document.querySelector('h1').textContent", &json!("Parked jobs of demo"));
        assert_eq!(browser.eval("new URLSearchParams(location.search).get('state')"), json!("parked"));
        let rows = "document.querySelectorAll('.jobs tbody tr').length";
        assert_eq!(browser.eval(rows), json!(1));
        let row = browser.eval("document.querySelector('.jobs tbody tr').innerText");
        for part in [
            "mail.send",
            "parked",
            "3 tries",
            r#"{"order":"KT-20417","rate":"LOF-W7"}"#,
            "Error: unknown rate LOF-W7",
            "asks",
        ] {
            assert!(row.as_str().unwrap().contains(part), "{part} is not in {row}");
        }
        let over = browser.eval("document.documentElement.scrollWidth - window.innerWidth");
        assert!(over.as_i64().unwrap() <= 0, "{over} at {width}");
    }
    // Its id leads to its last run.
    let id = browser.eval("document.querySelector('.job-run').textContent");
    browser.click(".job-run");
    browser.wait_for(
        "document.querySelector('.problem strong').innerText",
        &json!("Error: unknown rate LOF-W7"),
    );
    let facts = browser.eval("document.querySelector('.facts').innerText");
    assert!(facts.as_str().unwrap().contains(id.as_str().unwrap()), "{facts}");
    // And from there to all of its tries.
    browser.click(".facts a[href*='text=']");
    browser.wait_for("document.querySelectorAll('.runs li').length", &json!(3));
    // An action leads back to the list that was shown.
    browser.eval("(history.go(-2), true)");
    browser.wait_for("document.querySelector('h1').textContent", &json!("Parked jobs of demo"));
    browser.click(".actions form[action*='parked/retry?'] button");
    browser.wait_for(
        "document.querySelector('.done')?.innerText.startsWith('1 parked job was started again.')",
        &json!(true),
    );
    assert_eq!(browser.eval("new URLSearchParams(location.search).get('state')"), json!("parked"));
}

#[test]
fn page_close_to_a_limit_is_on_the_overview_and_leads_to_the_field() {
    let (site, server, _data) = visited();
    site.write(
        "brands/demo/pages/heavy.html",
        "<script scope=\"backend\">const all = 'x'.repeat(7_200_000);</script>heavy",
    );
    server.reload();
    server.get("localhost", "/heavy");
    let close = || -> Value {
        let view: Value = serde_json::from_str(&server.admin("/api/overview").body).unwrap();
        view["close"].clone()
    };
    server.wait_until("the visit is counted", || close()[0]["path"] == "/heavy");
    let found = close();
    assert_eq!((&found[0]["brand"], &found[0]["limit"]), (&json!("demo"), &json!("heap_bytes_max")));
    assert!((80..=100).contains(&found[0]["percent"].as_u64().unwrap()), "{found}");
    let (browser, console) = logged_in(&server);
    let scripts_are = |disabled: bool| {
        browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": disabled }));
    };
    for (width, with_scripts) in [(1280, true), (390, true), (390, false)] {
        browser.resize(width, 844);
        browser.go(&console);
        let row = browser.eval("document.querySelector('table.close tbody tr').innerText");
        for part in ["/heavy", "demo", "heap_bytes_max", " %", "of 8 MB", "suggested: "] {
            assert!(row.as_str().unwrap().contains(part), "{part} is not in {row}");
        }
        scripts_are(!with_scripts);
        browser.click("a.raise");
        scripts_are(false);
        browser.wait_for("document.activeElement?.id", &json!("set-heap_bytes_max"));
        let shown = "(({ top, bottom }) => top >= 0 && bottom <= innerHeight)(document.activeElement.getBoundingClientRect())";
        browser.wait_for(shown, &json!(true));
        let row = browser.eval("document.querySelector('#limit-heap_bytes_max').innerText");
        for part in ["near the limit", "use ", "suggested: "] {
            assert!(row.as_str().unwrap().contains(part), "{part} is not in {row}");
        }
    }
}

#[test]
fn only_a_form_makes_the_console_say_that_something_was_done() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    let said = "document.querySelector('.done')?.textContent ?? ''";
    for forged in [
        "/brands/demo/jobs?did=drop&count=7",
        "/brands/demo/page?path=/heavy&set=fuel&was=1",
        "/brands/demo/crm/deals?deleted=3&created=1&changed=2",
        "/brands/demo/jobs?said=00000000000000000000000000000000",
    ] {
        browser.go(&format!("{console}{forged}"));
        browser.wait_for("document.readyState", &json!("complete"));
        assert_eq!(browser.eval(said), json!(""), "{forged}");
    }
    // What a form has done is said once, and to its operator only.
    let drop = Request::new("POST", "/brands/demo/jobs/parked/drop").operator();
    let location = drop.send(server.admin_address).header("location").unwrap();
    // The log of changes names them.
    let log: Value = serde_json::from_str(&server.admin("/api/changes?action=write.drop").body).unwrap();
    let item = log[0]["item"].as_str().unwrap();
    assert!(item.starts_with("jobs: 2 (") && item.matches("moveCrmToStage deals").count() == 2, "{item}");
    assert!(location.contains("said=") && !location.contains("parked job"), "{location}");
    browser.go(&format!("{console}{location}"));
    browser.wait_for("document.readyState", &json!("complete"));
    assert_eq!(browser.eval(said), json!(""), "it is of another operator");
    assert!(server.admin(&location).body.contains("2 parked jobs were dropped."));
    assert!(!server.admin(&location).body.contains("parked jobs were dropped."));
    // It stays while the page loads its figures again, and is in no bookmark.
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    browser.fill("form.set:has([value=fuel]) [name=value]", "2_500_000_000");
    browser.click("form.set:has([value=fuel]) button");
    browser.wait_for("document.querySelector('.done') !== null", &json!(true));
    browser.wait_for("location.search.includes('said')", &json!(false));
    browser.eval("(location.reload(), true)");
    browser.wait_for("document.querySelector('.done') === null", &json!(true));
}

#[test]
fn short_ranges_are_typed_and_shown_minute_by_minute() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    browser.click(".range [value='15m']");
    browser.wait_for("location.search", &json!("?last=15m"));
    let chosen = "document.querySelector('.range [aria-current]').textContent";
    browser.wait_for(chosen, &json!("15 min"));
    let titles = "[...document.querySelectorAll('figcaption')].map(one => one.textContent)";
    server.wait_until("the runs were sampled", || {
        browser.go(&format!("{console}/?last=15m"));
        browser.eval(titles)[0]
            .as_str()
            .is_some_and(|title| title.starts_with("Runs per minute, since this process started"))
    });
    for (typed, query) in [("90m", "?last=90m"), ("3 days", "?last=3+days")] {
        browser.go(&console);
        browser.click(".range summary");
        browser.fill(".range [name=last]:not(button)", typed);
        browser.click("form.own:has([name=last]) button");
        browser.wait_for("location.search", &json!(query));
        browser.wait_for("document.querySelector('h1').textContent", &json!("Overview"));
    }
    let summary = "document.querySelector('.range summary').textContent";
    assert_eq!(browser.eval(summary), json!("last 3d"));
    // Without scripts, too.
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    browser.go(&console);
    browser.click(".range [value='1']");
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": false }));
    browser.wait_for("location.search", &json!("?hours=1"));
    for wrong in ["15", "-5m", "soon"] {
        let answer = server.admin(&format!("/api/overview?last={wrong}"));
        assert!(answer.status == 400 && answer.body.contains("such as 15m"), "{}", answer.body);
    }
}
