//! What an operator sees of reloads: when they were, and what fails since then.

use serde_json::{Value, json};

use super::{logged_in, visited};

#[test]
fn operator_sees_what_a_reload_broke() {
    let (site, server, _data) = visited();
    let causes = || -> Vec<Value> {
        let view: Value = serde_json::from_str(&server.admin("/api/overview").body).unwrap();
        view["reloads"].as_array().unwrap().iter().map(|one| one["cause"].clone()).collect()
    };
    assert_eq!(causes(), [json!("start")]);
    // A page gets a mistake that only a run shows, and another one that keeps it from being compiled.
    site.write(
        "brands/demo/pages/blog/{slug}.html",
        "<script scope=\"backend\">null.oops</script>{{ var.b }}",
    );
    site.write("brands/demo/pages/deal.html", "<script scope=\"backend\">let = ;</script>");
    server.reload();
    assert_eq!(causes(), [json!("files"), json!("start")]);
    for _ in 0..3 {
        server.get("localhost", "/blog/a");
    }
    server.get("localhost", "/heavy?fail=1");
    let (browser, console) = logged_in(&server);
    let new = "[...document.querySelectorAll('.failures tbody tr')].map(row => [row.querySelector('td a').textContent, \
         row.querySelector('.since')?.textContent.startsWith('new since the reload at 2') ?? false])";
    server.wait_until("the failures are stored", || {
        browser.go(&console);
        browser.eval(new) == json!([["/blog/{slug}", true], ["/heavy", false], ["/broken", false]])
    });
    let said = browser.eval("document.querySelector('#reloads').innerText");
    let said = said.as_str().unwrap();
    assert!(said.contains("The last reload was at 2") && said.contains(" could not be loaded"), "{said}");
    let broken = browser.eval("document.querySelector('section.problem').innerText");
    assert!(broken.as_str().unwrap().contains("demo /deal: "), "{broken}");

    // A limit that is set afterwards hides none of this.
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    let form = "form.set:has([value=heap_bytes_max])";
    browser.fill(&format!("{form} [name=value]"), "9_000_000");
    browser.click(&format!("{form} button"));
    browser.wait_for(
        "document.querySelector('.done')?.textContent",
        &json!("heap_bytes_max is set in brand.toml."),
    );
    assert_eq!(causes(), [json!("limit"), json!("files"), json!("start")]);
    let marks = "JSON.parse(document.querySelector('figure[data-chart]').dataset.chart).marks.length";
    assert_eq!(browser.eval(marks), json!(3));
    browser.go(&console);
    assert_eq!(browser.eval(new), json!([["/blog/{slug}", true], ["/heavy", false], ["/broken", false]]));
    assert_eq!(browser.eval(marks), json!(3));
}

#[test]
fn page_says_to_which_limit_it_is_close_and_what_the_limit_means() {
    let (site, server, _data) = visited();
    site.write(
        "brands/demo/pages/heavy.html",
        "<script scope=\"backend\">const all = 'x'.repeat(7_200_000);</script>heavy",
    );
    server.reload();
    let (browser, console) = logged_in(&server);
    let near = "[...document.querySelectorAll('main .stacked tbody tr')].find(row => row.querySelector('th a').textContent === '/heavy').querySelector('a.tag')?.textContent";
    server.wait_until("the visit is counted", || {
        server.get("localhost", "/heavy");
        browser.go(&format!("{console}/brands/demo"));
        browser.eval(near) == json!("near heap_bytes_max")
    });
    // It leads to the limits of the page, which say in words what each limits.
    browser.click("a.tag");
    browser.wait_for("location.hash", &json!("#limits"));
    let row = "[...document.querySelectorAll('section[aria-labelledby=limits] tbody tr')].find(row => row.innerText.includes('heap_bytes_max')).innerText";
    let row = browser.eval(row);
    let row = row.as_str().unwrap();
    assert!(
        row.contains("near the limit") && row.contains("Memory that the script can allocate, in bytes."),
        "{row}"
    );
    let shown = browser.eval("[...document.querySelectorAll('figcaption')].find(one => one.textContent.includes('Memory')).textContent");
    assert!(shown.as_str().unwrap().contains("% of the quota of 8"), "{shown}");
}
