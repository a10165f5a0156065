//! What an operator looks at closely: entries, single runs, values of charts, and a change before it is made.

use serde_json::{Value, json};
use sluice_kit::clock::{iso_utc, now_ms};

use super::{logged_in, visited};

#[test]
fn entries_are_found_and_shown_whole() {
    let (_site, server, _data) = visited();
    for number in 0..60 {
        server.get("localhost", &format!("/deal?customer=dora{number}&stage="));
    }
    let (browser, console) = logged_in(&server);
    let at = format!("{console}/brands/demo/crm/deals");
    let rows = "document.querySelectorAll('section[aria-labelledby=entries] tbody tr').length";
    browser.go(&at);
    browser.wait_for(rows, &json!(50));
    // In capitals or not, in a reference or a value; and not among the 50 newest.
    browser.fill("[name=text]", "ANN <B>");
    browser.click(".filter button");
    browser.wait_for("location.search.startsWith('?text=ANN')", &json!(true));
    browser.wait_for(rows, &json!(1));
    assert_eq!(browser.eval("document.querySelectorAll('.board').length"), json!(0));
    browser.click("section[aria-labelledby=entries] tbody a");
    browser.wait_for("document.querySelector('h1').textContent", &json!("customer ann"));
    let shown = browser.eval("document.querySelector('main').innerText").as_str().unwrap().to_owned();
    for part in ["sales / new", "ann <b>Ltd</b>", "text"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    // The entry leads to the others of its stage.
    browser.click(".facts a");
    browser.wait_for("document.querySelector('[name=stage]').value", &json!("sales/new"));
    browser.wait_for(rows, &json!(1));
    browser.go(&format!("{at}?stage=none&text=dora"));
    browser.wait_for(rows, &json!(50));
    browser.click("[rel=next]");
    browser.wait_for(rows, &json!(10));
    browser.go(&format!("{at}?text=nowhere"));
    browser.wait_for("document.body.innerText.includes('No entry matches.')", &json!(true));

    let found = |query: &str| server.admin(&format!("/api/brands/demo/crm/deals?{query}"));
    let entries: Vec<Value> = serde_json::from_str(&found("stage=sales/won").body).unwrap();
    assert_eq!((entries.len(), &entries[0]["reference_id"]), (1, &json!("bob")));
    assert_eq!((found("stage=sales/lost").status, found("before=x").status), (400, 400));
    let missing = "ffffffff-ffff-ffff-ffff-ffffffffffff";
    for id in [missing, "00000000-0000-0000-0000-000000000000"] {
        browser.go(&format!("{at}/{id}"));
        browser.wait_for("document.querySelector('h1').textContent", &json!("Not found"));
    }
}

#[test]
fn entry_shows_the_history_of_its_stages() {
    let (_site, server, _data) = visited();
    for stage in ["new", "won", "won"] {
        server.get("localhost", &format!("/deal?customer=ann&stage={stage}"));
    }
    let entry_of = |customer: &str| -> Value {
        let found = server.admin(&format!("/api/brands/demo/crm/deals?text={customer}")).body;
        let found: Vec<Value> = serde_json::from_str(&found).unwrap();
        let id = found[0]["id"].as_str().unwrap();
        serde_json::from_str(&server.admin(&format!("/api/brands/demo/crm/deals/{id}")).body).unwrap()
    };
    let ann = entry_of("ann");
    assert_eq!(
        (&ann["stage_moves"], &ann["stage"], &ann["reference_id"]),
        (&json!(2), &json!("won"), &json!("ann"))
    );
    let stages = |entry: &Value| -> Vec<Value> {
        let lines = entry["stage_history"].as_array().unwrap().iter();
        lines.map(|line| json!([line["from"], line["to"]])).collect()
    };
    assert_eq!(stages(&ann), [json!(["sales/new", "sales/won"]), json!([null, "sales/new"])]);
    let moved_at = ann["stage_history"][0]["moved_at"].clone();
    assert!(
        moved_at.as_str() >= ann["created_at"].as_str() && moved_at.as_str() <= ann["updated_at"].as_str()
    );

    let (browser, console) = logged_in(&server);
    let section = "document.querySelector('section[aria-labelledby=history]')";
    let show = |entry: &Value| {
        browser.go(&format!("{console}/brands/demo/crm/deals/{}", entry["id"].as_str().unwrap()));
        browser.eval(&format!("{section}.innerText")).as_str().unwrap().to_owned()
    };
    show(&ann);
    let rows = format!(
        "[...{section}.querySelectorAll('tbody tr')].map((row) => [...row.cells].slice(0, 2).map((cell) => cell.textContent))"
    );
    assert_eq!(browser.eval(&rows), json!([["sales/won", "sales/new"], ["sales/new", "no stage"]]));
    let shown = browser.eval(&format!("{section}.querySelector('time').dateTime"));
    assert_eq!(shown, moved_at);
    // The line leads to the entries that are in the stage now.
    browser.click("section[aria-labelledby=history] tbody a");
    browser.wait_for("document.querySelector('[name=stage]')?.value", &json!("sales/won"));
    assert!(show(&entry_of("cy")).contains("It was never moved to a stage."));

    for number in 0..100 {
        let stage = ["new", "won"][number % 2];
        server.get("localhost", &format!("/deal?customer=ann&stage={stage}"));
    }
    let said = show(&entry_of("ann"));
    assert!(said.contains("These are the newest 100 of 102 moves, back to "), "{said}");
}

#[test]
fn chart_values_are_read_with_the_keyboard() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    browser.wait_for("document.querySelectorAll('.chart .uplot canvas').length", &json!(3));
    // The legend has the newest values, also without a pointer.
    let legend = "[...document.querySelector('.chart .u-legend').querySelectorAll('.u-value')].slice(1).map(e => e.textContent).join()";
    let table = "[...document.querySelector('.chart details tbody').lastElementChild.querySelectorAll('td')].map(e => e.textContent).join()";
    let newest = browser.eval(table);
    browser.wait_for(legend, &newest);
    browser.eval("(document.querySelector('.u-holder').focus({ focusVisible: true }), true)");
    let said = "document.activeElement.ariaValueText ?? ''";
    let value = newest.as_str().unwrap().split(',').next().unwrap().to_owned();
    browser.wait_for(&format!("({said}).includes({})", json!(format!("p50 {value}"))), &json!(true));
    assert_eq!(browser.eval("document.activeElement.role"), json!("slider"));
    // Home, the arrow to the right and End lead from value to value, and never beyond.
    browser.press("\u{e011}");
    browser.wait_for("document.activeElement.ariaValueNow", &json!("1"));
    let last = browser.eval("document.activeElement.ariaValueMax");
    browser.press("\u{e010}");
    browser.wait_for("document.activeElement.ariaValueNow", &last);
    browser.press("\u{e014}");
    browser.wait_for("document.activeElement.ariaValueNow", &last);
    assert!(browser.eval("document.querySelector('.u-cursor-x').checkVisibility()").as_bool().unwrap());
    // What is selected with the pointer is the range of the whole page.
    let at = browser.eval(
        "(({ x, y, width }) => ({ x, y: y + 10, width }))(document.querySelector('.u-over').getBoundingClientRect())",
    );
    let (x, y, width) = (at["x"].as_f64().unwrap(), &at["y"], at["width"].as_f64().unwrap());
    for (kind, share) in
        [("mousePressed", 0.5), ("mouseMoved", 0.7), ("mouseMoved", 0.9), ("mouseReleased", 0.9)]
    {
        let event = json!({
            "type": kind, "x": x + width * share, "y": y, "button": "left", "buttons": 1, "clickCount": 1
        });
        browser.devtools("Input.dispatchMouseEvent", &event);
    }
    browser.wait_for("new URLSearchParams(location.search).get('path')", &json!("/heavy"));
    browser.wait_for("/from=.*&to=/.test(location.search)", &json!(true));
    browser.wait_for("document.querySelector('.range details').open", &json!(true));
}

#[test]
fn run_shows_where_its_time_went() {
    let (_site, server, _data) = visited();
    let runs: Vec<Value> = serde_json::from_str(&server.admin("/api/brands/demo/runs?failed").body).unwrap();
    let run = runs.iter().find(|run| run["outcome"] == "error").unwrap();
    assert!(run["waited_us"].is_u64() && run["cpu_wait_us"].is_u64(), "{run}");
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo/runs/{}", run["id"]));
    let phases =
        browser.eval("[...document.querySelectorAll('.phase-list dt')].map((one) => one.textContent)");
    assert_eq!(phases, json!(["waited for a sandbox", "script", "in host calls", "waited for a processor"]));
    let took = browser.eval("document.querySelector('.phase-list .a dd').textContent");
    assert!(!took.as_str().unwrap().starts_with("0 "), "the script took some time: {took}");
    let shares = browser.eval(
        "[...document.querySelectorAll('.phase-list small')].reduce((sum, one) => sum + parseInt(one.textContent), 0)",
    );
    assert!((98..=102).contains(&shares.as_i64().unwrap()), "{shares}");
}

#[test]
fn overview_shows_the_size_of_the_database_and_the_time_before() {
    let (_site, server, _data) = visited();
    let view: Value = serde_json::from_str(&server.admin("/api/overview").body).unwrap();
    assert!(view["database"]["size_bytes"].as_u64().unwrap() > 50_000, "{}", view["database"]);
    // A range after now: all runs were before it.
    let quarter = 15 * 60 * 1_000;
    let next = now_ms() / quarter * quarter + quarter;
    let written = |at: i64| iso_utc(at)[..16].to_owned();
    let query = format!("from={}&to={}", written(next), written(next + 2 * quarter));
    let later: Value = serde_json::from_str(&server.admin(&format!("/api/overview?{query}")).body).unwrap();
    assert_eq!(
        (&later["runs"], &later["before"]),
        (&json!(0), &json!({ "runs": view["runs"], "failures": view["failures"] }))
    );
    let (browser, _) = logged_in(&server);
    let shown = "[...document.querySelectorAll('.figures div')].find((one) => one.textContent.includes('Database size')).innerText";
    assert!(browser.eval(shown).as_str().unwrap().contains("KB"), "{}", browser.eval(shown));
}

/// Visitors of the console who ask their system for more contrast get it, in both colour schemes.
#[test]
fn contrast_follows_the_system() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    let ratio = "(() => {
      const light = (text) => {
        const parts = text.match(/[\\d.]+/g).slice(0, 3).map((one) => one / 255);
        const [r, g, b] = parts.map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const over = (element) => {
        for (let at = element; at; at = at.parentElement) {
          const colour = getComputedStyle(at).backgroundColor;
          if (!/^rgba.*, 0\\)$/.test(colour)) return colour;
        }
        return 'rgb(255, 255, 255)';
      };
      const texts = [...document.querySelectorAll('main *')].filter((one) => one.checkVisibility() && !one.closest('svg')
        && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
      return Math.min(...texts.map((one) => {
        const [bright, dark] = [light(getComputedStyle(one).color), light(over(one))].sort((a, b) => b - a);
        return (bright + 0.05) / (dark + 0.05);
      }));
    })()";
    for scheme in ["light", "dark"] {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-contrast", "value": "more" }
        ]);
        browser.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
        for path in ["/", "/brands/demo/page?path=/heavy", "/brands/demo/runs", "/brands/demo/crm/deals"] {
            browser.go(&format!("{console}{path}"));
            browser.wait_for("document.readyState", &json!("complete"));
            let found = browser.eval(ratio).as_f64().unwrap();
            assert!(found >= 7.0, "{path}, {scheme}: {found}");
        }
    }
    let forced = json!([{ "name": "forced-colors", "value": "active" }]);
    browser.devtools("Emulation.setEmulatedMedia", &json!({ "features": forced }));
    browser.go(&console);
    browser.wait_for("document.querySelectorAll('.chart .uplot canvas').length", &json!(5));
    browser.wait_for(
        "getComputedStyle(document.documentElement).getPropertyValue('--dashed').trim()",
        &json!("1"),
    );
}
