//! `[[access]]`: which visitors may see which paths of a brand. Rules look at the
//! canonical path and at nothing else, so they hold for pages, for `public/` and for
//! paths where nothing is.

use serde::Deserialize;

use sluice_http::path::{CanonicalPath, PathForm, canonical};
use sluice_http::redirect;

use super::pattern::PathPattern;

/// All rules of a brand, in the order of `brand.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<AccessRule>")]
pub struct AccessRules(Vec<AccessRule>);

/// One `[[access]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct AccessRule {
    path: PathPattern,
    refusal: Refusal,
}

/// What a visitor gets who may not see a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// To a path of this brand.
    Redirect(String),
    /// 400 to 499.
    Status(u16),
}

/// Who passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Requirement {
    /// Visitors who are logged in.
    Customer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    path: PathPattern,
    #[serde(rename = "require")]
    _require: Requirement,
    redirect: Option<String>,
    status: Option<u16>,
}

impl AccessRules {
    /// Whether any rule is about `path`.
    pub fn cover(&self, path: &CanonicalPath) -> bool {
        self.0.iter().any(|rule| rule.path.covers(path))
    }

    /// The first rule that turns the visitor away.
    pub fn refusal(&self, path: &CanonicalPath, is_customer: bool) -> Option<&Refusal> {
        let rule = self.0.iter().find(|rule| !is_customer && rule.path.covers(path))?;
        Some(&rule.refusal)
    }
}

impl TryFrom<Vec<AccessRule>> for AccessRules {
    type Error = String;

    fn try_from(rules: Vec<AccessRule>) -> Result<Self, String> {
        let rules = Self(rules);
        for rule in &rules.0 {
            // Whoever is sent there must be able to see it.
            if let Refusal::Redirect(target) = &rule.refusal
                && let Some(path) = path_of(target)
                && rules.cover(&path)
            {
                return Err(format!(
                    "[[access]] {}: `redirect = \"{target}\"` leads to a path that needs a customer, too",
                    rule.path.as_str()
                ));
            }
        }
        Ok(rules)
    }
}

impl TryFrom<Written> for AccessRule {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let refusal = match (written.redirect, written.status) {
            (Some(_), Some(_)) => return Err("give `redirect` or `status`, not both".into()),
            (Some(target), None) => Refusal::Redirect(checked(target)?),
            (None, Some(status)) if (400..=499).contains(&status) => Refusal::Status(status),
            (None, Some(status)) => return Err(format!("`status` is 400 to 499, not {status}")),
            (None, None) => Refusal::Status(403),
        };
        Ok(Self { path: written.path, refusal })
    }
}

fn checked(target: String) -> Result<String, String> {
    if !target.starts_with('/') {
        return Err(format!("`redirect` is a path of this site that starts with /, not `{target}`"));
    }
    redirect::check(&target).map_err(|reason| format!("`redirect = \"{target}\"`: {reason}"))?;
    if path_of(&target).is_none() {
        return Err(format!("`redirect = \"{target}\"` is not an address that this server answers"));
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
    fn the_first_rule_that_covers_decides() {
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
    fn rules_that_protect_nothing_or_loop_are_errors() {
        for (rule, reason) in [
            ("path = \"/a\"\nrequire = \"admin\"", "unknown variant `admin`"),
            ("path = \"/a\"", "missing field `require`"),
            ("path = \"a\"\nrequire = \"customer\"", "does not start with /"),
            ("path = \"/a\"\nrequire = \"customer\"\nstatus = 200", "400 to 499"),
            ("path = \"/a\"\nrequire = \"customer\"\nstatus = 403\nredirect = \"/b\"", "not both"),
            ("path = \"/a\"\nrequire = \"customer\"\nredirect = \"//b\"", "another host"),
            ("path = \"/a\"\nrequire = \"customer\"\nredirect = \"https://b.example/\"", "starts with /"),
            ("path = \"/a\"\nrequire = \"customer\"\nredirect = \"/b//c\"", "not an address"),
            ("path = \"/**\"\nrequire = \"customer\"\nredirect = \"/login\"", "needs a customer, too"),
            ("path = \"/a\"\nrequire = \"customer\"\nredirct = \"/b\"", "redirct"),
        ] {
            let error = rules(&format!("[[access]]\n{rule}")).unwrap_err();
            assert!(error.contains(reason), "{rule}: {error}");
        }
    }
}
