//! The console in Chromium.

mod calls;
mod changes;
mod entries;
mod failures;
mod filters;
mod glance;
mod jobs;
mod length;
mod limits;
mod looks;
mod quiet;
mod reloads;
mod search;
mod sorted;
mod trouble;
mod words;

use serde_json::json;

use crate::browser::Browser;
use crate::crm::jobs::park_two;
use crate::harness::{ADMIN_TOKEN, Server, ServerOptions, TestSite};

/// A page that uses much fuel and sometimes fails, a cheap page, and a page that does not
/// compile.
fn site() -> TestSite {
    TestSite::with(&[
        ("pages/index.html", "<script scope=\"backend\">setVariable('a', 1)</script>light"),
        ("pages/blog/{slug}.html", "<script scope=\"backend\">setVariable('b', 2)</script>{{ var.b }}"),
        (
            "crm.toml",
            "[[entity]]\nslug = 'deals'\nname = 'Deals'\n[[entity.field]]\nkey = 'name'\nlabel = 'Name'\ntype = 'text'\nui_editable = false\n\
             [[entity.pipeline]]\nslug = 'sales'\nname = 'Sales'\nstages = [{ slug = 'new', name = 'New' }, { slug = 'won', name = 'Won' }]\n",
        ),
        (
            "pages/deal.html",
            "<script scope=\"backend\">
  const own = { slug: 'deals', referenceId: request.query.customer };
  setCrmField({ ...own, fieldKey: 'name', value: request.query.customer + ' <b>Ltd</b>' });
  if (request.query.stage) moveCrmToStage({ ...own, stageSlug: request.query.stage });
</script>deal",
        ),
        ("pages/broken.html", "<script scope=\"backend\">let = ;</script>"),
        (
            "pages/heavy.html",
            "<script scope=\"backend\">
  let sum = 0;
  for (let i = 0; i < 30000; i++) sum += i;
  console.log('sum is', sum);
  if (request.query.fail) {
    console.warn('about to fail <b>');
    throw new TypeError('no <i>such</i> thing');
  }
</script>heavy",
        ),
    ])
}

pub(crate) fn visited() -> (TestSite, Server, tempfile::TempDir) {
    let site = site();
    let data = tempfile::tempdir().unwrap();
    park_two(data.path());
    let server = ServerOptions::of(site.path()).data(data.path()).start();
    for (customer, stage) in [("ann", "new"), ("bob", "won"), ("cy", "")] {
        server.get("localhost", &format!("/deal?customer={customer}&stage={stage}"));
    }
    for visit in 0..110 {
        server.get("localhost", "/heavy");
        if visit % 10 == 0 {
            server.get("localhost", "/");
            server.get("localhost", "/blog/a");
        }
    }
    server.get("localhost", "/heavy?fail=1");
    server.get("localhost", "/broken");
    let is_counted = || {
        let answer = server.admin("/api/brands/demo/pages");
        let pages: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        pages[0]["runs"] == 111 && pages[0]["path"] == "/heavy"
    };
    server.wait_until("the visits are counted", is_counted);
    (site, server, data)
}

/// A browser that is logged in, and the console's address.
pub(crate) fn logged_in(server: &Server) -> (Browser, String) {
    let console = format!("http://localhost:{}", server.admin_address.port());
    let browser = Browser::open();
    log_in(&browser, &console);
    (browser, console)
}

fn log_in(browser: &Browser, console: &str) {
    browser.go(console);
    browser.wait_for("location.pathname", &json!("/login"));
    browser.fill("#token", ADMIN_TOKEN);
    browser.click("button");
    browser.wait_for("document.querySelector('h1').textContent", &json!("Overview"));
}

#[test]
fn operator_finds_the_heaviest_page_and_raises_its_limit_in_three_clicks() {
    let (site, server, _data) = visited();
    let console = format!("http://localhost:{}", server.admin_address.port());
    let browser = Browser::open();
    // Click 1: log in.
    log_in(&browser, &console);
    browser.eval("window.problems = []");
    // Click 2: the page that uses the most fuel.
    browser.wait_for("document.querySelector('#heaviest ~ .wide a').textContent", &json!("/heavy"));
    browser.click("#heaviest ~ .wide a");
    browser.wait_for("document.querySelector('h1').textContent", &json!("/heavy"));
    // The page's last error is shown as text, with position, stack and console lines.
    let failure = browser.eval("document.querySelector('article.run').innerText");
    let failure = failure.as_str().unwrap();
    for part in
        ["TypeError: no <i>such</i> thing", "pages/heavy.html:7:", "sum is 449985000", "about to fail <b>"]
    {
        assert!(failure.contains(part), "{part} is not in {failure}");
    }
    // Click 3: a new limit.
    let fuel = "form.set:has([value=fuel])";
    let in_force = browser.eval(&format!("document.querySelector('{fuel} [name=value]').value"));
    assert_eq!(in_force, json!("1 G"));
    browser.fill(&format!("{fuel} [name=value]"), "2_500_000_000");
    browser.click(&format!("{fuel} button"));
    browser.wait_for(
        "document.querySelector('.done')?.textContent",
        &json!("fuel was 1 G and is now 2.5 G. It is in force."),
    );
    let file = std::fs::read_to_string(site.brand_dir("demo").join("brand.toml")).unwrap();
    assert!(file.contains("path = \"/heavy\"") && file.contains("fuel = 2500000000"), "{file}");
}

/// Set `SLUICE_TEST_PICTURES` to a folder to save pictures of the pages.
#[test]
fn every_page_fits_desktop_and_phone_screens() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    let entries: Vec<serde_json::Value> =
        serde_json::from_str(&server.admin("/api/brands/demo/crm/deals").body).unwrap();
    let entry = format!("/brands/demo/crm/deals/{}", entries[0]["id"].as_str().unwrap());
    let pages = [
        ("overview", "/"),
        ("pages", "/brands/demo"),
        ("page", "/brands/demo/page?path=/heavy"),
        ("runs", "/brands/demo/runs"),
        ("run", "/brands/demo/runs/1"),
        ("crm", "/brands/demo/crm"),
        ("entity", "/brands/demo/crm/deals"),
        ("entry", &entry),
        ("jobs", "/brands/demo/jobs"),
        ("calls", "/brands/demo/calls"),
        ("problem", "/brands/nobody"),
    ];
    for (width, height) in [(1280, 900), (390, 844)] {
        browser.resize(width, height);
        for (name, path) in pages {
            browser.go(&format!("{console}{path}"));
            browser.wait_for("document.readyState", &json!("complete"));
            if let Ok(folder) = std::env::var("SLUICE_TEST_PICTURES") {
                use base64::Engine as _;
                let picture = base64::prelude::BASE64_STANDARD.decode(browser.picture()).unwrap();
                std::fs::write(format!("{folder}/{name}-{width}.png"), picture).unwrap();
            }
            let overflow = browser.eval("document.documentElement.scrollWidth - window.innerWidth");
            assert!(overflow.as_i64().unwrap() <= 0, "{path} is {overflow} wider than {width} pixels");
            // No column of a table is beyond the edge.
            let cut = browser.eval(
                "[...document.querySelectorAll('.wide, .board')].filter(e => e.scrollWidth > e.clientWidth + 1)\
                 .map(e => `${e.scrollWidth} > ${e.clientWidth}: ${e.innerText.slice(0, 200)}`)",
            );
            assert_eq!(cut, json!([]), "{path} at {width}");
            let unnamed = browser.eval(
                "[...document.querySelectorAll('input:not([type=hidden]),select,button')]\
                 .filter(e => !e.labels?.length && !e.ariaLabel && !e.textContent.trim()).length",
            );
            assert_eq!(unnamed, json!(0), "{path}: every control has a name");
        }
    }
}

#[test]
fn shows_stages_as_columns_and_retries_a_job() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo/crm/deals"));
    let column = |stage: &str| {
        let text =
            browser.eval(&format!("document.querySelector('[aria-label=\"stage {stage}\"]').innerText"));
        text.as_str().unwrap().to_owned()
    };
    assert!(column("New").contains("ann customer") && column("New").contains("ann <b>Ltd</b>"));
    assert!(column("Won").contains("bob customer") && column("No stage").contains("cy customer"));
    let rows = "document.querySelectorAll('section[aria-labelledby=entries] tbody tr').length";
    assert_eq!(browser.eval(rows), json!(3));
    let fields = browser.eval("document.querySelector('section[aria-labelledby=fields]').innerText");
    assert!(fields.as_str().unwrap().contains("ui_editable false"), "{fields}");

    browser.go(&format!("{console}/brands/demo/jobs"));
    browser.wait_for("document.querySelectorAll('tbody tr').length", &json!(2));
    browser.eval("window.isOld = true");
    browser.click("tbody form[action*='/retry?'] button");
    // The entry that the job moves is still missing, so the job will be parked again.
    browser.wait_for("[location.pathname, window.isOld ?? false]", &json!(["/brands/demo/jobs", false]));
    browser.eval("window.confirm = () => true");
    // What cannot be undone is not beside what can.
    browser.click("details.danger summary");
    browser.click(".actions form[action*='parked/drop?'] button");
    browser.wait_for("document.readyState", &json!("complete"));
    server.wait_until("no job is parked", || {
        let jobs: serde_json::Value =
            serde_json::from_str(&server.admin("/api/brands/demo/jobs").body).unwrap();
        jobs.as_array().unwrap().len() <= 1
    });
}

#[test]
fn console_works_with_the_keyboard() {
    let (_site, server, _data) = visited();
    let (browser, _) = logged_in(&server);
    // The first Tab stop is a link that skips the navigation.
    let first = "document.querySelector('a[href],button,input').textContent";
    assert_eq!(browser.eval(first), json!("Skip to content"));
    let landmarks = browser.eval(
        "['header','nav[aria-label]','main#main','h1'].every(s => document.querySelectorAll(s).length === 1)",
    );
    assert_eq!(landmarks, json!(true));
    // Only links, buttons and fields can be clicked, so the keyboard can reach all of them.
    let handlers = browser.eval(
        "document.querySelectorAll('[onclick],[tabindex]:not([tabindex=\"-1\"]):not(pre, .u-holder)').length",
    );
    assert_eq!(handlers, json!(0));
    assert_eq!(browser.eval("document.querySelectorAll('svg[role=img]:not([aria-label])').length"), json!(0));
    assert_eq!(browser.eval("document.querySelectorAll('th:not([scope])').length"), json!(0));
}

#[test]
fn charts_show_the_values_under_the_pointer() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    // Three charts over time, and the columns that the server drew.
    browser.wait_for("document.querySelectorAll('.chart .uplot canvas').length", &json!(3));
    let seen = "[...document.querySelectorAll('.chart svg')].filter(e => e.checkVisibility()).length";
    assert_eq!(browser.eval(seen), json!(1));
    browser.eval(
        "(() => { const over = document.querySelector('.u-over'); const at = over.getBoundingClientRect(); \
         for (const type of ['mouseenter', 'mousemove']) over.dispatchEvent(new MouseEvent(type, \
         { bubbles: true, clientX: at.x + at.width * 0.99, clientY: at.y + 10 })); })()",
    );
    // The value under the pointer equals the value in the table.
    let legend = "[...document.querySelector('.chart .u-legend').querySelectorAll('.u-value')].slice(1).map(e => e.textContent).join()";
    let table = "[...document.querySelector('.chart details tbody').lastElementChild.querySelectorAll('td')].map(e => e.textContent).join()";
    let expected = browser.eval(table);
    assert!(expected.as_str().unwrap().contains(" M"), "{expected}");
    browser.wait_for(legend, &expected);

    // Without a login, the charts' files are not served. No page loads anything from other hosts.
    let stranger = crate::harness::Request::get("/assets/charts.js").send(server.admin_address);
    assert_ne!(stranger.status, 200);
    let foreign =
        "performance.getEntriesByType('resource').filter(e => !e.name.startsWith(location.origin)).length";
    assert_eq!(browser.eval(foreign), json!(0));
}

#[test]
fn a_loud_failure_hides_no_other() {
    let (_site, server, _data) = visited();
    for _ in 0..30 {
        server.get("localhost", "/heavy?fail=1");
    }
    let (browser, console) = logged_in(&server);
    let groups = "[...document.querySelectorAll('.failures tbody tr')].map(row => [row.querySelector('td a').textContent, \
         row.querySelector('[data-name=times]').firstChild.textContent.trim()])";
    server.wait_until("the failures are stored", || {
        browser.go(&console);
        browser.eval(groups) == json!([["/heavy", "31"], ["/broken", "1"]])
    });
    let first = browser.eval("document.querySelector('.failures tbody tr').innerText");
    assert!(first.as_str().unwrap().contains("TypeError: no <i>such</i> thing"), "{first}");
    // What does not compile is named, too.
    let broken = browser.eval("document.querySelector('section.problem').innerText");
    assert!(broken.as_str().unwrap().contains("demo /broken is unavailable: "), "{broken}");

    // The range is in the address, and links keep it.
    browser.click(".range [value='168']");
    browser.wait_for("location.search", &json!("?hours=168"));
    browser.click(".failures td a");
    browser.wait_for("location.search", &json!("?path=/heavy&hours=168"));
    browser.wait_for("document.querySelectorAll('.failures tbody tr').length", &json!(1));
    browser.go(&format!("{console}/?from=2026-01-01T00:00&to=2026-01-01T02:00"));
    browser.wait_for("document.querySelectorAll('.failures tbody tr').length", &json!(0));
    browser.go(&format!("{console}/?from=yesterday"));
    browser.wait_for("document.body.innerText.includes('yesterday')", &json!(true));
    // An invalid address has a page, from which the others can be reached.
    browser.go(&format!("{console}/?from=2026-01-02T00:00&to=2026-01-01T00:00"));
    let said = browser.eval("document.querySelector('.problem').innerText");
    assert!(said.as_str().unwrap().starts_with("The range ends"), "{said}");
    browser.click("nav a");
    browser.wait_for("document.querySelector('h1').innerText", &json!("Overview"));

    // A run has the lines around its failure, and leads to the others.
    browser.go(&console);
    browser.click(".failures .message");
    browser
        .wait_for("document.querySelector('.source .meant').textContent.includes('throw new')", &json!(true));
    browser.wait_for("document.querySelectorAll('#others ~ .runs li').length", &json!(10));

    // Times are ISO 8601.
    let written = "[...document.querySelectorAll('time')].every(e => /^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d$/.test(e.textContent))";
    assert_eq!(browser.eval(written), json!(true));
}

#[test]
fn runs_are_found_by_outcome_status_and_text() {
    let (_site, server, _data) = visited();
    let found = |query: &str| {
        let answer = server.admin(&format!("/api/brands/demo/runs?{query}"));
        let runs: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        runs.as_array().unwrap().len()
    };
    server.wait_until("the runs are stored", || found("failed") == 2);
    assert_eq!((found("outcome=error"), found("outcome=compile"), found("outcome=fuel")), (1, 1, 0));
    assert_eq!((found("status=5"), found("text=ABOUT%20TO%20fail"), found("text=nowhere")), (1, 1, 0));
    assert_eq!(found("text=sum%20is&limit=200"), 111);
    let failed = server.admin("/api/brands/demo/runs?failed&limit=1");
    let failed: serde_json::Value = serde_json::from_str(&failed.body).unwrap();
    assert_eq!(found(&format!("text={}", failed[0]["trace_id"].as_str().unwrap())), 1);
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo/runs"));
    browser.fill("[name=text]", "sum is");
    browser.click(".filter button");
    browser.wait_for("document.querySelectorAll('.runs li').length", &json!(25));
    browser.click("[rel=next]");
    browser.wait_for("/before=\\d+&text=sum%20is/.test(location.search)", &json!(true));
    browser.wait_for("document.querySelector('[name=text]').value", &json!("sum is"));
}

#[test]
fn overview_refreshes_itself_until_somebody_pauses_it() {
    let (_site, server, _data) = visited();
    let (browser, _) = logged_in(&server);
    browser.wait_for("document.querySelector('#live').ariaPressed", &json!("true"));
    browser.eval("(document.querySelector('.figures').isOld = true)");
    browser.wait_for("document.querySelector('.figures').isOld ?? false", &json!(false));
    browser.wait_for("document.querySelectorAll('.chart .uplot canvas').length", &json!(5));
    // What somebody reads is not replaced, and the button says so.
    let shown = "document.querySelector('.liveness').innerText.replace(/\\s+/g, ' ')";
    browser.eval("(document.querySelector('.chart details').open = true)");
    browser.wait_for(shown, &json!("On hold while a table is open"));
    browser.eval("(document.querySelector('.chart details').open = false)");
    browser.wait_for(shown, &json!("Live"));
    browser.press("\u{E004}");
    browser.eval("(document.querySelector('.failures .message').focus(), true)");
    browser.wait_for(shown, &json!("On hold while a link has the focus"));
    browser.click("#live");
    browser.wait_for(shown, &json!("Paused"));
    browser.eval("(location.reload(), true)");
    browser.wait_for("document.querySelector('#live')?.ariaPressed", &json!("false"));
    // It holds while this page is sorted or shows another time, and for no other page.
    browser.click("p.sort a[href*='kinds=rarest']");
    browser.wait_for("new URLSearchParams(location.search).get('kinds')", &json!("rarest"));
    browser.wait_for(shown, &json!("Paused"));
    browser.click(".range [value='168']");
    browser.wait_for("location.search.includes('hours=168')", &json!(true));
    browser.wait_for(shown, &json!("Paused"));
    browser.click("#brands ~ .wide tbody th a");
    browser.wait_for("location.pathname", &json!("/brands/demo"));
    browser.wait_for(shown, &json!("Live"));
}

#[test]
fn nothing_moves_under_a_mouse_that_is_pressed() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    for width in [1280, 390] {
        browser.resize(width, 900);
        for (at, what, leads_to) in [
            ("/", ".range .choices [value='1']", "location.search.includes('hours=1')"),
            ("/", ".failures .message", "location.pathname.includes('/runs/')"),
            ("/brands/demo", "tbody th a", "location.pathname.endsWith('/page')"),
        ] {
            browser.go(&format!("{console}{at}"));
            browser.wait_for("document.querySelector('#live').hidden", &json!(false));
            browser.click_by_hand(what);
            browser.wait_for(leads_to, &json!(true));
        }
    }
}
