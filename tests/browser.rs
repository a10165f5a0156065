//! The sample site in Chromium.

use std::path::Path;

use serde_json::json;

use crate::harness::Server;
pub(crate) use sluice_test_support::webdriver::Browser;

#[test]
fn visitor_logs_in_checks_in_and_sees_it_on_the_dashboard() {
    let server = Server::start(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts"));
    let site = format!("http://localhost:{}", server.address.port());
    let browser = Browser::open();

    browser.go(&site);
    browser.wait_for("document.querySelectorAll('dt').length", &json!(4));
    browser.go(&site);
    browser.wait_for("document.getElementById('visits').textContent", &json!("2"));

    // Without a login, the page rejects the check-in.
    browser.go(&format!("{site}/weight/checkin"));
    browser.fill("#weight", "182.5");
    browser.click("button");
    browser.wait_for("document.getElementById('result').textContent", &json!("Error: not authenticated"));

    browser.go(&format!("{site}/login"));
    browser.fill("[name=email]", "ann@example.com");
    browser.fill("[name=name]", "Ann");
    browser.click("button");
    browser.wait_for("location.pathname", &json!("/dashboard"));
    browser.wait_for("document.querySelector('h1').textContent", &json!("Hello, Ann"));
    browser.wait_for("document.getElementById('current').textContent.trim()", &json!("Not logged yet"));

    browser.go(&format!("{site}/weight/checkin"));
    browser.fill("#weight", "20");
    browser.click("button");
    browser.wait_for(
        "document.getElementById('result').textContent",
        &json!("Error: Weight must be at least 50"),
    );
    browser.fill("#weight", "82.5");
    browser.fill("#notes", "<b>after</b> breakfast");
    browser.eval("document.getElementById('unit').value = 'kg'");
    browser.click("button");
    browser.wait_for("document.getElementById('result').textContent", &json!("Logged: 82.5 kg"));

    browser.go(&format!("{site}/dashboard"));
    browser.wait_for("document.getElementById('current').textContent", &json!("82.5 kg"));
    browser.wait_for(
        "document.getElementById('latest-notes').textContent",
        &json!("Notes: <b>after</b> breakfast"),
    );
    browser.fill("#goal", "85");
    browser.click("button");
    browser.wait_for("document.getElementById('goal-now').textContent", &json!("85"));
    browser.wait_for("!!document.getElementById('on-track')", &json!(true));

    browser.go(&format!("{site}/logout"));
    browser.go(&format!("{site}/dashboard"));
    browser.wait_for("location.pathname", &json!("/login"));
}
