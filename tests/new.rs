//! `sluice new`: creates a site that can be served.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{Request, Server, ServerOptions};

fn new(dir: &Path, arg: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice")).args(["new", arg]).current_dir(dir).output().unwrap()
}

fn form(path: &str, body: &str) -> Request {
    Request::new("POST", path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .body(body.as_bytes())
}

#[test]
fn new_site_can_be_built_and_served() {
    let folder = tempfile::tempdir().unwrap();
    let made = new(folder.path(), "my site");
    assert!(made.status.success());
    let told = String::from_utf8(made.stdout).unwrap();
    for line in ["brands/main/pages/index.html", "cd 'my site'", "sluice dev", "http://127.0.0.1:8080"] {
        assert!(told.contains(line), "{line:?} is not in\n{told}");
    }
    let site = folder.path().join("my site");
    assert!(std::fs::read_to_string(site.join(".gitignore")).unwrap().contains("/data/"));
    let built = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["build", "--out"])
        .arg(folder.path().join("out"))
        .arg(&site)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let server = ServerOptions::dev(&site).start();
    let first = server.get("localhost", "/");
    assert!(first.body.contains("This is your first visit"), "{}", first.body);
    let cookie = first.session_cookie().unwrap();
    let second = Request::get("/").header("cookie", &cookie).send(server.address);
    assert!(second.body.contains("<strong id=\"visits\">2</strong>"), "{}", second.body);
    assert_eq!(server.get("localhost", "/style.css").status, 200);
    let missing = server.get("localhost", "/nothing/here");
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("There is nothing at /nothing/here"), "{}", missing.body);

    let contact = server.get("localhost", "/contact");
    assert!(contact.body.contains("<form method=\"post\">"), "{}", contact.body);
    assert!(
        !contact.body.contains("id=\"sent\"") && !contact.body.contains("id=\"errors\""),
        "{}",
        contact.body
    );
    let wrong = form("/contact", "name=%3Ci%3EAnn&email=ann&text=").send(server.address);
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.body.contains("Email must") && wrong.body.contains("Message is required"),
        "{}",
        wrong.body
    );
    assert!(
        wrong.body.contains("value=\"&lt;i&gt;Ann\""),
        "the form keeps the visitor's input: {}",
        wrong.body
    );
    let sent = form("/contact", "name=Ann&email=ann%40example.com&text=Hello").send(server.address);
    assert_eq!((sent.status, sent.header("location").as_deref()), (303, Some("/contact?sent=1")));
    assert!(server.get("localhost", "/contact?sent=1").body.contains("id=\"sent\""));
    assert_eq!(stored(&server, "messages"), ["Ann"]);
}

/// The field `name` of the entity's entries, as operators see it.
fn stored(server: &Server, entity: &str) -> Vec<String> {
    let answer = server.admin(&format!("/api/brands/main/crm/{entity}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let entries: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
    entries.iter().map(|entry| entry["values"]["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn never_overwrites_files() {
    let folder = tempfile::tempdir().unwrap();
    assert!(new(folder.path(), ".").status.success(), "an empty folder is accepted");
    let index = folder.path().join("brands/main/pages/index.html");
    std::fs::write(&index, "mine").unwrap();
    for (arg, reason) in [(".", "not empty"), ("brands/main/pages/index.html", "this is a file")] {
        let refused = new(folder.path(), arg);
        assert_eq!(refused.status.code(), Some(1));
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(told.contains(reason) && told.contains("name "), "{told}");
    }
    assert_eq!(std::fs::read_to_string(index).unwrap(), "mine");
}
