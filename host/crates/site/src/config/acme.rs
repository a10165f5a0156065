//! Settings of certificates by ACME.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use crate::domain::Domain;

/// How the certificate authority checks that a name is served here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub enum AcmeChallenge {
    /// A request over HTTP to port 80, which must reach `server.http_listen`.
    #[default]
    #[serde(rename = "http-01")]
    Http01,
    /// A TLS handshake on port 443, which must reach `server.listen`.
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
}

/// `[acme]` of `sluice.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AcmeConfig {
    /// Whether this host orders certificates for the domains of the brands. It needs `server.https`. Whoever turns
    /// it on agrees to the terms of the certificate authority.
    pub enabled: bool,
    /// A mail address to which the certificate authority can write.
    #[serde(deserialize_with = "contact")]
    #[schemars(example = "operator@example.com")]
    pub contact: Option<String>,
    /// The URL of the directory of the certificate authority. While you try things out, use that of Let's Encrypt
    /// for tests, `https://acme-staging-v02.api.letsencrypt.org/directory`, whose limits are higher.
    #[serde(deserialize_with = "directory")]
    pub directory: String,
    /// A file with certificates (PEM) that the server of the certificate authority may have, in addition to those
    /// of the system. Its path is relative to the data folder. Only the environment variable `SLUICE_ACME__CA_FILE`
    /// can set it.
    #[schemars(example = "ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// How the certificate authority checks that a name is served here.
    pub challenge: AcmeChallenge,
    /// The names for which certificates are ordered. By default, all domains of brands except wildcards.
    #[schemars(example = ["shop.example", "*.shop.example"])]
    pub allow: Option<Vec<Domain>>,
    /// Whether a host checks that a name leads to it before it orders a certificate. Turn it off if a host
    /// cannot reach itself by its public address.
    pub check: bool,
    /// The number of new certificates that one brand gets in a day. Renewals do not count.
    pub brand_orders_per_day_max: u32,
    /// The number of new certificates that all brands get in an hour. Renewals do not count.
    pub orders_per_hour_max: u32,
}

impl Default for AcmeConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            contact: None,
            directory: "https://acme-v02.api.letsencrypt.org/directory".into(),
            ca_file: None,
            challenge: AcmeChallenge::default(),
            allow: None,
            check: true,
            brand_orders_per_day_max: 20,
            orders_per_hour_max: 60,
        }
    }
}

impl AcmeConfig {
    /// Whether certificates are ordered for a name.
    pub fn admits(&self, name: &str) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow.iter().any(|domain| domain.fit(name).is_some()))
    }
}

fn directory<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    let is_https = Url::parse(&text).is_ok_and(|url| url.scheme() == "https");
    is_https.then_some(text.clone()).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "`{text}` is not the https URL of a certificate authority's directory"
        ))
    })
}

fn contact<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    let Some(text) = Option::<String>::deserialize(input)? else { return Ok(None) };
    // It becomes a part of a URL.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@.-_+".contains(c);
    let is_address =
        text.split('@').filter(|part| !part.is_empty()).count() == 2 && text.chars().all(is_plain);
    is_address.then_some(Some(text.clone())).ok_or_else(|| {
        serde::de::Error::custom(format!("`{text}` is not a mail address such as operator@example.com"))
    })
}
