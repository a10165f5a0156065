//! Parsing of TOML that somebody else wrote. The TOML library bounds how many tables a value nests and how many
//! parts a key has, but not both together, and whoever reads the result calls itself once for each level: a line of
//! 10 KB could overflow the stack. Used by `crm`, `site` and `check`.

use serde::de::{DeserializeOwned, Error as _};
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// How many tables and lists a value may be in, besides those that the head of its section names.
const LEVELS_MAX: usize = 32;

/// Parses a text.
///
/// # Errors
/// The text is not TOML, has other contents than `T`, or is nested too deeply.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, toml::de::Error> {
    match too_deep_at(text) {
        None => toml::from_str(text),
        Some(at) => {
            let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
            Err(toml::de::Error::custom(format_args!(
                "line {line} nests tables or lists deeper than {LEVELS_MAX} levels"
            )))
        }
    }
}

/// Where the first value is that is nested too deeply, in bytes. Every `.` counts as a level, in numbers too.
pub fn too_deep_at(text: &str) -> Option<usize> {
    // What each open bracket adds to the depth: itself, and the parts of its key.
    let mut open: Vec<usize> = Vec::new();
    let (mut depth, mut dots) = (0_usize, 0_usize);
    for token in Source::new(text).lex() {
        match token.kind() {
            TokenKind::Dot => dots += 1,
            TokenKind::Comma | TokenKind::Newline => dots = 0,
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                open.push(dots + 1);
                depth += dots + 1;
                dots = 0;
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                depth -= open.pop().unwrap_or(0);
                dots = 0;
            }
            _ => {}
        }
        if depth + dots > LEVELS_MAX {
            return Some(token.span().start());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value in `tables` tables, each of which is written as a key with `parts` parts.
    fn nested(tables: usize, parts: usize) -> String {
        let key = vec!["a"; parts].join(".");
        let value = (0..tables).fold("1".to_owned(), |value, _| format!("{{ {key} = {value} }}"));
        format!("x = 1.5\n[a.b] # {{{{\ny = ['[[', \"{{\\\"\", '''{{\n''']\nz = {value}\n")
    }

    #[test]
    fn deep_values_are_rejected_with_their_line() {
        for (tables, parts) in [(1, 31), (8, 4), (16, 2), (31, 1)] {
            parse::<toml::Table>(&nested(tables, parts)).unwrap();
        }
        for (tables, parts) in [(1, 40), (8, 5), (33, 1), (78, 75), (2, 200_000)] {
            let error = parse::<toml::Table>(&nested(tables, parts)).unwrap_err();
            assert_eq!(error.message(), "line 5 nests tables or lists deeper than 32 levels");
        }
        for text in ["x = [", "[[[[", "]]]", "}", "a.b.c.", "x = \"", "x = '''", "\u{0}", ""] {
            assert_eq!(too_deep_at(text), None, "{text}");
        }
        assert_eq!(too_deep_at(&"[".repeat(100_000)), Some(32));
        assert_eq!(too_deep_at(&"a.".repeat(100_000)), Some(65));
    }
}
