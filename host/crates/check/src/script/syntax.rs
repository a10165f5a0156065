//! Rewords the parser's complaints about a script so that they say what to do. The sentences
//! that are matched here are oxc's; it has no error codes.

use std::ops::Range;

use sluice_page::diagnostic::Rule;

use super::Finding;

/// The beginning of a complaint, and what to do about it.
const REMEDIES: [(&str, &str); 14] = [
    (
        "Unterminated string",
        "close the string on the same line with the quote that it begins with; a string of several lines needs backticks",
    ),
    ("Unterminated template", "close the string with a backtick"),
    ("Unterminated regular", "close the regular expression with `/` on the same line"),
    ("Unterminated multi", "close the comment with `*/`"),
    (
        "A 'return' statement",
        "put the code into a function, or use `if`; `redirect` and `response.json` end the run without `return`",
    ),
    (
        "Cannot assign to",
        "you can only assign to variables and their members; for sessions use `session.set(key, value)`",
    ),
    ("Identifier expected", "choose another name"),
    ("Invalid Character", "remove it, or put it into quotes"),
    ("Invalid characters after number", "a name cannot begin with a digit"),
    ("Missing initializer in const", "assign a value, or declare it with `let`"),
    ("`await` is only allowed", "write `async` before `function`, or before the arrow function's parameters"),
    ("Delete of an unqualified", "assign another value to it, such as `undefined`"),
    ("Illegal break", "use `break` only in a loop or a `switch`"),
    ("Illegal continue", "use `continue` only in a loop"),
];

/// Turns one complaint of the parser into a finding. `places` are the places that it names.
pub(super) fn finding(script: &str, message: &str, help: Option<&str>, places: &[Range<usize>]) -> Finding {
    // If a name is declared twice, the second declaration is the mistake.
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

/// A better message, which names what was found in the script, and a help text.
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
        let help = "use a straight quote, `\"` or `'`; word processors replace them".to_owned();
        return (format!("JavaScript does not accept `{c}` as a quote"), Some(help));
    }
    if message == "Unexpected token" {
        let help = match found.as_str() {
            "`{`" if script.get(..span.start).is_some_and(|before| before.ends_with('{')) => Some(
                "`{{ … }}` works in templates only: a script reads a variable with `getVariable(\"name\")`"
                    .to_owned(),
            ),
            "`}`" | "`)`" | "`]`" => {
                Some("add what is missing before it, or remove it if no bracket is open".to_owned())
            }
            "the end of the script" => Some("add what is missing at the end".to_owned()),
            _ => Some("add what is missing before it, or remove it".to_owned()),
        };
        return (format!("unexpected {found}"), help);
    }
    if message.starts_with("Expected a semicolon") {
        let message = match found.as_str() {
            "the end of the script" => "expected `;`".to_owned(),
            found => format!("expected `;` before {found}"),
        };
        return (
            message,
            Some("end the statement with `;`, or add the missing operator or comma".to_owned()),
        );
    }
    if let Some((expected, _)) = message.split_once(" but found ") {
        let expected = sentence(expected);
        let opened = first.and_then(|place| opening(script, place)).map(|close| format!(", or {close}"));
        let sign = expected.split('`').nth(1).unwrap_or_default();
        let is_end =
            found == "the end of the script" || expected.matches('`').count() == 2 && opened.is_some();
        let help = (!is_end).then(|| format!("put `{sign}` before it{}", opened.unwrap_or_default()));
        return (format!("{expected}, but found {found}"), help);
    }
    if message.starts_with("Unexpected JSX") {
        let help = "put HTML outside the script, or in quotes".to_owned();
        return ("scripts cannot contain HTML".to_owned(), Some(help));
    }
    if message.starts_with("Identifier expected") {
        return (format!("{found} is a reserved word, not a name"), None);
    }
    // After `${…}` a template literal goes on with `}`.
    let is_template = || script.get(span.start..).is_some_and(|rest| rest.starts_with(['`', '}']));
    if message == "Unterminated string" && is_template() {
        return ("unterminated string".to_owned(), Some("close it with a backtick".to_owned()));
    }
    if message.ends_with("has already been declared")
        && let Some(first) = first
    {
        let line = script.get(..first.start).unwrap_or_default().matches('\n').count() + 1;
        return (
            format!("{} on line {line}", sentence(message)),
            Some("choose another name, or remove `let`, `const` or `var` to assign a new value".to_owned()),
        );
    }
    (sentence(message), None)
}

/// The word or sign at a byte of the script.
fn found(script: &str, at: usize) -> String {
    let rest = script.get(at..).unwrap_or_default().trim_start();
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    match rest.chars().next() {
        None => "the end of the script".to_owned(),
        Some(c) if is_word(c) => {
            let word: String = rest.chars().take_while(|c| is_word(*c)).take(40).collect();
            format!("`{word}`")
        }
        Some('"' | '\'') => "a string".to_owned(),
        Some(c) => format!("`{c}`"),
    }
}

/// The help text for a place that is an opening bracket.
fn opening(script: &str, place: &Range<usize>) -> Option<String> {
    let c = script.get(place.start..)?.chars().next().filter(|c| matches!(c, '(' | '[' | '{'))?;
    let line = script.get(..place.start)?.matches('\n').count() + 1;
    Some(format!("close the `{c}` of line {line}"))
}

/// Moves a place after the end of the code to the end of the code.
fn within_code(script: &str, span: Range<usize>) -> Range<usize> {
    let end = script.trim_end().len();
    if span.start > end { end..end } else { span }
}

/// A complaint in the form of a message: without a capital letter and without a full stop.
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
