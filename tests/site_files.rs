//! A site from somebody else: links, pipes, devices and huge files in it lead no command to another
//! file, and make none wait. Commands write only where they should.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::author_run::{err, out, sluice};
use crate::harness::{Request, Server, ServerOptions, TestSite};

/// What is beside the site. As a settings file it is invalid, so a message could quote it.
const SECRET: &str = "stolen = hunter2hunter2\n";
const PAGE: &str = "<script scope=\"backend\">setVariable('a', 1)</script>{{ var.a }}";

struct Hostile {
    root: tempfile::TempDir,
}

impl Hostile {
    fn new() -> Self {
        let hostile = Self { root: tempfile::tempdir().unwrap() };
        for (file, text) in [
            ("site/brands/demo/brand.toml", "default = true\n"),
            ("site/brands/demo/crm.toml", ""),
            ("site/brands/demo/pages/index.html", PAGE),
            ("site/brands/demo/pages/index.test.js", "test('one', () => expect(1).toBe(1));\n"),
            ("outside/secret", SECRET),
            ("outside/brands/demo/pages/index.html", SECRET),
        ] {
            let path = hostile.at(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        hostile
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(path)
    }

    fn site(&self) -> PathBuf {
        self.at("site")
    }

    fn link(&self, file: &str, target: impl AsRef<Path>) {
        let path = self.at(file);
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            let _ = fs::remove_file(&path);
        }
        symlink(target, path).unwrap();
    }

    /// A command that is ended after a minute, because it waits.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--signal=KILL", "60", env!("CARGO_BIN_EXE_sluice")])
            .args(args)
            .current_dir(self.site())
            .env("XDG_STATE_HOME", self.at("states"))
            .env("SLUICE_SERVER__LISTEN", "127.0.0.1:0")
            .env("SLUICE_ADMIN__LISTEN", "127.0.0.1:0")
            .env("SLUICE_LOG", "warn")
            .env_remove("APP_KEY")
            .env_remove("STATE_DIRECTORY");
        command
    }

    /// What a command prints that fails because of the site.
    fn refusal(&self, args: &[&str]) -> String {
        let done = self.command(args).output().unwrap();
        let told =
            format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert_eq!(done.status.code(), Some(failure(args)), "{args:?}: {told}");
        assert!(!told.contains("hunter2"), "{args:?} shows another file: {told}");
        told
    }
}

/// The exit code of a command that cannot use the site.
fn failure(args: &[&str]) -> i32 {
    if args[0] == "run" { 2 } else { 1 }
}

fn mkfifo(path: &Path) {
    let _ = fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// The commands that read a whole site. The last one starts a server if nothing is wrong.
const COMMANDS: [&[&str]; 6] =
    [&["check"], &["types"], &["build", "--out", "../out"], &["run", "/"], &["test"], &["serve"]];

fn refused_by_all(prepare: impl Fn(&Hostile), commands: &[&[&str]], because: &str) {
    let hostile = Hostile::new();
    prepare(&hostile);
    let hostile = &hostile;
    std::thread::scope(|scope| {
        let told: Vec<_> =
            commands.iter().map(|args| (args, scope.spawn(move || hostile.refusal(args)))).collect();
        for (args, told) in told {
            let told = told.join().unwrap();
            assert!(told.contains(because), "{args:?}: {told}");
        }
    });
    assert_eq!(fs::read_to_string(hostile.at("outside/secret")).unwrap(), SECRET);
}

#[test]
fn no_command_follows_links_of_a_site() {
    let secret = |hostile: &Hostile| hostile.at("outside/secret");
    // `sluice types` reads no settings.
    let of_settings: Vec<&[&str]> = COMMANDS.into_iter().filter(|args| args[0] != "types").collect();
    for file in ["site/sluice.toml", "site/brands/demo/brand.toml"] {
        refused_by_all(|hostile| hostile.link(file, secret(hostile)), &of_settings, "symbolic link");
    }
    refused_by_all(|hostile| hostile.link("site/sluice.toml", "nowhere"), &of_settings, "symbolic link");
    refused_by_all(
        |hostile| hostile.link("site/brands/demo/crm.toml", secret(hostile)),
        &COMMANDS,
        "symbolic link",
    );
    refused_by_all(
        |hostile| hostile.link("site/brands/demo/pages/a.html", secret(hostile)),
        &COMMANDS,
        "symbolic link",
    );
    refused_by_all(
        |hostile| hostile.link("site/brands/demo/pages", hostile.at("outside")),
        &COMMANDS,
        "symbolic link",
    );
    refused_by_all(
        |hostile| hostile.link("site/brands", hostile.at("outside/brands")),
        &COMMANDS,
        "symbolic link",
    );
}

#[test]
fn no_command_waits_for_pipes_or_reads_devices_and_huge_files() {
    let of_settings: Vec<&[&str]> = COMMANDS.into_iter().filter(|args| args[0] != "types").collect();
    for file in ["site/sluice.toml", "site/brands/demo/brand.toml"] {
        refused_by_all(|hostile| mkfifo(&hostile.at(file)), &of_settings, "not a regular file");
        let sparse = |hostile: &Hostile| {
            fs::File::create(hostile.at(file)).unwrap().set_len(1 << 40).unwrap();
        };
        refused_by_all(sparse, &of_settings, "larger than");
    }
    let crm = "site/brands/demo/crm.toml";
    refused_by_all(|hostile| mkfifo(&hostile.at(crm)), &COMMANDS, "not a regular file");
    refused_by_all(|hostile| hostile.link(crm, "/dev/zero"), &COMMANDS, "symbolic link");
    let page = "site/brands/demo/pages/pipe.html";
    refused_by_all(|hostile| mkfifo(&hostile.at(page)), &COMMANDS, "neither a file nor a folder");
}

#[test]
fn dev_neither_watches_links_nor_waits_for_pipes() {
    let hostile = Hostile::new();
    hostile.link("site/brands/demo/all", "/");
    mkfifo(&hostile.at("site/brands/demo/pipe"));
    mkfifo(&hostile.at("site/brands/demo/public.txt"));
    let server = ServerOptions::dev(&hostile.site()).start();
    assert!(server.get("localhost", "/").body.contains('1'));
    // A page that becomes a pipe or a link is a mistake, and its last version stays.
    mkfifo(&hostile.at("site/brands/demo/layouts.html"));
    fs::write(hostile.at("site/brands/demo/pages/index.html"), "<p>changed</p>").unwrap();
    server.wait_printed("index.html changed");
    assert!(server.get("localhost", "/").body.contains("changed"));
    hostile.link("site/brands/demo/pages/index.html", hostile.at("outside/secret"));
    let told = server.wait_printed("symbolic link");
    let page = server.get("localhost", "/").body;
    assert!(page.contains("changed") && !page.contains("hunter2") && !told.contains("hunter2"), "{page}");
}

#[test]
fn types_writes_only_into_the_site_and_deletes_only_what_it_wrote() {
    let attacks: [(&str, &str); 5] = [
        ("site/.sluice", "outside"),
        ("site/.sluice/types", "outside"),
        ("site/.sluice/types/demo", "outside"),
        ("site/brands/demo/sluice.d.ts", "outside/secret"),
        ("site/brands/demo/jsconfig.json", "outside/new"),
    ];
    for (link, target) in attacks {
        let hostile = Hostile::new();
        fs::create_dir_all(hostile.at("outside/types/demo/pages")).unwrap();
        fs::write(hostile.at("outside/types/demo/pages/index.js"), SECRET).unwrap();
        fs::create_dir_all(hostile.at(link).parent().unwrap()).unwrap();
        hostile.link(link, hostile.at(target));
        let told = hostile.refusal(&["types"]);
        assert!(told.contains("symbolic link"), "{link}: {told}");
        let kept = ["outside/secret", "outside/types/demo/pages/index.js"];
        assert!(kept.iter().all(|file| fs::read_to_string(hostile.at(file)).unwrap() == SECRET), "{link}");
        assert!(!hostile.at("outside/new").exists() && !hostile.at("outside/.gitignore").exists(), "{link}");
    }
    let hostile = Hostile::new();
    let own = hostile.at("site/.sluice/types/demo/mine/notes.js");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::write(&own, "// mine\n").unwrap();
    hostile.link("site/.sluice/types/demo/link", hostile.at("outside"));
    let types = || {
        let done = hostile.command(&["types"]).output().unwrap();
        assert!(done.status.success(), "{}", err(&done));
    };
    types();
    let extracted = hostile.at("site/.sluice/types/demo/pages/index.js");
    assert!(fs::read_to_string(&extracted).unwrap().contains("setVariable('a', 1)"));
    fs::remove_file(hostile.at("site/brands/demo/pages/index.html")).unwrap();
    types();
    assert!(!extracted.exists() && !hostile.at("site/.sluice/types/demo/pages").exists());
    assert_eq!(fs::read_to_string(&own).unwrap(), "// mine\n");
    assert_eq!(fs::read_to_string(hostile.at("outside/secret")).unwrap(), SECRET);
}

#[test]
fn build_writes_through_no_link_and_replaces_only_components() {
    for (link, target) in [("site/target", "outside"), ("site/target/scripts/demo", "outside")] {
        let hostile = Hostile::new();
        fs::create_dir_all(hostile.at(link).parent().unwrap()).unwrap();
        hostile.link(link, hostile.at(target));
        let told = hostile.refusal(&["build"]);
        assert!(told.contains("symbolic link") || told.contains("leads into the site"), "{told}");
        let left: Vec<_> = fs::read_dir(hostile.at("outside")).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
    let hostile = Hostile::new();
    let built = || hostile.command(&["build"]).output().unwrap();
    let first = built();
    assert!(first.status.success() && built().status.success(), "{}", err(&first));
    let component = hostile.at("site/target/scripts/demo/pages/index.wasm");
    fs::write(&component, b"\0asm\x01\0\0\0 of somebody else").unwrap();
    assert!(hostile.refusal(&["build"]).contains("no component that Sluice built"));
    hostile.link("site/target/scripts/demo/pages/index.wasm", hostile.at("outside/secret"));
    assert!(hostile.refusal(&["build"]).contains("symbolic link"));
    assert_eq!(fs::read_to_string(hostile.at("outside/secret")).unwrap(), SECRET);
    // The operator's own links work.
    symlink(hostile.at("outside"), hostile.at("shortcut")).unwrap();
    let done = hostile.command(&["build", "--out", "../shortcut/built"]).output().unwrap();
    assert!(
        done.status.success() && hostile.at("outside/built/demo/pages/index.wasm").exists(),
        "{}",
        err(&done)
    );
}

fn put(server: &Server, value: u64, seen: Option<&str>) -> (u16, String) {
    let change = json!({"page": "/", "limit": "fuel", "value": value}).to_string();
    let request = Request::new("PUT", "/api/brands/demo/limits")
        .operator()
        .header("content-type", "application/json")
        .body(change.as_bytes());
    let request = match seen {
        Some(seen) => request.header("if-match", seen),
        None => request,
    };
    let answer = request.send(server.admin_address);
    (answer.status, answer.body)
}

#[test]
fn an_edit_of_a_limit_writes_through_no_link_and_overwrites_no_other_edit() {
    let hostile = Hostile::new();
    let server = Server::start(&hostile.site());
    let file = hostile.at("site/brands/demo/brand.toml");
    let seen = || server.admin("/api/brands/demo/limits?path=/").header("etag").unwrap();
    let first = seen();
    assert_eq!(put(&server, 5_000_000, Some(&first)).0, 200);
    let text = fs::read_to_string(&file).unwrap();
    let (status, told) = put(&server, 6_000_000, Some(&first));
    assert_eq!(status, 409, "another operator's edit: {told}");
    let second = seen();
    let by_author = format!("{text}# by the author\n");
    fs::write(&file, &by_author).unwrap();
    let (status, told) = put(&server, 6_000_000, Some(&second));
    assert!(status == 409 && told.contains("was changed in the meantime"), "{told}");
    assert_eq!(fs::read_to_string(&file).unwrap(), by_author);
    let page = server.admin("/brands/demo/page?path=/").body;
    let shown = page.split("name=\"seen\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(format!("\"{shown}\""), seen(), "the console sends what it showed");
    let form = |seen: &str| {
        let body = format!("page=/&limit=fuel&value=7000000&seen={seen}");
        let request =
            Request::new("POST", "/brands/demo/limits").operator().header("origin", "http://localhost");
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").body(body.as_bytes());
        request.send(server.admin_address).status
    };
    assert_eq!((form(first.trim_matches('"')), form(shown)), (409, 303));
    assert!(fs::read_to_string(&file).unwrap().contains("# by the author"));

    hostile.link("site/brands/demo/brand.toml", hostile.at("outside/secret"));
    let (status, told) = put(&server, 8_000_000, None);
    assert!(status == 500 && told.contains("symbolic link") && !told.contains("hunter2"), "{status} {told}");
    hostile.link("site/brands/demo", hostile.at("outside"));
    let (status, told) = put(&server, 8_000_000, None);
    assert!(status == 500 && told.contains("symbolic link"), "{status} {told}");
    assert_eq!(fs::read_to_string(hostile.at("outside/secret")).unwrap(), SECRET);
    assert!(!hostile.at("outside/brand.toml").exists());
}

#[test]
fn names_of_files_cannot_forge_lines_in_the_terminal_or_the_log() {
    let name = "a\u{1b}[31m\nsluice: forged\n.html";
    let states = tempfile::tempdir().unwrap();
    for folder in ["pages", "layouts", "modules", "public"] {
        let file = format!("{folder}/{name}");
        let site = TestSite::with(&[("pages/index.html", PAGE), (file.as_str(), "x")]);
        for args in COMMANDS.into_iter().filter(|args| folder != "public" || args[0] == "check") {
            let args: Vec<&str> =
                args.iter().map(|arg| if *arg == "../out" { "out" } else { *arg }).collect();
            let done = sluice(site.path(), &args).env("XDG_STATE_HOME", states.path()).output().unwrap();
            let told = format!("{}{}", out(&done), err(&done));
            assert_eq!(done.status.code(), Some(failure(&args)), "{folder} {args:?}: {told}");
            assert!(told.contains("a\\u{1b}[31m\\nsluice: forged\\n.html"), "{folder} {args:?}: {told}");
            assert!(!told.contains('\u{1b}') && !told.contains("\nsluice: forged"), "{told}");
        }
    }
    let file = format!("public/{name}");
    let site = TestSite::with(&[("pages/index.html", PAGE), (file.as_str(), "x")]);
    let server = Server::start(site.path());
    assert!(server.wait_told("a\\u{1b}[31m\\nsluice: forged\\n.html: its name").len() == 1);
}

#[test]
fn dev_takes_addresses_operators_and_databases_only_from_the_operator() {
    let token = "a-token-that-came-with-the-site";
    let site = TestSite::with(&[("pages/index.html", PAGE)]);
    site.write(
        "sluice.toml",
        &format!(
            "[server]\nlisten = \"0.0.0.0:0\"\n[admin]\nlisten = \"0.0.0.0:0\"\ntoken = \"{token}\"\n\
             [database]\nurl = \"postgres://192.0.2.1/stolen\"\n"
        ),
    );
    let server = ServerOptions::dev(site.path()).env_remove("SLUICE_ADMIN__TOKEN").start();
    assert!(server.get("localhost", "/").body.contains('1'));
    let ask = |token: &str| {
        let request = Request::get("/api/overview").header("authorization", &format!("Bearer {token}"));
        request.send(server.admin_address).status
    };
    assert_eq!(ask(token), 401);
    assert_eq!(ask(fs::read_to_string(server.data_dir().join("admin.token")).unwrap().trim()), 200);
    assert!(server.data_dir().join("sluice.db").exists());
    // A reload does not take them, either.
    site.write("brands/demo/pages/index.html", "<p>changed</p>");
    server.wait_printed("index.html changed");
    assert_eq!(ask(token), 401);
}
