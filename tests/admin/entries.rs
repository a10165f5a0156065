//! CRM entries that operators create, change and delete over the API.

use sluice_test_support::postgres::Database;

use super::*;

const CRM: &str = "[[entity]]\nslug = 'deals'\n[[entity.field]]\nkey = 'email'\nunique = true\n\
    [[entity.field]]\nkey = 'name'\n[[entity.pipeline]]\nslug = 'sales'\n\
    stages = [{ slug = 'new' }, { slug = 'won' }]\n";
/// What a script sees of an entry, and of all entries of a reference.
const PAGE: &str = "<script scope=\"backend\">
  const { id, of, set } = request.query;
  if (set) updateCrmEntry({ slug: 'deals', id, fields: { name: set } });
  response.json(id ? getCrmEntry({ slug: 'deals', id }) : getCrmEntries({ slug: 'deals', referenceId: of }));
</script>";
const AT: &str = "/api/brands/demo/crm/deals";

fn site() -> TestSite {
    let site = TestSite::with(&[("crm.toml", CRM), ("pages/index.html", PAGE)]);
    site.write("brands/other/brand.toml", "domains = [\"other.test\"]\n");
    site.write("brands/other/crm.toml", CRM);
    site
}

fn send(server: &Server, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = Request::new(method, path).header("content-type", "application/json");
    let answer = request.body(body.to_string().as_bytes()).operator().send(server.admin_address);
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

fn ann() -> Value {
    json!({
        "reference_type": "customer", "reference_id": "ann", "stage": "sales/new",
        "values": {"email": "ann@example.com", "name": "Ann", "note": null}
    })
}

fn create(server: &Server, entry: &Value) -> Value {
    let (status, made) = send(server, "POST", AT, entry);
    assert_eq!(status, 201, "{made}");
    made
}

fn walk(server: &Server) {
    let made = create(server, &ann());
    let id = made["id"].as_str().unwrap().to_owned();
    let own = format!("{AT}/{id}");
    assert_eq!(made["values"], json!({"email": "ann@example.com", "name": "Ann"}));
    assert_eq!(
        (&made["pipeline"], &made["stage"], &made["stage_moves"]),
        (&json!("sales"), &json!("new"), &json!(1))
    );
    // A script sees the same.
    let seen: Value = serde_json::from_str(&server.get("localhost", "/?of=ann").body).unwrap();
    assert_eq!((&seen[0]["id"], &seen[0]["stage_slug"]), (&json!(id), &json!("new")));

    let change = json!({
        "values": {"name": "Ann <b>", "email": null, "undeclared": [1]}, "stage": "sales/won",
        "if_updated_at": made["updated_at"]
    });
    let (status, changed) = send(server, "PATCH", &own, &change);
    assert_eq!(status, 200, "{changed}");
    assert_eq!(changed["values"], json!({"name": "Ann <b>", "undeclared": [1]}));
    assert_eq!((&changed["stage"], &changed["stage_moves"]), (&json!("won"), &json!(2)));
    assert!(changed["updated_at"].as_str() > made["updated_at"].as_str());
    // The same change again comes too late.
    let (status, late) = send(server, "PATCH", &own, &change);
    assert_eq!(
        (status, late["error"].as_str().unwrap().contains("changed in the meantime")),
        (409, true),
        "{late}"
    );
    let (status, stage_only) = send(server, "PATCH", &own, &json!({"stage": "sales/new"}));
    assert_eq!(
        (status, &stage_only["stage"], &stage_only["values"]),
        (200, &json!("new"), &changed["values"])
    );

    assert_eq!(send(server, "DELETE", &own, &Value::Null), (200, json!({"id": id})));
    assert_eq!(send(server, "DELETE", &own, &Value::Null).0, 404);
    assert_eq!(server.get("localhost", "/?of=ann").body, "[]");
}

#[test]
fn api_creates_changes_and_deletes_an_entry() {
    let site = site();
    walk(&Server::start(site.path()));
}

#[test]
fn api_creates_changes_and_deletes_an_entry_in_postgres() {
    let (site, database) = (site(), Database::create());
    walk(&ServerOptions::of(site.path()).postgres(&database.url()).start());
}

#[test]
fn api_refuses_entries_as_scripts_are_refused() {
    let site = site();
    site.write(
        "brands/demo/brand.toml",
        "default = true\n[limits]\ncrm_reference_entries_max = 2\ncrm_entry_keys_max = 3\n",
    );
    let server = Server::start(site.path());
    let made = create(&server, &ann());
    let id = made["id"].as_str().unwrap();
    let own = format!("{AT}/{id}");
    let other = create(&server, &json!({"reference_type": "customer", "reference_id": "ann"}));
    let other = format!("{AT}/{}", other["id"].as_str().unwrap());
    let of = |values: Value| json!({"reference_type": "customer", "reference_id": "bob", "values": values});
    let missing = format!("{AT}/ffffffff-ffff-ffff-ffff-ffffffffffff");
    let many: serde_json::Map<String, Value> = (0..257).map(|n| (format!("k{n}"), json!(1))).collect();
    for (method, path, body, status, why) in [
        (
            "POST",
            AT,
            of(json!({"name": "x".repeat(10_001)})),
            400,
            "name: the value is a string of 10001 characters",
        ),
        ("POST", AT, of(json!({"a b": 1})), 400, "does not match"),
        ("POST", AT, of(json!(many)), 400, "at most 256"),
        (
            "POST",
            AT,
            of(json!({"a": 1, "b": 1, "c": 1, "d": 1})),
            409,
            "more than 3 keys (crm_entry_keys_max)",
        ),
        ("POST", AT, of(json!({"email": "ann@example.com"})), 409, id),
        (
            "POST",
            AT,
            json!({"reference_type": "customer", "reference_id": "ann"}),
            409,
            "crm_reference_entries_max",
        ),
        ("POST", AT, json!({"reference_type": "a b", "reference_id": "ann"}), 400, "referenceType"),
        ("POST", AT, json!({"reference_type": "customer", "reference_id": ""}), 400, "referenceId is empty"),
        (
            "POST",
            AT,
            json!({"reference_type": "customer", "reference_id": "x", "stage": "sales/lost"}),
            400,
            "no stage",
        ),
        (
            "POST",
            AT,
            json!({"reference_type": "customer", "reference_id": "x", "value": {}}),
            400,
            "unknown field",
        ),
        ("POST", AT, json!({"reference_type": "customer"}), 400, "reference_id"),
        ("POST", "/api/brands/demo/crm/nothing", ann(), 404, "no entity nothing"),
        ("POST", "/api/brands/nobody/crm/deals", ann(), 404, "no brand nobody"),
        ("PATCH", &other, json!({"values": {"email": "ann@example.com"}}), 409, id),
        ("PATCH", &own, json!({}), 400, "`values` or a `stage`"),
        ("PATCH", &own, json!({"values": {"name": "x"}, "stage": "won"}), 400, "pipeline/stage"),
        ("PATCH", &own, json!({"values": {"name": "x"}, "if_updated_at": "now"}), 409, "meantime"),
        ("PATCH", &missing, json!({"values": {"name": "x"}}), 404, "no entry"),
        ("PATCH", "/api/brands/demo/crm/deals/x", json!({"values": {}}), 400, "not the id"),
        ("DELETE", &missing, Value::Null, 404, "no entry"),
    ] {
        let (got, said) = send(&server, method, path, &body);
        assert_eq!(got, status, "{method} {path}: {said}");
        assert!(said["error"].as_str().unwrap().contains(why), "{method} {path}: {said}");
    }
    // Nothing was written, and nothing of another brand can be.
    assert_eq!(json(&server.admin(&own)), made);
    assert_eq!(json(&server.admin(AT)).as_array().unwrap().len(), 2);
    let foreign = format!("/api/brands/other/crm/deals/{id}");
    for (method, body) in [("PATCH", json!({"values": {"name": "x"}})), ("DELETE", Value::Null)] {
        assert_eq!(send(&server, method, &foreign, &body).0, 404, "{method}");
    }
    assert_eq!(json(&server.admin(&own)), made);
    // Only operators, and no page of another site.
    for method in ["POST", "PATCH", "DELETE"] {
        let path = if method == "POST" { AT } else { &own };
        let request = || Request::new(method, path).header("content-type", "application/json").body(b"{}");
        assert_eq!(request().send(server.admin_address).status, 401, "{method}");
        let foreign = request().operator().header("origin", "http://evil.example");
        assert_eq!(foreign.send(server.admin_address).status, 403, "{method}");
    }
}

#[test]
fn log_names_what_an_operator_did_with_an_entry_and_no_value() {
    let site = site();
    let server = Server::start(site.path());
    let made = create(&server, &ann());
    let id = made["id"].as_str().unwrap();
    let own = format!("{AT}/{id}");
    assert_eq!(send(&server, "PATCH", &own, &json!({"values": {"name": "secret name"}})).0, 200);
    assert_eq!(send(&server, "PATCH", &own, &json!({"values": {"name": "x".repeat(10_001)}})).0, 400);
    assert_eq!(send(&server, "DELETE", &own, &Value::Null).0, 200);
    for done in ["created", "changed", "deleted"] {
        let lines = server.wait_told(&format!("an operator {done} a CRM entry"));
        assert_eq!(lines.len(), 1, "{lines:?}");
        let fields = &lines[0]["fields"];
        assert_eq!(
            (&fields["brand"], &fields["entity"], &fields["entry"]),
            (&json!("demo"), &json!("deals"), &json!(id))
        );
        assert!(!format!("{lines:?}").contains("secret"), "{lines:?}");
    }
}
