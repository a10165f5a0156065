//! An author's file, and the conversion of positions in the compiled script back to
//! positions in that file. Whatever reports a mistake in a file uses it.

use std::ops::Range;

use serde::Serialize;

/// A place in a file, counted as editors do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
}

/// The text of a page or module file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Path relative to the brand's folder, with `/` as separator.
    pub file: String,
    /// The whole file.
    pub text: String,
}

impl Source {
    /// Converts a byte offset in the file to a position. An offset past the end counts as
    /// the end.
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let before = self.text.get(..offset).unwrap_or_default();
        // Editors do not show a byte order mark.
        let text_start = if before.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let line_start = before.rfind('\n').map_or(text_start, |at| at + 1);
        Position {
            line: saturate(before.matches('\n').count() + 1),
            column: saturate(before.get(line_start..).unwrap_or_default().chars().count() + 1),
        }
    }

    /// Returns the line at `position` without its line break, or `None` if the file is
    /// shorter.
    pub fn line(&self, position: Position) -> Option<&str> {
        self.text.lines().nth((position.line as usize).checked_sub(1)?)
    }

    /// Converts a position that QuickJS reports for [`Source::script`] to a position in
    /// the file. QuickJS counts bytes, starts the first line at column 0, and also breaks
    /// lines at U+2028 and U+2029.
    pub fn author_position(&self, script: &str, line: u32, column: u32) -> Position {
        self.position(self.author_offset(script, line, column))
    }

    /// Does the same as [`Source::author_position`], but returns a byte offset.
    pub fn author_offset(&self, script: &str, line: u32, column: u32) -> usize {
        let column = if line == 1 { column } else { column.saturating_sub(1) };
        quickjs_line_start(script, line) + column as usize
    }

    /// Returns the JavaScript in `blocks`. Each byte keeps its offset in the file, and
    /// everything outside the blocks becomes blanks. A line break follows each block, so
    /// that a `//` comment at its end does not reach into the next block.
    pub fn script(&self, blocks: &[Range<usize>]) -> String {
        let mut out: Vec<u8> =
            self.text.bytes().map(|byte| if byte == b'\n' { byte } else { b' ' }).collect();
        for block in blocks {
            if let (Some(out), Some(code)) =
                (out.get_mut(block.clone()), self.text.as_bytes().get(block.clone()))
            {
                out.copy_from_slice(code);
            }
            if let Some(after) = out.get_mut(block.end) {
                *after = b'\n';
            }
        }
        // Blocks start and end at tags, so no character is cut.
        String::from_utf8(out).unwrap_or_default()
    }

    /// Returns the file with every character inside `holes` replaced by [`HOLE`]. Line
    /// breaks stay, so that lines and columns do not change.
    pub fn with_holes(&self, holes: &[Range<usize>]) -> String {
        let mut out = String::with_capacity(self.text.len());
        let mut at = 0;
        for hole in holes {
            out.push_str(self.text.get(at..hole.start).unwrap_or_default());
            let hidden = self.text.get(hole.clone()).unwrap_or_default();
            out.extend(hidden.chars().map(|c| if c == '\n' { c } else { HOLE }));
            at = hole.end;
        }
        out.push_str(self.text.get(at..).unwrap_or_default());
        out
    }
}

/// Replaces each character of a hole. A page that contains this character itself is rejected.
pub const HOLE: char = '\0';

/// The byte offset at which `line` starts, as QuickJS counts lines.
fn quickjs_line_start(script: &str, line: u32) -> usize {
    let breaks = script.char_indices().filter(|(at, c)| match c {
        '\n' | '\u{2028}' | '\u{2029}' => true,
        '\r' => !script.get(at + 1..).is_some_and(|rest| rest.starts_with('\n')),
        _ => false,
    });
    match line.checked_sub(2) {
        None => 0,
        Some(index) => breaks.map(|(at, c)| at + c.len_utf8()).nth(index as usize).unwrap_or(script.len()),
    }
}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source { file: "pages/x.html".into(), text: text.into() }
    }

    #[test]
    fn columns_count_characters() {
        let source = source("aü\n😀b");
        let at = |offset| {
            let Position { line, column } = source.position(offset);
            (line, column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(3), (1, 3));
        assert_eq!(at(4), (2, 1));
        assert_eq!(at(8), (2, 2));
        assert_eq!(at(99), (2, 3));
    }

    #[test]
    fn converts_quickjs_positions_to_file_positions() {
        let page = source("<p>ü</p><script>'ü'; bad</script>\n<script>x;\u{2028}y</script>");
        let blocks = [17..26, 44..50];
        let script = page.script(&blocks);
        assert_eq!(script.len(), page.text.len());
        let bad = script.find("bad").unwrap();
        assert_eq!(page.author_position(&script, 1, bad as u32), Position { line: 1, column: 22 });
        // The line break that `script` puts after the first block counts for QuickJS.
        let y = script.find('y').unwrap();
        let quickjs_line_start = script.find('\u{2028}').unwrap() + 3;
        let column = (y - quickjs_line_start + 1) as u32;
        assert_eq!(page.author_position(&script, 4, column), Position { line: 2, column: 12 });
    }

    #[test]
    fn holes_hide_everything_but_line_breaks() {
        let page = source("a<s>ü\nb</s>c");
        assert_eq!(page.with_holes(std::slice::from_ref(&(1..12))), "a\0\0\0\0\n\0\0\0\0\0c");
    }
}
