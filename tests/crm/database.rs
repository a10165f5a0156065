//! The CRM as a database of an application: indexes that are declared later, and writes that limits refuse.

use serde_json::json as value;

use super::{json, printed, sluice};
use crate::harness::{Server, TestSite};

const PAGE: &str = r#"<script scope="backend">
  const { email, id, after } = request.query;
  const answers = {
    add: () => createCrmEntry({ slug: "leads", referenceType: "lead", referenceId: email + id, fields: { email } }),
    note: () => [addCrmFieldValue({ slug: "leads", referenceId: "book", fieldKey: "email", value: "x" })],
    change: () => updateCrmEntry({ slug: "leads", id, fields: { email } }),
    find: () => findCrmEntries({ slug: "leads", where: { email: { startsWith: email } }, limit: 1, after }),
  };
  response.json(answers[request.route_params.what]());
</script>"#;

fn crm_toml(rest: &str) -> String {
    format!("[[entity]]\nslug = \"leads\"\n[[entity.field]]\nkey = \"email\"\n{rest}\n")
}

#[test]
fn a_unique_field_that_is_declared_later_names_the_entries_that_break_it() {
    let site = TestSite::with(&[("pages/{what}.html", PAGE), ("crm.toml", &crm_toml(""))]);
    let server = Server::start(site.path());
    let ask = |path: &str| json(&server, path);
    let ids: Vec<String> = [1, 2, 3]
        .map(|n| ask(&format!("/add?email={}&id={n}", if n == 3 { "bob" } else { "ann" })))
        .map(|made| made["id"].as_str().unwrap().to_owned())
        .to_vec();
    site.write("brands/demo/crm.toml", &crm_toml("unique = true"));
    let (data, dir) = (server.data_dir(), site.path().to_str().unwrap());
    let refused = sluice(data, &["crm", "apply", dir]);
    let (said, why) = (String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    assert_eq!(refused.status.code(), Some(1), "{said}{why}");
    assert!(why.contains("a field is not unique; change the entries that are listed"), "{why}");
    let of = |n: usize| format!("entry {}", ids[n]);
    // Entries of the same millisecond are in the order of their ids, so either can be the first.
    let either = [(0, 1), (1, 0)].map(|(kept, other)| {
        format!(
            "demo: field \"email\" of entity \"leads\" is not unique: 1 entries have the value of another\n  \
             {} of lead/ann{} has the value of {}\n",
            of(other),
            other + 1,
            of(kept)
        )
    });
    let changes = "demo: 1 change\n  changed field \"email\" of entity \"leads\": no index → unique\n";
    assert!(either.iter().any(|either| *said == format!("{changes}{either}")), "{said}");
    // The server, which has not loaded the file yet, gives nobody a value that the index has.
    assert_eq!(ask("/add?email=bob&id=4")["error"], "duplicate");
    assert_eq!(ask(&format!("/change?email=ann2&id={}", ids[1]))["ok"], true);
    let done = printed(data, &["crm", "apply", dir]);
    let complete = "the index of field \"email\" of entity \"leads\" is complete (3 entries read)";
    assert_eq!(done, format!("demo: nothing to change\ndemo: {complete}\n"));
    let shown = printed(data, &["crm", "show", dir]);
    assert!(shown.contains("field email, \"email\", text, unique\n"), "{shown}");
    assert_eq!(printed(data, &["crm", "apply", dir]), "demo: nothing to change\n");

    let first = ask("/find?email=ann");
    let second = ask(&format!("/find?email=ann&after={}", first["next"].as_str().unwrap()));
    let emails = [&first, &second].map(|page| page["entries"][0]["values_flat"]["email"].clone());
    assert!(emails.contains(&value!("ann")) && emails.contains(&value!("ann2")), "{emails:?}");
    assert_eq!(second["next"], value!(null));
}

#[test]
fn a_server_builds_an_index_that_it_has_loaded() {
    let site = TestSite::with(&[("pages/{what}.html", PAGE), ("crm.toml", &crm_toml(""))]);
    let server = Server::start(site.path());
    let ask = |path: &str| json(&server, path);
    assert_eq!(ask("/add?email=ann&id=1")["ok"], true);
    site.write("brands/demo/crm.toml", &crm_toml("index = true"));
    server.reload();
    let told = server.wait_told("crm: the index is complete");
    assert_eq!(
        (&told[0]["fields"]["entity"], &told[0]["fields"]["field"]),
        (&value!("leads"), &value!("email"))
    );
}

#[test]
fn writes_that_a_limit_refuses_are_logged_counted_and_shown() {
    let site = TestSite::with(&[
        ("pages/{what}.html", PAGE),
        ("brand.toml", "default = true\n[limits]\ncrm_reference_entries_max = 2\n"),
        ("crm.toml", &crm_toml("")),
    ]);
    let server = Server::start(site.path());
    let note = || json(&server, "/note");
    assert_eq!(server.metric("sluice_crm_writes_refused_total", &[]), 0.0);
    assert_eq!(
        [note(), note(), note(), note()],
        [value!([true]), value!([true]), value!([false]), value!([false])]
    );
    assert_eq!(server.metric("sluice_crm_writes_refused_total", &[]), 2.0);
    let told = server.wait_told("a limit refuses a CRM write");
    let fields = &told[0]["fields"];
    assert_eq!(told[0]["level"], "WARN");
    assert_eq!(
        [&fields["brand"], &fields["call"], &fields["limit"]],
        [&value!("demo"), &value!("addCrmFieldValue"), &value!("crm_reference_entries_max")]
    );
    let console = server.admin("/brands/demo/crm").body;
    assert!(console.contains("limits have refused 2 writes"), "{console}");
    assert!(console.contains("addCrmFieldValue: the reference would have more than 2 entries"), "{console}");
}
