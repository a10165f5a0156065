//! The canonical form of a request path. Pages, access rules and static files are all found
//! by it and never by the raw path.

use crate::percent;

/// A decoded path. It starts with `/`, and has no empty segment, no dot segment and no
/// trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalPath(String);

/// The result of decoding a raw path.
#[derive(Debug, PartialEq, Eq)]
pub enum PathForm {
    /// The raw path has a canonical form.
    Canonical(CanonicalPath),
    /// The raw path is this path with a slash at its end.
    TrailingSlash(CanonicalPath),
    /// The server rejects the raw path with status 400.
    Refused,
}

impl CanonicalPath {
    /// The path as text, decoded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path of a public file, or `None` if no request can have that path.
    pub fn of_file(path: &str) -> Option<Self> {
        let parts = path.strip_prefix('/')?.split('/');
        let is_reachable = |part: &str| {
            !matches!(part, "" | "." | "..") && !part.contains('\\') && !part.chars().any(char::is_control)
        };
        parts.into_iter().all(is_reachable).then(|| Self(path.to_owned()))
    }

    /// The parts between the slashes. The path `/` has none.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }
}

/// Decodes `raw`, a path as the client sent it, once, and checks it.
pub fn canonical(raw: &str) -> PathForm {
    let lower = raw.to_ascii_lowercase();
    if !raw.starts_with('/') || raw.contains('\\') || lower.contains("%2f") || lower.contains("%5c") {
        return PathForm::Refused;
    }
    let decoded = percent::decode(raw).and_then(|bytes| String::from_utf8(bytes).ok());
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
    fn each_path_has_one_form() {
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
