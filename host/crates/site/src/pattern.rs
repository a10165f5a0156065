//! The patterns with which settings of `brand.toml` select paths: `/login`, `/blog/*`,
//! `/members/**`.

use schemars::JsonSchema;
use serde::Deserialize;

use sluice_http::path::CanonicalPath;

/// A pattern that matches paths. It starts with `/` and is written decoded, without a query. `*`
/// and `{name}` match one segment. `**` at the end matches the path itself and everything below
/// it, so `/members/**` also matches `/members`. Paths are case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", example = "/login", example = "/blog/*", example = "/members/**")]
pub struct PathPattern {
    text: String,
    segments: Vec<Segment>,
    /// Whether everything below matches, too.
    and_below: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Any,
}

impl PathPattern {
    /// Whether this pattern matches `path`.
    pub fn covers(&self, path: &CanonicalPath) -> bool {
        self.matches(path.segments(), |literal, given| literal == given)
    }

    /// Whether this pattern matches a path of a page, whose path may have `{name}` segments.
    pub fn may_cover(&self, route: &str) -> bool {
        let given = route.split('/').filter(|segment| !segment.is_empty());
        self.matches(given, |literal, given| literal == given || is_capture(given))
    }

    fn matches<'a>(
        &self,
        mut given: impl Iterator<Item = &'a str>,
        is_literal: impl Fn(&str, &str) -> bool,
    ) -> bool {
        let all = self.segments.iter().all(|segment| match (segment, given.next()) {
            (Segment::Literal(literal), Some(given)) => is_literal(literal, given),
            (Segment::Any, Some(_)) => true,
            (_, None) => false,
        });
        all && (self.and_below || given.next().is_none())
    }

    /// The pattern as it is written in `brand.toml`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A pattern that cannot match any path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {fault}")]
pub struct PatternError {
    /// The pattern as it is written in `brand.toml`.
    pub text: String,
    /// What is wrong with it.
    pub fault: PatternFault,
}

/// Why a pattern cannot match any path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// It does not start with `/`.
    #[error("does not start with /")]
    NotAbsolute,
    /// It has a percent encoding, a query, a fragment, a backslash or a control character.
    #[error("is not a path: write it without percent-encoding and without a query")]
    NotAPath,
    /// It has a segment that no canonical path has.
    #[error("has an empty segment, `.` or `..`, which no path of a request has")]
    EmptySegment,
    /// It has a `*` inside a segment, or a `**` that is not at the end.
    #[error("has a * that is not a whole segment, or a ** that is not at the end")]
    MisplacedWildcard,
    /// It has a `{name}` inside a segment.
    #[error("has a {{name}} that is not a whole segment")]
    PartialCapture,
}

impl TryFrom<String> for PathPattern {
    type Error = PatternError;

    /// A pattern that cannot match any path is an error: an access rule with it would protect
    /// nothing.
    fn try_from(text: String) -> Result<Self, PatternError> {
        let invalid = |fault| Err(PatternError { text: text.clone(), fault });
        let Some(rest) = text.strip_prefix('/') else { return invalid(PatternFault::NotAbsolute) };
        if text.contains(['%', '?', '#', '\\']) || text.chars().any(char::is_control) {
            return invalid(PatternFault::NotAPath);
        }
        let (rest, and_below) = match rest.strip_suffix("**") {
            Some(rest) if rest.is_empty() || rest.ends_with('/') => (rest.trim_end_matches('/'), true),
            _ => (rest, false),
        };
        let mut segments = Vec::new();
        for segment in rest.split('/').filter(|_| !rest.is_empty()) {
            segments.push(match segment {
                "" | "." | ".." => return invalid(PatternFault::EmptySegment),
                "*" => Segment::Any,
                _ if is_capture(segment) => Segment::Any,
                _ if segment.contains('*') => return invalid(PatternFault::MisplacedWildcard),
                _ if segment.contains(['{', '}']) => return invalid(PatternFault::PartialCapture),
                literal => Segment::Literal(literal.to_owned()),
            });
        }
        Ok(Self { segments, and_below, text })
    }
}

/// Whether a segment is `{name}`.
fn is_capture(segment: &str) -> bool {
    let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| !name.contains(['{', '}']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_http::path::{PathForm, canonical};

    fn covers(pattern: &str, path: &str) -> bool {
        let PathForm::Canonical(path) = canonical(path) else { panic!("{path}") };
        PathPattern::try_from(pattern.to_owned()).unwrap().covers(&path)
    }

    #[test]
    fn patterns_match_whole_segments() {
        for (pattern, covered, others) in [
            ("/", &["/"][..], &["/a"][..]),
            ("/a", &["/a", "/%61"], &["/", "/A", "/a/b", "/ab"]),
            ("/a/*", &["/a/b", "/a/..."], &["/a", "/a/b/c"]),
            ("/a/{b}/c", &["/a/x/c"], &["/a/c", "/a/x/d"]),
            ("/members/**", &["/members", "/members/a", "/members/a/b"], &["/", "/member", "/membersx"]),
            ("/**", &["/", "/a", "/a/b"], &[]),
            ("/a b/ü", &["/a%20b/%C3%BC"], &["/a"]),
        ] {
            for path in covered {
                assert!(covers(pattern, path), "{pattern} covers {path}");
            }
            for path in others {
                assert!(!covers(pattern, path), "{pattern} does not cover {path}");
            }
        }
    }

    #[test]
    fn patterns_match_paths_of_pages() {
        let may_cover =
            |pattern: &str, route| PathPattern::try_from(pattern.to_owned()).unwrap().may_cover(route);
        for (pattern, route) in
            [("/a", "/a"), ("/a/b", "/a/{x}"), ("/a/*", "/a/{x}"), ("/**", "/{x}/c"), ("/a/**", "/{x}/{y}")]
        {
            assert!(may_cover(pattern, route), "{pattern} covers {route}");
        }
        for (pattern, route) in [("/a", "/b"), ("/a/b", "/{x}"), ("/a/**", "/b/{x}"), ("/a", "/a/{x}")] {
            assert!(!may_cover(pattern, route), "{pattern} does not cover {route}");
        }
    }

    #[test]
    fn rejects_patterns_that_match_no_path() {
        for bad in [
            "", "a", "//", "/a/", "/a//b", "/./a", "/a/..", "/a%20b", "/a?b", "/a*", "/{a}-{b}", "/a{b}",
            "/**/a", "/a**", "/a\\b", "/a\n",
        ] {
            let refused = PathPattern::try_from(bad.to_owned());
            assert!(refused.is_err(), "{bad}: {refused:?}");
        }
    }
}
