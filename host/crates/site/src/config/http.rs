//! Settings of HTTP calls of scripts.

use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use sluice_fetch::{HostPattern, OperatorRules};

use super::values::{Network, networks};

/// `[http]` of `sluice.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// The most that brands can allow. By default, each brand decides by itself which public hosts its
    /// scripts call.
    #[schemars(example = ["api.stripe.com", "*.slack.com"])]
    pub allow_max: Option<Vec<HostPattern>>,
    /// Hosts that no brand can call, whatever it allows. An address also stands for every name that resolves
    /// to it.
    #[schemars(example = ["vault.example"])]
    pub deny: Vec<HostPattern>,
    /// Networks that are not public, and that brands can call if they allow a host in them by its name (`*`
    /// stands for public hosts only). Without this setting, scripts reach public addresses only: no loopback, private, link-local, shared, multicast or
    /// reserved address, no IPv4 inside IPv6, and no address of this machine.
    #[serde(deserialize_with = "networks")]
    #[schemars(with = "Vec<Network>", example = ["10.20.0.0/16"])]
    pub private_networks: Vec<IpNet>,
    /// A file with certificates (PEM) that are trusted in addition to those of the system. Its path is relative
    /// to the data folder. Only the environment variable `SLUICE_HTTP__CA_FILE` can set it.
    #[schemars(example = "ca.pem")]
    pub ca_file: Option<PathBuf>,
}

/// `[http]` of `brand.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BrandHttp {
    /// The hosts that scripts can call with `fetch` and `http`, such as `api.stripe.com`, `*.slack.com` or
    /// `*` for every public host. Ports other than 80 and 443 follow after a colon. None by default.
    #[schemars(example = ["api.stripe.com", "*.slack.com"])]
    pub allow: Vec<HostPattern>,
}

/// `[secrets.NAME]` of `brand.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretUse {
    /// The hosts to which the secret may be sent, in headers of calls. Ports other than 80 and 443 follow after
    /// a colon. Scripts cannot read such a secret:
    /// `secrets.ref("NAME")` gives a placeholder that the host replaces.
    #[schemars(example = ["api.stripe.com"])]
    pub hosts: Vec<HostPattern>,
}

impl HttpConfig {
    /// What the operator decides for all brands.
    pub fn rules(&self) -> OperatorRules {
        OperatorRules {
            allow_max: self.allow_max.clone(),
            deny: self.deny.clone(),
            private_networks: self.private_networks.clone(),
        }
    }
}
