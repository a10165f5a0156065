//! `<svg>` and `<math>`. Inside them, elements like `<title>` or `<script>` can contain tags, `/>`
//! closes an element, and there are CDATA sections. The rules are those of the HTML standard's
//! tree construction. If the tags do not tell how a browser reads them, only text that both
//! readings agree on is accepted.

/// The rules by which a start tag is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Html,
    Foreign,
    /// Either of them.
    Unsure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An HTML element in an integration point.
    Html,
    Svg,
    Math,
    /// A foreign element that contains HTML.
    Point,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenElement {
    name: String,
    kind: Kind,
}

/// The open elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tree {
    /// The elements from the outermost `<svg>` or `<math>` on; empty in plain HTML.
    Known(Vec<OpenElement>),
    /// The tags do not match.
    Lost(Roots),
}

/// The number of `<svg>` and `<math>` elements that have no end tag yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Roots {
    svg: usize,
    math: usize,
}

impl Roots {
    fn of(&mut self, name: &str) -> Option<&mut usize> {
        match name {
            "svg" => Some(&mut self.svg),
            "math" => Some(&mut self.math),
            _ => None,
        }
    }
}

/// A number of elements that no end tags can close.
const ENDLESS: usize = usize::MAX;

/// The most open elements that are followed.
const DEPTH_MAX: usize = 64;

/// HTML elements that end all foreign elements around them.
const BREAKOUTS: &[&str] = &[
    "b",
    "big",
    "blockquote",
    "body",
    "br",
    "center",
    "code",
    "dd",
    "div",
    "dl",
    "dt",
    "em",
    "embed",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "hr",
    "i",
    "img",
    "li",
    "listing",
    "menu",
    "meta",
    "nobr",
    "ol",
    "p",
    "pre",
    "ruby",
    "s",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tt",
    "u",
    "ul",
    "var",
];

impl Tree {
    pub(super) fn new() -> Tree {
        Tree::Known(Vec::new())
    }

    /// How `<![CDATA[` is read here: as a CDATA section only if foreign.
    pub(super) fn cdata(&self) -> Reading {
        match self {
            Tree::Lost(_) => Reading::Unsure,
            Tree::Known(open) => match open.last() {
                None | Some(OpenElement { kind: Kind::Html, .. }) => Reading::Html,
                Some(_) => Reading::Foreign,
            },
        }
    }

    /// The name of the innermost open foreign `<script>` or `<style>`, whose text is code.
    pub(super) fn code(&self) -> Option<&str> {
        let Tree::Known(open) = self else { return None };
        let is_code =
            |open: &&OpenElement| open.kind != Kind::Html && matches!(open.name.as_str(), "script" | "style");
        open.iter().rev().find(is_code).map(|open| open.name.as_str())
    }

    /// Follows a start tag and returns how it is read.
    pub(super) fn start(&mut self, name: &str, self_closing: bool) -> Reading {
        let open = match self {
            Tree::Known(open) => open,
            Tree::Lost(roots) => {
                if let Some(count) = roots.of(name).filter(|_| !self_closing) {
                    *count = count.saturating_add(1);
                }
                return Reading::Unsure;
            }
        };
        let kind = match open.last().map(|last| last.kind) {
            // Depending on its attributes, a <font> breaks out, and an <annotation-xml> contains HTML.
            Some(Kind::Svg | Kind::Math) if name == "font" => None,
            Some(Kind::Math) if name == "annotation-xml" => None,
            Some(Kind::Svg | Kind::Math) if BREAKOUTS.contains(&name) => {
                break_out(open);
                Some(Kind::Html)
            }
            Some(Kind::Svg) => Some(match name {
                "foreignobject" | "desc" | "title" => Kind::Point,
                _ => Kind::Svg,
            }),
            Some(Kind::Math) => Some(match name {
                "mi" | "mo" | "mn" | "ms" | "mtext" => Kind::Point,
                _ => Kind::Math,
            }),
            Some(Kind::Point) if matches!(name, "mglyph" | "malignmark") => Some(Kind::Math),
            _ if name == "svg" => Some(Kind::Svg),
            _ if name == "math" => Some(Kind::Math),
            _ => Some(Kind::Html),
        };
        let Some(kind) = kind else {
            self.lose();
            return Reading::Unsure;
        };
        let (reading, closes) = match kind {
            Kind::Html => (Reading::Html, super::names::is_void(name)),
            _ => (Reading::Foreign, self_closing),
        };
        if closes || (kind == Kind::Html && open.is_empty()) {
            return reading;
        }
        if open.len() >= DEPTH_MAX {
            self.lose();
            return reading;
        }
        open.push(OpenElement { name: name.to_owned(), kind });
        reading
    }

    /// Follows an end tag.
    pub(super) fn end(&mut self, name: &str) {
        let open = match self {
            Tree::Known(open) => open,
            Tree::Lost(roots) => {
                if let Some(count) = roots.of(name).filter(|count| **count != ENDLESS) {
                    *count = count.saturating_sub(1);
                }
                if *roots == Roots::default() {
                    *self = Tree::new();
                }
                return;
            }
        };
        let Some(top) = open.last() else { return };
        let is_html = top.kind == Kind::Html;
        // An end tag closes elements of its own kind only.
        let reached = open.iter().rposition(|other| (other.kind == Kind::Html) != is_html);
        let first = reached.map_or(0, |other| other + 1);
        let run = open.get(first..).unwrap_or_default();
        match run.iter().rposition(|open| open.name == name) {
            Some(index) => open.truncate(first + index),
            // These end tags break out, too.
            None if !is_html && matches!(name, "p" | "br") => break_out(open),
            None => self.lose(),
        }
    }

    fn lose(&mut self) {
        *self = Tree::Lost(self.roots());
    }

    fn roots(&self) -> Roots {
        let mut roots = Roots::default();
        match self {
            Tree::Lost(roots) => return *roots,
            Tree::Known(open) => {
                for open in open.iter().filter(|open| open.kind != Kind::Html) {
                    if let Some(count) = roots.of(&open.name) {
                        *count += 1;
                    }
                }
            }
        }
        roots
    }

    /// The state after either of two branches.
    pub(super) fn merge(&self, other: &Tree) -> Tree {
        if self == other {
            return self.clone();
        }
        let (a, b) = (self.roots(), other.roots());
        let both_lost = matches!((self, other), (Tree::Lost(_), Tree::Lost(_)));
        let most = |a: usize, b: usize| match a == b || !both_lost {
            true => a.max(b),
            // A loop that opens one more element each time must reach a fixed state.
            false => ENDLESS,
        };
        Tree::Lost(Roots { svg: most(a.svg, b.svg), math: most(a.math, b.math) })
    }
}

/// Closes foreign elements up to the next one that may contain HTML.
fn break_out(open: &mut Vec<OpenElement>) {
    while open.pop_if(|last| matches!(last.kind, Kind::Svg | Kind::Math)).is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the last one of these tags is read.
    fn reading(tags: &str) -> Reading {
        let mut tree = Tree::new();
        let mut last = Reading::Html;
        for tag in tags.split_whitespace() {
            match tag.strip_prefix('/') {
                Some(name) => tree.end(name),
                None => last = tree.start(tag.trim_end_matches('/'), tag.ends_with('/')),
            }
        }
        last
    }

    #[test]
    fn reads_tags_by_the_open_elements() {
        use Reading::{Foreign, Html, Unsure};
        for (tags, expected) in [
            ("div title", Html),
            ("svg title", Foreign),
            ("svg title a", Html),
            ("svg title a /a /title g", Foreign),
            ("svg /svg title", Html),
            ("svg/ title", Html),
            ("svg path path/ /svg title", Html),
            ("svg g title/ style", Foreign),
            ("svg foreignobject style", Html),
            ("svg foreignobject div br p /div /foreignobject style", Foreign),
            ("svg foreignobject svg title", Foreign),
            ("svg foreignobject svg /svg title", Html),
            ("svg g p title", Html),
            ("svg g /p title", Html),
            ("svg foreignobject /p style", Html),
            ("svg desc b", Html),
            ("svg desc svg b title", Html),
            ("math mi style", Html),
            ("math mi mglyph/ /mi style", Foreign),
            ("math title", Foreign),
            ("math title style", Foreign),
            ("math annotation-xml style", Unsure),
            ("math annotation-xml style /style /annotation-xml /math style", Html),
            ("svg font style", Unsure),
            ("svg /div style", Unsure),
            ("svg /div style /style /svg style", Html),
            ("svg /div /math style", Unsure),
            ("svg foreignobject p /foreignobject style", Unsure),
            ("svg foreignobject p /foreignobject svg /svg /svg style", Html),
        ] {
            assert_eq!(reading(tags), expected, "{tags}");
        }
    }

    #[test]
    fn is_unsure_after_differing_branches_until_the_svg_ends() {
        let after = |tags: &str| {
            let mut tree = Tree::new();
            for tag in tags.split_whitespace() {
                tree.start(tag, false);
            }
            tree
        };
        let mut merged = after("svg").merge(&after("svg g"));
        assert_eq!(merged.start("style", false), Reading::Unsure);
        merged.end("svg");
        assert_eq!(merged, Tree::new());
        let mut twice = after("").merge(&after("svg"));
        let before = twice.clone();
        twice.start("svg", false);
        let merged = before.merge(&twice);
        twice = merged.clone();
        twice.start("svg", false);
        assert_eq!(merged.merge(&twice), merged);
    }
}
