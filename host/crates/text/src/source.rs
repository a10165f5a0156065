//! An author's file, and how positions in what was compiled lead back to it.

use std::ops::Range;

use serde::Serialize;

/// 1-based line and column; columns count characters, as editors do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// The text of a page or module file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Relative to the brand's folder, with `/`.
    pub file: String,
    pub text: String,
}

impl Source {
    /// The position of a byte of the file.
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let before = self.text.get(..offset).unwrap_or_default();
        // No editor shows a byte order mark.
        let text_start = if before.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let line_start = before.rfind('\n').map_or(text_start, |at| at + 1);
        Position {
            line: saturate(before.matches('\n').count() + 1),
            column: saturate(before.get(line_start..).unwrap_or_default().chars().count() + 1),
        }
    }

    /// The line at `position`, without its line break.
    pub fn line(&self, position: Position) -> Option<&str> {
        self.text.lines().nth((position.line as usize).checked_sub(1)?)
    }

    /// The author's position for one that QuickJS reports on
    /// [`Source::script`]. QuickJS counts bytes, starts the first line at
    /// column 0, and breaks lines at U+2028 and U+2029, too.
    pub fn author_position(&self, script: &str, line: u32, column: u32) -> Position {
        self.position(self.author_offset(script, line, column))
    }

    /// The same as a byte of the file.
    pub fn author_offset(&self, script: &str, line: u32, column: u32) -> usize {
        let column = if line == 1 { column } else { column.saturating_sub(1) };
        quickjs_line_start(script, line) + column as usize
    }

    /// The JavaScript in `blocks`, each byte where it stands in the file and
    /// everything else blank. A line break closes each block: that ends a `//`
    /// comment, and blocks behave as if one stood between them.
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
        // Blocks start and end at tags, so they are whole characters.
        String::from_utf8(out).unwrap_or_default()
    }

    /// The file with `holes` filled so that positions stay and nothing of them
    /// is readable: NUL for every character but line breaks.
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

/// Stands for each character of a hole; no page may contain it otherwise.
pub const HOLE: char = '\0';

/// Byte offset at which QuickJS begins to count `line`.
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
    fn positions_count_characters() {
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
    fn quickjs_positions_become_the_authors() {
        let page = source("<p>ü</p><script>'ü'; bad</script>\n<script>x;\u{2028}y</script>");
        let blocks = [17..26, 44..50];
        let script = page.script(&blocks);
        assert_eq!(script.len(), page.text.len());
        let bad = script.find("bad").unwrap();
        assert_eq!(page.author_position(&script, 1, bad as u32), Position { line: 1, column: 22 });
        // The end of the first block is a line break of its own for QuickJS.
        let y = script.find('y').unwrap();
        let quickjs_line_start = script.find('\u{2028}').unwrap() + 3;
        let column = (y - quickjs_line_start + 1) as u32;
        assert_eq!(page.author_position(&script, 4, column), Position { line: 2, column: 12 });
    }

    #[test]
    fn holes_keep_lines_and_hide_everything_else() {
        let page = source("a<s>ü\nb</s>c");
        assert_eq!(page.with_holes(std::slice::from_ref(&(1..12))), "a\0\0\0\0\n\0\0\0\0\0c");
    }
}
