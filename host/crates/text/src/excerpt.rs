//! A line of an author's file with a mark under the place that is meant.

/// Longest part of a line that is shown, in characters.
const CHARS_MAX: usize = 120;

/// `line` with a caret under `column` (1-based, in characters), in two lines.
pub fn excerpt(line: &str, column: usize) -> String {
    let column = column.saturating_sub(1);
    let skipped = column.saturating_sub(CHARS_MAX / 2);
    let visible = line.chars().skip(skipped).take(CHARS_MAX);
    // What is left out is one blank for one character, so that the caret stays right.
    let shown: String = visible.map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{shown}\n{}^", " ".repeat(column - skipped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_under_the_column_in_long_lines_too() {
        assert_eq!(excerpt("ab\tc", 4), "ab c\n   ^");
        let long = "x".repeat(500);
        let shown = excerpt(&long, 400);
        let (line, mark) = shown.split_once('\n').unwrap();
        assert_eq!((line.len(), mark.len()), (CHARS_MAX, 61));
    }
}
