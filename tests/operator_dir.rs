//! Keys, compiled code, secrets and databases that are in a site are never used. Whoever sends a
//! site could otherwise run machine code on this host.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sluice_kit::keys::Keys;
use sluice_kit::operator_dir::OperatorDir;
use sluice_sandbox::cache::{CacheKey, CodeCache};

use crate::harness::{Server, ServerOptions, TestSite};

const HONEST: &str = "<script scope=\"backend\">setVariable('t', 'the source')</script>{{ var.t }}";
const HOSTILE: &str = "<script scope=\"backend\">setVariable('t', 'forged code')</script>{{ var.t }}";

/// A site from somebody else, in the folder `site`. Its folder `data` contains a key, and compiled
/// code of another page as the compiled code of the page `/`.
struct Hostile {
    root: tempfile::TempDir,
}

impl Hostile {
    fn new() -> Self {
        let hostile = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir_all(hostile.at("site/brands/demo/pages")).unwrap();
        fs::write(hostile.at("site/brands/demo/brand.toml"), "default = true\n").unwrap();
        let other = hostile.entries_of(HOSTILE, "other");
        let own = hostile.entries_of(HONEST, "forged");
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
            let names: Vec<&String> = a.difference(b).collect();
            let [name] = names.as_slice() else { panic!("one page has one entry: {names:?}") };
            CacheKey::from(bytes(name))
        };
        let cache = |data: &str| {
            let data = OperatorDir::outside(&hostile.site(), &hostile.at(data)).unwrap();
            CodeCache::open(&data.dir("cache").unwrap(), &Keys::of_dir(&data).unwrap(), 1 << 30).unwrap()
        };
        let code = cache("other").read(&only(&other, &own)).expect("a host wrote it with this key");
        assert!(cache("forged").write(&only(&own, &other), code.bytes()));
        hostile
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(path)
    }

    fn site(&self) -> PathBuf {
        self.at("site")
    }

    /// The names of the entries that a host writes for a site with this page. Hosts of one test have
    /// the same key.
    fn entries_of(&self, page: &str, data: &str) -> BTreeSet<String> {
        fs::write(self.at("site/brands/demo/pages/index.html"), page).unwrap();
        let folder = self.at(data);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("app.key"), "0123456789abcdef0123456789abcdef").unwrap();
        fs::set_permissions(folder.join("app.key"), fs::Permissions::from_mode(0o600)).unwrap();
        drop(self.serve("serve").data(&folder).start());
        let entries = fs::read_dir(folder.join("cache")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Sends the site: the forged data are in it now.
    fn send(&self) {
        fs::rename(self.at("forged"), self.at("site/data")).unwrap();
    }

    /// `sluice serve .` or `sluice dev .` in the site's folder.
    fn serve(&self, command: &str) -> ServerOptions {
        let options = match command {
            "dev" => ServerOptions::dev(Path::new(".")).own_key(),
            _ => ServerOptions::of(Path::new(".")).own_key(),
        };
        options.current_dir(&self.site())
    }

    /// The message of a command in `folder` that does not start a server.
    fn refusal(&self, folder: &Path, args: &[&str], environment: &[(&str, &str)]) -> String {
        let done = sluice(folder, args, &self.at("states"), environment);
        let told = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{args:?} {environment:?}: {told}");
        told
    }
}

/// `sluice` with free ports, without the variables of the tests. It ends after a minute.
fn sluice(folder: &Path, args: &[&str], states: &Path, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new("timeout");
    command
        .args(["60", env!("CARGO_BIN_EXE_sluice")])
        .args(args)
        .current_dir(folder)
        .env("XDG_STATE_HOME", states)
        .env("SLUICE_SERVER__LISTEN", "127.0.0.1:0")
        .env("SLUICE_ADMIN__LISTEN", "127.0.0.1:0")
        .env_remove("APP_KEY")
        .env_remove("STATE_DIRECTORY")
        .envs(environment.iter().copied());
    command.output().unwrap()
}

fn bytes(name: &str) -> [u8; 32] {
    std::array::from_fn(|index| u8::from_str_radix(&name[2 * index..2 * index + 2], 16).unwrap())
}

fn answer(server: &Server) -> String {
    server.get("localhost", "/").body.rsplit('>').next().unwrap().to_owned()
}

#[test]
fn forged_code_in_a_site_is_never_loaded() {
    let hostile = Hostile::new();
    // Checks the test itself: a host that trusts the folder loads the code.
    let trusting = hostile.serve("serve").data(&hostile.at("forged")).start();
    assert_eq!(answer(&trusting), "forged code");
    drop(trusting);
    hostile.send();

    let (site, data) = (hostile.site(), hostile.at("site/data"));
    symlink(&site, hostile.at("site-link")).unwrap();
    symlink(&data, hostile.at("data-link")).unwrap();
    let outside = |name: &str| hostile.at(name).display().to_string();
    for command in ["serve", "dev"] {
        let told = hostile.refusal(&site, &[command, "."], &[]);
        assert!(told.contains("data/app.key") && told.contains("mv ./data"), "{told}");
        assert!(told.contains(&outside("states/sluice/site-")) && told.contains("--data"), "{told}");
        let linked = hostile.refusal(&hostile.at("site-link"), &[command, "."], &[]);
        assert!(linked.contains("data/app.key"), "{linked}");
        for flag in ["data", "./brands/../data", "../data-link", "../site-link/data"] {
            let told = hostile.refusal(&site, &[command, ".", "--data", flag], &[]);
            assert!(told.contains("--data: ") && told.contains("leads into the site's folder"), "{told}");
            assert!(told.contains("mv "), "{told}");
        }
        let [linked_site, kept] = [outside("site-link"), outside("kept")];
        let told = hostile.refusal(&hostile.at(""), &[command, &linked_site, "--data", "site/data"], &[]);
        assert!(told.contains("leads into the site's folder"), "{told}");
        for (variable, value) in [
            ("SLUICE_CACHE__DIR", outside("site-link/data/cache")),
            ("SLUICE_SECRETS__DIR", outside("data-link")),
            ("SLUICE_LOG__PATH", outside("site/data/runs.db")),
        ] {
            let told = hostile.refusal(&site, &[command, ".", "--data", &kept], &[(variable, &value)]);
            assert!(told.contains("leads into the site's folder") && told.contains(variable), "{told}");
        }
        let url = format!("sqlite:{}", outside("data-link/sluice.db"));
        let told = hostile.refusal(&site, &[command, "."], &[("SLUICE_DATABASE__URL", &url)]);
        assert!(told.contains("database.url: ") && told.contains("leads into the site's folder"), "{told}");
        // The operator has another data folder.
        let server = hostile.serve(command).start();
        assert_eq!(answer(&server), "the source", "{command}");
    }
}

#[test]
fn settings_of_a_site_cannot_choose_the_cache() {
    let hostile = Hostile::new();
    hostile.send();
    let settings = hostile.at("site/sluice.toml");
    fs::write(&settings, "[cache]\ndir = \"data/cache\"\n").unwrap();
    let kept = hostile.at("kept").display().to_string();
    let told = hostile.refusal(&hostile.site(), &["serve", ".", "--data", &kept], &[]);
    assert!(told.contains("cache.dir") && told.contains("SLUICE_CACHE__DIR"), "{told}");
    fs::remove_file(&settings).unwrap();
    // The tools for authors do not use a cache in the site, even if the user's folder is there.
    fs::create_dir_all(hostile.at("site/cache/sluice")).unwrap();
    fs::copy(hostile.at("site/data/app.key"), hostile.at("site/cache/sluice/app.key")).unwrap();
    fs::rename(hostile.at("site/data/cache"), hostile.at("site/cache/sluice/code")).unwrap();
    let cache = hostile.at("site/cache").display().to_string();
    let server = hostile.serve("dev").env("XDG_CACHE_HOME", &cache).start();
    assert_eq!(answer(&server), "the source");
    drop(server);
    fs::remove_dir_all(hostile.at("site/data")).unwrap();
    let variables = [("XDG_CACHE_HOME", cache.as_str())];
    let ran = sluice(&hostile.site(), &["run", "/"], &hostile.at("states"), &variables);
    let shown = String::from_utf8(ran.stdout).unwrap();
    assert!(shown.contains("the source") && !shown.contains("forged"), "{shown}");
}

#[test]
fn settings_of_a_site_cannot_name_files_of_the_operator() {
    let site = TestSite::with(&[("pages/index.html", "page")]);
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    fs::create_dir_all(data.join("other")).unwrap();
    // A copy of the database, and the files of another site.
    for name in ["backup.db", "other/sluice.db", "other/runs.db", "app.key"] {
        fs::write(data.join(name), "the operator's").unwrap();
    }
    let told = |text: &str| {
        site.write("sluice.toml", text);
        let data = data.display().to_string();
        let done = sluice(site.path(), &["serve", ".", "--data", &data], root.path(), &[]);
        let told = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{text}: {told}");
        told
    };
    for path in ["/etc/sluice.db", "../other/sluice.db", "backup.db", "other/sluice.db", "app.key"] {
        for (setting, text) in [
            ("SLUICE_DATABASE__URL", format!("[database]\nurl = \"sqlite:{path}\"\n")),
            ("SLUICE_SECRETS__DIR", format!("[secrets]\ndir = \"{path}\"\n")),
            ("SLUICE_CACHE__DIR", format!("[cache]\ndir = \"{path}\"\n")),
            ("SLUICE_LOG__PATH", format!("[log]\npath = \"{path}\"\n")),
        ] {
            let told = told(&text);
            assert!(
                told.contains("sluice.toml: ") && told.contains(path) && told.contains(setting),
                "{told}"
            );
        }
    }
    for name in ["backup.db", "other/sluice.db", "other/runs.db", "app.key"] {
        assert_eq!(fs::read_to_string(data.join(name)).unwrap(), "the operator's", "{name}");
    }
}

#[test]
fn all_commands_find_the_same_data_folder() {
    let site = TestSite::with(&[
        ("pages/index.html", "<script scope=\"backend\">console.log('a line')</script>page"),
        ("crm.toml", "[[entity]]\nslug = \"leads\"\n"),
    ]);
    let root = tempfile::tempdir().unwrap();
    let states = root.path().canonicalize().unwrap().join("states");
    let printed = |args: &[&str]| {
        let done = sluice(site.path(), args, &states, &[("SLUICE_LOG", "off")]);
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    for command in ["serve", "dev"] {
        let options = match command {
            "dev" => ServerOptions::dev(site.path()),
            _ => ServerOptions::of(site.path()),
        };
        let server = options.default_data(&states).start();
        assert!(server.get("localhost", "/").body.ends_with("page"), "{command}");
        server.wait_until("the run is stored", || printed(&["logs"]).contains("a line"));
    }
    let made: Vec<PathBuf> =
        fs::read_dir(states.join("sluice")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [data] = made.as_slice() else { panic!("the site has one folder: {made:?}") };
    assert_eq!(fs::metadata(data).unwrap().permissions().mode() & 0o777, 0o700);
    for name in ["app.key", "sluice.db", "runs.db", "cache"] {
        assert!(data.join(name).exists(), "{name}");
    }
    assert_eq!(printed(&["jobs", "list"]).trim(), "no jobs");
    assert!(printed(&["crm", "show"]).contains("leads"));
    printed(&["limits", "suggest"]);
    let (backup, lines) = (root.path().join("backup.db"), root.path().join("export.jsonl"));
    let told = printed(&["backup", backup.to_str().unwrap()]);
    assert!(told.contains(data.join("sluice.db").to_str().unwrap()), "{told}");
    assert!(told.contains(data.join("app.key").to_str().unwrap()), "{told}");
    printed(&["export", lines.to_str().unwrap()]);
    for name in ["sluice.db", "sluice.db-wal", "sluice.db-shm"] {
        // SQLite may have removed the last two.
        let _ = fs::remove_file(data.join(name));
    }
    printed(&["import", lines.to_str().unwrap()]);
    assert!(data.join("sluice.db").exists());
    let left: Vec<_> = fs::read_dir(site.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["brands"], "nothing is written into the site");
}

#[test]
fn refuses_a_database_that_lost_its_contents() {
    let site = TestSite::with(&[("pages/index.html", "<p>Hello</p>")]);
    let data = tempfile::tempdir().unwrap();
    let start = || ServerOptions::of(site.path()).data(data.path()).own_key();
    start().start().terminate();
    fs::write(data.path().join("sluice.db"), "").unwrap();
    for rest in ["sluice.db-wal", "sluice.db-shm"] {
        let _ = fs::remove_file(data.path().join(rest));
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.arg("serve").arg(site.path()).arg("--data").arg(data.path()).env_remove("APP_KEY");
    let done = command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).output().unwrap();
    let error = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{error}");
    assert!(error.contains("sluice.db: the database is empty") && error.contains("app.key"), "{error}");
    fs::remove_file(data.path().join("sluice.db")).unwrap();
    start().start();
}

#[test]
fn first_start_that_is_cut_off_leaves_no_key_beside_an_empty_database() {
    let site = TestSite::with(&[("pages/index.html", "<p>Hello</p>")]);
    let data = tempfile::tempdir().unwrap();
    // The database does not get beyond the creation of its file, but a key would fit.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 1; exec {} serve {} --data {} --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0",
        env!("CARGO_BIN_EXE_sluice"),
        site.path().display(),
        data.path().display()
    );
    let done = Command::new("bash").args(["-c", &limited]).env_remove("APP_KEY").output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(fs::metadata(data.path().join("sluice.db")).unwrap().len(), 0);
    let server = ServerOptions::of(site.path()).data(data.path()).own_key().start();
    assert!(server.get("localhost", "/").body.contains("Hello"));
    assert!(data.path().join("app.key").exists());
}
