//! The listener for operators, and who they are.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// `[admin]` of `sluice.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// The address and port of the console, the API, `/healthz`, `/readyz` and `/metrics`. The
    /// console and the API require the token.
    pub listen: SocketAddr,
    /// The token of operators. Prefer `SLUICE_ADMIN__TOKEN`, so that no file contains the token.
    /// Defaults to the content of the file `admin.token` in the data folder, which the server
    /// creates.
    pub token: Option<AdminToken>,
    /// Operators with a token of their own, at most 64, whose names the log of changes shows. `role = "read"` is for
    /// those who may see everything and change nothing. Prefer `SLUICE_ADMIN__OPERATORS`, which is a list as in TOML,
    /// so that no file contains the tokens.
    #[serde(deserialize_with = "operators")]
    pub operators: Vec<AdminOperator>,
    /// The host names under which operators reach this listener, besides loopback names. Requests
    /// for any other Host get status 421.
    #[schemars(example = ["sluice.internal.example"])]
    pub hosts: Vec<String>,
    /// A second address and port that serves only `/healthz`, `/readyz` and `/metrics`. Not used
    /// by default.
    #[schemars(example = "0.0.0.0:9091")]
    pub probes: Option<SocketAddr>,
}

/// An operator with a token of their own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminOperator {
    /// At most 32 letters, digits, `.`, `_` and `-`.
    #[schemars(example = &"ann")]
    pub name: String,
    /// At least 16 characters that nobody else has: `openssl rand -hex 32` prints some.
    #[schemars(example = &"…")]
    pub token: AdminToken,
    /// What the operator may do.
    #[serde(default)]
    pub role: AdminRole,
}

/// What an operator may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdminRole {
    /// Everything.
    #[default]
    Change,
    /// See everything, which includes the data of visitors, and change nothing.
    Read,
}

/// The token of operators. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
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
            operators: Vec::new(),
            hosts: Vec::new(),
            probes: None,
        }
    }
}

/// Reads the operators. An error shows no value, because each of them has a token.
fn operators<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<AdminOperator>, D::Error> {
    let given = toml::Value::deserialize(input)?;
    given.try_into().map_err(|error: toml::de::Error| {
        let message = error.message();
        let is_about_key = message.starts_with("missing field") || message.starts_with("unknown field");
        let hint = if is_about_key { format!("{message}: ") } else { String::new() };
        serde::de::Error::custom(format!(
            "{hint}each operator is {{ name = \"ann\", token = \"…\" }}, with role = \"read\" if they may change nothing"
        ))
    })
}
