//! The author's files, positions in them, and errors that name these positions.

use thiserror::Error;

use sluice_text::excerpt::excerpt;

use crate::mistake::Mistake;

/// A byte offset in one of the files that a template consists of.
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

/// What is wrong and where. [`Sources::error`] turns it into a [`TemplateError`].
#[derive(Debug)]
pub(super) struct Problem {
    pub pos: Pos,
    pub mistake: Mistake,
}

impl Problem {
    pub(super) fn new(pos: Pos, mistake: impl Into<Mistake>) -> Problem {
        Problem { pos, mistake: mistake.into() }
    }
}

/// A parsed part of a file, or the problem that parsing found.
pub(super) type Checked<T> = Result<T, Problem>;

/// The author's files by number. They are kept so that errors during rendering can quote them.
#[derive(Debug, Default)]
pub(super) struct Sources {
    files: Vec<(String, String)>,
}

impl Sources {
    pub(super) fn add(&mut self, name: &str, text: &str) -> u32 {
        self.files.push((name.to_owned(), text.to_owned()));
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn text(&self, file: u32) -> &str {
        self.files.get(file as usize).map_or("", |(_, text)| text)
    }

    /// The name of a file.
    pub(super) fn name(&self, file: u32) -> &str {
        self.files.get(file as usize).map_or("", |(name, _)| name)
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
            message: problem.mistake.to_string(),
            suggestion: problem.mistake.suggestion().map(str::to_owned),
            help: problem.mistake.help().map(String::into_boxed_str),
            source_line: source_line.into(),
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

/// A mistake in a template, or a limit that a rendering exceeded, at the author's position.
///
/// It is for the operator and the author and must not be shown to visitors.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}:{column}: {}", self.text())]
pub struct TemplateError {
    /// The author's file, as given to `compile` or by [`Includes`](crate::Includes).
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong, without the suggestion.
    pub message: String,
    /// The known name that the author probably meant.
    pub suggestion: Option<String>,
    /// What to do about it, if neither the message nor the suggestion says so.
    pub help: Option<Box<str>>,
    source_line: Box<str>,
}

impl TemplateError {
    /// The message with the suggestion: `there is no filter "uper" (did you mean "upper"?)`.
    pub fn text(&self) -> String {
        match &self.suggestion {
            Some(name) => format!("{} (did you mean \"{name}\"?)", self.message),
            None => self.message.clone(),
        }
    }

    /// The source line, and a line with a caret under the column.
    pub fn excerpt(&self) -> String {
        excerpt(&self.source_line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_characters_from_one() {
        let mut sources = Sources::default();
        let file = sources.add("pages/a.html", "one\nzwölf {{\r\n");
        let error = sources.error(Problem::new(Pos::new(file, 11), Mistake::EmptyOutput));
        assert_eq!(error.to_string(), "pages/a.html:2:7: there is nothing between {{ and }}");
        assert_eq!(error.excerpt(), "zwölf {{\n      ^");
    }

    #[test]
    fn clamps_a_position_past_the_end_of_the_file() {
        let mut sources = Sources::default();
        let file = sources.add("a", "x");
        assert_eq!(sources.place(Pos::new(file, 99)), "a:1:2");
        assert_eq!(sources.place(Pos::new(7, 0)), ":1:1");
    }
}
