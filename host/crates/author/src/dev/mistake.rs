//! A mistake as the author sees it: its place, its message, and the lines around it.

use std::path::Path;

use serde::Serialize;

use sluice_check as check;
use sluice_kit::folder::FolderPath;
use sluice_page::diagnostic::Diagnostic;
use sluice_sandbox::outcome::Failure;
use sluice_site::files;
use sluice_site::load::PageProblem;

/// How many lines are shown before and after the marked line.
const LINES_AROUND: usize = 2;
/// How much of a line is shown, in characters.
const LINE_CHARS_MAX: usize = 160;

/// One mistake. The browser's script reads its JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Mistake {
    /// The error's class, such as `TypeError`. Empty if the message needs none.
    pub(super) name: String,
    pub(super) message: String,
    /// Relative to the brand's folder, or for settings to the site's folder. Empty if unknown.
    pub(super) file: String,
    /// 1-based; 0 if unknown.
    pub(super) line: u32,
    /// 1-based, in characters; 0 if unknown.
    pub(super) column: u32,
    pub(super) excerpt: Vec<ExcerptLine>,
    /// One frame a line.
    pub(super) stack: String,
    /// Says which version is served meanwhile.
    pub(super) note: String,
}

/// A line of the author's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ExcerptLine {
    pub(super) number: u32,
    pub(super) text: String,
    /// How many characters of `text` are before the mark. `None` on lines without one.
    pub(super) mark: Option<usize>,
}

impl Mistake {
    /// The mistake that keeps a page from compiling.
    pub(super) fn of_page(problem: &PageProblem, brand_dir: &FolderPath) -> Self {
        let kept = "The last version without this mistake is served.";
        let note = if problem.kept { kept.to_owned() } else { String::new() };
        let failure = check::explained(problem.failure.clone(), brand_dir);
        Self { note, ..Self::of_failure(&failure, brand_dir) }
    }

    /// The error of a run or of a template. The lines around it are read from the file now.
    pub(super) fn of_failure(failure: &Failure, brand_dir: &FolderPath) -> Self {
        let Failure { name, message, file, line, column, stack, .. } = failure.clone();
        let excerpt = lines_around(brand_dir, &file, line, column);
        Self { name, message, file, line, column, excerpt, stack, note: String::new() }
    }

    /// The error of a run of an older version, because the file does not compile now. The lines
    /// around it are left out: the file has changed.
    pub(super) fn of_kept(failure: &Failure) -> Self {
        let Failure { name, message, file, line, column, stack, .. } = failure.clone();
        let note = "This error is from the last version that compiles; its line may have moved since.";
        let note = note.to_owned();
        Self { name, message, file, line, column, excerpt: Vec::new(), stack, note }
    }

    /// A mistake in settings. Its file is relative to the site's folder.
    pub(super) fn of_diagnostic(found: &Diagnostic, site_dir: &Path) -> Self {
        let Diagnostic { file, line, column, message, help, .. } = found.clone();
        // sluice.toml may contain a database password, which must not get into a page.
        let is_shown = file != "sluice.toml";
        let excerpt = if is_shown {
            lines_around(&FolderPath::root(site_dir), &file, line, column)
        } else {
            Vec::new()
        };
        let help = help.map(|help| format!("; {help}")).unwrap_or_default();
        let message = format!("{message}{help}");
        let note = "The last version without this mistake is served.".to_owned();
        Self { name: String::new(), message, file, line, column, excerpt, stack: String::new(), note }
    }

    /// A finding of the check. `file` is its file relative to the brand's folder.
    pub(super) fn of_finding(found: &Diagnostic, file: &str, site_dir: &Path) -> Self {
        let name = if found.is_error() { "error" } else { "warning" };
        let placed = Self::of_diagnostic(found, site_dir);
        Self { name: name.to_owned(), file: file.to_owned(), note: String::new(), ..placed }
    }

    /// A mistake without a place, in settings or a folder.
    pub(super) fn of_sentence(message: &str) -> Self {
        Self { message: message.to_owned(), ..Self::default() }
    }

    /// Whether both have the same place and the same message.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let what = |mistake: &Self| (mistake.file.clone(), mistake.line, mistake.message.clone());
        what(self) == what(other)
    }

    /// `pages/index.html:3:5`; empty if unknown.
    pub(super) fn place(&self) -> String {
        match (self.file.as_str(), self.line) {
            (file, 0) => file.to_owned(),
            (file, line) => format!("{file}:{line}:{}", self.column),
        }
    }

    /// A JSON array on one line, for the browser's script.
    pub(super) fn to_json(mistakes: &[Self]) -> String {
        // Text and numbers can always be written as JSON.
        serde_json::to_string(mistakes).unwrap_or_default()
    }
}

/// The lines around a place in a file below `dir`. Empty if the line is unknown, or the file
/// cannot be read.
fn lines_around(dir: &FolderPath, file: &str, line: u32, column: u32) -> Vec<ExcerptLine> {
    let source = if line > 0 { files::read(dir, file).ok() } else { None };
    source.map(|source| excerpt(&source.text, line, column)).unwrap_or_default()
}

fn excerpt(text: &str, line: u32, column: u32) -> Vec<ExcerptLine> {
    let index = (line as usize).saturating_sub(1);
    let first = index.saturating_sub(LINES_AROUND);
    let lines = text.lines().enumerate().skip(first).take(index + LINES_AROUND + 1 - first);
    // A long line is cut so that the mark is in the middle of what is shown.
    let before = (column as usize).saturating_sub(1);
    let cut = before.saturating_sub(LINE_CHARS_MAX / 2);
    let shown = |text: &str| {
        let part = text.chars().skip(cut).take(LINE_CHARS_MAX);
        part.map(|c| if c.is_control() { ' ' } else { c }).collect::<String>()
    };
    lines
        .map(|(at, text)| ExcerptLine {
            number: u32::try_from(at + 1).unwrap_or(u32::MAX),
            text: shown(text),
            mark: (at == index && column > 0).then_some(before - cut),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpt_shows_the_lines_around_the_mark() {
        let shown = excerpt("one\ntwo\nthr\tee\nfour\nfive\nsix", 3, 5);
        let numbers: Vec<u32> = shown.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
        assert_eq!((shown[2].text.as_str(), shown[2].mark), ("thr ee", Some(4)));
        assert_eq!(shown[1].mark, None);
        assert_eq!(excerpt("only", 1, 1).len(), 1);
        assert_eq!(excerpt("only", 9, 1), []);
        let long = excerpt(&"x".repeat(500), 1, 400);
        assert_eq!((long[0].text.len(), long[0].mark), (LINE_CHARS_MAX, Some(LINE_CHARS_MAX / 2)));
    }
}
