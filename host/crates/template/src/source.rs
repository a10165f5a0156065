//! Author files, positions in them, and the errors that name those positions.

use thiserror::Error;

use sluice_text::excerpt::excerpt;

/// A byte offset in one of the files a template was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pos {
    pub file: u32,
    pub at: u32,
}

impl Pos {
    pub(super) fn new(file: u32, at: usize) -> Pos {
        Pos { file, at: u32::try_from(at).unwrap_or(u32::MAX) }
    }

    pub(super) fn plus(self, bytes: usize) -> Pos {
        Pos::new(self.file, (self.at as usize).saturating_add(bytes))
    }
}

/// What is wrong and where; becomes a [`TemplateError`] once the file table is at hand.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub pos: Pos,
    pub message: String,
}

impl Problem {
    pub(super) fn new(pos: Pos, message: impl Into<String>) -> Problem {
        Problem { pos, message: message.into() }
    }
}

pub(super) type Checked<T> = Result<T, Problem>;

/// The author's files by number, kept so that errors at render time can still quote them.
#[derive(Debug, Default)]
pub(super) struct Sources {
    files: Vec<(String, String)>,
}

impl Sources {
    pub(super) fn add(&mut self, name: &str, text: &str) -> u32 {
        self.files.push((name.to_owned(), text.to_owned()));
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn text(&self, file: u32) -> &str {
        self.files.get(file as usize).map_or("", |(_, text)| text)
    }

    /// `file:line:column` of a position.
    pub(super) fn place(&self, pos: Pos) -> String {
        let (file, line, column, _) = self.locate(pos);
        format!("{file}:{line}:{column}")
    }

    pub(super) fn error(&self, problem: Problem) -> TemplateError {
        let (file, line, column, source_line) = self.locate(problem.pos);
        TemplateError {
            file: file.to_owned(),
            line,
            column,
            message: problem.message,
            source_line: source_line.to_owned(),
        }
    }

    fn locate(&self, pos: Pos) -> (&str, usize, usize, &str) {
        let Some((name, text)) = self.files.get(pos.file as usize) else {
            return ("", 1, 1, "");
        };
        let mut at = (pos.at as usize).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let (before, after) = text.split_at(at);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(start..).unwrap_or("").chars().count() + 1;
        let end = at + after.find('\n').unwrap_or(after.len());
        let source_line = text.get(start..end).unwrap_or("");
        (name, line, column, source_line.trim_end_matches('\r'))
    }
}

/// A mistake in a template, or a limit that a rendering met, at the author's position.
///
/// For the operator and the author: a visitor is never shown it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct TemplateError {
    /// The author's file, as given to `compile` or by [`Includes`](crate::Includes).
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    pub message: String,
    source_line: String,
}

impl TemplateError {
    /// The source line with a caret under the column, in two lines.
    pub fn excerpt(&self) -> String {
        excerpt(&self.source_line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let mut sources = Sources::default();
        let file = sources.add("pages/a.html", "one\nzwölf {{\r\n");
        let error = sources.error(Problem::new(Pos::new(file, 11), "no end"));
        assert_eq!(error.to_string(), "pages/a.html:2:7: no end");
        assert_eq!(error.excerpt(), "zwölf {{\n      ^");
    }

    #[test]
    fn a_position_past_the_end_is_the_end() {
        let mut sources = Sources::default();
        let file = sources.add("a", "x");
        assert_eq!(sources.place(Pos::new(file, 99)), "a:1:2");
        assert_eq!(sources.place(Pos::new(7, 0)), ":1:1");
    }
}
