//! What the parser has against a script, in sentences that say what to do.

use std::ops::Range;

use sluice_page::diagnostic::Rule;

use super::Finding;

/// What to do about a message that begins so.
const REMEDIES: [(&str, &str); 14] = [
    (
        "Unterminated string",
        "close the text with the quote it begins with, on the same line; texts of several lines stand between backticks",
    ),
    ("Unterminated template", "close the text with a backtick"),
    ("Unterminated regular", "close the regular expression with `/` on the same line"),
    ("Unterminated multi", "close the comment with `*/`"),
    (
        "A 'return' statement",
        "put the code into a function, or use `if`; `redirect` and `response.json` end the run by themselves",
    ),
    (
        "Cannot assign to",
        "only variables and their members can be given a value; sessions have `session.set(key, value)`",
    ),
    ("Identifier expected", "take another name"),
    ("Invalid Character", "remove it, or put it into quotes"),
    ("Invalid characters after number", "names cannot begin with a digit"),
    ("Missing initializer in const", "give it a value, or declare it with `let`"),
    ("`await` is only allowed", "write `async` in front of the function"),
    ("Delete of an unqualified", "give it another value"),
    ("Illegal break", "`break` stands in a loop or a `switch`"),
    ("Illegal continue", "`continue` stands in a loop"),
];

/// One complaint, with every place that it names.
pub(super) fn finding(script: &str, message: &str, help: Option<&str>, places: &[Range<usize>]) -> Finding {
    // Of two declarations the second one is too much.
    let is_twice = message.ends_with("has already been declared");
    let (at, other) =
        if is_twice { (places.get(1), places.first()) } else { (places.first(), places.get(1)) };
    let span = at.or(other).cloned().unwrap_or(0..0);
    let opened = other.and_then(|place| opening(script, place));
    let remedy =
        REMEDIES.iter().find(|(start, _)| message.starts_with(start)).map(|(_, help)| (*help).to_owned());
    let (message, own_help) = reworded(script, message, &span, other);
    let help = own_help.or(opened).or(remedy).or_else(|| help.map(sentence));
    Finding { rule: Rule::Syntax, span: within_code(script, span), message, help }
}

/// The message with what was found instead of the parser's own terms.
fn reworded(
    script: &str,
    message: &str,
    span: &Range<usize>,
    first: Option<&Range<usize>>,
) -> (String, Option<String>) {
    let found = found(script, span.start);
    if message.starts_with("Invalid Character")
        && let Some(c) = script.get(span.start..).and_then(|rest| rest.chars().next())
        && matches!(c, '“' | '”' | '„' | '‘' | '’')
    {
        let help = "write a straight one, `\"` or `'`; word processors make others of them".to_owned();
        return (format!("`{c}` is no quote of JavaScript's"), Some(help));
    }
    if message == "Unexpected token" {
        let help = match found.as_str() {
            "`{`" if script.get(..span.start).is_some_and(|before| before.ends_with('{')) => Some(
                "templates have no meaning in scripts: read a variable with `getVariable(\"name\")`"
                    .to_owned(),
            ),
            "`}`" | "`)`" | "`]`" => {
                Some("something is missing in front of it, or it closes nothing".to_owned())
            }
            "the end of the script" => Some("something is missing at the end".to_owned()),
            _ => Some("something is missing in front of it, or it is too much".to_owned()),
        };
        return (format!("unexpected {found}"), help);
    }
    if message.starts_with("Expected a semicolon") {
        let message = match found.as_str() {
            "the end of the script" => "expected `;`".to_owned(),
            found => format!("expected `;` in front of {found}"),
        };
        return (
            message,
            Some("end the statement with `;`, or put an operator or a comma between the two".to_owned()),
        );
    }
    if let Some((expected, _)) = message.split_once(" but found ") {
        let expected = sentence(expected);
        let opened = first.and_then(|place| opening(script, place)).map(|close| format!(", or {close}"));
        let sign = expected.split('`').nth(1).unwrap_or_default();
        let is_end =
            found == "the end of the script" || expected.matches('`').count() == 2 && opened.is_some();
        let help = (!is_end).then(|| format!("put `{sign}` in front of it{}", opened.unwrap_or_default()));
        return (format!("{expected}, but there is {found}"), help);
    }
    if message.starts_with("Unexpected JSX") {
        let help = "HTML stands outside the script, or in quotes".to_owned();
        return ("this looks like HTML".to_owned(), Some(help));
    }
    if message.starts_with("Identifier expected") {
        return (format!("{found} is a reserved word, not a name"), None);
    }
    if message == "Unterminated string" && script.get(span.start..).is_some_and(|rest| rest.starts_with('`'))
    {
        return ("this text has no end".to_owned(), Some("close it with a backtick".to_owned()));
    }
    if message.ends_with("has already been declared")
        && let Some(first) = first
    {
        let line = script.get(..first.start).unwrap_or_default().matches('\n').count() + 1;
        return (
            format!("{}, on line {line}", sentence(message)),
            Some("take another name, or leave `let`, `const` or `var` away".to_owned()),
        );
    }
    (sentence(message), None)
}

/// What stands at a place: a word, or a sign.
fn found(script: &str, at: usize) -> String {
    let rest = script.get(at..).unwrap_or_default().trim_start();
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    match rest.chars().next() {
        None => "the end of the script".to_owned(),
        Some(c) if is_word(c) => {
            let word: String = rest.chars().take_while(|c| is_word(*c)).take(40).collect();
            format!("`{word}`")
        }
        Some('"' | '\'') => "a text".to_owned(),
        Some(c) => format!("`{c}`"),
    }
}

/// Which bracket waits for its end.
fn opening(script: &str, place: &Range<usize>) -> Option<String> {
    let c = script.get(place.start..)?.chars().next().filter(|c| matches!(c, '(' | '[' | '{'))?;
    let line = script.get(..place.start)?.matches('\n').count() + 1;
    Some(format!("close the `{c}` of line {line}"))
}

/// What is missing at the end is missing behind the last code.
fn within_code(script: &str, span: Range<usize>) -> Range<usize> {
    let end = script.trim_end().len();
    if span.start > end { end..end } else { span }
}

/// As the middle of a sentence: without a capital and without a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !chars.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}
