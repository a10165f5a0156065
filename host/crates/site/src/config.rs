//! Settings: `sluice.toml` and `brand.toml`, overridden by the environment.
//!
//! Every setting can be given as `SLUICE_SECTION__KEY`. Unknown keys are errors
//! that name the file, the line and what is known there.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use sluice_limits::policy::LimitPolicy;
use sluice_limits::{LimitOverrides, SiteLimits};
use sluice_page::OnError;
use sluice_sandbox::limiter::Limiter;
use sluice_sandbox::memory_reset::MemoryResetChoice;
use sluice_session::rate::Rate;
use sluice_text::suggest;

use crate::access::AccessRules;
use crate::domain::Domain;
use crate::headers::StandingHeaders;
use crate::public::PublicConfig;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{file}: {message}")]
    Invalid { file: String, message: String },
    #[error("{path}: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
}

/// `sluice.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteConfig {
    pub server: ServerConfig,
    pub admin: AdminConfig,
    pub database: DatabaseConfig,
    pub session: SessionConfig,
    pub secrets: SecretsConfig,
    pub log: LogConfig,
    pub cache: CacheConfig,
    pub limits: SiteLimits,
    /// Names of the limits that the environment set.
    #[serde(skip)]
    pub limits_from_environment: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    /// Threads that serve visitors; one for each core unless given.
    pub workers: Option<usize>,
    /// Requests that may wait for a sandbox; more are answered 503.
    pub queue_requests_max: usize,
    /// How long one may wait.
    #[serde(deserialize_with = "duration")]
    pub queue_wait: Duration,
    pub memory_reset: MemoryResetChoice,
    /// A request's headers may take this long to arrive.
    #[serde(deserialize_with = "duration")]
    pub headers_timeout: Duration,
    /// A request's body may take this long to arrive.
    #[serde(deserialize_with = "duration")]
    pub body_timeout: Duration,
    /// A visitor who takes nothing of an answer for so long is let go.
    #[serde(deserialize_with = "duration")]
    pub write_timeout: Duration,
    /// After SIGTERM the server goes on serving for this long. Meanwhile `/readyz` answers
    /// 503 and every answer closes its connection, so that load balancers move clients to
    /// other hosts.
    #[serde(deserialize_with = "duration")]
    pub drain: Duration,
    /// Networks (`10.0.0.0/8`) or addresses of proxies whose `Forwarded` and
    /// `X-Forwarded-*` are believed.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: None,
            queue_requests_max: 1_024,
            queue_wait: Duration::from_secs(10),
            memory_reset: MemoryResetChoice::Auto,
            headers_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            drain: Duration::from_secs(10),
            trusted_proxies: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    pub listen: SocketAddr,
    /// What an operator shows; one is made where none is given.
    pub token: Option<AdminToken>,
    /// Host names under which operators reach this listener, besides loopback.
    pub hosts: Vec<String>,
    /// A further address, for `/healthz`, `/readyz` and `/metrics` only.
    pub probes: Option<SocketAddr>,
}

/// Not shown in any log.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct AdminToken(pub String);

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
            token: None,
            hosts: Vec::new(),
            probes: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// `sqlite:` and a path, relative to the working directory, or `postgres://…`.
    pub url: String,
    /// Most connections of this host to PostgreSQL.
    pub connections_max: usize,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self { url: "sqlite:data/sluice.db".into(), connections_max: 16 }
    }
}

/// The execution log.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Its file; `runs.db` beside the embedded database unless given.
    pub path: Option<PathBuf>,
    /// How long runs are kept.
    #[serde(deserialize_with = "duration")]
    pub keep: Duration,
    /// How many runs are kept.
    pub rows_max: u64,
    /// Share of the runs that neither failed nor logged a line that are kept, too.
    pub sample: f64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { path: None, keep: Duration::from_secs(14 * 24 * 60 * 60), rows_max: 100_000, sample: 0.01 }
    }
}

impl SiteConfig {
    /// Puts what the host keeps into `dir`: the embedded database, unless the settings
    /// name a server, and the files that the settings do not place elsewhere.
    pub fn keep_data_in(&mut self, dir: &Path) {
        if self.database.url.starts_with("sqlite:") {
            self.database.url = format!("sqlite:{}", dir.join("sluice.db").display());
        } else {
            self.log.path.get_or_insert_with(|| dir.join("runs.db"));
            self.secrets.dir.get_or_insert_with(|| dir.join("secrets"));
            self.cache.dir.get_or_insert_with(|| dir.join("cache"));
        }
    }

    /// Which limits hold for pages.
    pub fn limit_policy(&self) -> LimitPolicy {
        let heap_bytes_fit = Limiter::heap_in(self.limits.max.memory_bytes());
        LimitPolicy::new(&self.limits, &self.limits_from_environment, heap_bytes_fit)
    }

    /// Where the execution log is.
    pub fn execution_log_path(&self) -> PathBuf {
        let beside_database = || {
            let database = self.database.url.strip_prefix("sqlite:").map(Path::new);
            let folder = database.and_then(Path::parent).unwrap_or(Path::new("data"));
            folder.join("runs.db")
        };
        self.log.path.clone().unwrap_or_else(beside_database)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// From creation, or login; not sliding.
    #[serde(deserialize_with = "duration")]
    pub lifetime: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(3 * 60 * 60) }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsConfig {
    /// Folder of `<brand>.toml` files; `secrets` beside the embedded database unless given.
    pub dir: Option<PathBuf>,
}

/// Compiled code on disk.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// `cache` beside the embedded database unless given.
    pub dir: Option<PathBuf>,
    pub bytes_max: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { dir: None, bytes_max: 1 << 30 }
    }
}

/// `brand.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrandConfig {
    /// Takes the Hosts that no brand names.
    pub default: bool,
    /// Host names; `*.` in front stands for every subdomain.
    pub domains: Vec<Domain>,
    pub on_error: OnError,
    /// `request.body` of HTML forms (`application/x-www-form-urlencoded`), too.
    pub form_bodies: bool,
    /// Pages are compressed where that is safe.
    pub compress: bool,
    pub headers: StandingHeaders,
    pub access: AccessRules,
    pub public: Vec<PublicConfig>,
    pub variables: Map<String, Value>,
    pub limits: LimitOverrides,
    pub page: Vec<PageConfig>,
}

impl Default for BrandConfig {
    fn default() -> Self {
        Self {
            default: false,
            domains: Vec::new(),
            on_error: OnError::default(),
            form_bodies: false,
            compress: true,
            headers: StandingHeaders::default(),
            access: AccessRules::default(),
            public: Vec::new(),
            variables: Map::new(),
            limits: LimitOverrides::default(),
            page: Vec::new(),
        }
    }
}

/// One `[[page]]` of `brand.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageConfig {
    pub path: String,
    #[serde(default)]
    pub limits: LimitOverrides,
    pub on_error: Option<OnError>,
    /// Other sites may POST here.
    #[serde(default)]
    pub cross_origin: bool,
    /// Requests that one visitor address may send: `"10/m"`.
    pub rate: Option<Rate>,
}

/// Reads `sluice.toml` in `site_dir`, if there is one, and lays `environment`
/// over it.
///
/// # Errors
/// A file that cannot be read or a setting that is not valid.
pub fn read_site(
    site_dir: &Path,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<SiteConfig, ConfigError> {
    let path = site_dir.join("sluice.toml");
    let text = read_optional(&path)?;
    let file = path.display().to_string();
    let plain: SiteConfig = parse(&file, &text)?;
    let mut table: toml::Table = parse(&file, &text)?;
    let mut overridden = Vec::new();
    for (name, value) in environment {
        if lay_over(&mut table, &name, &value) {
            overridden.push(name);
        }
    }
    if overridden.is_empty() {
        return Ok(plain);
    }
    overridden.sort();
    let laid_over: Result<SiteConfig, toml::de::Error> = table.try_into();
    let mut config = laid_over.map_err(|error| ConfigError::Invalid {
        file: format!("the environment ({})", overridden.join(", ")),
        message: format!("{}{}", error.message(), nearest_key(error.message())),
    })?;
    let limits = overridden.iter().filter_map(|name| name.strip_prefix("SLUICE_LIMITS__"));
    config.limits_from_environment = limits.map(str::to_ascii_lowercase).collect();
    Ok(config)
}

/// Reads a brand's `brand.toml`, if there is one.
///
/// # Errors
/// As [`read_site`].
pub fn read_brand(brand_dir: &Path) -> Result<BrandConfig, ConfigError> {
    let path = brand_dir.join("brand.toml");
    parse(&path.display().to_string(), &read_optional(&path)?)
}

fn parse<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Invalid {
        file: file.to_owned(),
        message: format!("{}{}", error.to_string().trim_end(), nearest_key(error.message())),
    })
}

/// ` (did you mean "x"?)` for a message about an unknown key or value, which lists the
/// known ones in backticks.
fn nearest_key(message: &str) -> String {
    let is_about_one = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let mut names = message.split('`').skip(1).step_by(2);
    match names.next().filter(|_| is_about_one) {
        Some(name) => suggest::hint(name, names),
        None => String::new(),
    }
}

fn read_optional(path: &Path) -> Result<String, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    }
}

/// Sets `section.key` from `SLUICE_SECTION__KEY`, `limits.max.key` from
/// `SLUICE_LIMITS__MAX__KEY`. False for other variables.
fn lay_over(table: &mut toml::Table, name: &str, value: &str) -> bool {
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
    // Numbers, booleans and lists as TOML writes them; anything else is text, and
    // so is a token that looks like a number.
    let typed = toml::from_str::<toml::Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .filter(|_| !key.eq_ignore_ascii_case("token"));
    let value = typed.unwrap_or_else(|| value.to_owned().into());
    section.insert(key.to_ascii_lowercase(), value);
    true
}

fn networks<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<IpNet>, D::Error> {
    let network = |text: &String| {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse().or_else(|_| address()).map_err(|_| {
            serde::de::Error::custom(format!("`{text}` is not a network such as 10.0.0.0/8 or an address"))
        })
    };
    Vec::<String>::deserialize(input)?.iter().map(network).collect()
}

/// `90s`, `15m`, `3h` or `2d`.
fn duration<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    parse_duration(&text).ok_or_else(|| {
        serde::de::Error::custom(format!("`{text}` is not a duration such as 90s, 15m, 3h or 2d"))
    })
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(unit_at)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    count.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, environment: &[(&str, &str)]) -> Result<SiteConfig, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("sluice.toml"), text).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        read_site(dir.path(), environment).map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let file = "[server]\nlisten = \"127.0.0.1:1\"\n[limits]\nfuel = 5\n";
        let config =
            read(file, &[("SLUICE_SERVER__LISTEN", "127.0.0.1:2"), ("SLUICE_SECRET_A__B", "x")]).unwrap();
        assert_eq!(config.server.listen.port(), 2);
        assert_eq!(config.limits.fuel, Some(5));
        let config = read(file, &[("SLUICE_LIMITS__FUEL", "6"), ("SLUICE_SESSION__LIFETIME", "2m")]).unwrap();
        assert_eq!(config.limits.fuel, Some(6));
        assert_eq!(config.session.lifetime, Duration::from_secs(120));
        assert_eq!(config.limits_from_environment, ["fuel"]);
        let config =
            read("", &[("SLUICE_LIMITS__MAX__FUEL", "7"), ("SLUICE_LIMITS__MAX__MEMORY", "8")]).unwrap();
        assert_eq!((config.limits.max.fuel, config.limits.max.memory_bytes()), (Some(7), 8));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let error = read("[server]\n\nlissten = 1\n", &[]).unwrap_err();
        assert!(error.contains("sluice.toml") && error.contains("line 3"), "{error}");
        assert!(error.contains("lissten") && error.ends_with("(did you mean \"listen\"?)"), "{error}");
        let error = read("", &[("SLUICE_LIMITS__FUELL", "6")]).unwrap_err();
        assert!(error.contains("SLUICE_LIMITS__FUELL") && error.contains("did you mean \"fuel\""), "{error}");
        let error = read("[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"proxy\"]", &[]).unwrap_err();
        assert!(error.contains("`proxy`") && error.contains("line 2"), "{error}");
        let error = read("[session]\nlifetime = \"3 hours\"", &[]).unwrap_err();
        assert!(error.contains("3 hours") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse_duration("90s"), Some(Duration::from_secs(90)));
        assert_eq!(parse_duration("2d"), Some(Duration::from_secs(172_800)));
        for bad in ["", "3", "h", "3w", "-1s", "99999999999999999999s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
