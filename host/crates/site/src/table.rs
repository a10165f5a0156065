//! Finds the page for a path: the page with exactly this path, otherwise the wildcard page with
//! the longest literal prefix, otherwise the index page of the folder.

use std::collections::HashMap;

use sluice_http::path::CanonicalPath;

/// What the wildcards of a page's path matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteMatch {
    /// The names and values that `{name}` captured, in the order of the path.
    pub params: Vec<(String, String)>,
    /// The path from the first wildcard on, without a slash at its start: `2024/first-post`.
    pub slug: String,
}

/// Pages by path.
#[derive(Debug, Clone)]
pub struct PageTable<P> {
    exact: HashMap<String, P>,
    /// The pages `index.html` of folders.
    indexes: HashMap<String, P>,
    /// The longest literal prefix comes first.
    wildcards: Vec<(Pattern, P)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Capture(String),
}

impl<P> Default for PageTable<P> {
    fn default() -> Self {
        Self { exact: HashMap::new(), indexes: HashMap::new(), wildcards: Vec::new() }
    }
}

impl<P> PageTable<P> {
    /// Adds the page of a file below `pages/`, such as `blog/{slug}.html`.
    pub fn insert(&mut self, file: &str, page: P) {
        let path = url_path(file);
        let pattern = Pattern::new(&path);
        if pattern.segments.iter().all(|segment| matches!(segment, Segment::Literal(_))) {
            let is_index = file == "index.html" || file.ends_with("/index.html");
            let table = if is_index { &mut self.indexes } else { &mut self.exact };
            table.insert(path, page);
            return;
        }
        let at =
            self.wildcards.partition_point(|(known, _)| known.literal_prefix() >= pattern.literal_prefix());
        self.wildcards.insert(at, (pattern, page));
    }

    /// The page for `path`, and what its wildcards matched. `None` in the second place means that the
    /// page's path has no wildcards.
    pub fn find(&self, path: &CanonicalPath) -> Option<(&P, Option<RouteMatch>)> {
        if let Some(page) = self.exact.get(path.as_str()) {
            return Some((page, None));
        }
        let wildcard =
            self.wildcards.iter().find_map(|(pattern, page)| Some((page, Some(pattern.matched(path)?))));
        wildcard.or_else(|| Some((self.indexes.get(path.as_str())?, None)))
    }

    /// The page with exactly this path, without wildcards.
    pub fn exact(&self, path: &str) -> Option<&P> {
        self.exact.get(path).or_else(|| self.indexes.get(path))
    }

    /// All pages, in no particular order.
    pub fn pages(&self) -> impl Iterator<Item = &P> {
        let literal = self.exact.values().chain(self.indexes.values());
        literal.chain(self.wildcards.iter().map(|(_, page)| page))
    }
}

impl Pattern {
    fn new(path: &str) -> Self {
        let segment = |text: &str| match text.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => Segment::Capture(name.to_owned()),
            None => Segment::Literal(text.to_owned()),
        };
        Self { segments: path.split('/').filter(|text| !text.is_empty()).map(segment).collect() }
    }

    /// The length of the path before the first wildcard.
    fn literal_prefix(&self) -> usize {
        let literals = self.segments.iter().map_while(|segment| match segment {
            Segment::Literal(text) => Some(text.len() + 1),
            Segment::Capture(_) => None,
        });
        literals.sum()
    }

    fn matched(&self, path: &CanonicalPath) -> Option<RouteMatch> {
        let mut given = path.segments();
        let mut params = Vec::new();
        let mut rest: Vec<&str> = Vec::new();
        for segment in &self.segments {
            let text = given.next()?;
            match segment {
                Segment::Literal(literal) if literal == text => {}
                Segment::Literal(_) => return None,
                Segment::Capture(name) => params.push((name.clone(), text.to_owned())),
            }
            if !params.is_empty() {
                rest.push(text);
            }
        }
        given.next().is_none().then(|| RouteMatch { params, slug: rest.join("/") })
    }
}

/// A page that cannot be served under the path of its file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pages/{file}: {fault}")]
pub(crate) struct RouteError {
    /// The file, relative to `pages/`.
    pub(crate) file: String,
    pub(crate) fault: RouteFault,
}

/// Why a page cannot be served under the path of its file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteFault {
    /// A `{name}` is only a part of a segment.
    #[error("`{0}`: a {{name}} must be a whole segment of the path")]
    PartialSegment(String),
    /// Two segments capture the same name.
    #[error("`{{{0}}}` occurs twice")]
    RepeatedName(String),
    /// A name has other characters than ASCII letters, digits, `_` and `-`.
    #[error("`{{{0}}}`: a name consists of letters, digits, _ and -")]
    InvalidName(String),
    /// Another page has the same path.
    #[error("pages/{0} has the same path")]
    SamePath(String),
}

/// Finds the pages that have no path of their own: another page has the same path, or the file's name
/// is not valid. `files` are relative to `pages/`. Each of them has at most one error.
pub(crate) fn check(files: &[String]) -> Vec<RouteError> {
    let mut by_route: HashMap<String, &str> = HashMap::new();
    let mut found = Vec::new();
    for file in files {
        let fault = match route(file) {
            Ok(route) => match by_route.get(&route) {
                Some(other) => RouteFault::SamePath((*other).to_owned()),
                None => {
                    by_route.insert(route, file);
                    continue;
                }
            },
            Err(fault) => fault,
        };
        found.push(RouteError { file: file.clone(), fault });
    }
    found
}

/// The path of a page, in which each wildcard is `{}`.
fn route(file: &str) -> Result<String, RouteFault> {
    let (mut route, mut names) = (String::new(), Vec::new());
    for segment in Pattern::new(&url_path(file)).segments {
        match segment {
            Segment::Literal(text) if text.contains(['{', '}']) => {
                return Err(RouteFault::PartialSegment(text));
            }
            Segment::Literal(text) => route.extend(["/", &text]),
            Segment::Capture(name) if names.contains(&name) => {
                return Err(RouteFault::RepeatedName(name));
            }
            Segment::Capture(name) => {
                let is_name = !name.is_empty()
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
                if !is_name {
                    return Err(RouteFault::InvalidName(name));
                }
                names.push(name);
                route.push_str("/{}");
            }
        }
    }
    Ok(route)
}

/// The path of a page's file below `pages/`: `/weight/checkin` for `weight/checkin.html`, and the
/// folder for `index.html`.
pub fn url_path(file: &str) -> String {
    let stem = file.strip_suffix(".html").unwrap_or(file);
    let stem = if stem == "index" { "" } else { stem.strip_suffix("/index").unwrap_or(stem) };
    format!("/{stem}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_http::path::{PathForm, canonical};

    #[test]
    fn reports_every_page_without_a_path() {
        let files = ["a.html", "a/index.html", "{}.html", "b.html"].map(str::to_owned);
        let files: Vec<String> = check(&files).into_iter().map(|error| error.file).collect();
        assert_eq!(files, ["a/index.html", "{}.html"]);
    }

    #[test]
    fn rejects_pages_without_a_path_of_their_own() {
        let check = |files: &[&str]| check(&files.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>());
        let all = check(&["a.html", "a/b.html", "a/{x}.html", "{x}/b.html", "{x}/{y-2}.html"]);
        assert!(all.is_empty(), "{all:?}");
        for (files, reason) in [
            (&["dup.html", "dup/index.html"][..], "pages/dup.html has the same path"),
            (&["amb/{x}.html", "amb/{y}.html"], "pages/amb/{x}.html has the same path"),
            (&["u/{a}-{b}.html"], "`{a}-{b}`"),
            (&["post-{id}.html"], "whole segment"),
            (&["{}.html"], "a name consists of"),
            (&["r/{id}/{id}.html"], "twice"),
        ] {
            let error = check(files)[0].to_string();
            assert!(error.contains(reason), "{files:?}: {error}");
        }
    }

    #[test]
    fn longest_literal_prefix_takes_precedence() {
        let mut table = PageTable::default();
        for file in [
            "index.html",
            "blog/{slug}.html",
            "{any}/new.html",
            "blog/new.html",
            "blog/{a}/{b}.html",
            "docs/{a}/edit.html",
            "shop/index.html",
            "blog/archive/index.html",
        ] {
            table.insert(file, file);
        }
        let find = |raw: &str| match canonical(raw) {
            PathForm::Canonical(path) => table.find(&path).map(|(page, matched)| (*page, matched)),
            _ => None,
        };
        let matched = |list: &[(&str, &str)], slug: &str| {
            let params = list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            Some(RouteMatch { params, slug: slug.to_owned() })
        };
        assert_eq!(find("/"), Some(("index.html", None)));
        assert_eq!(find("/shop"), Some(("shop/index.html", None)));
        assert_eq!(find("/blog/new"), Some(("blog/new.html", None)));
        assert_eq!(find("/blog/x"), Some(("blog/{slug}.html", matched(&[("slug", "x")], "x"))));
        // The index page of a folder comes after the wildcards.
        assert_eq!(
            find("/blog/archive"),
            Some(("blog/{slug}.html", matched(&[("slug", "archive")], "archive")))
        );
        assert_eq!(find("/news/new"), Some(("{any}/new.html", matched(&[("any", "news")], "news/new"))));
        assert_eq!(find("/docs/x/edit"), Some(("docs/{a}/edit.html", matched(&[("a", "x")], "x/edit"))));
        let two = matched(&[("a", "x"), ("b", "y")], "x/y");
        assert_eq!(find("/blog/x/y"), Some(("blog/{a}/{b}.html", two)));
        assert_eq!(find("/blog"), None);
        assert_eq!(find("/blog/x/y/z"), None);
    }
}
