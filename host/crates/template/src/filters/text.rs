//! Filters of text. They count characters, not UTF-16 units, so that none is ever halved.

use crate::budget::Budget;
use crate::convert::{Made, to_text};
use crate::escape::html_text;
use crate::value::Val;

/// First letter upper case, the rest lower case.
pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(lower(chars.as_str())).collect(),
        None => String::new(),
    }
}

/// The same for every word.
pub(super) fn title(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        match in_word {
            true => result.extend(c.to_lowercase()),
            false => result.extend(c.to_uppercase()),
        }
        in_word = c.is_alphanumeric() || (in_word && matches!(c, '\'' | '’'));
    }
    result
}

fn lower(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(char::to_lowercase)
}

/// Escaped, with `<br>` for line breaks; printed with `raw`.
pub(super) fn nl2br(text: &str) -> String {
    html_text(text).replace("\r\n", "<br>").replace(['\n', '\r'], "<br>")
}

/// Without tags and comments. What is left has no `<` that could begin one.
pub(super) fn strip_tags(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let begins_tag = c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?');
        // Also where a removed tag stood between the two.
        if begins_tag && kept.ends_with('<') {
            kept.pop();
            rest = after_tag(c, rest.as_str()).chars();
        } else {
            kept.push(c);
        }
    }
    kept
}

/// What follows a tag whose first character after `<` is given.
fn after_tag(first: char, rest: &str) -> &str {
    if first == '!'
        && let Some(comment) = rest.strip_prefix("--")
    {
        return comment.split_once("-->").map_or("", |(_, after)| after);
    }
    let mut quote = None;
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            (None, '>') => return rest.get(at + 1..).unwrap_or(""),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    ""
}

/// As JavaScript's `encodeURIComponent`.
pub(super) fn url_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => {
                encoded.push(char::from(byte));
            }
            _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// At most so many characters, and `...` in place of the rest.
pub(super) fn truncate(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or("")),
        None => text.to_owned(),
    }
}

/// At most so many words, and `...` in place of the rest.
pub(super) fn truncate_words(text: &str, words: usize) -> String {
    let mut seen = 0;
    let mut end = 0;
    let mut in_word = false;
    for (at, c) in text.char_indices() {
        if c.is_whitespace() {
            in_word = false;
            continue;
        }
        if !in_word {
            if seen == words {
                return format!("{}...", text.get(..end).unwrap_or(""));
            }
            seen += 1;
            in_word = true;
        }
        end = at + c.len_utf8();
    }
    text.to_owned()
}

/// Every occurrence of a text by another.
pub(super) fn replace<'a>(
    value: &Val<'_>,
    from: &Val<'_>,
    to: &Val<'_>,
    budget: &mut Budget,
) -> Made<Val<'a>> {
    if value.is_nullish() {
        return Ok(Val::Text(""));
    }
    let (value, from, to) = (to_text(value, budget)?, to_text(from, budget)?, to_text(to, budget)?);
    let text = |value: &Val<'_>| value.as_str().unwrap_or("").to_owned();
    let (value, from, to) = (text(&value), text(&from), text(&to));
    if from.is_empty() {
        budget.make(value.len())?;
        return Ok(Val::made(value));
    }
    budget.read(value.len())?;
    // The size is known before anything is made: a short text may replace to a huge one.
    let found = value.matches(from.as_str()).count();
    budget.make(value.len() + found.saturating_mul(to.len()))?;
    Ok(Val::made(value.replace(&from, &to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_stripped_and_none_can_form() {
        for (text, expected) in [
            ("<p>a <b class='x'>b</b></p>", "a b"),
            ("a<br/>b<!-- <i> -->c", "abc"),
            ("1 < 2 > 0 <3", "1 < 2 > 0 <3"),
            ("<a title=\">\">x</a>", "x"),
            ("<<b>script>alert(1)<</b>/script>", "alert(1)"),
            ("<<<<b>b>b>b>x", "x"),
            ("a<b", "a"),
            ("<!--x", ""),
            ("a<", "a<"),
        ] {
            assert_eq!(strip_tags(text), expected, "{text}");
        }
    }

    #[test]
    fn words_and_characters_are_counted() {
        for (text, n, by_char, by_word) in [
            ("The quick fox", 3, "The...", "The quick fox"),
            ("The quick fox", 0, "...", "..."),
            ("The quick fox", 13, "The quick fox", "The quick fox"),
            ("  a  b c", 2, "  ...", "  a  b..."),
            ("ö😀ü", 2, "ö😀...", "ö😀ü"),
            ("", 0, "", ""),
        ] {
            assert_eq!(truncate(text, n), by_char, "{text}");
            assert_eq!(truncate_words(text, n), by_word, "{text}");
        }
    }
}
