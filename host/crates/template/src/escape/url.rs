//! Which URLs a value may make.

use crate::html_context::{Quote, Separator, Url, UrlPhase, reference};

/// What is asked of a value that stands where a URL's scheme could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UrlCheck {
    before: Before,
    separator: Option<Separator>,
}

/// What stands before the value, or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing: the value begins the URL.
    Nothing,
    /// The same, and literal text follows with a colon: the value is the scheme, or has one.
    NothingAndColonAfter,
    /// Something that is known when it is printed, after this quote.
    Printed(Quote),
    /// A URL past its scheme; only further ones of a list matter.
    Settled,
}

/// A scheme is looked for in so many bytes of an attribute; no scheme is as long.
const LOOK_BACK_BYTES: usize = 1024;

impl UrlCheck {
    /// `None` if the value cannot choose a scheme.
    pub(super) fn at(url: &Url, quote: Quote) -> Option<UrlCheck> {
        let before = match url.phase {
            UrlPhase::Settled if url.separator.is_none() => return None,
            UrlPhase::Settled => Before::Settled,
            UrlPhase::Start => Before::Nothing,
            _ => Before::Printed(quote),
        };
        Some(UrlCheck { before, separator: url.separator })
    }

    pub(super) fn colon_follows(&mut self) {
        self.before = Before::NothingAndColonAfter;
    }

    /// Whether `allows` has to be told what was printed.
    pub(super) fn looks_back(self) -> bool {
        matches!(self.before, Before::Printed(_))
    }

    /// Whether the value may be printed after `page`, the [`tail`] of the page up to it.
    pub(super) fn allows(self, value: &str, page: &str) -> bool {
        let mut urls = value.split(|c| self.separator.is_some_and(|separator| c == separator.sign()));
        let first = urls.next().unwrap_or_default();
        let first_allowed = match self.before {
            Before::Settled => true,
            Before::Nothing => has_known_scheme("", first, false),
            Before::NothingAndColonAfter => has_known_scheme("", first, true),
            Before::Printed(quote) => match attribute_so_far(page, quote) {
                Some(printed) => {
                    let printed = reference::decoded(printed);
                    let last = self.separator.and_then(|separator| printed.rsplit(separator.sign()).next());
                    has_known_scheme(last.unwrap_or(&printed), first, false)
                }
                // Too long for a scheme, so there must not come the end of one.
                None => has_known_scheme("~", first, false),
            },
        };
        first_allowed && urls.all(|url| has_known_scheme("", url, false))
    }
}

/// As much of a page's end as matters.
pub(crate) fn tail(page: &str) -> &str {
    let start = page.floor_char_boundary(page.len().saturating_sub(LOOK_BACK_BYTES));
    page.get(start..).unwrap_or_default()
}

/// What is printed of the attribute's value at the end of a page. Its quote stands nowhere in
/// it, since values are escaped.
fn attribute_so_far(page: &str, quote: Quote) -> Option<&str> {
    let quote = match quote {
        Quote::Double => '"',
        Quote::Single => '\'',
        // Another "=" in the value would only leave out what is no scheme anyway.
        Quote::None => '=',
    };
    page.rsplit_once(quote).map(|(_, printed)| printed)
}

/// Whether a URL in two parts has a harmless scheme or none.
fn has_known_scheme(printed: &str, value: &str, colon_follows: bool) -> bool {
    // Browsers drop leading control characters and, anywhere, tabs and line breaks.
    let chars = printed.chars().chain(value.chars()).skip_while(|c| *c <= ' ');
    let mut scheme = String::new();
    let mut end = colon_follows.then_some(':');
    for c in chars {
        match c {
            '\t' | '\n' | '\r' => {}
            ':' | '/' | '?' | '#' | '\\' => {
                end = Some(c);
                break;
            }
            _ => scheme.push(c.to_ascii_lowercase()),
        }
    }
    end != Some(':') || matches!(scheme.as_str(), "http" | "https" | "mailto" | "tel")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins(url: &str) -> bool {
        UrlCheck { before: Before::Nothing, separator: None }.allows(url, "")
    }

    #[test]
    fn urls_pass_only_with_a_known_scheme_or_none() {
        for url in [
            "",
            "/a",
            "a.html",
            "?q=a:b",
            "#a:b",
            "//host/x",
            "https://a",
            "HTTP://a",
            "mailto:a@b",
            "tel:+1",
            " https://a",
            "a/b:c",
            "ht\ntps://a",
        ] {
            assert!(begins(url), "{url:?}");
        }
        for url in [
            "javascript:alert(1)",
            "JaVaScRiPt:x",
            " \u{1}javascript:x",
            "java\nscript:x",
            "data:x",
            "vbscript:x",
            "x:y",
            ":x",
            "java\u{0}script:x",
            "file:///etc",
        ] {
            assert!(!begins(url), "{url:?}");
        }
        let scheme = UrlCheck { before: Before::NothingAndColonAfter, separator: None };
        assert!(scheme.allows("https", ""));
        assert!(scheme.allows("https://host", ""));
        assert!(!scheme.allows("javascript", ""));
    }

    #[test]
    fn what_is_printed_before_counts() {
        let check = |separator| UrlCheck { before: Before::Printed(Quote::Double), separator };
        for (page, value, expected) in [
            ("<a href=\"", "https://a", true),
            ("<a title=\":\" href=\" \n", "https://a", true),
            ("<a href=\"", "javascript:x", false),
            ("<a href=\"java", "script:x", false),
            ("<a href=\"java", "script/a:b", true),
            ("<a href=\"http", "s://a", true),
            ("<a href=\"a", "https://a", false),
            ("<a href=\"/a", "b:c", true),
            ("<a href=\"java&#115;", "cript:x", false),
            ("<a href=\"javascript", ":x", false),
            ("<a href=\"a&amp;", "b:c", false),
        ] {
            assert_eq!(check(None).allows(value, page), expected, "{page}{value}");
        }
        let long = format!("<a href=\"{}", "x".repeat(2000));
        assert!(!check(None).allows("https://a", tail(&long)));
        assert!(!check(Some(Separator::Semicolon)).allows("javascript:x", "<animate values=\"#a;"));
        assert!(check(Some(Separator::Semicolon)).allows("https://a", "<animate values=\"b:c;"));
    }

    #[test]
    fn every_url_of_a_list_counts() {
        let settled = UrlCheck { before: Before::Settled, separator: Some(Separator::Semicolon) };
        assert!(settled.allows("a:b", "") && settled.allows("a;#b;https://c", ""));
        assert!(!settled.allows("a; javascript:x", ""));
        let begins = UrlCheck { before: Before::Nothing, separator: Some(Separator::Comma) };
        assert!(begins.allows("a.png 1x, https://b 2x", ""));
        assert!(!begins.allows("a.png 1x,javascript:x", ""));
    }
}
