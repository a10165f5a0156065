//! Two brands with the same paths on one host: neither scripts nor HTTP requests of one brand
//! can reach anything of the other.

use serde_json::{Value, json};

use crate::harness::{Answer, Request, Server, TestSite};

const WRITE: &str = r#"<script scope="backend">
session.setCustomer({ email: "ann@example.com", id: "7" });
session.set("note", getVariable("owner"));
setCrmField({ slug: "lead", fieldKey: "note", value: getVariable("owner") });
cookie.set("seen", getVariable("owner"));
response.json({ token: session.getToken(600) });
</script>"#;

const READ: &str = r#"<script scope="backend">
response.json({
  owner: getVariable("owner"), other: getVariable("only_here") ?? null,
  customer: customer?.email ?? null, note: session.get("note"),
  crm: getCrmField({ slug: "lead", fieldKey: "note", referenceId: "7" }) ?? null,
  entries: getCrmEntries({ slug: "lead", referenceId: "7" }).length,
});
</script>"#;

const TAKE: &str = r#"<script scope="backend">
response.json({ taken: session.setFromToken(request.query.t), customer: customer?.email ?? null });
</script>"#;

fn site() -> TestSite {
    let site = TestSite::new();
    for (brand, other) in [("one", "two"), ("two", "one")] {
        let write = |file: &str, text: &str| site.write(&format!("brands/{brand}/{file}"), text);
        write(
            "brand.toml",
            &format!("domains = [\"{brand}.test\", \"*.{brand}.test\"]\n[variables]\nowner = \"{brand}\"\n"),
        );
        write("crm.toml", "[[entity]]\nslug = \"lead\"\nname = \"Lead\"\nmode = \"data\"\n");
        write("pages/write.html", WRITE);
        write("pages/read.html", READ);
        write("pages/take.html", TAKE);
        write("pages/same.html", &format!("page of {brand}: {{{{ var.owner }}}}"));
        write(&format!("pages/only-{brand}.html"), "here");
        write("public/file.txt", &format!("file of {brand}"));
        write("modules/shared.js", &format!("export const whose = \"{brand}\";"));
        write(&format!("modules/only-{brand}.js"), "export const x = 1;");
        write(
            "pages/module.html",
            "<script scope=\"backend\">import { whose } from \"shared\"; response.send(whose);</script>",
        );
        write(
            "pages/thief.html",
            &format!(
                "<script scope=\"backend\">import {{ x }} from \"only-{other}\"; response.send('got it');</script>kept"
            ),
        );
        write(
            "pages/climb.html",
            &format!(
                "<script scope=\"backend\">import {{ x }} from \"../../{other}/modules/only-{other}\"; response.send('got it');</script>kept"
            ),
        );
    }
    site
}

fn visit(server: &Server, host: &str, path: &str, cookie: &str) -> Answer {
    Request::get(path).host(host).header("cookie", cookie).send(server.address)
}

fn read(server: &Server, host: &str, cookie: &str) -> Value {
    serde_json::from_str(&visit(server, host, "/read", cookie).body).unwrap()
}

#[test]
fn brands_cannot_reach_each_others_data() {
    let site = site();
    site.write(
        "brands/one/brand.toml",
        "domains = [\"one.test\", \"*.one.test\"]\n[variables]\nowner = \"one\"\nonly_here = 1\n",
    );
    let server = Server::start(site.path());

    // The Host decides the brand of pages, files, modules and variables.
    for (host, brand) in [("one.test", "one"), ("TWO.test:80", "two"), ("a.one.test.", "one")] {
        assert_eq!(server.get(host, "/same").body, format!("page of {brand}: {brand}"));
        assert_eq!(server.get(host, "/file.txt").body, format!("file of {brand}"));
        assert_eq!(server.get(host, "/module").body, brand);
    }
    assert_eq!(server.get("one.test", "/only-one").status, 200);
    assert_eq!(server.get("two.test", "/only-one").status, 404);
    for page in ["/thief", "/climb"] {
        assert_eq!(server.get("two.test", page).status, 500, "{page} imports another brand's module");
    }
    for host in ["three.test", "one.test.evil.example", "xone.test", ""] {
        assert_eq!(server.get(host, "/same").status, 421, "{host}");
    }

    // A visitor's data in one brand cannot be found in the other, even with the same cookie,
    // customer and CRM names.
    let written = visit(&server, "one.test", "/write", "");
    let cookie = written.session_cookie().unwrap();
    assert_eq!(
        read(&server, "one.test", &cookie),
        json!({"owner": "one", "other": 1, "customer": "ann@example.com", "note": "one", "crm": "one", "entries": 1})
    );
    assert_eq!(
        read(&server, "two.test", &cookie),
        json!({"owner": "two", "other": null, "customer": null, "note": null, "crm": null, "entries": 0})
    );
    for line in written.header("set-cookie").unwrap().lines() {
        assert!(!line.to_ascii_lowercase().contains("domain="), "cookies belong to one host: {line}");
    }

    // A token is valid only in its own brand, and another brand does not use it up.
    let token = serde_json::from_str::<Value>(&written.body).unwrap()["token"].as_str().unwrap().to_owned();
    let handed = visit(&server, "two.test", &format!("/read?ef_session={token}"), "");
    assert_eq!((handed.status, handed.session_cookie()), (200, None));
    let taken = visit(&server, "two.test", &format!("/take?t={token}"), "").body;
    assert_eq!(taken, r#"{"taken":false,"customer":null}"#);
    let taken = visit(&server, "one.test", &format!("/take?t={token}"), "").body;
    assert_eq!(taken, r#"{"taken":true,"customer":"ann@example.com"}"#);

    // A customer of the other brand with the same id cannot find the data either.
    let cookie = visit(&server, "two.test", "/write", "").session_cookie().unwrap();
    assert_eq!(read(&server, "two.test", &cookie)["crm"], "two");
    let stranger = read(&server, "one.test", &cookie);
    assert_eq!((&stranger["customer"], &stranger["note"]), (&Value::Null, &Value::Null));
    assert_eq!(stranger["crm"], "one", "a brand's own script may read any of its brand's entries");
}
