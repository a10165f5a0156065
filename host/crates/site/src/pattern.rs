//! Which paths a setting of `brand.toml` is about: `/login`, `/blog/*`, `/members/**`.

use serde::Deserialize;

use sluice_http::path::CanonicalPath;

/// A pattern over canonical paths. `*` and `{name}` stand for one segment; `**`, at the
/// end only, for everything below and for the path itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PathPattern {
    text: String,
    segments: Vec<Segment>,
    /// Everything below, too.
    and_below: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Any,
}

impl PathPattern {
    /// Whether `path` is meant.
    pub fn covers(&self, path: &CanonicalPath) -> bool {
        let mut given = path.segments();
        let all = self.segments.iter().all(|segment| match (segment, given.next()) {
            (Segment::Literal(literal), Some(given)) => literal == given,
            (Segment::Any, Some(_)) => true,
            (_, None) => false,
        });
        all && (self.and_below || given.next().is_none())
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl TryFrom<String> for PathPattern {
    type Error = String;

    /// What cannot match any path is an error: a rule that never holds protects nothing.
    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |reason: &str| Err(format!("`{text}` {reason}"));
        let Some(rest) = text.strip_prefix('/') else { return wrong("does not start with /") };
        if text.contains(['%', '?', '#', '\\']) || text.chars().any(char::is_control) {
            return wrong("is not a path: write it decoded, without a query");
        }
        let (rest, and_below) = match rest.strip_suffix("**") {
            Some(rest) if rest.is_empty() || rest.ends_with('/') => (rest.trim_end_matches('/'), true),
            _ => (rest, false),
        };
        let mut segments = Vec::new();
        for segment in rest.split('/').filter(|_| !rest.is_empty()) {
            segments.push(match segment {
                "" | "." | ".." => return wrong("has an empty or dot segment, which no path has"),
                "*" => Segment::Any,
                _ if is_capture(segment) => Segment::Any,
                _ if segment.contains('*') => {
                    return wrong("has a * that is not a whole segment, or a ** that is not at the end");
                }
                _ if segment.contains(['{', '}']) => {
                    return wrong("has a {name} that is not a whole segment");
                }
                literal => Segment::Literal(literal.to_owned()),
            });
        }
        Ok(Self { segments, and_below, text })
    }
}

/// `{name}`
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
    fn patterns_cover_what_they_say() {
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
    fn what_can_never_match_is_refused() {
        for bad in [
            "", "a", "//", "/a/", "/a//b", "/./a", "/a/..", "/a%20b", "/a?b", "/a*", "/{a}-{b}", "/a{b}",
            "/**/a", "/a**", "/a\\b", "/a\n",
        ] {
            let refused = PathPattern::try_from(bad.to_owned());
            assert!(refused.is_err(), "{bad}: {refused:?}");
        }
    }
}
