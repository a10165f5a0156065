use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use super::*;

/// A site, and a folder for the states of this user.
struct World {
    root: tempfile::TempDir,
    variables: BTreeMap<&'static str, OsString>,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("my site/data")).unwrap();
        let home = root.path().join("home").into_os_string();
        Self { root, variables: BTreeMap::from([("HOME", home)]) }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(path)
    }

    fn site(&self) -> PathBuf {
        self.at("my site")
    }

    fn set(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name, value.into());
        self
    }

    fn places(&self, config: &SiteConfig, data: Option<&Path>) -> Result<Places, PlaceError> {
        Places::with(&self.site(), config, data, |name| self.variables.get(name).cloned())
    }

    fn complaint(&self, config: &SiteConfig, data: Option<&Path>) -> String {
        self.places(config, data).unwrap_err().to_string()
    }
}

fn config(text: &str) -> SiteConfig {
    toml::from_str(text).unwrap()
}

#[test]
fn data_are_in_the_user_s_state_folder() {
    let world = World::new();
    let places = world.places(&SiteConfig::default(), None).unwrap();
    let data = places.data.path();
    assert_eq!(data.parent().unwrap(), world.at("home/.local/state/sluice"));
    let name = data.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("my-site-") && name.len() == "my-site-".len() + 2 * HASH_BYTES, "{name}");
    assert_eq!(places.database, format!("sqlite:{}", data.join("sluice.db").display()));
    assert_eq!(places.secrets.unwrap().path(), data.join("secrets"));
    assert_eq!(places.cache.path(), data.join("cache"));
    assert_eq!(places.log.path(), data.join("runs.db"));
}

#[test]
fn site_has_the_same_data_folder_under_each_of_its_paths() {
    let world = World::new();
    symlink(world.site(), world.at("link")).unwrap();
    let places = |site: &str| {
        let found = Places::with(&world.at(site), &SiteConfig::default(), None, |name| {
            world.variables.get(name).cloned()
        });
        found.unwrap().data.path().to_owned()
    };
    assert_eq!(places("my site"), places("link"));
    assert_eq!(places("my site"), places("my site/data/.."));
    assert_ne!(places("my site"), places("my"));
}

#[test]
fn systemd_and_xdg_override_the_home_folder() {
    let world = World::new();
    let states = world.at("states");
    let world = world.set("XDG_STATE_HOME", &states);
    let found = world.places(&SiteConfig::default(), None).unwrap();
    assert_eq!(found.data.path().parent().unwrap(), states.join("sluice"));
    let service = world.at("service");
    let world = world.set("STATE_DIRECTORY", format!("{}:/other", service.display()));
    assert_eq!(world.places(&SiteConfig::default(), None).unwrap().data.path(), service);
    let world = world.set("STATE_DIRECTORY", "relative");
    let found = world.places(&SiteConfig::default(), None).unwrap();
    assert_eq!(found.data.path().parent().unwrap(), states.join("sluice"));
    let world = World::new().set("HOME", "");
    let error = world.complaint(&SiteConfig::default(), None);
    assert!(error.contains("HOME") && error.contains("--data"), "{error}");
}

#[test]
fn rejects_state_folder_in_the_site() {
    for variable in ["HOME", "XDG_STATE_HOME", "STATE_DIRECTORY"] {
        let world = World::new();
        let inside = world.site().join("state");
        let error = world.set(variable, inside).complaint(&SiteConfig::default(), None);
        assert!(error.contains("leads into the site's folder") && error.contains("--data"), "{error}");
    }
}

#[test]
fn names_data_in_the_site_and_the_command_that_moves_them() {
    for name in ["app.key", "sluice.db"] {
        let world = World::new();
        let target = world.places(&SiteConfig::default(), None).unwrap().data.path().to_owned();
        let data = world.site().join("data");
        fs::write(data.join(name), "x").unwrap();
        let error = world.complaint(&SiteConfig::default(), None);
        let states = target.parent().unwrap().display();
        let command = format!("`mkdir -p {states} && mv '{}' {}`", data.display(), target.display());
        assert!(error.contains(name) && error.contains(&command) && error.contains("--data"), "{error}");
        // The operator has chosen another folder.
        assert!(world.places(&SiteConfig::default(), Some(&world.at("chosen"))).is_ok());
    }
}

#[test]
fn rejects_paths_in_the_site_from_every_source() {
    let world = World::new();
    let inside = world.site().join("data");
    symlink(world.site(), world.at("link")).unwrap();
    for path in [inside.clone(), world.at("link/data"), world.at("link")] {
        let error = world.complaint(&SiteConfig::default(), Some(&path));
        assert!(error.starts_with("--data: ") && error.contains("mv "), "{error}");
        let path = path.display();
        for (text, variable) in [
            (format!("[database]\nurl = \"sqlite:{path}/sluice.db\""), "SLUICE_DATABASE__URL"),
            (format!("[cache]\ndir = \"{path}\""), "SLUICE_CACHE__DIR"),
            (format!("[secrets]\ndir = \"{path}\""), "SLUICE_SECRETS__DIR"),
            (format!("[log]\npath = \"{path}/runs.db\""), "SLUICE_LOG__PATH"),
        ] {
            let error = world.complaint(&config(&text), None);
            assert!(error.contains(variable) && error.contains("mv "), "{text}: {error}");
        }
    }
}

#[test]
fn relative_paths_are_in_the_data_folder() {
    let world = World::new();
    let text = "[database]\nurl = \"sqlite:a/b.db\"\n[cache]\ndir = \"c\"\n[secrets]\ndir = \"d\"\n[log]\npath = \"e.db\"";
    let found = world.places(&config(text), None).unwrap();
    let data = found.data.path();
    assert!(data.starts_with(world.at("home")));
    assert_eq!(found.database, format!("sqlite:{}", data.join("a/b.db").display()));
    assert_eq!(found.secrets.unwrap().path(), data.join("d"));
    assert_eq!((found.cache.path(), found.log.path()), (&*data.join("c"), &*data.join("e.db")));
}

#[test]
fn data_flag_places_the_embedded_database_but_no_server() {
    let world = World::new();
    let chosen = world.at("chosen");
    for url in ["sqlite:data/sluice.db", "sqlite:/elsewhere/x.db"] {
        let found = world.places(&config(&format!("[database]\nurl = \"{url}\"")), Some(&chosen)).unwrap();
        assert_eq!(found.database, format!("sqlite:{}", chosen.join("sluice.db").display()));
    }
    let server = config("[database]\nurl = \"postgres://db/site\"");
    let found = world.places(&server, Some(&chosen)).unwrap();
    assert_eq!((found.database.as_str(), found.data.path()), ("postgres://db/site", &*chosen));
    // The key stays beside a database that the environment names.
    let url = format!("[database]\nurl = \"sqlite:{}\"", world.at("kept/x.db").display());
    assert_eq!(world.places(&config(&url), None).unwrap().data.path(), world.at("kept"));
}

#[test]
fn rejects_settings_that_name_one_file_twice() {
    let world = World::new();
    for (text, first, second) in [
        ("[log]\npath = \"sluice.db\"", "the file of database.url", "the file of log.path"),
        ("[log]\npath = \"./sluice.db-wal\"", "the file of database.url", "the file of log.path"),
        ("[log]\npath = \"app.key\"", "the application key", "the file of log.path"),
        ("[log]\npath = \"admin.token\"", "the operators' token", "the file of log.path"),
        ("[database]\nurl = \"sqlite:app.key\"", "the application key", "the file of database.url"),
        ("[database]\nurl = \"sqlite:runs.db\"", "the file of database.url", "the file of log.path"),
        ("[cache]\ndir = \"sluice.db\"", "the file of database.url", "the folder of cache.dir"),
        ("[cache]\ndir = \"secrets\"", "the folder of cache.dir", "the folder of secrets.dir"),
    ] {
        let told = world.complaint(&config(text), None);
        assert!(told.starts_with(second) && told.contains(first), "{text}: {told}");
    }
    assert!(world.places(&config("[log]\npath = \"logs/runs.db\""), None).is_ok());
}
