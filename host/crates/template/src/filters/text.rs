//! Filters of text. They count characters and not UTF-16 units, so that they never split a
//! character.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::budget::{Budget, Limited};
use crate::convert::to_text;
use crate::html_text;
use crate::value::Val;

/// `capitalize`: the first letter in upper case, the rest in lower case.
pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(lower(chars.as_str())).collect(),
        None => String::new(),
    }
}

/// `title`: like [`capitalize`], for every word.
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

/// `nl2br`: escaped text with `<br>` for line breaks, to be printed with `raw`.
pub(super) fn nl2br(text: &str) -> String {
    html_text::escaped(text).replace("\r\n", "<br>").replace(['\n', '\r'], "<br>")
}

/// `strip_tags`: the text without tags and comments. The result has no `<` that could begin one.
pub(super) fn strip_tags(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let begins_tag = c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?');
        // This also applies if a removed tag stood between the two characters.
        if begins_tag && kept.ends_with('<') {
            kept.pop();
            rest = after_tag(c, rest.as_str()).chars();
        } else {
            kept.push(c);
        }
    }
    kept
}

/// The text after a tag; `first` is the tag's first character after `<`, `rest` follows it.
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

/// The ASCII characters that JavaScript's `encodeURIComponent` encodes.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// `url_encode`: as JavaScript's `encodeURIComponent`.
pub(super) fn url_encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// `truncate`: at most `length` characters, and `...` if more follow.
pub(super) fn truncate(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or("")),
        None => text.to_owned(),
    }
}

/// `truncatewords`: at most `words` words, and `...` if more follow.
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

/// `replace`: replaces every occurrence of `from` by `to`.
pub(super) fn replace<'a>(
    value: &Val<'_>,
    from: &Val<'_>,
    to: &Val<'_>,
    budget: &mut Budget,
) -> Limited<Val<'a>> {
    if value.is_nullish() {
        return Ok(Val::Text(""));
    }
    let (value, from, to) = (to_text(value, budget)?, to_text(from, budget)?, to_text(to, budget)?);
    let (text, from, to) =
        (value.as_str().unwrap_or(""), from.as_str().unwrap_or(""), to.as_str().unwrap_or(""));
    if from.is_empty() || from.len() > text.len() {
        budget.make(text.len())?;
        return Ok(Val::made(text));
    }
    // The search prepares itself with all of `from`, and takes place twice.
    budget.walk(text.len().saturating_add(from.len()))?;
    // The size is charged before the text is created: replacing may turn a short text into a huge one.
    let found = text.matches(from).count();
    budget.steps(found)?;
    budget.make(text.len().saturating_add(found.saturating_mul(to.len())))?;
    Ok(Val::made(text.replace(from, to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_tags_and_leaves_none_that_could_form() {
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
    fn encodes_what_javascript_encodes() {
        let kept = "AZaz09-_.!~*'()";
        assert_eq!(url_encode(kept), kept);
        assert_eq!(
            url_encode("\0 \"#$%&+,/:;<=>?@[\\]^`{|}\u{7f}é"),
            "%00%20%22%23%24%25%26%2B%2C%2F%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E%60%7B%7C%7D%7F%C3%A9"
        );
    }

    #[test]
    fn truncates_after_characters_or_words() {
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
