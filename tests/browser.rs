//! The sample site in Chromium: the walk through all its steps, and how good its pages are.

mod flows;
pub(crate) mod quiet;

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::{Server, ServerOptions};
pub(crate) use sluice_test_support::webdriver::Browser;

const AUDIT: &str = include_str!("browser/audit.js");

/// Adds up how far the layout shifts while the page loads.
const WATCH_SHIFTS: &str = "(() => {
  window.shifted = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.shifted += entry.value;
  }).observe({ type: 'layout-shift', buffered: true });
  return true;
})()";

/// Pages that answer 200 to everybody.
const PAGES: [&str; 16] = [
    "/",
    "/shop",
    "/shop/weir",
    "/cart",
    "/checkout",
    "/pay",
    "/mix",
    "/quiz",
    "/login",
    "/sso",
    "/outbox",
    "/weight/checkin",
    "/grain",
    "/links",
    "/fails",
    "/brands",
];

struct Walk {
    browser: Browser,
    site: String,
    /// How many checks were made, and what they found.
    checks: usize,
    found: Vec<String>,
}

impl Walk {
    fn begin(server: &Server) -> Self {
        let site = format!("http://localhost:{}", server.address.port());
        Self { browser: Browser::open(), site, checks: 0, found: Vec::new() }
    }

    fn go(&self, path: &str) {
        self.browser.go(&format!("{}{path}", self.site));
    }

    /// Sends the form that the selector finds, as its button does.
    fn send(&self, form: &str) {
        self.click(&format!("{form} button"));
    }

    /// Clicks an element as soon as the page has it. The bar of the tour covers the end of the window.
    fn click(&self, selector: &str) {
        let found = format!("document.querySelector({})", json!(selector));
        let shown = format!("({found}?.scrollIntoView({{block: 'center'}}), {found} !== null)");
        self.browser.wait_for(&shown, &json!(true));
        self.browser.click(selector);
    }

    fn is_at(&self, path: &str) {
        self.browser.wait_for("location.pathname", &json!(path));
    }

    fn shows(&self, selector: &str, text: &str) {
        self.browser.wait_for(
            &format!(
                "(document.querySelector({})?.innerText ?? '').replace(/\\s+/g, ' ').trim()",
                json!(selector)
            ),
            &json!(text),
        );
    }

    /// Looks at the page that is open, at each width and in both colour schemes.
    fn audit(&mut self) {
        self.audit_open(true);
    }

    /// The same for the answer to a form, which is not loaded again.
    fn audit_answer(&mut self) {
        self.audit_open(false);
    }

    fn audit_open(&mut self, reloads: bool) {
        let address = self.browser.eval("location.href").as_str().unwrap().to_owned();
        // What was logged before is about other pages.
        self.browser.log();
        let path = self.browser.eval("location.pathname").as_str().unwrap().to_owned();
        let windows = [(360, "light"), (390, "dark"), (1280, "light"), (1600, "dark")];
        for (index, (width, scheme)) in windows.into_iter().enumerate() {
            self.browser.resize(width, 900);
            self.browser.prefer(scheme);
            if reloads && index == 0 {
                self.browser.go(&address);
                self.browser.wait_for("document.readyState", &json!("complete"));
                self.browser.eval(WATCH_SHIFTS);
            } else {
                // The layout shifts because the window changes.
                self.browser.eval("(window.isResized = true)");
            }
            self.browser.wait_for(
                "document.fonts.status === 'loaded' && document.getAnimations().length === 0",
                &json!(true),
            );
            let wrong: Vec<String> = serde_json::from_value(self.browser.eval(AUDIT)).unwrap();
            let logged = self.browser.log();
            self.checks += 1;
            self.found.extend(
                wrong.into_iter().chain(logged).map(|wrong| format!("{path} at {width}, {scheme}: {wrong}")),
            );
        }
        self.browser.resize(1280, 900);
    }

    /// The share of audits without a finding, in percent.
    fn score(&self) -> usize {
        let bad: std::collections::HashSet<&str> =
            self.found.iter().filter_map(|wrong| wrong.split(": ").next()).collect();
        100 * (self.checks - bad.len()) / self.checks
    }
}

#[test]
fn pages_of_the_sample_site_have_the_full_score() {
    let server = Server::start(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts"));
    let mut walk = Walk::begin(&server);
    walk.go("/shop/weir");
    walk.send("main form");
    for page in PAGES {
        walk.go(page);
        walk.audit();
    }
    assert_eq!((walk.score(), &walk.found), (100, &Vec::new()), "{:#?}", walk.found);
}

/// What `sluice new` creates is judged in the same way.
#[test]
fn pages_of_new_sites_have_the_full_score() {
    let folder = tempfile::tempdir().unwrap();
    for (template, pages) in [
        ("plain", &["/", "/contact"][..]),
        ("blog", &["/", "/posts/rain", "/about"]),
        ("members", &["/", "/login", "/outbox"]),
        ("funnel", &["/", "/quiz"]),
        ("api", &["/"]),
    ] {
        let site = folder.path().join(template);
        let made = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(["new", "--quiet", "--template", template])
            .arg(&site)
            .status();
        assert!(made.unwrap().success(), "{template}");
        let server = Server::start(&site);
        let mut walk = Walk::begin(&server);
        for page in pages {
            walk.go(page);
            walk.audit();
        }
        assert_eq!((walk.score(), &walk.found), (100, &Vec::new()), "{template}: {:#?}", walk.found);
    }
}

#[test]
fn visitor_walks_through_the_sample_site() {
    let server = Server::start(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts"));
    let mut walk = Walk::begin(&server);

    // The session: visits, and a cart with a campaign.
    walk.go("/");
    walk.go("/");
    walk.shows("#visits", "2");
    walk.go("/go/spring");
    walk.is_at("/shop");
    walk.shows(
        "#letter",
        "You came with our spring letter, so everything is 10 % off. A cookie remembers it.",
    );
    walk.go("/shop/weir");
    walk.send("main form");
    walk.is_at("/cart");
    walk.shows(".count", "1");
    walk.click("[aria-label='One Weir more']");
    walk.shows(".count", "2");
    walk.shows("#total", "€18.12");

    // Errors stand beside their fields.
    walk.go("/checkout");
    walk.browser.fill("#name", "Ann");
    walk.send("main form");
    walk.shows("#email-wrong", "Email is required");
    walk.browser.wait_for("document.getElementById('name').value", &json!("Ann"));
    walk.audit_answer();
    for (field, text) in
        [("#email", "ann@example.com"), ("#street", "Weg 1"), ("#zip", "89073"), ("#city", "Ulm")]
    {
        walk.browser.fill(field, text);
    }
    walk.send("main form");
    walk.is_at("/thanks");
    walk.shows("h1", "Thank you, Ann");
    walk.audit();

    // JSON: the price follows the slider.
    walk.go("/mix");
    walk.browser.wait_for("document.readyState", &json!("complete"));
    walk.browser.eval(
        "(() => { const oats = document.getElementById('oats'); oats.value = 0; oats.dispatchEvent(new Event('input')); return true })()",
    );
    walk.shows("#price", "€4.68");
    walk.shows("#grams", "140");

    // The funnel, the mail, the members' area.
    walk.go("/quiz");
    for answer in ["long", "salt", "bite"] {
        walk.click(&format!("[type=radio][value={answer}]"));
        walk.send("main form");
    }
    walk.is_at("/quiz/result");
    walk.shows("h1", "Yours is Headwater");
    walk.audit();
    walk.browser.fill("#email", "ann@example.com");
    walk.send("main form.form");
    walk.is_at("/outbox");
    walk.audit();
    walk.go("/members");
    walk.is_at("/login");
    walk.go("/outbox");
    walk.click(".mail .button");
    walk.is_at("/enter");
    walk.shows("main strong", "ann@example.com");
    walk.send("main form");
    walk.is_at("/members");
    walk.shows(".stages .reached:last-child", "Customer");
    walk.audit();
    walk.go("/members/recipes/tray");
    walk.audit();

    // The check-in, as JSON and as a form, and the chart of both.
    walk.go("/weight/checkin");
    walk.browser.fill("#weight", "20");
    walk.send("#checkin-form");
    walk.shows("#result", "Error: Weight must be at least 50");
    walk.browser.fill("#weight", "182.5");
    walk.browser.fill("#notes", "<b>after</b> breakfast");
    walk.send("#checkin-form");
    walk.shows("#result", "Logged: 182.5 lbs");
    walk.go("/dashboard");
    walk.shows("#current", "182.5 lbs");
    walk.shows("#latest-notes", "Notes: <b>after</b> breakfast");
    walk.browser.wait_for("document.querySelectorAll('.chart-point').length", &json!(1));
    walk.go("/weight/checkin");
    walk.browser.fill("#weight", "181");
    walk.browser
        .eval("(HTMLFormElement.prototype.submit.call(document.getElementById('checkin-form')), true)");
    walk.is_at("/dashboard");
    walk.shows("#change", "-1.5 lbs");
    walk.browser.wait_for("document.querySelectorAll('.chart-point').length", &json!(2));
    walk.browser.fill("#goal", "185");
    walk.send("#goal-form");
    walk.shows("#on-track", "You have reached your goal!");
    walk.audit();

    // A cookie that can be deleted, and a page whose script fails.
    walk.go("/links");
    walk.shows("#letter", "letter=spring");
    walk.send("main form");
    walk.browser.wait_for("document.getElementById('letter') === null", &json!(true));
    walk.go("/fails/throws");
    walk.shows("h1", "Good morning");
    walk.audit();

    // The server's own page for errors has its style under the policy of the brand.
    walk.go("/fails/loops");
    walk.shows("h1", "Something went wrong");
    walk.browser.wait_for("getComputedStyle(document.body).maxWidth", &json!("512px"));

    // The second brand has its own session.
    walk.go("/brands");
    walk.click("#other");
    walk.browser.wait_for("location.hostname", &json!("tailrace.localhost"));
    walk.shows(
        "#visits",
        "You are here for the first time. Millrace, on the same server, does not know that.",
    );
    walk.audit();
    walk.click("nav a");
    walk.shows("h1", "Tees für den Abend");
    walk.browser.wait_for("document.documentElement.lang", &json!("de"));

    walk.go("/logout");
    walk.audit();
    walk.send("main form");
    walk.is_at("/");
    walk.go("/members");
    walk.is_at("/login");
    assert_eq!((walk.score(), &walk.found), (100, &Vec::new()), "{:#?}", walk.found);
}

/// Every form works without JavaScript: the scripts of the pages only add to them.
#[test]
fn forms_of_the_sample_site_need_no_script() {
    let server = Server::start(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts"));
    let walk = Walk::begin(&server);
    walk.browser.devtools("Network.enable", &json!({}));
    walk.browser.devtools("Network.setBlockedURLs", &json!({"urls": ["*.js"]}));
    walk.go("/mix");
    walk.browser.eval("(document.getElementById('oats').value = 0, true)");
    walk.click("#work-out");
    walk.shows("#price", "€4.68");
    walk.go("/login");
    walk.browser.fill("#email", "ann@example.com");
    walk.send("main form");
    walk.click(".mail .button");
    walk.send("main form");
    walk.is_at("/members");
    walk.go("/weight/checkin");
    walk.browser.fill("#weight", "20");
    walk.send("#checkin-form");
    walk.shows("#weight-wrong", "Weight must be at least 50");
    walk.browser.fill("#weight", "180");
    walk.send("#checkin-form");
    walk.is_at("/dashboard");
    walk.shows("#current", "180 lbs");
}

/// Under `sluice dev`, every page shows what is behind it. Visitors of `sluice serve` see no button.
#[test]
fn sample_site_shows_what_is_behind_a_page() {
    let site = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
    let server = ServerOptions::dev(&site).start();
    let mut walk = Walk::begin(&server);
    walk.go("/go/spring");
    walk.browser.wait_for("document.querySelector('.behind-open').hidden", &json!(false));
    walk.click(".behind-open");
    walk.shows(".behind-line", "GET /shop → 200, ok");
    walk.browser.wait_for(
        "[...document.querySelectorAll('.behind [role=tab]')].map((tab) => tab.textContent).slice(0, 4)",
        &json!(["What it did", "pages/shop/index.html", "layouts/main.html", "modules/tour.js"]),
    );
    // Arrows choose a file, and its source is shown in colours.
    walk.browser.eval("(document.querySelector('.behind [role=tab]').focus(), true)");
    walk.browser.press("\u{e014}");
    walk.browser.wait_for("document.activeElement.textContent", &json!("pages/shop/index.html"));
    walk.browser.wait_for(
        "document.querySelector('.behind [role=tabpanel]:not([hidden]) .hue-call').textContent",
        &json!("setVariable"),
    );
    walk.audit_answer();
    walk.browser.press("\u{e00c}");
    walk.browser.wait_for("document.querySelector('.behind').open", &json!(false));
    assert_eq!(walk.found, Vec::<String>::new());
    drop(server);

    let server = Server::start(&site);
    let walk = Walk::begin(&server);
    walk.go("/shop");
    walk.browser.wait_for("document.readyState", &json!("complete"));
    walk.browser.wait_for("document.querySelector('.behind-open').hidden", &json!(true));
}
