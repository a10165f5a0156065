//! The headers of every response of a brand: the host's security headers, as `[headers]` in
//! `brand.toml` changes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use sluice_http::cookies::is_token;
use sluice_http::headers::is_refused;

/// The defaults. A brand or a page may set other values.
const DEFAULTS: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("x-frame-options", "SAMEORIGIN"),
];

/// Headers by name. A response that sets one of them itself overrides it.
// Names are in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "BTreeMap<String, HeaderSetting>")]
#[schemars(with = "BTreeMap<String, HeaderSetting>")]
pub struct StandingHeaders(Arc<Vec<(String, String)>>);

/// The value of a header in plain ASCII, or `false` to send no such header.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "the value of a header must be a string, or false to leave the header out")]
enum HeaderSetting {
    /// The value.
    Text(String),
    /// `false` removes a default header.
    Wanted(bool),
}

/// Why a header of `brand.toml` cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It is not a header name, or a header that only the host sets.
    #[error("`{0}` is not a header that a site can set")]
    Refused(String),
    /// The setting is `true`.
    #[error("`{0} = true`: write the header's value, or false to leave the header out")]
    NoValue(String),
    /// The value has other characters than printable ASCII and spaces.
    #[error("the value of `{0}` has a character that is not plain ASCII")]
    NotAscii(String),
}

impl Default for StandingHeaders {
    fn default() -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self(Arc::new(DEFAULTS.map(own).to_vec()))
    }
}

impl StandingHeaders {
    /// Names in lower case, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl TryFrom<BTreeMap<String, HeaderSetting>> for StandingHeaders {
    type Error = HeaderError;

    fn try_from(settings: BTreeMap<String, HeaderSetting>) -> Result<Self, HeaderError> {
        let Self(defaults) = Self::default();
        let mut headers = Arc::unwrap_or_clone(defaults);
        for (name, value) in settings {
            let name = name.to_ascii_lowercase();
            // Scripts must not set this header, because they do not know whether visitors use
            // https. Operators may.
            if !is_token(&name) || (is_refused(&name) && name != "strict-transport-security") {
                return Err(HeaderError::Refused(name));
            }
            headers.retain(|(known, _)| *known != name);
            match value {
                HeaderSetting::Wanted(false) => {}
                HeaderSetting::Wanted(true) => return Err(HeaderError::NoValue(name)),
                HeaderSetting::Text(value) if value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) => {
                    headers.push((name, value));
                }
                HeaderSetting::Text(_) => return Err(HeaderError::NotAscii(name)),
            }
        }
        Ok(Self(Arc::new(headers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &str) -> Result<Vec<(String, String)>, String> {
        let parsed: Result<StandingHeaders, _> = toml::from_str(text);
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        parsed.map(|headers| headers.iter().map(own).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn brand_changes_adds_and_removes_headers() {
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        assert_eq!(headers("").unwrap(), own(&DEFAULTS));
        assert_eq!(
            headers("X-Frame-Options = \"DENY\"\nreferrer-policy = false\nstrict-transport-security = \"max-age=9\"")
                .unwrap(),
            own(&[
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("strict-transport-security", "max-age=9"),
            ])
        );
    }

    #[test]
    fn rejects_headers_that_a_brand_cannot_set() {
        for (text, reason) in [
            ("set-cookie = \"a=b\"", "`set-cookie` is not a header that a site can set"),
            ("\"a b\" = \"x\"", "`a b` is not"),
            ("content-length = \"1\"", "`content-length`"),
            ("x-a = true", "write the header's value"),
            ("x-a = \"b\\nc\"", "`x-a`"),
            ("x-a = 1", "must be a string, or false"),
        ] {
            let error = headers(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
