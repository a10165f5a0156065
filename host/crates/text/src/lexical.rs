//! Finds where string literals and regular expressions of JavaScript end. The nesting
//! check of `sluice check` and the search for the place of a runtime error use it: neither
//! may call a parser that recurses.

/// Whether JavaScript ends a line at `c`.
pub fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// Returns the length in bytes of the string literal at the start of `rest`, with its
/// quotes. A literal that is not closed ends at the end of its line.
pub fn quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => {
                is_escaped = c == '\r' && rest.get(at + 1..).is_some_and(|rest| rest.starts_with('\n'))
            }
            '\\' => is_escaped = true,
            '\n' | '\r' => return at,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Returns the length in bytes of the regular expression at the start of `rest`, with its
/// slashes and without its flags, or `None` if it is not closed on its line.
pub fn regex_end(rest: &str) -> Option<usize> {
    let (mut is_escaped, mut in_class) = (false, false);
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_line_break(c) => return None,
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '/' if !in_class => return Some(at + 1),
            _ => {}
        }
    }
    None
}
