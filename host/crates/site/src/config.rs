//! The settings in `sluice.toml` and `brand.toml`.
//!
//! The comments on these types are the reference for operators and authors:
//! `tests/reference/` writes `docs/configuration.md` and the schemas for editors from them.

mod acme;
mod admin;
mod cache;
mod compile;
mod files;
mod http;
mod jobs;
mod names;
mod page;
mod page_cache;
mod read;
mod schedule;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use sluice_limits::policy::LimitPolicy;
use sluice_limits::{BrandLimits, BrandLimitsTable, SiteLimits};
use sluice_page::OnError;
use sluice_sandbox::limiter::Limiter;
use sluice_sandbox::memory_reset::MemoryResetChoice;
use sluice_session::quota::SessionQuota;

use crate::access::AccessRules;
use crate::domain::Domain;
use crate::headers::StandingHeaders;
use crate::public::PublicConfig;

pub use acme::{AcmeChallenge, AcmeConfig};
pub use admin::{AdminConfig, AdminOperator, AdminRole, AdminToken};
pub use cache::CacheConfig;
pub use compile::CompileConfig;
pub use files::{FilesConfig, S3Config, UploadConfig};
pub use http::{BrandHttp, HttpConfig, SecretUse};
pub use jobs::JobsConfig;
pub use names::{Change, SettingNames};
pub use page::PageConfig;
pub use page_cache::{CacheFault, CachedPage, PageCacheConfig};
pub(crate) use read::version;
pub use read::{
    BrandFile, ConfigError, Reader, read_brand, read_brand_file, read_site, read_site_as, salvage_hosts,
};
pub use schedule::ScheduleConfig;
use values::{DurationText, Network, duration, networks, operator_brands, share, threads, write_duration};

/// Settings of the host, in `sluice.toml` in the site folder. Every setting has a default, so the
/// file may be empty or missing.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "sluice.toml")]
pub struct SiteConfig {
    /// The listener for visitors.
    pub server: ServerConfig,
    /// The certificates that the host orders by itself.
    pub acme: AcmeConfig,
    /// The listener for operators, probes and Prometheus.
    pub admin: AdminConfig,
    /// The database, which contains sessions, CRM data and jobs.
    pub database: DatabaseConfig,
    /// The sessions of visitors.
    pub session: SessionConfig,
    /// The secrets that scripts read with `secrets.get`.
    pub secrets: SecretsConfig,
    /// The calls of scripts to other servers.
    pub http: HttpConfig,
    /// The files that visitors send and scripts keep.
    pub files: FilesConfig,
    /// The jobs that scripts push.
    pub jobs: JobsConfig,
    /// The execution log, which contains runs of scripts.
    pub log: LogConfig,
    /// How scripts are executed.
    pub compile: CompileConfig,
    /// The cache of compiled code.
    pub cache: CacheConfig,
    /// The answers of pages with `cache`.
    pub page_cache: PageCacheConfig,
    /// Limits of every run, of its data, and of compiling pages. `[limits]` in `brand.toml` and
    /// `limits` of a page override them.
    pub limits: SiteLimits,
    /// What the operator decides about the brand in the folder `brands/NAME`.
    #[serde(deserialize_with = "operator_brands")]
    pub brands: BTreeMap<String, OperatorBrand>,
    /// The names of the limits that the environment sets.
    #[serde(skip)]
    pub limits_from_environment: Vec<String>,
    /// Whose settings these are.
    #[serde(skip)]
    pub reader: Reader,
    /// The settings in the file that were not used, such as `admin.token`.
    #[serde(skip)]
    pub ignored: Vec<&'static str>,
    /// The settings in the file by their names.
    #[serde(skip)]
    pub names: SettingNames,
}

/// `[server]` of `sluice.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// The address and port on which the server accepts requests of visitors.
    #[schemars(example = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// A Unix socket on which the server also accepts requests, from a reverse proxy on the same machine. Its owner and
    /// group may connect, and the server believes the `Forwarded` and `X-Forwarded-*` headers of whoever does. An
    /// absolute path, only from `SLUICE_SERVER__SOCKET`.
    #[schemars(example = "/run/sluice/visitors.sock")]
    pub socket: Option<PathBuf>,
    /// Whether visitors reach `listen` over HTTPS. The certificates are in the folder `tls` of the data
    /// folder, or the host orders them (`[acme]`). Otherwise, put a reverse proxy that terminates TLS in front of
    /// the server.
    pub https: bool,
    /// The address and port on which the server redirects requests to HTTPS, if `https` is on.
    #[schemars(example = "0.0.0.0:80")]
    pub http_listen: Option<SocketAddr>,
    /// The port to which `http_listen` redirects. Defaults to the port of `listen`.
    #[schemars(range(min = 1), example = 443)]
    pub https_port: Option<u16>,
    /// The number of threads that serve visitors. Defaults to the number of cores.
    #[serde(deserialize_with = "threads")]
    #[schemars(range(min = 1), example = 4)]
    pub workers: Option<usize>,
    /// The number of requests that may wait for a sandbox. Further requests get status 503 with
    /// `Retry-After`.
    pub queue_requests_max: usize,
    /// How long a request may wait for a sandbox. After that it gets status 503 with
    /// `Retry-After`.
    #[serde(deserialize_with = "duration", serialize_with = "write_duration")]
    #[schemars(with = "DurationText")]
    pub queue_wait: Duration,
    /// How the memory of a sandbox is reset between runs.
    pub memory_reset: MemoryResetChoice,
    /// The memory that the whole process may take, in bytes. Each run reserves the most that it can
    /// take before it starts: 13 MB for the engine and three times `heap_bytes_max`. A run that does
    /// not fit waits like one that finds no free sandbox. Defaults to 70 % of the machine's memory,
    /// or of the control group's limit.
    #[schemars(example = 4_000_000_000_u64)]
    pub memory_max: Option<usize>,
    /// How long the headers of a request may take to arrive. After that the request gets status
    /// 408.
    #[serde(deserialize_with = "duration", serialize_with = "write_duration")]
    #[schemars(with = "DurationText")]
    pub headers_timeout: Duration,
    /// How long the body of a request may take to arrive. After that the request gets status 408.
    #[serde(deserialize_with = "duration", serialize_with = "write_duration")]
    #[schemars(with = "DurationText")]
    pub body_timeout: Duration,
    /// How long the server waits for a client that does not read the response. After that the
    /// server closes the connection.
    #[serde(deserialize_with = "duration", serialize_with = "write_duration")]
    #[schemars(with = "DurationText")]
    pub write_timeout: Duration,
    /// How long the server continues to serve after SIGTERM. Meanwhile `/readyz` responds with
    /// status 503 and every response closes its connection, so that load balancers send clients to
    /// other hosts.
    #[serde(deserialize_with = "duration", serialize_with = "write_duration")]
    #[schemars(with = "DurationText")]
    pub drain: Duration,
    /// The reverse proxies whose `Forwarded` and `X-Forwarded-*` headers the server believes.
    /// It ignores these headers in all other requests.
    #[serde(deserialize_with = "networks")]
    #[schemars(with = "Vec<Network>", example = ["10.0.0.0/8"])]
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which the trusted proxies name the host that the visitor asked for. Set it only
    /// if every one of them overwrites this header; otherwise a visitor could choose the brand. By
    /// default, the `Host` header decides, which the proxies must then pass on.
    #[schemars(example = &"x-forwarded-host")]
    pub trusted_host_header: Option<TrustedHostHeader>,
}

/// `[brands.NAME]` of `sluice.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OperatorBrand {
    /// The host names of this brand. They replace `domains` in its `brand.toml`, and no other brand can
    /// claim them. Set this for every brand if you do not trust all authors.
    #[schemars(example = ["shop.example", "*.shop.example"])]
    pub domains: Option<Vec<Domain>>,
    /// Whether the pages of this brand may show visitors what is behind them: **everybody can then read the
    /// sources** of its pages, modules, layouts and components, and visitors the session, fuel, memory and time
    /// of their own runs. For demonstrations only. `sluice dev` shows this and more, without this setting.
    pub behind_pages: bool,
}

/// A header in which proxies name the host that the visitor asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum TrustedHostHeader {
    /// `X-Forwarded-Host`.
    #[serde(rename = "x-forwarded-host", alias = "X-Forwarded-Host")]
    XForwardedHost,
    /// The parameter `host` of `Forwarded` (RFC 7239).
    #[serde(rename = "forwarded", alias = "Forwarded")]
    Forwarded,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            socket: None,
            https: false,
            http_listen: None,
            https_port: None,
            workers: None,
            queue_requests_max: 1_024,
            queue_wait: Duration::from_secs(10),
            memory_reset: MemoryResetChoice::Auto,
            memory_max: None,
            headers_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            drain: Duration::from_secs(10),
            trusted_proxies: Vec::new(),
            trusted_host_header: None,
        }
    }
}

/// `[database]` of `sluice.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// The URL of a PostgreSQL server, or `sqlite:` and the path of a file, relative to the data
    /// folder. Only `SLUICE_DATABASE__URL`, not `sluice.toml`, can name another file than
    /// `sluice.db`. If it is an absolute path, the data folder is the folder of that file. `--data`
    /// overrides the path.
    #[schemars(example = "postgres://sluice@db.example/sluice")]
    pub url: String,
    /// The number of connections that this host opens to PostgreSQL at most.
    pub connections_max: usize,
    /// How long one request may wait for the database, all its calls together. After that its
    /// calls fail at once. A fifth of the time is kept for saving the session.
    #[serde(deserialize_with = "duration", serialize_with = "write_duration")]
    #[schemars(with = "DurationText")]
    pub request_wait: Duration,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self { url: "sqlite:sluice.db".into(), connections_max: 16, request_wait: Duration::from_secs(5) }
    }
}

/// `[log]` of `sluice.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// The file of the execution log, relative to the data folder. Only `SLUICE_LOG__PATH`, not
    /// `sluice.toml`, can name another file than `runs.db`.
    #[schemars(example = "runs.db")]
    pub path: Option<PathBuf>,
    /// How long runs are stored.
    #[serde(deserialize_with = "duration", serialize_with = "write_duration")]
    #[schemars(with = "DurationText")]
    pub keep: Duration,
    /// The number of runs that are stored. If there are more, the brand with the most runs loses its
    /// oldest.
    pub rows_max: u64,
    /// The bytes of runs that are stored for each brand. If there are more, the brand loses its
    /// oldest runs.
    pub bytes_max: u64,
    /// Runs that failed or logged a line are always stored. This is the share of the other runs
    /// (successful, no console lines) that is also stored.
    #[serde(deserialize_with = "share")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            path: None,
            keep: Duration::from_secs(14 * 24 * 60 * 60),
            rows_max: 100_000,
            bytes_max: 256 << 20,
            sample: 0.01,
        }
    }
}

impl SiteConfig {
    /// The policy that decides which limits apply to a page.
    pub fn limit_policy(&self) -> LimitPolicy {
        let heap_bytes_fit = Limiter::heap_in(self.limits.max.memory_bytes());
        LimitPolicy::new(&self.limits, &self.limits_from_environment, heap_bytes_fit)
    }
}

/// `[session]` of `sluice.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// How long a session lasts after it was created, or after the login of a customer. Requests
    /// do not extend it.
    #[serde(deserialize_with = "duration", serialize_with = "write_duration")]
    #[schemars(with = "DurationText")]
    pub lifetime: Duration,
    /// How long the session of an anonymous visitor lasts until a second request comes with its
    /// cookie. Bots that send no cookies leave no sessions behind for longer than that.
    #[serde(deserialize_with = "duration", serialize_with = "write_duration")]
    #[schemars(with = "DurationText")]
    pub unconfirmed_lifetime: Duration,
    /// The number of sessions that each brand can store. If there are more, the oldest are deleted:
    /// first those whose cookie has not come back, then those of anonymous visitors, then those of
    /// customers.
    pub rows_max: u64,
    /// The bytes that the values of all sessions of a brand can take. If they take more, sessions are
    /// deleted in the same order.
    pub bytes_max: u64,
}

impl SessionConfig {
    /// What each brand may store.
    pub fn quota(&self) -> SessionQuota {
        SessionQuota { rows_max: self.rows_max, bytes_max: self.bytes_max }
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(3 * 60 * 60),
            unconfirmed_lifetime: Duration::from_secs(10 * 60),
            rows_max: 500_000,
            bytes_max: 1 << 30,
        }
    }
}

/// `[secrets]` of `sluice.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsConfig {
    /// The folder that contains a file `<brand>.toml` with lines of the form `NAME = "value"` for
    /// each brand. Only the owner may be able to read the files (`chmod 600`). The environment
    /// variable `SLUICE_SECRET_<BRAND>_<NAME>` overrides a line. Only
    /// `SLUICE_SECRETS__DIR`, not `sluice.toml`, can name another folder than `secrets` in the data
    /// folder.
    #[schemars(example = &"secrets")]
    pub dir: Option<PathBuf>,
}

/// Settings of a brand, in `brands/<brand>/brand.toml`. Every setting has a default, so the file
/// may be empty or missing.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "brand.toml")]
pub struct BrandConfig {
    /// Whether this brand serves every Host that no brand lists in `domains`. Only one brand may
    /// set it.
    #[schemars(example = true)]
    pub default: bool,
    /// The host names of this brand. Two brands cannot claim the same hosts, not even with a wildcard,
    /// unless `[brands.NAME] domains` in `sluice.toml` decides.
    #[schemars(example = ["shop.example", "*.shop.example"])]
    pub domains: Vec<Domain>,
    /// The response if the script of a page fails.
    pub on_error: OnError,
    /// Whether `request.body` contains the bodies of HTML forms
    /// (`application/x-www-form-urlencoded`). Bodies in JSON are always available.
    #[schemars(example = true)]
    pub form_bodies: bool,
    /// Whether pages are compressed if that is safe. This has no effect on files in `public/`.
    pub compress: bool,
    /// Headers of every response of this brand. The defaults are
    /// `x-content-type-options = "nosniff"`, `referrer-policy = "strict-origin-when-cross-origin"`
    /// and `x-frame-options = "SAMEORIGIN"`. A response that sets the same header overrides it.
    /// Cookies, CORS headers and headers that control the connection cannot be set.
    #[schemars(example = serde_json::json!({ "x-frame-options": "DENY", "referrer-policy": false }))]
    pub headers: StandingHeaders,
    /// Rules that decide which visitors may see which paths, in the order in which they apply.
    pub access: AccessRules,
    /// Settings of files in `public/`.
    pub public: Vec<PublicConfig>,
    /// Values that templates read as `{{ var.name }}` and scripts with `getVariable("name")`. A
    /// script overrides a value for one response with `setVariable`.
    #[schemars(example = serde_json::json!({ "offer_name": "Spring offer", "discount_percent": 20 }))]
    pub variables: Map<String, Value>,
    /// The language of visitors who ask for none of the languages in `[translations]`. Defaults to `en`, or
    /// else to the first language.
    #[schemars(example = &"en")]
    pub default_language: Option<String>,
    /// Texts by language and key, which templates print with `{{ t('hero.title') }}`.
    #[schemars(example = serde_json::json!({ "en": { "hero.title": "Welcome" }, "de": { "hero.title": "Willkommen" } }))]
    pub translations: BTreeMap<String, Map<String, Value>>,
    /// The calls of scripts to other servers.
    pub http: BrandHttp,
    /// The secrets that scripts send but cannot read, by name. The operator gives their values to the brand.
    #[schemars(example = serde_json::json!({ "STRIPE_KEY": { "hosts": ["api.stripe.com"] } }))]
    pub secrets: BTreeMap<String, SecretUse>,
    /// Functions of modules that run at certain times. A brand may have 50 of them.
    #[serde(deserialize_with = "schedule::schedules")]
    pub schedule: Vec<ScheduleConfig>,
    /// Limits of the pages of this brand. They override `[limits]` in `sluice.toml`, and `limits`
    /// of a page overrides them. A value above `[limits.max]` in `sluice.toml` is reduced to that
    /// maximum.
    #[schemars(with = "BrandLimitsTable")]
    pub limits: BrandLimits,
    /// Settings of single pages.
    pub page: Vec<PageConfig>,
    /// The settings in the file by their names.
    #[serde(skip)]
    pub names: SettingNames,
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
            default_language: None,
            translations: BTreeMap::new(),
            http: BrandHttp::default(),
            secrets: BTreeMap::new(),
            schedule: Vec::new(),
            limits: BrandLimits::default(),
            page: Vec::new(),
            names: SettingNames::default(),
        }
    }
}

#[cfg(test)]
mod tests;
