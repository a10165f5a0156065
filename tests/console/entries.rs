//! How an operator creates, changes and deletes entries of the CRM, whatever scripts have stored in them.

use serde_json::{Value, json};

use super::logged_in;
use crate::browser::Browser;
use crate::browser::quiet::complaints;
use crate::harness::{Answer, Request, Server, TestSite};

const CRM: &str = "[[entity]]\nslug = 'deals'\nname = 'Deals'\n\
    [[entity.field]]\nkey = 'name'\nlabel = 'Name'\nvalidation_rules = { required = true }\n\
    [[entity.field]]\nkey = 'email'\ntype = 'email'\nunique = true\n\
    [[entity.field]]\nkey = 'size'\ntype = 'select'\noptions = ['small', { value = 'big', label = 'Over 500' }]\n\
    [[entity.field]]\nkey = 'tags'\ntype = 'multiselect'\noptions = ['new', 'old', 'hot']\n\
    [[entity.field]]\nkey = 'amount'\ntype = 'number'\n[[entity.field]]\nkey = 'note'\ntype = 'textarea'\n\
    [[entity.field]]\nkey = 'due'\ntype = 'date'\n[[entity.field]]\nkey = 'at'\ntype = 'datetime'\n\
    [[entity.field]]\nkey = 'active'\ntype = 'boolean'\n[[entity.field]]\nkey = 'extra'\ntype = 'json'\n\
    [[entity.field]]\nkey = 'page'\ntype = 'url'\n[[entity.field]]\nkey = 'links'\ntype = 'multi_reference'\n\
    [[entity.pipeline]]\nslug = 'sales'\nname = 'Sales'\nstages = [{ slug = 'new', name = 'New' }, { slug = 'won', name = 'Won' }]\n";
/// Writes what its request says.
const PAGE: &str = "<script scope=\"backend\">
  const { id, of, fields } = request.body;
  response.json(id ? updateCrmEntry({ slug: 'deals', id, fields })
    : createCrmEntry({ slug: 'deals', referenceId: of, fields }));
</script>";
const AT: &str = "/brands/demo/crm/deals";

fn start() -> (TestSite, Server) {
    let site = TestSite::with(&[("crm.toml", CRM), ("pages/write.html", PAGE)]);
    let server = Server::start(site.path());
    (site, server)
}

/// What a script does, and the id of its entry.
fn script(server: &Server, what: &Value) -> String {
    let request = Request::new("POST", "/write").header("content-type", "application/json");
    let answer = request.body(what.to_string().as_bytes()).send(server.address);
    let done: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(done["ok"], true, "{done}");
    done["id"].as_str().unwrap_or_default().to_owned()
}

fn entry(server: &Server, id: &str) -> Value {
    let answer = server.admin(&format!("/api{AT}/{id}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

fn post(server: &Server, path: &str, pairs: &[(&str, &str)]) -> Answer {
    let encoded = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
    let pairs: Vec<String> =
        pairs.iter().map(|(name, text)| format!("{}={}", encoded(name), encoded(text))).collect();
    let request = Request::new("POST", path).header("content-type", "application/x-www-form-urlencoded");
    request.body(pairs.join("&").as_bytes()).operator().send(server.admin_address)
}

fn text(browser: &Browser, of: &str) -> String {
    browser
        .eval(&format!("document.querySelector('{of}').textContent"))
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn scripts_are(browser: &Browser, disabled: bool) {
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": disabled }));
}

const DONE: &str =
    "document.querySelector('.done')?.textContent ?? document.querySelector('[role=alert]')?.textContent";

#[test]
fn operator_creates_changes_and_deletes_an_entry_without_scripts_on_a_phone() {
    let (_site, server) = start();
    let (browser, console) = logged_in(&server);
    browser.resize(390, 844);
    browser.go(&format!("{console}{AT}"));
    scripts_are(&browser, true);
    browser.click(".jump a[href*='/new']");
    browser.fill("#reference_id", "ann");
    browser.fill("[name='f.name']", "Ann <b>\"Ltd\"</b>");
    browser.fill("[name='f.email']", "ann@example.com");
    browser.click("[name='f.size'] [value=big]");
    browser.click("[name='f.tags'][value=hot]");
    browser.fill("[name='f.amount']", "12.5");
    browser.fill("[name='f.note']", "one\ntwo");
    browser.click("[name='f.active'] [value=true]");
    browser.fill("[name='f.extra']", "{\"a\": [1]}");
    browser.click("[name=stage] [value='sales/new']");
    browser.click("form.entry button");
    scripts_are(&browser, false);
    browser.wait_for(DONE, &json!("The entry was created."));
    assert_eq!(text(&browser, "h1"), "customer ann");
    let address = browser.eval("location.pathname");
    let id = address.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let made = entry(&server, &id);
    let values = json!({
        "name": "Ann <b>\"Ltd\"</b>", "email": "ann@example.com", "size": "big", "tags": ["hot"], "amount": 12.5,
        "note": "one\ntwo", "active": true, "extra": {"a": [1]}
    });
    assert_eq!((&made["values"], &made["stage"]), (&values, &json!("new")));

    scripts_are(&browser, true);
    browser.click("details.more summary");
    browser.fill("[name='f.amount']", "7");
    browser.click("[name='f.tags'][value=old]");
    browser.click("[name=stage] [value='sales/won']");
    browser.click("form.entry button");
    scripts_are(&browser, false);
    browser.wait_for(DONE, &json!("The entry was changed."));
    let changed = entry(&server, &id);
    assert_eq!(
        (&changed["values"]["amount"], &changed["values"]["tags"]),
        (&json!(7), &json!(["hot", "old"]))
    );
    assert_eq!((&changed["values"]["note"], &changed["stage"]), (&json!("one\ntwo"), &json!("won")));
    assert_eq!(changed["stage_history"][0]["from"], "sales/new");

    scripts_are(&browser, true);
    browser.click("details.danger summary");
    browser.click("details.danger button");
    scripts_are(&browser, false);
    browser.wait_for(DONE, &json!("1 entry was deleted."));
    assert_eq!(server.admin(&format!("/api{AT}/{id}")).status, 404);
    for done in ["created", "changed", "deleted"] {
        assert_eq!(server.wait_told(&format!("an operator {done} a CRM entry")).len(), 1);
    }
}

#[test]
fn change_by_somebody_else_is_shown_and_what_was_typed_is_kept() {
    let (_site, server) = start();
    let fields = json!({"name": "Ann", "note": "old", "amount": 1});
    let id = script(&server, &json!({"of": "ann", "fields": fields}));
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}{AT}/{id}"));
    browser.click("details.more summary");
    browser.fill("[name='f.name']", "Ann Two");
    script(
        &server,
        &json!({"id": id, "fields": {"name": "Bob </pre><script>", "note": "theirs", "later": true}}),
    );
    browser.click("form.entry button");
    browser.wait_for(
        &format!("({DONE} ?? '').startsWith('Somebody else has changed this entry')"),
        &json!(true),
    );
    assert_eq!(entry(&server, &id)["values"]["name"], "Bob </pre><script>", "nothing is written");
    let now = "[...document.querySelectorAll('.now')].map((one) => one.innerText.replace(/\\s+/g, ' '))";
    assert_eq!(
        browser.eval(now),
        json!(["The entry now has: Bob </pre><script>", "Somebody else has changed it to: theirs"])
    );
    let typed = "['name', 'note', 'amount'].map((key) => document.querySelector(`[name='f.${key}']`).value)";
    assert_eq!(browser.eval(typed), json!(["Ann Two", "theirs", "1"]));
    // Saving again replaces only what was typed.
    browser.click("form.entry button");
    browser.wait_for(DONE, &json!("The entry was changed."));
    assert_eq!(
        entry(&server, &id)["values"],
        json!({"name": "Ann Two", "note": "theirs", "amount": 1, "later": true})
    );
    // The entry is gone.
    browser.click("details.more summary");
    browser.fill("[name='f.name']", "Ann Three");
    assert_eq!(post(&server, &format!("{AT}/{id}/delete"), &[]).status, 303);
    browser.click("form.entry button");
    browser.wait_for("document.querySelector('h1').textContent", &json!("Not found"));
}

#[test]
fn refused_values_stay_in_the_form_with_their_reasons() {
    let (site, server) = start();
    site.write("brands/demo/brand.toml", "default = true\n[limits]\ncrm_entry_keys_max = 4\n");
    server.reload();
    let first = script(&server, &json!({"of": "ann", "fields": {"name": "Ann", "email": "ann@example.com"}}));
    let id = script(&server, &json!({"of": "bob", "fields": {"name": "Bob", "amount": "many"}}));
    let before = entry(&server, &id);
    let seen = before["updated_at"].as_str().unwrap();
    let own = format!("{AT}/{id}");
    let long = "<i>".repeat(3_334);
    for (pairs, status, place, why) in [
        (vec![("f.amount", "<b>1,5")], 400, "f.amount", "is not a number"),
        (vec![("f.size", "<b>")], 400, "f.size", "is none of the options"),
        (vec![("f.extra", "{<b>")], 400, "f.extra", "this is not JSON"),
        (vec![("f.note", long.as_str())], 400, "f.note", "10002 characters; at most 10000"),
        (vec![("f.name", "")], 400, "f.name", "A value is required."),
        (vec![("f.email", "ann@example.com")], 409, "f.email", "Another entry has this value already"),
        (vec![("stage", "sales/<b>")], 400, "stage", "deals has no stage"),
        (vec![("f.size", "big"), ("f.note", "x"), ("f.due", "2026-01-31")], 409, "", "more than 4 keys"),
    ] {
        let sent: Vec<(&str, &str)> = [("seen", seen)].into_iter().chain(pairs.clone()).collect();
        let answer = post(&server, &own, &sent);
        assert_eq!(answer.status, status, "{pairs:?}");
        let why_at = answer.body.find(why).unwrap_or_else(|| panic!("{why} is not in {}", answer.body));
        if !place.is_empty() {
            let input = answer.body.find(&format!("name=\"{place}\"")).unwrap();
            assert!(input < why_at && why_at - input < 40_000, "{place}: {}", answer.body);
        }
        let (_, typed) = pairs[0];
        assert!(!answer.body.contains("<b>") && !answer.body.contains("<i>"), "{typed} is not escaped");
        let escaped = typed.replace('<', "&lt;").replace('>', "&gt;");
        assert!(answer.body.contains(&escaped), "{typed} is not kept: {}", answer.body);
    }
    let refused = post(&server, &own, &[("seen", seen), ("f.email", "ann@example.com")]);
    assert!(refused.body.contains(&format!("{AT}/{first}\">Show the other entry")), "{}", refused.body);
    assert_eq!(entry(&server, &id), before);
    // A new entry, too.
    for (pairs, place) in [
        ([("reference_type", "a b"), ("reference_id", "x"), ("f.name", "<b>")], "reference_type-why"),
        ([("reference_type", "customer"), ("reference_id", "{<b>"), ("f.name", "x")], "reference_id-why"),
        ([("reference_type", "customer"), ("reference_id", "x"), ("f.name", "")], "A value is required."),
    ] {
        let answer = post(&server, &format!("{AT}/new"), &pairs);
        assert_eq!((answer.status, answer.body.contains(place)), (400, true), "{}", answer.body);
        assert!(!answer.body.contains("<b>"), "{}", answer.body);
    }
    let entries: Vec<Value> = serde_json::from_str(&server.admin(&format!("/api{AT}")).body).unwrap();
    assert_eq!(entries.len(), 2);
    // A body that is no form of the console, and one that is too large.
    assert_eq!(post(&server, &own, &[("f.name", "x")]).status, 400);
    assert_eq!(post(&server, &own, &[("seen", seen), ("f.note", &"x".repeat(2 << 20))]).status, 400);
}

#[test]
fn form_that_nobody_touches_changes_nothing_whatever_scripts_have_stored() {
    let (_site, server) = start();
    let hostile = [
        json!({"name": " a ", "email": "not an email ", "size": "<gone>", "tags": ["x\r\ny", "hot"], "amount": "12 EUR",
            "note": "\n a\r\nb\rc ", "due": "2026-02-31", "at": "2026-01-31T10:00:00.000Z", "active": "maybe",
            "extra": "text", "page": "javascript:alert(1)", "links": ["a", ""]}),
        json!({"name": {"a": ["<b>"]}, "email": 7, "size": ["small"], "tags": "hot", "amount": true, "note": 1e300,
            "due": false, "at": [], "active": 1, "extra": [null], "page": "http://[", "links": {"a": 1}}),
        json!({"name": "a\u{0}b", "email": "a\u{b}@b", "size": "", "tags": [], "amount": -0.0, "note": "</textarea><script>alert(1)</script>",
            "due": "2024-02-29", "at": "2026-01-31T10:00", "active": false, "extra": {"\u{1b}": "\u{0}"}, "page": "https://example.com/?a=%",
            "links": ["a", "b"]}),
    ];
    let (browser, console) = logged_in(&server);
    for (number, fields) in hostile.into_iter().enumerate() {
        let id = script(&server, &json!({"of": format!("c{number}"), "fields": fields}));
        let before = entry(&server, &id);
        browser.go(&format!("{console}{AT}/{id}"));
        browser.click("details.more summary");
        browser.click("form.entry button");
        browser.wait_for(
            &format!("({DONE} ?? [...document.querySelectorAll(':invalid')].map((one) => one.outerHTML).join()).slice(0, 500)"),
            &json!("Nothing was changed: the form was as the entry is."),
        );
        assert_eq!(entry(&server, &id), before, "{number}");
        // A change of one field leaves all others as they are.
        browser.click("details.more summary");
        browser.eval("(document.querySelector(\"[name=stage]\").value = 'sales/won', true)");
        browser.click("form.entry button");
        browser.wait_for(DONE, &json!("The entry was changed."));
        assert_eq!(entry(&server, &id)["values"], before["values"], "{number}");
        assert_eq!(browser.log(), Vec::<String>::new(), "{number}");
    }
}

#[test]
fn form_is_bounded_and_leaves_values_without_room_as_they_are() {
    let site = TestSite::with(&[("pages/write.html", PAGE)]);
    let fields: String =
        (0..60).map(|n| format!("[[entity.field]]\nkey = 'f{n}'\ntype = 'textarea'\n")).collect();
    site.write("brands/demo/crm.toml", &format!("[[entity]]\nslug = 'deals'\n{fields}"));
    let server = Server::start(site.path());
    let huge: serde_json::Map<String, Value> =
        (0..59).map(|n| (format!("f{n}"), json!("<".repeat(10_000)))).collect();
    let id = script(&server, &json!({"of": "ann", "fields": {"f0": "small"}}));
    for part in huge.iter().skip(1).collect::<Vec<_>>().chunks(5) {
        let part: serde_json::Map<String, Value> =
            part.iter().map(|(key, value)| ((*key).clone(), (*value).clone())).collect();
        script(&server, &json!({"id": id, "fields": part}));
    }
    let before = entry(&server, &id);
    let page = server.admin(&format!("{AT}/{id}")).body;
    let form = &page[page.find("<form class=\"entry\"").unwrap()..page.find("class=\"danger\"").unwrap()];
    let areas = form.matches("<textarea").count();
    assert!((20..40).contains(&areas), "{areas}");
    assert!(form.contains("It has 10000 bytes, for which this form has no room."), "{form}");
    assert!(form.len() < 4 * (300 << 10), "{}", form.len());
    // Not even if it is sent, because the form did not show it.
    let seen = before["updated_at"].as_str().unwrap();
    let sent = [("seen", seen), ("f.f59", "new"), ("f.f50", "cut")];
    assert!(!form.contains("name=\"f.f50\""), "{form}");
    assert_eq!(post(&server, &format!("{AT}/{id}"), &sent).status, 303);
    let mut after = before["values"].clone();
    after["f59"] = json!("new");
    assert_eq!(entry(&server, &id)["values"], after);
}

#[test]
fn selected_entries_are_deleted_after_a_question_that_names_their_number() {
    let (_site, server) = start();
    let ids: Vec<String> = (0..4)
        .map(|n| script(&server, &json!({"of": format!("c{n} <b>"), "fields": {"name": format!("n{n}")}})))
        .collect();
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}{AT}?hours=1"));
    scripts_are(&browser, true);
    for id in &ids[..3] {
        browser.click(&format!("[name=id][value='{id}']"));
    }
    browser.click("#chosen button");
    scripts_are(&browser, false);
    browser.wait_for("document.querySelector('h1').textContent", &json!("Delete 3 entries?"));
    let listed = browser.eval("document.querySelector('main').innerText").as_str().unwrap().to_owned();
    assert!(listed.contains("customer c0 <b>") && !listed.contains("c3"), "{listed}");
    assert_eq!(server.admin(&format!("/api{AT}/{}", ids[0])).status, 200, "nothing is deleted yet");
    // One of them goes meanwhile.
    assert_eq!(post(&server, &format!("{AT}/{}/delete", ids[0]), &[]).status, 303);
    scripts_are(&browser, true);
    browser.click("button.danger");
    scripts_are(&browser, false);
    browser.wait_for(DONE, &json!("2 entries were deleted. 1 had been deleted before."));
    let rows = "document.querySelectorAll('section[aria-labelledby=entries] tbody tr').length";
    assert_eq!(browser.eval(rows), json!(1));
    assert_eq!(browser.eval("new URLSearchParams(location.search).get('hours')"), json!("1"));
    let lines = server.wait_told("an operator deleted CRM entries");
    assert_eq!((lines.len(), &lines[0]["fields"]["count"]), (1, &json!(2)), "{lines:?}");
    // None, too many, and something that is no entry.
    let delete = |ids: &[String]| {
        let pairs: Vec<(&str, &str)> =
            ids.iter().map(|id| ("id", id.as_str())).chain([("sure", "yes")]).collect();
        post(&server, &format!("{AT}/delete"), &pairs)
    };
    let many: Vec<String> = (0..51).map(|n| format!("ffffffff-ffff-ffff-ffff-{n:012}")).collect();
    for (ids, why) in
        [(&[][..], "no entry is chosen"), (&many, "at most 50"), (&["<b>".to_owned()], "not the id")]
    {
        let answer = delete(ids);
        assert_eq!((answer.status, answer.body.to_lowercase().contains(why)), (400, true), "{}", answer.body);
    }
    let location = delete(&many[..50]).header("location").unwrap();
    let said = server.admin(&location).body;
    assert!(said.contains("0 entries were deleted. 50 had been deleted before."), "{said}");
    // The address of the answer leads to the entries.
    assert_eq!(server.admin(&format!("{AT}/delete")).status, 303);
    let foreign =
        Request::new("POST", &format!("{AT}/delete")).operator().header("origin", "http://evil.example");
    assert_eq!(foreign.send(server.admin_address).status, 403);
}

#[test]
fn chosen_columns_are_in_the_address_and_stay() {
    let (_site, server) = start();
    for n in 0..51 {
        let fields = json!({"name": format!("n{n}"), "amount": n, "note": "x", "undeclared": 1});
        script(&server, &json!({"of": format!("c{n}"), "fields": fields}));
    }
    let (browser, console) = logged_in(&server);
    browser.go(&format!("{console}{AT}"));
    let heads = "[...document.querySelectorAll('.entries thead th')].map((one) => one.textContent)";
    let fixed = |own: &[&str]| {
        let all: Vec<&str> = [&["reference"], own, &["stage", "created", "last changed"]].concat();
        json!(all)
    };
    assert_eq!(browser.eval(heads), fixed(&["Name", "amount", "note", "undeclared"]));
    scripts_are(&browser, true);
    browser.click("details.more summary");
    browser.click("[name=column][value=name]");
    browser.click("[name=column][value=size]");
    browser.click("details.more button");
    scripts_are(&browser, false);
    browser.wait_for(heads, &fixed(&["size", "amount", "note"]));
    let asked = "new URLSearchParams(location.search).get('columns')";
    assert_eq!(browser.eval(asked), json!("size,amount,note"));
    // Filters and older entries keep them.
    browser.click("[rel=next]");
    browser.wait_for("document.querySelectorAll('.entries tbody tr').length", &json!(1));
    assert_eq!(
        (browser.eval(heads), browser.eval(asked)),
        (fixed(&["size", "amount", "note"]), json!("size,amount,note"))
    );
    browser.fill("[name=text]", "n7");
    browser.click(".filter button");
    browser.wait_for("new URLSearchParams(location.search).get('text')", &json!("n7"));
    assert_eq!(
        (browser.eval(heads), browser.eval(asked)),
        (fixed(&["size", "amount", "note"]), json!("size,amount,note"))
    );
    for (columns, why) in
        [("size,<b>", "deals has no field"), ("undeclared", "deals has no field"), ("name name", "no field")]
    {
        let answer = server.admin(&format!(
            "{AT}?columns={}",
            columns.replace('<', "%3C").replace('>', "%3E").replace(' ', "%20")
        ));
        assert_eq!(
            (answer.status, answer.body.to_lowercase().contains(why)),
            (400, true),
            "{columns}: {}",
            answer.body
        );
        assert!(!answer.body.contains("<b>"), "{}", answer.body);
    }
}

#[test]
fn forms_of_entries_fit_every_screen_and_are_quiet() {
    let (_site, server) = start();
    let wide =
        json!({"name": "x".repeat(300), "tags": ["y".repeat(100)], "size": "z".repeat(200), "note": "a\nb"});
    let id = script(&server, &json!({"of": "w".repeat(200), "fields": wide}));
    let (browser, console) = logged_in(&server);
    let small = "[...document.querySelectorAll('main button, main input:not([type=hidden]), main select, main textarea, main summary, label.check')]\
        .filter((one) => one.checkVisibility())\
        .filter((one) => { const { width, height } = (one.closest('label.check') ?? one).getBoundingClientRect(); return width < 24 || height < 24; })\
        .map((one) => one.outerHTML.slice(0, 120))";
    let unnamed = "[...document.querySelectorAll('main input:not([type=hidden]), main select, main textarea, main button')]\
        .filter((one) => !one.labels?.length && !one.ariaLabel && !one.textContent.trim()).map((one) => one.outerHTML)";
    for (width, height) in [(1280, 900), (390, 844)] {
        browser.resize(width, height);
        for path in [format!("{AT}/new"), format!("{AT}/{id}"), AT.to_owned()] {
            browser.go(&format!("{console}{path}"));
            browser.eval("(document.querySelectorAll('details').forEach((one) => (one.open = true)), true)");
            let overflow = browser.eval("document.documentElement.scrollWidth - window.innerWidth");
            let beyond = "[...document.querySelectorAll('main *')].filter((one) => one.checkVisibility() && !one.closest('.wide') && one.getBoundingClientRect().right > innerWidth).map((one) => one.outerHTML.slice(0, 120))";
            assert!(
                overflow.as_i64().unwrap() <= 0,
                "{path} is {overflow} wider than {width} pixels: {}",
                browser.eval(beyond)
            );
            assert_eq!(browser.eval(small), json!([]), "{path} at {width}");
            assert_eq!(browser.eval(unnamed), json!([]), "{path} at {width}");
            assert_eq!(complaints(&browser), Vec::<String>::new(), "{path}");
        }
    }
    // The keyboard reaches the form and sends it.
    browser.go(&format!("{console}{AT}/new"));
    browser.eval("(document.querySelector('#reference_id').focus(), true)");
    browser.fill("#reference_id", "by-keyboard");
    browser.fill("[name='f.name']", "K");
    browser.press("\u{e007}");
    browser.wait_for(DONE, &json!("The entry was created."));
}
