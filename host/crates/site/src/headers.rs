//! Headers that stand on every answer: the host's security headers, and what
//! `[headers]` in `brand.toml` makes of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use sluice_http::cookies::is_token;
use sluice_http::headers::is_refused;

/// Sane defaults; a brand and a page may set others.
const DEFAULTS: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("x-frame-options", "SAMEORIGIN"),
];

/// Names in lower case, and values. What an answer sets itself wins over these.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Written>")]
pub struct StandingHeaders(Arc<Vec<(String, String)>>);

/// `false` takes a default away.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a header is a text, or false where it is not wanted")]
enum Written {
    Text(String),
    Wanted(bool),
}

impl Default for StandingHeaders {
    fn default() -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self(Arc::new(DEFAULTS.map(own).to_vec()))
    }
}

impl StandingHeaders {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl TryFrom<BTreeMap<String, Written>> for StandingHeaders {
    type Error = String;

    fn try_from(written: BTreeMap<String, Written>) -> Result<Self, String> {
        let Self(defaults) = Self::default();
        let mut headers = Arc::unwrap_or_clone(defaults);
        for (name, value) in written {
            let name = name.to_ascii_lowercase();
            // Only scripts may not decide about https: they do not know how they are reached.
            if !is_token(&name) || (is_refused(&name) && name != "strict-transport-security") {
                return Err(format!("`{name}` is not a header that a site can set"));
            }
            headers.retain(|(known, _)| *known != name);
            match value {
                Written::Wanted(false) => {}
                Written::Wanted(true) => {
                    return Err(format!("`{name} = true`: give the header's value, or false"));
                }
                Written::Text(value) if value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) => {
                    headers.push((name, value));
                }
                Written::Text(_) => {
                    return Err(format!("the value of `{name}` has a character that is not plain ASCII"));
                }
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
    fn a_brand_changes_adds_and_removes() {
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
    fn what_cannot_be_set_is_named() {
        for (text, reason) in [
            ("set-cookie = \"a=b\"", "`set-cookie` is not a header that a site can set"),
            ("\"a b\" = \"x\"", "`a b` is not"),
            ("content-length = \"1\"", "`content-length`"),
            ("x-a = true", "give the header's value"),
            ("x-a = \"b\\nc\"", "`x-a`"),
            ("x-a = 1", "a header is a text"),
        ] {
            let error = headers(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
