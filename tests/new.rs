//! `sluice new`: creates a site that can be served.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::{Request, Server, ServerOptions};

const TEMPLATES: [&str; 5] = ["plain", "blog", "members", "funnel", "api"];

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
    assert!(contact.body.contains("<form method=\"post\" novalidate>"), "{}", contact.body);
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

#[test]
fn every_template_is_complete_and_passes_its_own_tests() {
    let folder = tempfile::tempdir().unwrap();
    let states = folder.path().join("states");
    for template in TEMPLATES {
        let made = sluice(&states, folder.path(), &["new", template, "--template", template]);
        assert!(made.status.success(), "{template}: {}", String::from_utf8_lossy(&made.stderr));
        let site = folder.path().join(template);
        let readme = std::fs::read_to_string(site.join("README.md")).unwrap();
        assert!(
            readme.contains("## Five minutes") && readme.contains("| `brands/main/pages/` |"),
            "{readme}"
        );
        for args in [&["check", "--deny-warnings"][..], &["test"], &["build"]] {
            let done = sluice(&states, &site, args);
            let told = [done.stdout, done.stderr].concat();
            assert!(done.status.success(), "{template}: {args:?}: {}", String::from_utf8_lossy(&told));
        }
    }
    let wrong = sluice(&states, folder.path(), &["new", "x", "--template", "shop"]);
    assert_eq!(wrong.status.code(), Some(2));
    let told = String::from_utf8(wrong.stderr).unwrap();
    assert!(TEMPLATES.iter().all(|template| told.contains(template)), "{told}");
}

#[test]
fn asks_for_template_and_folder_only_in_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let alone = sluice(folder.path(), folder.path(), &["new"]);
    assert_eq!(alone.status.code(), Some(1));
    let told = String::from_utf8(alone.stderr).unwrap();
    assert!(told.contains("sluice new my-site") && told.contains("--template"), "{told}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was created");

    for (typed, files) in [
        ("\n\n", &["my-site/brands/main/pages/contact.html"][..]),
        ("9\nblog\nnotes\n", &["notes/brands/main/modules/posts.js"]),
        ("5\n\n", &[]),
    ] {
        let seen = answer_in_a_terminal(folder.path(), typed);
        for file in files {
            assert!(folder.path().join(file).exists(), "{typed:?}: {file}: {seen}");
        }
        assert!(seen.contains("1  plain") && seen.contains("Folder [my-site]"), "{seen}");
    }
    assert!(!folder.path().join("my-site/brands/main/pages/api").exists(), "no file was added to a site");
}

/// Runs `sluice new` in a terminal, with the program `script`, and types.
fn answer_in_a_terminal(dir: &Path, typed: &str) -> String {
    let mut command = Command::new("script");
    let line = format!("'{}' new", env!("CARGO_BIN_EXE_sluice"));
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(dir);
    let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    String::from_utf8_lossy(&running.wait_with_output().unwrap().stdout).into_owned()
}

/// Runs a command in `dir`. Its data are below `states`.
fn sluice(states: &Path, dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(args).current_dir(dir).env("XDG_STATE_HOME", states).env("SLUICE_LOG", "off");
    command.output().unwrap()
}

#[test]
fn commands_find_the_same_data_from_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (states, site) = (folder.path().join("states"), folder.path().join("site"));
    let made = sluice(&states, folder.path(), &["new", "site"]);
    let told = String::from_utf8(made.stdout).unwrap();
    let place = told.lines().find_map(|line| line.strip_prefix("Its data will be outside of it, in "));
    let data = Path::new(place.unwrap().trim_end_matches('.'));
    assert!(sluice(&states, &site, &["crm", "apply"]).status.success());
    assert!(data.join("sluice.db").exists(), "{}", data.display());
    let database = data.join("sluice.db").display().to_string();
    for (index, (from, named)) in
        [("site", "."), ("", "site"), ("", "./site/"), ("site/brands/main", "../..")].into_iter().enumerate()
    {
        let copy = folder.path().join(format!("{index}.copy")).display().to_string();
        let copied = sluice(&states, &folder.path().join(from), &["backup", &copy, named]);
        let told = String::from_utf8(copied.stdout).unwrap();
        assert!(copied.status.success() && told.contains(&database), "{from} {named}: {told}");
    }
    let folders = std::fs::read_dir(states.join("sluice")).unwrap().count();
    assert_eq!(folders, 1, "no command created another data folder");
}

#[test]
fn commands_outside_of_a_site_name_it_and_create_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (states, site) = (folder.path().join("states"), folder.path().join("site"));
    assert!(sluice(&states, folder.path(), &["new", "site"]).status.success());
    let place = site.canonicalize().unwrap().display().to_string();
    for args in [
        &["logs"][..],
        &["jobs", "list"],
        &["crm", "show"],
        &["backup", "copy"],
        &["export", "copy"],
        &["limits", "suggest"],
        &["serve"],
        &["dev"],
    ] {
        let within = sluice(&states, &site.join("brands/main"), args);
        let told = String::from_utf8(within.stderr).unwrap();
        assert_eq!(within.status.code(), Some(1), "{args:?}: {told}");
        assert!(told.contains("this is not a site") && told.contains(&place), "{args:?}: {told}");
        let outside = sluice(&states, folder.path(), args);
        let told = String::from_utf8(outside.stderr).unwrap();
        assert!(told.contains("change to the site's folder"), "{args:?}: {told}");
    }
    assert!(!states.exists(), "no command created a data folder");
}

#[test]
fn new_site_ignores_what_tools_write() {
    let folder = tempfile::tempdir().unwrap();
    let (states, site) = (folder.path().join("states"), folder.path().join("site"));
    assert!(sluice(&states, folder.path(), &["new", "site"]).status.success());
    std::fs::write(
        site.join("brands/main/pages/index.test.js"),
        "test(\"works\", () => { expect(visit(\"/\").status).toBe(200); });\n",
    )
    .unwrap();
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).current_dir(&site).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    for args in [
        &["types"][..],
        &["build"],
        &["check"],
        &["test"],
        &["run", "/"],
        &["crm", "apply"],
        &["crm", "show"],
        &["jobs", "list"],
        &["limits", "show", "/"],
        &["backup", "copy.db"],
        &["export", "copy.jsonl"],
    ] {
        let output = sluice(&states, &site, args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let server = ServerOptions::dev(&site).start();
    assert_eq!(server.get("localhost", "/").status, 200);
    let status = git(&["status", "--porcelain"]);
    let unknown: Vec<&str> = status.lines().filter(|line| !line.starts_with("A  ")).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
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
