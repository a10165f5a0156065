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
         row.querySelector('.new') !== null])";
    server.wait_until("the failures are stored", || {
        browser.go(&console);
        browser.eval(new) == json!([["/blog/{slug}", true], ["/heavy", false], ["/broken", false]])
    });
    // What it changed and what it broke is named, and leads there.
    let said = browser.eval("document.querySelector('#last-reload').innerText");
    let said = said.as_str().unwrap();
    for part in [
        "The last reload was at 2",
        " ago.",
        "changed script: demo /blog/{slug}",
        "2 parts could not be loaded:",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let links = "[...document.querySelectorAll('#last-reload a')].map(one => one.textContent)";
    assert_eq!(
        browser.eval(links),
        json!(["demo /blog/{slug}", "All that changed", "demo /broken", "demo /deal"])
    );
    let broken = browser.eval("document.querySelector('section.problem').innerText");
    assert!(broken.as_str().unwrap().contains("demo /deal is outdated: "), "{broken}");

    // A limit that is set afterwards hides none of this.
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    let form = "form.set:has([value=heap_bytes_max])";
    browser.fill(&format!("{form} [name=value]"), "9_000_000");
    browser.click(&format!("{form} button"));
    browser.wait_for(
        "document.querySelector('.done')?.textContent",
        &json!("heap_bytes_max was 8 MB and is now 9_000_000. It is in force."),
    );
    assert_eq!(causes(), [json!("limit"), json!("files"), json!("start")]);
    let marks = "JSON.parse(document.querySelector('figure[data-chart]').dataset.chart).marks.length";
    assert_eq!(browser.eval(marks), json!(3));
    browser.go(&console);
    assert_eq!(browser.eval(new), json!([["/blog/{slug}", true], ["/heavy", false], ["/broken", false]]));
    assert_eq!(browser.eval(marks), json!(3));
    // The earlier ones are in a list.
    browser.click(".loads summary");
    let earlier = browser.eval(
        "[...document.querySelectorAll('.loads li')].map(one => one.innerText.replace(/^\\S+ \\S+ /, ''))",
    );
    let earlier: Vec<String> = serde_json::from_value(earlier).unwrap();
    assert_eq!(earlier.len(), 1, "{earlier:?}");
    assert!(earlier[0].starts_with("start"), "{earlier:?}");
    // A limit that was changed since is not earlier.
    let later = browser.eval("document.querySelector('.loads .later').innerText");
    let later = later.as_str().unwrap();
    let change = "change of a limit: demo /heavy heap_bytes_max, 8 MB → 9_000_000. By whom";
    assert!(later.starts_with("Since then: 2") && later.ends_with(change), "{later}");
    // The API has the same.
    let view: Value = serde_json::from_str(&server.admin("/api/overview").body).unwrap();
    let reload = &view["reloads"][1];
    assert_eq!(reload["pages"], json!([{ "brand": "demo", "page": "pages/blog/{slug}.html" }]));
    assert_eq!((&reload["problems"], &reload["parts"][1]["page"]), (&json!(2), &json!("pages/deal.html")));
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
        browser
            .eval(near)
            .as_str()
            .is_some_and(|near| near.starts_with("near heap_bytes_max: ") && near.ends_with(" of 8 MB"))
    });
    // It leads to the limits of the page, which say in words what each limits.
    browser.click("a.tag");
    browser.wait_for("location.hash", &json!("#set-heap_bytes_max"));
    let row = "[...document.querySelectorAll('section[aria-labelledby=limits] tbody tr')].find(row => row.innerText.includes('heap_bytes_max')).innerText";
    let row = browser.eval(row);
    let row = row.as_str().unwrap();
    assert!(
        row.contains("near the limit")
            && row.contains("Memory quota of a run, in bytes: what its script can allocate."),
        "{row}"
    );
    let shown = browser.eval("[...document.querySelectorAll('figcaption')].find(one => one.textContent.includes('Memory')).textContent");
    assert!(shown.as_str().unwrap().contains("% of the quota of 8"), "{shown}");
}
