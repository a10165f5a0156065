//! Settings of a page in `brand.toml`.

use schemars::JsonSchema;
use serde::Deserialize;

use sluice_http::cors::Cors;
use sluice_http::headers::NamedHeaders;
use sluice_http::method::Methods;
use sluice_limits::LimitOverrides;
use sluice_page::OnError;
use sluice_session::rate::Rate;

use super::{CachedPage, UploadConfig};

/// Settings of one page.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageConfig {
    /// The path of the page, with `{name}` as in the name of its file: `/blog/{slug}`.
    #[schemars(example = "/blog/{slug}")]
    pub path: String,
    /// Limits of this page. They override `[limits]` in `brand.toml` and in `sluice.toml`.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "fuel": 500_000_000 }))]
    pub limits: LimitOverrides,
    /// The response if the script of this page fails. Defaults to `on_error` of the brand.
    #[schemars(example = &"error")]
    pub on_error: Option<OnError>,
    /// The methods that the page accepts: `GET`, `POST`, `PUT`, `PATCH` and `DELETE`. HEAD goes with
    /// GET, and scripts see `GET` for it. Other requests get status 405. Defaults to `GET` and `POST`.
    #[schemars(example = ["GET", "POST", "PUT", "DELETE"])]
    pub methods: Option<Methods>,
    /// Further headers that the script sees in `request.headers`. Cookies and the headers of proxies
    /// cannot be named.
    #[serde(default)]
    #[schemars(example = ["stripe-signature", "x-github-event"])]
    pub headers: NamedHeaders,
    /// Whether the script gets the bytes of a body as they came: `request.rawBody` and `request.text()`.
    /// Signatures of webhooks are about these bytes.
    #[serde(default)]
    #[schemars(example = true)]
    pub raw_body: bool,
    /// The files that the page takes (`multipart/form-data`): `request.files`. Without it, the page takes none. A
    /// request with a file of another type or size, or with more files, is rejected.
    #[schemars(example = serde_json::json!({ "files_max": 3, "bytes_max": "10 MB", "types": ["image/png", "image/jpeg"] }))]
    pub uploads: Option<UploadConfig>,
    /// Whether the host may keep an answer to GET for other visitors. It does so only if the answer cannot depend on
    /// the visitor; otherwise the log says once why not. See the section "Cached pages" of scripts.md.
    #[schemars(example = serde_json::json!({ "ttl": "60s", "stale": "10m", "vary": ["accept-language"], "tags": ["posts"] }))]
    pub cache: Option<CachedPage>,
    /// The other origins whose pages may call this page from a browser (CORS). `origins` lists them, or
    /// is `["*"]` for every origin. With `credentials = true`, which `*` does not allow, these requests
    /// may carry the visitor's cookies. Browsers may remember for `max_age` seconds (600 by default)
    /// what the host answers to their preflight requests. The requests may send `content-type` and the
    /// headers in `headers`.
    #[schemars(example = serde_json::json!({ "origins": ["https://app.example"], "credentials": false, "max_age": 600 }))]
    pub cors: Option<Cors>,
    /// Whether the page accepts requests that another site causes with a method other than GET and
    /// HEAD. Otherwise they get status 403, unless `cors` allows them.
    #[serde(default)]
    #[schemars(example = true)]
    pub cross_origin: bool,
    /// The number of requests that one visitor address may send to this page. Further requests get
    /// status 429 with `Retry-After`. Unlimited by default.
    #[schemars(example = "10/m")]
    pub rate: Option<Rate>,
}
