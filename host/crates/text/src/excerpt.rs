//! Shows a line of an author's file with a caret under one column. Error messages
//! about pages, templates and settings use it.

/// At most this many characters of a line are shown.
const CHARS_MAX: usize = 120;

/// Returns `line` and, on a second line, a caret under `column` (1-based, in characters).
/// A long line is cut so that the column stays visible.
pub fn excerpt(line: &str, column: usize) -> String {
    let column = column.saturating_sub(1);
    let skipped = column.saturating_sub(CHARS_MAX / 2);
    let visible = line.chars().skip(skipped).take(CHARS_MAX);
    // Each control character becomes one blank, so that the caret keeps its column.
    let shown: String = visible.map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{shown}\n{}^", " ".repeat(column - skipped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caret_is_under_the_column_even_in_long_lines() {
        assert_eq!(excerpt("ab\tc", 4), "ab c\n   ^");
        let long = "x".repeat(500);
        let shown = excerpt(&long, 400);
        let (line, caret) = shown.split_once('\n').unwrap();
        assert_eq!((line.len(), caret.len()), (CHARS_MAX, 61));
    }
}
