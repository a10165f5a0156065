//! What fits: the overview on a phone, chips, placeholders and long stacks.

use serde_json::{Value, json};

use super::{logged_in, visited};
use crate::browser::Browser;
use crate::harness::{Server, ServerOptions, TestSite};

/// Two brands with twelve kinds of failures and thirteen pages each.
fn long() -> (TestSite, Server) {
    let site = TestSite::new();
    for (brand, settings) in [("shop", "default = true\n"), ("other", "domains = [\"other.test\"]\n")] {
        site.write(&format!("brands/{brand}/brand.toml"), settings);
        site.write(
            &format!("brands/{brand}/pages/page.html"),
            "<script scope=\"backend\">setVariable('a', 1)</script>page",
        );
        for page in 0..12 {
            let text = format!(
                "<script scope=\"backend\">throw new Error('no rates of page {}')</script>",
                "x".repeat(page)
            );
            site.write(&format!("brands/{brand}/pages/page-{page}.html"), &text);
        }
    }
    let server = ServerOptions::of(site.path()).start();
    for host in ["localhost", "other.test"] {
        server.get(host, "/page");
        for page in 0..12 {
            server.get(host, &format!("/page-{page}"));
        }
    }
    server.wait_until("the failures are stored", || {
        let view: Value = serde_json::from_str(&server.admin("/api/overview").body).unwrap();
        view["failure_groups_all"] == 24
    });
    (site, server)
}

/// The rows of a section's table that are seen.
fn rows(browser: &Browser, section: &str) -> Value {
    browser.eval(&format!(
        "[...document.querySelectorAll('section[aria-labelledby={section}] tbody tr')].filter((row) => row.checkVisibility()).length"
    ))
}

#[test]
fn overview_is_short_and_hides_nothing_for_good() {
    let (_site, server) = long();
    let (browser, console) = logged_in(&server);
    for (width, most) in [(1280, 10), (390, 5)] {
        browser.resize(width, 844);
        browser.go(&console);
        browser.wait_for("document.querySelectorAll('.chart .uplot canvas').length", &json!(5));
        assert_eq!(rows(&browser, "failures"), json!(most), "{width}");
        let height = browser.eval("document.documentElement.scrollHeight").as_u64().unwrap();
        assert!(height <= 5 * 844, "{height} at {width}");
        // Each section has a way to the rest of its rows, which says how many there are.
        browser.click("section[aria-labelledby=failures] .rest summary");
        browser.wait_for("document.querySelector('.rest[open] summary').textContent", &json!("All 24 kinds"));
        assert_eq!(rows(&browser, "failures"), json!(24), "{width}");
        let over = browser.eval("document.documentElement.scrollWidth - window.innerWidth");
        assert!(over.as_i64().unwrap() <= 0, "{over} at {width}");
        // Charts are folded away on a phone only.
        let seen = "[...document.querySelectorAll('.narrow .u-over')].filter((one) => one.checkVisibility() && one.clientWidth > 200).length";
        if width == 390 {
            assert_eq!((rows(&browser, "slowest"), browser.eval(seen)), (json!(3), json!(0)));
            browser.click("section[aria-labelledby=slowest] .rest summary");
            assert_eq!(rows(&browser, "slowest"), json!(10));
            browser.click("section[aria-labelledby=load] .narrow summary");
        }
        browser.wait_for(seen, &json!(if width == 390 { 3 } else { 5 }));
    }
}

#[test]
fn chips_and_placeholders_are_not_cut() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    // A placeholder has room in its field, and chips are in one line.
    let cut = "(() => {
      const pen = document.createElement('canvas').getContext('2d');
      return [...document.querySelectorAll('input[placeholder]')].filter((one) => one.checkVisibility()).filter((one) => {
        const style = getComputedStyle(one);
        pen.font = style.font;
        const room = one.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
        return pen.measureText(one.placeholder).width > room;
      }).map((one) => one.placeholder);
    })()";
    let broken = "[...document.querySelectorAll('.tag')].filter((one) => one.checkVisibility() && one.offsetHeight > 26).map((one) => one.textContent)";
    for (width, height) in [(1280, 900), (390, 844)] {
        browser.resize(width, height);
        for path in
            ["/", "/changes", "/brands/demo", "/brands/demo/runs", "/brands/demo/crm/deals", "/?last=90m"]
        {
            browser.go(&format!("{console}{path}"));
            browser.wait_for("document.readyState", &json!("complete"));
            assert_eq!(browser.eval(cut), json!([]), "{path} at {width}");
            if width == 1280 {
                assert_eq!(browser.eval(broken), json!([]), "{path}");
            }
        }
    }
    // Quiet buttons are as dark as the text, so that they do not look disabled.
    let same = "[...document.querySelectorAll('button.quiet')].every((one) => getComputedStyle(one).color === getComputedStyle(document.body).color || one.matches('.paused'))";
    assert_eq!(browser.eval(same), json!(true));
}

#[test]
fn repeated_lines_of_a_stack_are_folded() {
    let site = TestSite::with(&[(
        "pages/deep.html",
        "<script scope=\"backend\">\n  const deep = (left) => (left === 0 ? null.rates : deep(left - 1) + 1);\n  deep(200);\n</script>deep",
    )]);
    let server = ServerOptions::of(site.path()).start();
    server.get("localhost", "/deep");
    let runs =
        || -> Value { serde_json::from_str(&server.admin("/api/brands/demo/runs?failed").body).unwrap() };
    server.wait_until("the run is stored", || runs()[0]["id"].is_i64());
    let lines = runs()[0]["error"]["stack"].as_str().unwrap().lines().count();
    assert!(lines >= 8, "the API has the whole stack: {lines}");
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo/runs/{}", runs()[0]["id"]));
    let shown = browser.eval("document.querySelector('pre.stack').innerText");
    let shown = shown.as_str().unwrap();
    assert!(shown.contains("… ") && shown.contains(" times") && shown.lines().count() < 6, "{shown}");
    browser.click(".whole summary");
    let whole = browser.eval("document.querySelector('.whole pre').innerText.trimEnd().split('\\n').length");
    assert_eq!(whole, json!(lines));
}
