//! What an operator sees of jobs: what is wrong with one, where its runs are, and what became of an action.

use serde_json::{Value, json};

use super::logged_in;
use crate::harness::{Request, Server, ServerOptions, TestSite};

fn site() -> TestSite {
    let site = TestSite::with(&[
        ("pages/index.html", "<script scope=\"backend\">setVariable('a', 1)</script>light"),
        (
            "pages/push.html",
            "<script scope=\"backend\">response.json(queue.push('mail', { a: 1 }, { fn: 'later', delay: 3600, tag: 'letter' }))</script>",
        ),
        (
            "modules/mail.js",
            "export const tick = () => { throw new Error('no paper'); };\nexport const later = () => 1;\n",
        ),
        (
            "brand.toml",
            "default = true\n[[schedule]]\nname = \"nightly\"\ncron = \"0 3 1 1 *\"\nmodule = \"mail\"\nfn = \"tick\"\n",
        ),
    ]);
    site.write("brands/other/brand.toml", "domains = [\"other.test\"]\n");
    site.write("brands/other/pages/index.html", "other");
    site
}

fn queue(server: &Server) -> Vec<Value> {
    serde_json::from_str(&server.admin("/api/brands/demo/queue").body).unwrap()
}

#[test]
fn actions_say_what_they_did_and_runs_are_one_click_away() {
    let site = site();
    let server = ServerOptions::of(site.path()).start();
    server.get("localhost", "/push");
    server.wait_until("the job is pushed", || queue(&server).len() == 1);
    let (browser, console) = logged_in(&server);
    let did = "document.querySelector('.done')?.innerText ?? ''";
    for (width, height) in [(390, 844), (1280, 900)] {
        browser.resize(width, height);
        browser.go(&format!("{console}/brands/demo/jobs"));
        let cut =
            "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth + 1).length";
        assert_eq!(browser.eval(cut), json!(0), "nothing is beyond the edge at {width}");
        let hidden = "[...document.querySelectorAll('main button')].filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth).length";
        assert_eq!(browser.eval(hidden), json!(0), "{width}");
    }
    let row = browser.eval("document.querySelector('form[action*=drop]').closest('tr').innerText");
    let row = row.as_str().unwrap();
    assert!(row.contains("mail.later") && row.contains("letter") && row.contains(r#"{"a":1}"#), "{row}");
    browser.click("form[action*='schedules/nightly/run?'] button");
    browser.wait_for(
        &format!("/^Schedule nightly was started as job [0-9a-f]{{32}}\\.$/.test({did})"),
        &json!(true),
    );
    let id = queue(&server).iter().find(|job| job["function"] == "later").unwrap()["id"].clone();
    browser.click(&format!("td form:has([name=id][value='{}']) button.danger", id.as_str().unwrap()));
    browser.wait_for("document.querySelector('h1').textContent", &json!("Drop 1 job?"));
    browser.click("main button.danger");
    browser.wait_for(did, &json!("1 job was dropped."));

    // Its failure is one of a job, and leads to the runs of the module.
    let failures = || -> Value { serde_json::from_str(&server.admin("/api/overview").body).unwrap() };
    server.wait_until("the run is counted", || failures()["brands"][0]["job_failures"].as_u64() >= Some(1));
    browser.go(&console);
    let brand = browser.eval("document.querySelector('#brands ~ .wide tbody tr').innerText");
    assert!(brand.as_str().unwrap().contains("of them in jobs"), "{brand}");
    browser.click(".failures td a");
    browser.wait_for("new URLSearchParams(location.search).get('page')", &json!("modules/mail"));
    browser.wait_for("document.querySelector('[name=page]').value", &json!("modules/mail"));
    browser.click(".runs li a");
    browser.wait_for("document.querySelector('.problem strong').innerText", &json!("Error: no paper"));
    // What failed comes before the facts about it, and the module leads back.
    let order = "document.querySelector('.problem').compareDocumentPosition(document.querySelector('.facts')) & Node.DOCUMENT_POSITION_FOLLOWING";
    assert_eq!(browser.eval(order), json!(4));
    browser.click(".facts a");
    browser.wait_for("new URLSearchParams(location.search).get('page')", &json!("modules/mail"));

    // From there to another brand, and to the same list.
    browser.click("nav .brands summary");
    browser.click("nav .brands a[href^='/brands/other']");
    browser.wait_for("location.pathname", &json!("/brands/other/runs"));
}

#[test]
fn selected_jobs_are_retried_and_dropped_after_a_question_that_names_their_number() {
    let site = site();
    let server = ServerOptions::of(site.path()).start();
    for _ in 0..3 {
        server.get("localhost", "/push");
    }
    server.wait_until("the jobs are pushed", || queue(&server).len() == 3);
    let ids: Vec<String> = queue(&server).iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect();
    let (browser, console) = logged_in(&server);
    let scripts_are = |disabled: bool| {
        browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": disabled }));
    };
    browser.go(&format!("{console}/brands/demo/jobs"));
    scripts_are(true);
    browser.click(&format!("[name=id][value='{}']", ids[0]));
    browser.click(&format!("[name=id][value='{}']", ids[1]));
    browser.click("#chosen-queue [formaction*=drop]");
    scripts_are(false);
    browser.wait_for("document.querySelector('h1').textContent", &json!("Drop 2 jobs?"));
    assert_eq!(queue(&server).len(), 3, "nothing is dropped yet");
    // One of them goes meanwhile.
    let drop = format!("/api/brands/demo/queue/{}/drop", ids[0]);
    assert_eq!(Request::new("POST", &drop).operator().send(server.admin_address).status, 200);
    scripts_are(true);
    browser.click("button.danger");
    scripts_are(false);
    let did = "document.querySelector('.done')?.innerText ?? ''";
    browser.wait_for(did, &json!("1 job was dropped. Not there any more, or running: 1."));
    assert_eq!(queue(&server)[0]["id"], json!(ids[2]));
    // With scripts, the list is not replaced meanwhile.
    browser.go(&format!("{console}/brands/demo/jobs"));
    browser.click(&format!("[name=id][value='{}']", ids[2]));
    browser.eval("document.activeElement.blur()");
    browser.wait_for("document.getElementById('live-why').innerText", &json!("while something is selected"));
    browser.click("#chosen-queue button:not([formaction])");
    browser.wait_for(did, &json!("1 job was started again. Those that keep failing are parked again."));
    server.wait_until("the job is done", || queue(&server).is_empty());
    for (kind, brand, ids, status) in
        [("jobs", "demo", "", 400), ("queue", "nobody", "id=x", 404), ("jobs", "demo", "id=x&id=17", 303)]
    {
        let request = Request::new("POST", &format!("/brands/{brand}/{kind}/chosen/retry"))
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(ids.as_bytes()).operator().send(server.admin_address);
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

#[test]
fn run_says_that_its_query_is_not_stored() {
    let site = site();
    let server = ServerOptions::of(site.path()).start();
    site.write("brands/demo/pages/index.html", "<script scope=\"backend\">null.oops</script>");
    server.reload();
    for _ in 0..3 {
        server.get("localhost", "/?voucher=STAFF");
    }
    let runs = || -> Vec<Value> {
        serde_json::from_str(&server.admin("/api/brands/demo/runs?failed").body).unwrap()
    };
    server.wait_until("the runs are stored", || runs().len() == 3);
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo/runs/{}", runs()[0]["id"]));
    let text = browser.eval("document.querySelector('main').innerText");
    let text = text.as_str().unwrap();
    for part in ["Queries are not stored.", "3 of this kind are stored"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("STAFF"), "{text}");
}
