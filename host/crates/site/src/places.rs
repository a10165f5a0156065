//! Where the files of the operator are: the data folder, the database, the secrets, the code cache
//! and the execution log. None of them is in the site, because a site can come from somebody else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use sluice_kit::hex::hex;
use sluice_kit::operator_dir::{OperatorDir, OperatorDirError, OperatorFile};

use crate::config::SiteConfig;

/// What Sluice writes into a data folder. In a site, it shows that the folder `data` is one.
const DATA_FILES: [&str; 4] = ["app.key", "sluice.db", "admin.token", "runs.db"];
/// The length of a site's name and of the hash of its path in the name of its data folder.
const NAME_CHARS_MAX: usize = 40;
const HASH_BYTES: usize = 8;

/// The places of the operator's files.
#[derive(Debug, Clone)]
pub struct Places {
    /// The data folder, with the application key and the operators' token.
    pub data: OperatorDir,
    /// `database.url`, with an absolute path if the database is embedded.
    pub database: String,
    /// The folder of the secrets' files, if there is one.
    pub secrets: Option<OperatorDir>,
    /// The folder of the code cache.
    pub cache: OperatorDir,
    /// The file of the execution log.
    pub log: OperatorFile,
}

/// Why the operator's files have no place. The text says how to move them.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The folder is not that of a site. Each folder has its own data, so the data of a wrong one would
    /// be mistaken for those of the site.
    #[error("{}", not_a_site(.0))]
    NotASite(PathBuf),
    /// The environment names no folder for data.
    #[error(
        "there is no folder for the data of this site, because HOME is not set: choose one with --data DIR"
    )]
    NoStateFolder,
    /// An earlier version of Sluice kept its data in the site, or somebody put them there.
    #[error(
        "{}: this is in the site's folder, where the author of the site could have put it, so Sluice does \
         not use it. If it is yours, move it: `{move_it}`. If it is not, delete it. Or choose another \
         folder with --data DIR",
        found.display()
    )]
    Leftover {
        /// The first file of the operator in the folder.
        found: PathBuf,
        /// The command that moves the folder to its place.
        move_it: String,
    },
    /// A flag, a variable or a setting names a path in the site.
    #[error(
        "{setting}: {error}. Move it (`{move_it}`) and remove this setting, or set {instead} to another path"
    )]
    Setting {
        /// What names the path.
        setting: &'static str,
        /// Why the path cannot be used.
        error: OperatorDirError,
        /// The command that moves what is there to its default place.
        move_it: String,
        /// The flag or the variable that may name another path.
        instead: &'static str,
    },
    /// Two settings name one file or folder.
    #[error("{second}: {} is {first}, too; choose another path", path.display())]
    Same {
        /// What else is there.
        first: &'static str,
        /// The setting, or what it comes with.
        second: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// The default data folder is in the site.
    #[error("the data folder: {0}. Choose another one with --data DIR")]
    Default(OperatorDirError),
}

impl Places {
    /// The places for the site in `site_dir`, with the data folder `data` of the command line.
    ///
    /// # Errors
    /// A place is in the site, there is no data folder, or the folder is not that of a site.
    pub fn of(site_dir: &Path, config: &SiteConfig, data: Option<&Path>) -> Result<Self, PlaceError> {
        if !is_site(site_dir) {
            return Err(PlaceError::NotASite(site_dir.to_owned()));
        }
        Self::with(site_dir, config, data, |name| std::env::var_os(name))
    }

    fn with(
        site_dir: &Path,
        config: &SiteConfig,
        flag: Option<&Path>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, PlaceError> {
        let standard = state_dir(site_dir, environment);
        let url = config.database.url.as_str();
        let embedded = url.strip_prefix("sqlite:").filter(|path| !path.is_empty()).map(Path::new);
        let beside = embedded.filter(|path| path.is_absolute()).and_then(Path::parent);
        let (data, setting, instead) = match (flag, beside) {
            (Some(flag), _) => (flag, "--data", "--data"),
            (None, Some(beside)) => (beside, "database.url", "SLUICE_DATABASE__URL"),
            (None, None) => {
                let data = standard.as_deref().ok_or(PlaceError::NoStateFolder)?;
                return Self::standard(site_dir, config, embedded, data);
            }
        };
        let dir = OperatorDir::outside(site_dir, data).map_err(|error| PlaceError::Setting {
            setting,
            error,
            move_it: move_command(data, standard.as_deref().unwrap_or(Path::new("DIR"))),
            instead,
        })?;
        // `--data` says where the embedded database is, whatever the settings say.
        let embedded = embedded.map(|path| if flag.is_some() { Path::new("sluice.db") } else { path });
        Self::in_data_dir(config, embedded, dir)
    }

    /// The places in the folder `data`, which nobody chose.
    fn standard(
        site_dir: &Path,
        config: &SiteConfig,
        embedded: Option<&Path>,
        data: &Path,
    ) -> Result<Self, PlaceError> {
        let in_site = site_dir.join("data");
        if let Some(found) = DATA_FILES.iter().map(|name| in_site.join(name)).find(|path| path.exists()) {
            // The data are one level deeper if the settings say so.
            let deeper = embedded.and_then(Path::parent).filter(|dir| !dir.as_os_str().is_empty());
            let target = deeper.map_or_else(|| data.to_owned(), |dir| data.join(dir));
            return Err(PlaceError::Leftover { found, move_it: move_command(&in_site, &target) });
        }
        let dir = OperatorDir::outside(site_dir, data).map_err(PlaceError::Default)?;
        if embedded.is_some() {
            warn_of_earlier_data(dir.path());
        }
        Self::in_data_dir(config, embedded, dir)
    }

    fn in_data_dir(
        config: &SiteConfig,
        embedded: Option<&Path>,
        data: OperatorDir,
    ) -> Result<Self, PlaceError> {
        let place = |setting, instead, chosen, name| Place { setting, instead, chosen, name, data: &data };
        let database = match embedded {
            Some(_) => {
                let file = place("database.url", "SLUICE_DATABASE__URL", embedded, "sluice.db").file()?;
                format!("sqlite:{}", file.path().display())
            }
            None => config.database.url.clone(),
        };
        let secrets = config.secrets.dir.as_deref();
        let secrets = place("secrets.dir", "SLUICE_SECRETS__DIR", secrets, "secrets").dir()?;
        let cache = config.cache.dir.as_deref();
        let cache = place("cache.dir", "SLUICE_CACHE__DIR", cache, "cache").dir()?;
        let log = place("log.path", "SLUICE_LOG__PATH", config.log.path.as_deref(), "runs.db").file()?;
        let places = Self { data, database, secrets: Some(secrets), cache, log };
        places.check_distinct()?;
        Ok(places)
    }

    /// Rejects settings that name a file of the operator that has another purpose. The execution log
    /// must not be written into the database, for example.
    fn check_distinct(&self) -> Result<(), PlaceError> {
        let data = self.data.path();
        let mut known = vec![
            ("the application key", data.join("app.key")),
            ("the operators' token", data.join("admin.token")),
            ("the list of logouts", data.join("admin.logouts")),
            ("the list of the brands' hosts", data.join("hosts.json")),
            ("the folder of kept files", data.join("files")),
            ("the folder of files that are arriving", data.join("uploads")),
            ("the folder of certificates", data.join("tls")),
        ];
        if let Some(database) = self.database.strip_prefix("sqlite:") {
            known.extend(database_files(Path::new(database)).map(|file| ("the file of database.url", file)));
        }
        known.extend(database_files(self.log.path()).map(|file| ("the file of log.path", file)));
        known.push(("the folder of cache.dir", self.cache.path().to_owned()));
        known.extend(self.secrets.iter().map(|dir| ("the folder of secrets.dir", dir.path().to_owned())));
        for (index, (second, path)) in known.iter().enumerate() {
            if let Some((first, _)) = known.iter().take(index).find(|(_, other)| other == path) {
                return Err(PlaceError::Same { first, second, path: path.clone() });
            }
        }
        Ok(())
    }
}

fn is_site(dir: &Path) -> bool {
    dir.join("brands").is_dir()
}

/// The sentence about a folder that is not that of a site. If it is in a site, names that.
pub fn not_a_site(dir: &Path) -> String {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let instead = match dir.ancestors().skip(1).find(|outer| is_site(outer)) {
        Some(outer) => format!("change to {0}, or add {0} to the command", shell_word(outer)),
        None => "change to the site's folder, or add it to the command; `sluice new DIR` creates a site"
            .to_owned(),
    };
    format!("{}: this is not a site: it has no folder `brands`; {instead}", dir.display())
}

/// The files of an SQLite database.
fn database_files(database: &Path) -> impl Iterator<Item = PathBuf> {
    ["", "-wal", "-shm", "-journal"].into_iter().map(|suffix| {
        let mut file = database.as_os_str().to_owned();
        file.push(suffix);
        PathBuf::from(file)
    })
}

/// Where one kind of the operator's files is.
struct Place<'a> {
    /// The name of the setting.
    setting: &'static str,
    /// The variable that overrides the setting.
    instead: &'static str,
    /// What the setting says.
    chosen: Option<&'a Path>,
    /// The name in the data folder, if the setting says nothing.
    name: &'static str,
    data: &'a OperatorDir,
}

impl Place<'_> {
    fn path(&self) -> &Path {
        self.chosen.unwrap_or(Path::new(self.name))
    }

    fn dir(&self) -> Result<OperatorDir, PlaceError> {
        self.data.dir(self.path()).map_err(|error| self.rejected(error))
    }

    fn file(&self) -> Result<OperatorFile, PlaceError> {
        self.data.file(self.path()).map_err(|error| self.rejected(error))
    }

    fn rejected(&self, error: OperatorDirError) -> PlaceError {
        let data = self.data.path();
        let move_it = move_command(&data.join(self.path()), &data.join(self.name));
        PlaceError::Setting { setting: self.setting, error, move_it, instead: self.instead }
    }
}

/// Versions before 0.2 kept the data in the working directory by default.
fn warn_of_earlier_data(data: &Path) {
    let earlier = Path::new("data");
    if earlier.join("sluice.db").exists() && !data.join("sluice.db").exists() {
        let move_it = move_command(earlier, data);
        tracing::warn!("data/sluice.db is not used; if it belongs to this site, stop and run `{move_it}`");
    }
}

/// The folder for the data of a site that systemd created for this service, or else one in the
/// folder for states of the XDG Base Directory Specification. A relative path is ignored, as the
/// specification says; it could lead into the site.
fn state_dir(site_dir: &Path, environment: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(folders) = absolute("STATE_DIRECTORY") {
        // systemd separates the folders of `StateDirectory` with colons.
        return Some(match folders.to_str().and_then(|folders| folders.split(':').next()) {
            Some(first) => PathBuf::from(first),
            None => folders,
        });
    }
    let states = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    let site = site_dir.canonicalize().or_else(|_| std::path::absolute(site_dir)).ok()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name = site.file_name().unwrap_or_default().to_string_lossy();
    let name = name.chars().map(|c| if is_plain(c) { c } else { '-' }).take(NAME_CHARS_MAX);
    let hash = Sha256::digest(site.as_os_str().as_encoded_bytes());
    let hash = hex(hash.get(..HASH_BYTES).unwrap_or_default());
    Some(states.join("sluice").join(format!("{}-{hash}", name.collect::<String>())))
}

/// The shell command that moves `from` to `to`.
fn move_command(from: &Path, to: &Path) -> String {
    let from = shell_word(from);
    if to.is_dir() {
        return format!("mv {from}/* {}", shell_word(to));
    }
    let folder = to.parent().map(|folder| format!("mkdir -p {} && ", shell_word(folder)));
    format!("{}mv {from} {}", folder.unwrap_or_default(), shell_word(to))
}

fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests;
