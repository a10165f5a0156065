//! Escapes values for the place in the page where they are printed.
//!
//! This is our own code because crates for escaping know the text of HTML only. Here the place
//! decides: scripts, styles, URLs, comments, unquoted attributes and `srcdoc` each need their own
//! rules, and often two of them apply one after the other.

mod url;

use std::borrow::Cow;
use std::fmt::Write;

use handlebars::Output;

use crate::ast::Expr;
use crate::budget::{Budget, LimitError};
use crate::convert::printed;
use crate::filters::Filter;
use crate::html_context::{Place, Quote, ValueKind};
use crate::html_text;
use crate::json_text::{self, Layout};
use crate::value::{Val, number_text};
use url::UrlCheck;
pub(super) use url::tail;

/// How one `{{ }}` is escaped: first for its language, then for the HTML around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Escape {
    language: Language,
    markup: Markup,
    raw: Raw,
}

/// Whether a value is printed unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Raw {
    No,
    /// Unless it contains JSON. The quotes of JSON would end an attribute, and a text in it could
    /// end a comment.
    UnlessJson,
    Always,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Text,
    Url(UrlCheck),
    Script,
    /// JSON in a script.
    Json,
    Style,
    /// HTML in an attribute's value.
    Document,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Markup {
    None,
    Html,
    Unquoted { quotes_if_empty: bool },
    Comment,
}

impl Escape {
    /// How the value of `expr` is escaped at a place.
    pub(super) fn at(place: &Place, expr: &Expr) -> Escape {
        let mut filters = expr.last_filters().peekable();
        let is_raw = filters.peek() == Some(&Filter::Raw);
        let is_json = filters.find(|filter| *filter != Filter::Raw) == Some(Filter::Json);
        let (language, markup) = match place {
            Place::Text => (Language::Text, Markup::Html),
            Place::Comment => (Language::Text, Markup::Comment),
            Place::Script => (Language::Script, Markup::None),
            Place::Style => (Language::Style, Markup::None),
            Place::Attribute { quote, kind, .. } => {
                let markup = match quote {
                    Quote::Double | Quote::Single => Markup::Html,
                    Quote::None => Markup::Unquoted { quotes_if_empty: false },
                };
                (Language::of(kind, *quote), markup)
            }
        };
        let raw = match place {
            _ if !is_raw => Raw::No,
            // In the text of an element, the JSON of the filter is harmless: it contains no "<".
            Place::Text => Raw::Always,
            _ => Raw::UnlessJson,
        };
        // JSON in a script is code; only the texts in it are escaped, even if "raw" follows.
        match language {
            Language::Script if is_json => Escape { language: Language::Json, markup, raw: Raw::No },
            Language::Style if is_json && is_raw => Escape { language: Language::Json, markup, raw: Raw::No },
            language => Escape { language, markup, raw },
        }
    }

    /// The rules for one value.
    fn rules(self, value: &Val<'_>) -> (Language, Markup) {
        match (self.raw, self.language) {
            (Raw::No, language) => (language, self.markup),
            (Raw::UnlessJson, language) if value.is_json() || value.is_object() => match language {
                // `raw` says that the value is code, so only the HTML around the code matters.
                Language::Script | Language::Style => (Language::Text, self.markup),
                language => (language, self.markup),
            },
            (Raw::UnlessJson | Raw::Always, _) => (Language::Text, Markup::None),
        }
    }

    /// Prints quotes if the value is empty. Without them, a browser would read the next attribute as
    /// the value.
    pub(super) fn quote_if_empty(&mut self) {
        if let Markup::Unquoted { quotes_if_empty } = &mut self.markup {
            *quotes_if_empty = true;
        }
    }

    /// Records that literal text after the value makes it the URL's scheme.
    pub(super) fn is_scheme(&mut self) {
        if let Language::Url(check) = &mut self.language {
            check.colon_follows();
        }
    }

    /// Whether escaping depends on the page that is already rendered.
    pub(super) fn looks_back(self) -> bool {
        matches!(self.language, Language::Url(check) if check.looks_back())
    }
}

impl Language {
    fn of(kind: &ValueKind, quote: Quote) -> Language {
        match kind {
            ValueKind::Plain => Language::Text,
            ValueKind::Script => Language::Script,
            ValueKind::Style => Language::Style,
            ValueKind::Document(_) => Language::Document,
            ValueKind::Url(url) => UrlCheck::at(url, quote).map_or(Language::Text, Language::Url),
        }
    }
}

/// Why a value was not written.
pub(super) enum Stop {
    /// The page would become too large.
    Output(std::io::Error),
    Limit(LimitError),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Stop {
        Stop::Output(error)
    }
}

impl From<LimitError> for Stop {
    fn from(limit: LimitError) -> Stop {
        Stop::Limit(limit)
    }
}

/// What writing one character reference costs.
const REFERENCE_FUEL: usize = 32;

/// How many bytes an escaped byte may take: `\u0027`.
const GROWTH_MAX: usize = 6;

/// The most characters of a blocked URL that a warning quotes.
const QUOTED_CHARS_MAX: usize = 60;

/// Writes a value. `page` is the [`tail`] of the page before the value; it is empty unless
/// [`Escape::looks_back`]. Returns the beginning of the URL if
/// it was blocked.
pub(super) fn write(
    escape: Escape,
    value: &Val<'_>,
    page: &str,
    out: &mut dyn Output,
    budget: &mut Budget,
) -> Result<Option<String>, Stop> {
    let (language, markup) = escape.rules(value);
    let is_script = language == Language::Script;
    let scalar = match value {
        Val::Null if is_script => Some(Cow::Borrowed("null")),
        Val::Bool(true) => Some(Cow::Borrowed("true")),
        Val::Bool(false) => Some(Cow::Borrowed("false")),
        Val::Number(number) => Some(Cow::Owned(number_text(*number))),
        _ => None,
    };
    let printed = match scalar {
        Some(_) => Val::Undefined,
        // Lists and records print as JSON, also if `raw` follows.
        None if escape.raw != Raw::No && value.is_object() => {
            Val::made(json_text::write(value, Layout::Script, budget)?)
        }
        None => printed(value, budget)?,
    };
    let plain = scalar.as_deref().or(printed.as_str()).unwrap_or("");
    match (language, markup) {
        (Language::Text | Language::Url(_), Markup::None) => {}
        (Language::Text | Language::Url(_), Markup::Html) => {
            // Counting them reads the text once, writing it a second time.
            budget.read(plain.len().saturating_mul(2))?;
            budget.read(html_text::references(plain).saturating_mul(REFERENCE_FUEL))?;
        }
        // The others create an escaped text first, which may be several times as long.
        _ => {
            budget.walk(plain.len().saturating_mul(3))?;
            budget.make(plain.len().saturating_mul(GROWTH_MAX))?;
        }
    }
    if let Language::Url(_) = language {
        budget.walk(page.len().saturating_add(plain.len()))?;
    }
    let mut blocked = None;
    let text = match language {
        Language::Text => Cow::Borrowed(plain),
        Language::Script if scalar.is_some() => Cow::Borrowed(plain),
        Language::Script => script(plain),
        Language::Json => Cow::Owned(json_text::for_scripts(plain)),
        Language::Style => style(plain),
        Language::Document => Cow::Owned(html_text::escaped(plain)),
        Language::Url(check) if check.allows(plain, page) => Cow::Borrowed(plain),
        Language::Url(_) => {
            let mut quoted: String = plain.chars().take(QUOTED_CHARS_MAX).collect();
            if quoted.len() < plain.len() {
                quoted.push('…');
            }
            blocked = Some(quoted);
            Cow::Borrowed("#blocked")
        }
    };
    match markup {
        Markup::None => out.write(&text)?,
        Markup::Html => html_text::write(&text, out)?,
        Markup::Unquoted { quotes_if_empty: true } if text.is_empty() => out.write("\"\"")?,
        Markup::Unquoted { .. } => out.write(&unquoted(&text))?,
        // The value is never empty, so that the dashes before and after it cannot meet.
        Markup::Comment if text.is_empty() => out.write(" ")?,
        Markup::Comment => out.write(&html_text::escaped(&text).replace('-', "&#45;"))?,
    }
    Ok(blocked)
}

/// Writes everything except letters and digits as character references.
fn unquoted(text: &str) -> String {
    escape_each(text, is_plain, |c, into| {
        // NUL has no reference. A browser would show U+FFFD for it.
        let code = if c == '\0' { 0xfffd } else { u32::from(c) };
        let _ = write!(into, "&#{code};");
    })
}

/// Writes everything except letters, digits and spaces as `\uXXXX`, for use between quotes.
fn script(text: &str) -> Cow<'_, str> {
    let keep = |c| is_plain(c) || c == ' ';
    if text.chars().all(keep) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(escape_each(text, keep, |c, into| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(into, "\\u{unit:04x}");
        }
    }))
}

/// Writes everything except letters, digits, `#%.,-` and spaces as CSS escapes.
fn style(text: &str) -> Cow<'_, str> {
    let keep = |c| is_plain(c) || matches!(c, '#' | '%' | '.' | ',' | '-' | ' ');
    if text.chars().all(keep) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(escape_each(text, keep, |c, into| {
        let _ = write!(into, "\\{:x} ", u32::from(c));
    }))
}

fn is_plain(c: char) -> bool {
    c.is_alphabetic() || c.is_ascii_digit()
}

fn escape_each(text: &str, keep: impl Fn(char) -> bool, escape: impl Fn(char, &mut String)) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match keep(c) {
            true => escaped.push(c),
            false => escape(c, &mut escaped),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_all_but_known_characters_in_each_language() {
        let text = "aZ9 é-<\"'\\/\n😀";
        assert_eq!(script(text), r"aZ9 é\u002d\u003c\u0022\u0027\u005c\u002f\u000a\ud83d\ude00");
        assert_eq!(style(text), "aZ9 é-\\3c \\22 \\27 \\5c \\2f \\a \\1f600 ");
        assert_eq!(unquoted("a b\0"), "a&#32;b&#65533;");
        assert_eq!(html_text::escaped("<a b='c\"&é>"), "&lt;a b=&#39;c&quot;&amp;é&gt;");
    }
}
