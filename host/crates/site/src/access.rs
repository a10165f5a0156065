//! `[[access]]`: the rules that decide which visitors may see which paths of a brand. A rule
//! depends on the canonical path only, so it applies to pages, to files in `public/` and to paths
//! where nothing exists.

use schemars::JsonSchema;
use serde::Deserialize;

use sluice_http::path::{CanonicalPath, PathForm, canonical};
use sluice_http::redirect;

use crate::pattern::PathPattern;

/// All rules of a brand, in the order of `brand.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<AccessRule>")]
pub struct AccessRules(Vec<AccessRule>);

/// One rule. A visitor who meets the requirement passes; all others get `redirect` or `status`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "AccessSetting")]
#[schemars(with = "AccessSetting")]
pub struct AccessRule {
    path: PathPattern,
    refusal: Refusal,
}

/// The response to a visitor who may not see a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A redirect with status 303 to this path of the brand, encoded for the header.
    Redirect(String),
    /// This status, 400 to 499.
    Status(u16),
}

/// The visitors whom a rule admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Requirement {
    /// Visitors who are logged in.
    Customer,
}

/// One `[[access]]` as `brand.toml` contains it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AccessSetting {
    /// The paths that the rule applies to. The first matching rule that denies access decides
    /// the response.
    #[schemars(example = "/members/**")]
    path: PathPattern,
    /// The visitors whom the rule admits.
    #[serde(rename = "require")]
    #[schemars(example = &"customer")]
    _require: Requirement,
    /// The path of this brand to which the server redirects all other visitors, with status 303.
    /// It must not itself require a customer. Excludes `status`.
    #[schemars(example = "/login")]
    redirect: Option<String>,
    /// The status that all other visitors get, 400 to 499. Excludes `redirect`. Defaults to 403.
    #[schemars(range(min = 400, max = 499))]
    status: Option<u16>,
}

/// Why an access rule is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Both responses are given.
    #[error("give `redirect` or `status`, not both")]
    RedirectAndStatus,
    /// The status would not deny access.
    #[error("`status` must be 400 to 499, not {0}")]
    Status(u16),
    /// The redirect leads to another site, or is not a path.
    #[error("`redirect` must be a path of this site that starts with /, not `{0}`")]
    ForeignRedirect(String),
    /// The redirect cannot be sent.
    #[error("`redirect = \"{target}\"`: {reason}")]
    InvalidRedirect {
        /// The redirect as it is written.
        target: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The redirect is not a canonical path.
    #[error("`redirect = \"{0}\"` is not a path that this server can serve")]
    UnservedRedirect(String),
    /// Visitors who are redirected would be redirected again.
    #[error("[[access]] {path}: `redirect = \"{target}\"` leads to a path that also requires a customer")]
    RedirectLoop {
        /// The pattern of the rule.
        path: String,
        /// The redirect as it is sent.
        target: String,
    },
}

impl AccessRules {
    /// Whether any rule applies to `path`.
    pub fn cover(&self, path: &CanonicalPath) -> bool {
        self.0.iter().any(|rule| rule.path.covers(path))
    }

    /// The pattern of a rule that applies to a page whose path may have `{name}` segments.
    pub fn on_page(&self, route: &str) -> Option<&str> {
        self.0.iter().find(|rule| rule.path.may_cover(route)).map(|rule| rule.path.as_str())
    }

    /// The response of the first rule that denies access to `path`. `None` if the visitor may
    /// see it.
    pub fn refusal(&self, path: &CanonicalPath, is_customer: bool) -> Option<&Refusal> {
        let rule = self.0.iter().find(|rule| !is_customer && rule.path.covers(path))?;
        Some(&rule.refusal)
    }
}

impl TryFrom<Vec<AccessRule>> for AccessRules {
    type Error = AccessError;

    fn try_from(rules: Vec<AccessRule>) -> Result<Self, AccessError> {
        let rules = Self(rules);
        for rule in &rules.0 {
            // Visitors who are redirected must be able to see the target.
            if let Refusal::Redirect(target) = &rule.refusal
                && let Some(path) = path_of(target)
                && rules.cover(&path)
            {
                let path = rule.path.as_str().to_owned();
                return Err(AccessError::RedirectLoop { path, target: target.clone() });
            }
        }
        Ok(rules)
    }
}

impl TryFrom<AccessSetting> for AccessRule {
    type Error = AccessError;

    fn try_from(setting: AccessSetting) -> Result<Self, AccessError> {
        let refusal = match (setting.redirect, setting.status) {
            (Some(_), Some(_)) => return Err(AccessError::RedirectAndStatus),
            (Some(target), None) => Refusal::Redirect(checked(target)?),
            (None, Some(status)) if (400..=499).contains(&status) => Refusal::Status(status),
            (None, Some(status)) => return Err(AccessError::Status(status)),
            (None, None) => Refusal::Status(403),
        };
        Ok(Self { path: setting.path, refusal })
    }
}

fn checked(target: String) -> Result<String, AccessError> {
    if !target.starts_with('/') {
        return Err(AccessError::ForeignRedirect(target));
    }
    if let Err(reason) = redirect::check(&target) {
        return Err(AccessError::InvalidRedirect { target, reason: reason.to_string() });
    }
    if path_of(&target).is_none() {
        return Err(AccessError::UnservedRedirect(target));
    }
    Ok(redirect::location(&target))
}

fn path_of(target: &str) -> Option<CanonicalPath> {
    match canonical(target.split(['?', '#']).next().unwrap_or_default()) {
        PathForm::Canonical(path) | PathForm::TrailingSlash(path) => Some(path),
        PathForm::Refused => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Brand {
        access: AccessRules,
    }

    fn rules(text: &str) -> Result<AccessRules, String> {
        toml::from_str::<Brand>(text).map(|brand| brand.access).map_err(|error| error.to_string())
    }

    fn path(text: &str) -> CanonicalPath {
        path_of(text).unwrap()
    }

    #[test]
    fn first_matching_rule_decides() {
        let rules = rules(
            "[[access]]\npath = \"/members/vip\"\nrequire = \"customer\"\nstatus = 404\n\
             [[access]]\npath = \"/members/**\"\nrequire = \"customer\"\nredirect = \"/login?ü\"\n\
             [[access]]\npath = \"/api/*\"\nrequire = \"customer\"",
        )
        .unwrap();
        let refusal = |text: &str| rules.refusal(&path(text), false).cloned();
        assert_eq!(refusal("/members/vip"), Some(Refusal::Status(404)));
        assert_eq!(refusal("/members"), Some(Refusal::Redirect("/login?%C3%BC".into())));
        assert_eq!(refusal("/api/x"), Some(Refusal::Status(403)));
        assert_eq!(refusal("/login"), None);
        assert_eq!(rules.refusal(&path("/members"), true), None);
        assert!(rules.cover(&path("/members/a")) && !rules.cover(&path("/")));
    }

    #[test]
    fn rejects_rules_that_protect_nothing_or_redirect_in_circles() {
        for (rule, reason) in [
            ("path = \"/a\"\nrequire = \"admin\"", "unknown variant `admin`"),
            ("path = \"/a\"", "missing field `require`"),
            ("path = \"a\"\nrequire = \"customer\"", "does not start with /"),
            ("path = \"/a\"\nrequire = \"customer\"\nstatus = 200", "400 to 499"),
            ("path = \"/a\"\nrequire = \"customer\"\nstatus = 403\nredirect = \"/b\"", "not both"),
            ("path = \"/a\"\nrequire = \"customer\"\nredirect = \"//b\"", "another host"),
            ("path = \"/a\"\nrequire = \"customer\"\nredirect = \"https://b.example/\"", "starts with /"),
            ("path = \"/a\"\nrequire = \"customer\"\nredirect = \"/b//c\"", "not a path"),
            ("path = \"/**\"\nrequire = \"customer\"\nredirect = \"/login\"", "also requires a customer"),
            ("path = \"/a\"\nrequire = \"customer\"\nredirct = \"/b\"", "redirct"),
        ] {
            let error = rules(&format!("[[access]]\n{rule}")).unwrap_err();
            assert!(error.contains(reason), "{rule}: {error}");
        }
    }
}
