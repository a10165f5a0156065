//! Reads the settings files, and overrides them with the environment.
//!
//! The variable `SLUICE_SECTION__KEY` overrides a setting. An unknown key is an error that names
//! the file and the line, and suggests the closest known key.

use std::fmt;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use sluice_kit::folder::FolderPath;
use sluice_kit::hex::hex;
use sluice_kit::toml_text;
use sluice_text::printable::{printable, printable_lines};
use sluice_text::suggest;

use super::{BrandConfig, SettingNames, SiteConfig};
use crate::domain::Domain;
use crate::files::{self, FileError};

/// How often [`salvage_hosts`] drops the last lines that cannot be parsed.
const SALVAGE_ATTEMPTS: usize = 16;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file is not TOML, or a setting in it is not valid.
    #[error("{}: {}{}", printable(.file), printable_lines(&without_tokens(.file, &error.to_string())), NearestKey(error))]
    Invalid {
        /// The path of the file.
        file: String,
        /// The mistake, with its position.
        error: Box<toml::de::Error>,
    },
    /// A variable of the environment names an unknown setting or has an invalid value.
    #[error("the environment ({}): {}{}", variables.join(", "), error.message(), NearestKey(error))]
    Environment {
        /// All variables that override settings.
        variables: Vec<String>,
        /// The mistake.
        error: Box<toml::de::Error>,
    },
    /// `sluice.toml` says where files of the operator are.
    #[error(
        "{file}: {setting}: {} is not allowed here, because a site can come from somebody else and must not \
         choose among your files: remove this line{}, or set the environment variable {variable} instead",
        printable(path),
        default.map(|default| format!(" (the default is {default}, in the data folder)")).unwrap_or_default()
    )]
    OperatorPath {
        /// The path of the file.
        file: String,
        /// The setting.
        setting: &'static str,
        /// Its value.
        path: String,
        /// The path that the file may name, because it changes nothing.
        default: Option<&'static str>,
        /// The variable that may have this value.
        variable: &'static str,
    },
    /// A file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] FileError),
}

/// Who uses the settings of a site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reader {
    /// The operator, who wrote `sluice.toml` or has read it.
    #[default]
    Operator,
    /// Somebody who looks at a site that may come from somebody else. Only the environment and the
    /// command line decide then who can reach the host, who its operators are, and which other
    /// machines it talks to.
    Developer,
}

/// Reads `sluice.toml` in `site_dir` for the operator, if it exists, and overrides it with
/// `environment`.
///
/// # Errors
/// The file cannot be read, or a setting is not valid.
pub fn read_site(
    site_dir: &Path,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<SiteConfig, ConfigError> {
    read_site_as(Reader::Operator, site_dir, environment)
}

/// Reads `sluice.toml` in `site_dir`, if it exists, and overrides it with `environment`.
///
/// # Errors
/// The file cannot be read, or a setting is not valid.
pub fn read_site_as(
    reader: Reader,
    site_dir: &Path,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<SiteConfig, ConfigError> {
    let text = read_optional(&FolderPath::root(site_dir), "sluice.toml")?;
    let file = site_dir.join("sluice.toml").display().to_string();
    let plain: SiteConfig = parse(&file, &text)?;
    reject_operator_paths(&plain, &file)?;
    let mut table: toml::Table = parse(&file, &text)?;
    let ignored = match reader {
        Reader::Operator => Vec::new(),
        Reader::Developer => remove_operators_settings(&mut table, &plain),
    };
    let mut variables = Vec::new();
    for (name, value) in environment {
        if set_from_environment(&mut table, &name, &value) {
            variables.push(name);
        }
    }
    variables.sort();
    let mut config: SiteConfig = match table.try_into() {
        Ok(config) => config,
        Err(error) => return Err(ConfigError::Environment { variables, error: Box::new(error) }),
    };
    let limits = variables.iter().filter_map(|name| name.strip_prefix("SLUICE_LIMITS__"));
    config.limits_from_environment = limits.map(str::to_ascii_lowercase).collect();
    config.reader = reader;
    config.ignored = ignored;
    config.names = SettingNames::of(&text);
    Ok(config)
}

/// Removes the settings that only the operator may choose. Returns their names.
fn remove_operators_settings(table: &mut toml::Table, plain: &SiteConfig) -> Vec<&'static str> {
    let settings = [
        ("server.listen", !plain.server.listen.ip().is_loopback()),
        ("server.trusted_proxies", true),
        ("server.trusted_host_header", true),
        ("admin.listen", !plain.admin.listen.ip().is_loopback()),
        ("admin.token", true),
        ("admin.operators", true),
        ("admin.hosts", true),
        ("admin.probes", true),
        ("http.private_networks", true),
        ("http.ca_file", true),
        ("files.s3", true),
        ("database.url", !plain.database.url.starts_with("sqlite:")),
    ];
    let mut removed = Vec::new();
    for (setting, is_operators) in settings {
        let section_and_key = setting.split_once('.').filter(|_| is_operators);
        let found =
            section_and_key.and_then(|(section, key)| table.get_mut(section)?.as_table_mut()?.remove(key));
        removed.extend(found.map(|_| setting));
    }
    removed
}

/// Rejects paths of the operator's files, other than the defaults. Only the operator may choose them, with
/// a flag or a variable: whoever made the site could otherwise make this host use a file that it should
/// not, such as a copy of the database in the data folder, or the files of another site that shares it.
fn reject_operator_paths(config: &SiteConfig, file: &str) -> Result<(), ConfigError> {
    let database = config.database.url.strip_prefix("sqlite:").map(Path::new);
    let settings = [
        ("database.url", "SLUICE_DATABASE__URL", Some("sluice.db"), database),
        ("secrets.dir", "SLUICE_SECRETS__DIR", Some("secrets"), config.secrets.dir.as_deref()),
        ("cache.dir", "SLUICE_CACHE__DIR", Some("cache"), config.cache.dir.as_deref()),
        ("log.path", "SLUICE_LOG__PATH", Some("runs.db"), config.log.path.as_deref()),
        ("server.socket", "SLUICE_SERVER__SOCKET", None, config.server.socket.as_deref()),
        ("http.ca_file", "SLUICE_HTTP__CA_FILE", None, config.http.ca_file.as_deref()),
        ("acme.ca_file", "SLUICE_ACME__CA_FILE", None, config.acme.ca_file.as_deref()),
    ];
    for (setting, variable, default, path) in settings {
        if let Some(path) = path.filter(|path| Some(*path) != default.map(Path::new)) {
            let (file, path) = (file.to_owned(), path.display().to_string());
            return Err(ConfigError::OperatorPath { file, setting, path, default, variable });
        }
    }
    Ok(())
}

/// `brand.toml` of a brand.
#[derive(Debug)]
pub struct BrandFile {
    /// The settings in it.
    pub config: BrandConfig,
    /// Identifies its content. A missing file has the version of an empty one.
    pub version: String,
}

/// Reads `brand.toml` in `brand_dir`, if it exists.
///
/// # Errors
/// As [`read_site`].
pub fn read_brand(brand_dir: &FolderPath) -> Result<BrandConfig, ConfigError> {
    Ok(read_brand_file(brand_dir)?.config)
}

/// Does the same, and returns the version of the file, too.
///
/// # Errors
/// As [`read_site`].
pub fn read_brand_file(brand_dir: &FolderPath) -> Result<BrandFile, ConfigError> {
    let text = read_optional(brand_dir, "brand.toml")?;
    let file = brand_dir.path().join("brand.toml").display().to_string();
    let mut config: BrandConfig = parse(&file, &text)?;
    config.names = SettingNames::of(&text);
    if let Some(fault) = config.cache_fault() {
        let error = Box::new(<toml::de::Error as serde::de::Error>::custom(fault));
        return Err(ConfigError::Invalid { file, error });
    }
    Ok(BrandFile { config, version: version(text.as_bytes()) })
}

/// Identifies the content of `brand.toml`.
pub(crate) fn version(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// The hosts in a `brand.toml` that may be invalid: `domains` and `default`, as far as they can be read
/// before the first syntax mistake.
pub fn salvage_hosts(brand_dir: &FolderPath) -> (Vec<Domain>, bool) {
    let mut text = read_optional(brand_dir, "brand.toml").unwrap_or_default();
    let mut table = toml::Table::new();
    if let Some(at) = toml_text::too_deep_at(&text) {
        text.truncate(at);
    }
    // A mistake in a value of several lines may be found only at the end of the file.
    for _ in 0..SALVAGE_ATTEMPTS {
        match toml::from_str(&text) {
            Ok(parsed) => {
                table = parsed;
                break;
            }
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let line = text.get(..at).and_then(|before| before.rfind('\n')).unwrap_or(0);
                text.truncate(line);
            }
        }
    }
    let listed = table.get("domains").and_then(toml::Value::as_array).into_iter().flatten();
    let domains = listed.filter_map(|domain| Domain::try_from(domain.as_str()?.to_owned()).ok());
    let is_default = table.get("default").and_then(toml::Value::as_bool).unwrap_or(false);
    (domains.collect(), is_default)
}

fn parse<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, ConfigError> {
    toml_text::parse(text)
        .map_err(|error| ConfigError::Invalid { file: file.to_owned(), error: Box::new(error) })
}

/// The text of an error without the lines of a file that can contain a token of an operator: `3 | token = "…"`.
fn without_tokens(file: &str, text: &str) -> String {
    if !file.ends_with("sluice.toml") {
        return text.trim_end().to_owned();
    }
    let line = |line: &str| match line.split_once('|') {
        Some((number, source))
            if number.trim().parse::<u32>().is_ok()
                && SECRET_WORDS.iter().any(|word| source.contains(word)) =>
        {
            format!("{number}| (not shown, because it can contain a token)")
        }
        _ => line.to_owned(),
    };
    text.trim_end().lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Lines of settings with one of these words are not shown.
const SECRET_WORDS: [&str; 3] = ["token", "operators", "secret_key"];

/// Shows ` (did you mean "x"?)` for an error about an unknown key or value. The TOML library has
/// no other form of this error than its message, which lists the known names in backticks.
struct NearestKey<'a>(&'a toml::de::Error);

impl fmt::Display for NearestKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.0.message();
        let is_about_one = message.starts_with("unknown field") || message.starts_with("unknown variant");
        let mut names = message.split('`').skip(1).step_by(2);
        match names.next().filter(|_| is_about_one) {
            Some(name) => f.write_str(&suggest::hint(name, names)),
            None => Ok(()),
        }
    }
}

fn read_optional(dir: &FolderPath, file: &str) -> Result<String, ConfigError> {
    match files::read(dir, file) {
        Ok(source) => Ok(source.text),
        Err(error) if error.is_missing() => Ok(String::new()),
        Err(error) => Err(FileError::of_path(&dir.path().join(file), error.fault).into()),
    }
}

/// Sets `section.key` from `SLUICE_SECTION__KEY`, and `limits.max.key` from
/// `SLUICE_LIMITS__MAX__KEY`. Returns false for a variable that is not a setting.
fn set_from_environment(table: &mut toml::Table, name: &str, value: &str) -> bool {
    let Some(name) = name.strip_prefix("SLUICE_").filter(|name| !name.starts_with("SECRET_")) else {
        return false;
    };
    let Some((sections, key)) = name.rsplit_once("__") else { return false };
    let mut section = table;
    for name in sections.split("__") {
        let inner = section.entry(name.to_ascii_lowercase()).or_insert_with(|| toml::Table::new().into());
        let Some(inner) = inner.as_table_mut() else { return false };
        section = inner;
    }
    // Numbers, booleans and lists are written as in TOML. Everything else is a string, and so is
    // a token or a key that looks like a number.
    let typed = toml::from_str::<toml::Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .filter(|_| !["token", "key_id", "secret_key"].iter().any(|text| key.eq_ignore_ascii_case(text)));
    let value = typed.unwrap_or_else(|| value.to_owned().into());
    section.insert(key.to_ascii_lowercase(), value);
    true
}
