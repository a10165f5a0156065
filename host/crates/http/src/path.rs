//! The canonical form of a request path. Everything that decides by path
//! (pages, access, static files) decides by this one.

use crate::cookies::percent_decode;

/// A decoded path: starts with `/`, no empty or dot segments, no trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalPath(String);

/// What a raw path is.
#[derive(Debug, PartialEq, Eq)]
pub enum PathForm {
    Canonical(CanonicalPath),
    /// The same path with a slash at the end.
    TrailingSlash(CanonicalPath),
    /// Not a path that this server answers: 400.
    Refused,
}

impl CanonicalPath {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of a file of that name; none where no request can ask for it.
    pub fn of_file(path: &str) -> Option<Self> {
        let parts = path.strip_prefix('/')?.split('/');
        let is_asked_for = |part: &str| {
            !matches!(part, "" | "." | "..") && !part.contains('\\') && !part.chars().any(char::is_control)
        };
        parts.into_iter().all(is_asked_for).then(|| Self(path.to_owned()))
    }

    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }
}

/// Decodes `raw` once and checks it.
pub fn canonical(raw: &str) -> PathForm {
    let lower = raw.to_ascii_lowercase();
    if !raw.starts_with('/') || raw.contains('\\') || lower.contains("%2f") || lower.contains("%5c") {
        return PathForm::Refused;
    }
    let decoded = percent_decode(raw).and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(decoded) = decoded.filter(|path| !path.chars().any(char::is_control)) else {
        return PathForm::Refused;
    };
    if decoded == "/" {
        return PathForm::Canonical(CanonicalPath(decoded));
    }
    let (path, has_slash) = match decoded.strip_suffix('/') {
        Some(path) => (path, true),
        None => (decoded.as_str(), false),
    };
    if path.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) || path.is_empty() {
        return PathForm::Refused;
    }
    let path = CanonicalPath(path.to_owned());
    if has_slash { PathForm::TrailingSlash(path) } else { PathForm::Canonical(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_form() {
        let path = |text: &str| CanonicalPath(text.to_owned());
        for (raw, form) in [
            ("/", PathForm::Canonical(path("/"))),
            ("/a/b", PathForm::Canonical(path("/a/b"))),
            ("/a%20b/%C3%BC", PathForm::Canonical(path("/a b/ü"))),
            ("/%61", PathForm::Canonical(path("/a"))),
            ("/%2561", PathForm::Canonical(path("/%61"))),
            ("/a/", PathForm::TrailingSlash(path("/a"))),
            ("/...", PathForm::Canonical(path("/..."))),
        ] {
            assert_eq!(canonical(raw), form, "{raw}");
        }
        for raw in [
            "",
            "a",
            "*",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/./a",
            "/a/..",
            "/%2e%2e/a",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0a",
            "/%",
            "/%g1",
            "/%ff",
        ] {
            assert_eq!(canonical(raw), PathForm::Refused, "{raw}");
        }
    }
}
