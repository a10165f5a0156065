//! How an operator changes a limit: what is in force, what is proposed, and what became of the change.

use serde_json::json;

use super::{logged_in, visited};

fn form(limit: &str) -> String {
    format!("form.set:has([value={limit}])")
}

fn change(limit: &str) -> String {
    format!("document.querySelector('{}').parentElement.querySelector('.change').innerText", form(limit))
}

#[test]
fn field_has_the_value_in_force_and_a_proposal_is_only_taken_when_asked_for() {
    let (site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    let file = || std::fs::read_to_string(site.brand_dir("demo").join("brand.toml")).unwrap();
    let before = file();
    browser.go(&format!("{console}/brands/demo/page?path=/heavy&hours=1"));
    let heap = form("heap_bytes_max");
    let value = format!("document.querySelector('{heap} [name=value]').value");
    assert_eq!(browser.eval(&value), json!("8 MB"));
    // The proposal is below what is in force, and says so.
    let row = "document.querySelector('#limit-heap_bytes_max').innerText";
    assert!(browser.eval(row).as_str().unwrap().contains("lower than now"), "{}", browser.eval(row));
    browser.click(&format!("{heap} .use"));
    browser.wait_for(&value, &json!("1 MB"));
    browser.wait_for(
        &format!("{}.includes('lower than the value in force, 8 MB')", change("heap_bytes_max")),
        &json!(true),
    );
    assert_eq!(file(), before, "nothing is written");
    // A value with a unit, as the console writes it. The range stays.
    browser.fill(&format!("{heap} [name=value]"), "12 MB");
    browser.click(&format!("{heap} button"));
    let done = "document.querySelector('.done')?.textContent";
    browser.wait_for(done, &json!("heap_bytes_max was 8 MB and is now 12 MB. It is in force."));
    assert!(file().contains("limits = { heap_bytes_max = 12582912 }"), "{}", file());
    assert_eq!(browser.eval("new URLSearchParams(location.search).get('hours')"), json!("1"));
    // Enter changes nothing.
    browser.eval(&format!("(document.querySelector('{heap} button').click(), true)"));
    browser.wait_for(done, &json!("heap_bytes_max is 12 MB, as before. It is in force."));
    // And back to the default.
    browser.click(&format!("{heap} [value=unset]"));
    browser.wait_for(
        &format!("({done} ?? '').startsWith('heap_bytes_max was 12 MB and is now 8 MB, which is from ')"),
        &json!(true),
    );
    assert_eq!(file(), before);
}

#[test]
fn limit_below_what_runs_use_has_a_warning() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    browser.fill(&format!("{} [name=value]", form("fuel")), "1000");
    browser.wait_for(&format!("{}.includes('Runs like it would fail')", change("fuel")), &json!(true));
}

#[test]
fn rejected_limit_stays_in_its_field_and_says_why() {
    let (_site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    browser.log();
    // Limits that say nothing about this page are folded.
    browser.click("details.more summary");
    let field = format!("{} [name=value]", form("crm_calls_max"));
    browser.fill(&field, "many");
    browser.wait_for(&format!("{}.includes('many')", change("crm_calls_max")), &json!(true));
    assert_eq!(browser.log(), Vec::<String>::new(), "a value that somebody types is no error");
    browser.click(&format!("{} button", form("crm_calls_max")));
    browser.wait_for("document.querySelector('#wrong')?.textContent.includes('crm_calls_max')", &json!(true));
    let typed =
        format!("[document.querySelector('{field}').value, document.querySelector('{field}').ariaInvalid]");
    browser.wait_for(&typed, &json!(["many", "true"]));
    // It is said once.
    let said = "document.querySelector('main').innerText.split('is not a positive whole number').length - 1";
    assert_eq!(browser.eval(said), json!(1));
    // The address of the answer leads to the page.
    browser.go(browser.eval("location.href").as_str().unwrap());
    browser.wait_for("[location.pathname, location.hash]", &json!(["/brands/demo/page", "#limits"]));
    browser.click("details.more summary");
    browser.fill(&field, "120");
    browser.click(&format!("{} button", form("crm_calls_max")));
    browser.wait_for(
        "document.querySelector('.done')?.textContent",
        &json!("crm_calls_max was 100 and is now 120. It is in force."),
    );
}

#[test]
fn change_of_a_limit_is_shown_before_it_is_made() {
    let (site, server, _data) = visited();
    let (browser, console) = logged_in(&server);
    let file = || std::fs::read_to_string(site.brand_dir("demo").join("brand.toml")).unwrap();
    let before = file();
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    browser.click("details.more summary");
    let (form, change) = (form("cookies_max"), change("cookies_max"));
    browser.fill(&format!("{form} [name=value]"), "33");
    browser.wait_for(
        &format!("{change}.split('\\n').filter((line) => line.trim() !== '')"),
        &json!([
            "brand.toml will be:",
            "+",
            "+[[page]]",
            "+path = \"/heavy\"",
            "+limits = { cookies_max = 33 }"
        ]),
    );
    browser.fill(&format!("{form} [name=value]"), "many");
    browser.wait_for(&format!("{change}.includes('many')"), &json!(true));
    assert_eq!(file(), before, "nothing is written");
    browser.fill(&format!("{form} [name=value]"), "34");
    browser.click(&format!("{form} button"));
    browser.wait_for(
        "document.querySelector('.done')?.textContent",
        &json!("cookies_max was 20 and is now 34. It is in force."),
    );
    assert!(file().contains("limits = { cookies_max = 34 }"), "{}", file());

    // Without JavaScript, a button shows the change, and another one a proposal.
    let scripts_are = |disabled: bool| {
        browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": disabled }));
    };
    scripts_are(true);
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    browser.fill(&format!("{form} [name=value]"), "35");
    browser.click(&format!("{form} noscript button"));
    scripts_are(false);
    browser.wait_for(&format!("{change}.includes('+limits = {{ cookies_max = 35 }}')"), &json!(true));
    scripts_are(true);
    browser.go(&format!("{console}/brands/demo/page?path=/heavy"));
    browser.click("form.set:has([value=fuel]) .use");
    scripts_are(false);
    browser.wait_for(
        "document.querySelector('#limit-fuel .change').innerText.includes('fuel = ')",
        &json!(true),
    );
    assert!(file().contains("limits = { cookies_max = 34 }"), "{}", file());
}
