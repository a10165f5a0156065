//! Decides whether a value may be a part of a URL, by the scheme that the URL would have.
//!
//! This is our own code because `url` and similar crates parse a complete URL. A value here is one
//! part of several, and the scheme may come from literal text and other values before it.

use crate::html_context::{Quote, Separator, Url, UrlPhase, reference};

/// The check of a value that is printed where a URL's scheme could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UrlCheck {
    before: Before,
    separator: Option<Separator>,
    /// Whether this is the `content` of a refresh.
    is_refresh: bool,
}

/// What is before the value in the URL, or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing: the value begins the URL.
    Nothing,
    /// Nothing, and a colon follows in the literal text: the value is the scheme, or contains one.
    NothingAndColonAfter,
    /// Text that is known only during rendering. It begins after this quote.
    Printed(Quote),
    /// The scheme. Only further URLs of a list are checked.
    Settled,
}

/// A scheme is searched in this many bytes of an attribute. No scheme is as long.
const LOOK_BACK_BYTES: usize = 1024;

impl UrlCheck {
    /// `None` if the value cannot be a part of a scheme.
    pub(super) fn at(url: &Url, quote: Quote) -> Option<UrlCheck> {
        let before = match url.phase {
            UrlPhase::Settled if url.separator.is_none() => return None,
            UrlPhase::Settled => Before::Settled,
            UrlPhase::Start => Before::Nothing,
            _ => Before::Printed(quote),
        };
        Some(UrlCheck { before, separator: url.separator, is_refresh: url.is_refresh })
    }

    /// Records that a colon follows the value.
    pub(super) fn colon_follows(&mut self) {
        self.before = Before::NothingAndColonAfter;
    }

    /// Whether `allows` needs the rendered page.
    pub(super) fn looks_back(self) -> bool {
        matches!(self.before, Before::Printed(_))
    }

    /// Whether the value may be printed after `page`, which is the [`tail`] of the page before it.
    pub(super) fn allows(self, value: &str, page: &str) -> bool {
        if self.is_refresh {
            return match self.before {
                Before::Printed(quote) => attribute_so_far(page, quote)
                    .is_some_and(|printed| is_refresh_allowed(&reference::decoded(printed), value)),
                _ => is_refresh_allowed("", value),
            };
        }
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
                // Too long for a scheme, so the value must not end one.
                None => has_known_scheme("~", first, false),
            },
        };
        first_allowed && urls.all(|url| has_known_scheme("", url, false))
    }
}

/// The end of a rendered page that a check looks at.
pub(crate) fn tail(page: &str) -> &str {
    let start = page.floor_char_boundary(page.len().saturating_sub(LOOK_BACK_BYTES));
    page.get(start..).unwrap_or_default()
}

/// The part of the attribute's value that is printed at the end of a page. It does not contain the
/// quote, because values are escaped.
fn attribute_so_far(page: &str, quote: Quote) -> Option<&str> {
    let quote = match quote {
        Quote::Double => '"',
        Quote::Single => '\'',
        // Text before another "=" in the value cannot be a part of a scheme.
        Quote::None => '=',
    };
    page.rsplit_once(quote).map(|(_, printed)| printed)
}

/// Whether `value` may follow `printed` in the `content` of a refresh: as a part of the number of
/// seconds, or of a URL with an allowed scheme or none.
fn is_refresh_allowed(printed: &str, value: &str) -> bool {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let is_space = |c: char| c.is_ascii_whitespace();
    let after_number =
        |text: &str| text.trim_start_matches(is_space).trim_start_matches(is_number).to_owned();
    if after_number(printed).is_empty() {
        // The URL comes from the author's text, not from this value.
        return value.chars().all(is_number);
    }
    let rest = after_number(&format!("{printed}{value}"));
    let rest = rest.trim_start_matches(is_space);
    let rest = rest.strip_prefix([';', ',']).unwrap_or(rest).trim_start_matches(is_space);
    let label = rest.get(..3).filter(|label| label.eq_ignore_ascii_case("url"));
    let named =
        label.and_then(|label| rest.strip_prefix(label)).map(|rest| rest.trim_start_matches(is_space));
    let url = match named.and_then(|rest| rest.strip_prefix('=')) {
        Some(url) => url.trim_start_matches(is_space),
        None => rest,
    };
    has_known_scheme("", url.strip_prefix(['"', '\'']).unwrap_or(url), false)
}

/// Whether a URL, given in two parts, has an allowed scheme or none.
fn has_known_scheme(printed: &str, value: &str, colon_follows: bool) -> bool {
    // Browsers ignore leading control characters, and tabs and line breaks everywhere.
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
        UrlCheck { before: Before::Nothing, separator: None, is_refresh: false }.allows(url, "")
    }

    #[test]
    fn allows_known_schemes_and_relative_urls_only() {
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
        let scheme = UrlCheck { before: Before::NothingAndColonAfter, separator: None, is_refresh: false };
        assert!(scheme.allows("https", ""));
        assert!(scheme.allows("https://host", ""));
        assert!(!scheme.allows("javascript", ""));
    }

    #[test]
    fn checks_the_scheme_with_the_text_before_the_value() {
        let check =
            |separator| UrlCheck { before: Before::Printed(Quote::Double), separator, is_refresh: false };
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
    fn checks_every_url_of_a_list() {
        let settled =
            UrlCheck { before: Before::Settled, separator: Some(Separator::Semicolon), is_refresh: false };
        assert!(settled.allows("a:b", "") && settled.allows("a;#b;https://c", ""));
        assert!(!settled.allows("a; javascript:x", ""));
        let begins =
            UrlCheck { before: Before::Nothing, separator: Some(Separator::Comma), is_refresh: false };
        assert!(begins.allows("a.png 1x, https://b 2x", ""));
        assert!(!begins.allows("a.png 1x,javascript:x", ""));
    }
}
