//! `sluice crm export-entries` and `sluice crm import-entries`.

use serde_json::{Value, json};

use super::{complaint, printed, sluice};
use crate::harness::{Answer, Request, ServerOptions, TestSite};

const CRM: &str = "[[entity]]
slug = \"leads\"
[[entity.field]]
key = \"email\"
unique = true
[[entity.field]]
key = \"score\"
type = \"number\"
";

#[test]
fn entries_survive_a_spreadsheet() {
    let site = TestSite::with(&[("crm.toml", CRM)]);
    let data = tempfile::tempdir().unwrap();
    let (data, dir) = (data.path(), site.path().to_str().unwrap());
    printed(data, &["crm", "apply", dir]);
    let file = site.path().join("leads.csv");
    let path = file.to_str().unwrap();
    let import = ["crm", "import-entries", "leads", path, dir];
    let export = || printed(data, &["crm", "export-entries", "leads", dir]);
    let header =
        "entry id,reference type,reference id,pipeline slug,stage slug,created at,updated at,email,score";
    assert_eq!(export(), format!("{header}\r\n"));

    std::fs::write(&file, "reference type,reference id,email,score,note\na,1,ann,5,'=1\na,2,bob,x,\n")
        .unwrap();
    let said = complaint(data, &import);
    assert!(said.contains("leads.csv:3:9: \"x\" is no number"), "{said}");
    assert_eq!(export(), format!("{header}\r\n"), "nothing was imported");

    std::fs::write(
        &file,
        "reference type,reference id,email,score,note\na,1,ann,5,'=1\na,2,ann,-2,\na,3,cid,1,x\n",
    )
    .unwrap();
    assert_eq!(printed(data, &[&import[..], &["--dry-run"]].concat()), "3 records can be imported\n");
    let said = complaint(data, &import);
    assert!(said.contains("leads.csv:3: another entry has the same value in a unique field"), "{said}");
    assert!(said.contains("1 entries were created and 0 changed before"), "{said}");
    assert!(said.contains("go on with --from-line 3"), "{said}");
    let corrected = std::fs::read_to_string(&file).unwrap().replace("a,2,ann", "a,2,bob");
    std::fs::write(&file, corrected).unwrap();
    let rest = printed(data, &[&import[..], &["--from-line", "3"]].concat());
    assert_eq!(rest, "2 entries created, 0 changed\n");

    let exported = export();
    let lines: Vec<&str> = exported.lines().collect();
    assert_eq!(lines[0], format!("{header},note"));
    let mut shown: Vec<Vec<&str>> = lines[1..]
        .iter()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .map(|cells| [&cells[1..3], &cells[7..]].concat())
        .collect();
    // Entries of the same millisecond are in the order of their ids.
    shown.sort_unstable();
    assert_eq!(
        shown,
        [["a", "1", "ann", "5", "'=1"], ["a", "2", "bob", "-2", ""], ["a", "3", "cid", "1", "x"]]
    );
    // An export can be imported again: its records change their entries.
    std::fs::write(&file, exported.replace(",cid,", ",dan,")).unwrap();
    assert_eq!(printed(data, &import), "0 entries created, 3 changed\n");
    assert!(export().contains(",dan,1,x"));
    let unknown = sluice(data, &["crm", "export-entries", "lead", dir]);
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(said.contains("the brand demo has no entity \"lead\" (did you mean \"leads\"?)"), "{said}");
}

/// A form as browsers send it.
fn form(path: &str, fields: &[(&str, &str)], csv: &str) -> Request {
    let part =
        |head: &str, text: &str| format!("--B\r\ncontent-disposition: form-data; {head}\r\n\r\n{text}\r\n");
    let fields: String = fields.iter().map(|(name, text)| part(&format!("name={name}"), text)).collect();
    let body = format!("{fields}{}--B--\r\n", part("name=file; filename=leads.csv", csv));
    Request::new("POST", path).header("content-type", "multipart/form-data; boundary=B").body(body.as_bytes())
}

#[test]
fn operators_export_and_import_entries() {
    let site = TestSite::with(&[("crm.toml", CRM), ("pages/index.html", "here")]);
    let data = tempfile::tempdir().unwrap();
    printed(data.path(), &["crm", "apply", site.path().to_str().unwrap()]);
    let server = ServerOptions::of(site.path()).data(data.path()).start();
    let api = "/api/brands/demo/crm/leads/entries.csv";
    let import = |fields: &[(&str, &str)], csv: &str| -> Answer {
        form(api, fields, csv).operator().send(server.admin_address)
    };
    let csv = "reference type,reference id,email,score,tags json\na,1,ann,5,\"[\"\"x\"\",1]\"\na,2,bob,,\"\"\"\"\"\"\n";
    let said = |answer: Answer| (answer.status, serde_json::from_str::<Value>(&answer.body).unwrap());
    assert_eq!(said(import(&[("dry_run", "true")], csv)), (200, json!({ "records": 2 })));
    assert_eq!(server.admin("/api/brands/demo/crm/leads").body, "[]");
    assert_eq!(said(import(&[], csv)), (200, json!({ "created": 2, "changed": 0 })));
    let wrong = csv.replace("ann,5", "ann,five");
    let (status, body) = said(import(&[], &wrong));
    assert_eq!((status, &body["error"]), (400, &json!("leads.csv:2:9: \"five\" is no number")));
    let (status, body) = said(import(&[], &csv.replace("ann", "cid")));
    let error = body["error"].as_str().unwrap();
    assert!(status == 400 && error.starts_with("leads.csv:3: another entry has the same value"), "{error}");
    assert!(error.ends_with("import the file again from line 3"), "{error}");
    for (fields, path) in [(&[("dry_run", "maybe")][..], api), (&[("from_line", "x")], api)] {
        assert_eq!(form(path, fields, csv).operator().send(server.admin_address).status, 400);
    }
    assert_eq!(form(api, &[], csv).send(server.admin_address).status, 401);
    let missing = "/api/brands/demo/crm/lead/entries.csv";
    assert_eq!(server.admin(missing).status, 404);
    assert_eq!(form(missing, &[], csv).operator().send(server.admin_address).status, 404);

    // What was exported is imported unchanged, whatever the types of its values.
    let exported = server.admin("/brands/demo/crm/leads/entries.csv");
    assert_eq!(
        exported.header("content-disposition").as_deref(),
        Some("attachment; filename=\"demo-leads.csv\"")
    );
    assert!(exported.body.contains(",email,score,tags json\r\n"), "{}", exported.body);
    let entries = server.admin("/api/brands/demo/crm/leads").body;
    let page = form("/brands/demo/crm/leads/entries.csv", &[], &exported.body);
    let answer = page.operator().send(server.admin_address);
    let location = answer.header("location").unwrap_or_default();
    assert!(location.starts_with("/brands/demo/crm/leads?said="), "{location} {}", answer.body);
    let values = |entries: &str| -> Vec<Value> {
        let entries: Vec<Value> = serde_json::from_str(entries).unwrap();
        entries.into_iter().map(|entry| entry["values"].clone()).collect()
    };
    assert_eq!(values(&server.admin("/api/brands/demo/crm/leads").body), values(&entries));
    assert_eq!(values(&entries)[2], json!({ "email": "ann", "score": 5, "tags": ["x", 1] }));
    let shown = server.admin(&location).body;
    assert!(
        shown.contains("Entries created: 0, changed: 3") && shown.contains("Export all entries"),
        "{shown}"
    );
}
