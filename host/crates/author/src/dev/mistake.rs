//! A mistake as its author is shown it: where, what, and the lines around it.

use std::path::Path;

use serde::Serialize;

use sluice_check as check;
use sluice_page::diagnostic::Diagnostic;
use sluice_sandbox::outcome::Failure;
use sluice_site::files;
use sluice_site::load::PageProblem;

/// Lines shown before and after the one that is meant.
const LINES_AROUND: usize = 2;
/// Longest part of a line that is shown, in characters.
const LINE_CHARS_MAX: usize = 160;

/// One mistake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// `TypeError`; empty where a sentence says everything.
    pub name: String,
    pub message: String,
    /// Relative to the brand's folder, settings to the site's; empty when unknown.
    pub file: String,
    /// 1-based; 0 when unknown.
    pub line: u32,
    pub column: u32,
    pub excerpt: Vec<ExcerptLine>,
    pub stack: String,
    /// What is served all the same.
    pub note: String,
}

/// A line of the author's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExcerptLine {
    pub number: u32,
    pub text: String,
    /// Where in `text` the mark stands: characters before it.
    pub mark: Option<usize>,
}

impl Mistake {
    /// What kept a page from compiling.
    pub fn of_page(problem: &PageProblem, brand_dir: &Path) -> Self {
        let kept = "The last version without this mistake is served.";
        let note = if problem.kept { kept.to_owned() } else { String::new() };
        let failure = check::explained(problem.failure.clone(), brand_dir);
        Self { note, ..Self::of_failure(&failure, brand_dir) }
    }

    /// What a run or a page failed of; the lines are read from its file as it is now.
    pub fn of_failure(failure: &Failure, brand_dir: &Path) -> Self {
        let Failure { name, message, file, line, column, stack, .. } = failure.clone();
        let excerpt = lines_around(brand_dir, &file, line, column);
        Self { name, message, file, line, column, excerpt, stack, note: String::new() }
    }

    /// What a run of a version failed of that is no longer in its file.
    pub fn of_kept(failure: &Failure) -> Self {
        let Failure { name, message, file, line, column, stack, .. } = failure.clone();
        let note = "The last version that compiles failed so; its line is that of before.".to_owned();
        Self { name, message, file, line, column, excerpt: Vec::new(), stack, note }
    }

    /// What is wrong with settings; files are named from the site's folder.
    pub fn of_diagnostic(found: &Diagnostic, site_dir: &Path) -> Self {
        let Diagnostic { file, line, column, message, help, .. } = found.clone();
        // What is in sluice.toml, a database's password perhaps, has no business in a page.
        let is_shown = file != "sluice.toml";
        let excerpt = if is_shown { lines_around(site_dir, &file, line, column) } else { Vec::new() };
        let help = help.map(|help| format!("; {help}")).unwrap_or_default();
        let message = format!("{message}{help}");
        let note = "What was served before is served on.".to_owned();
        Self { name: String::new(), message, file, line, column, excerpt, stack: String::new(), note }
    }

    /// What is wrong with settings or a folder.
    pub fn of_sentence(message: &str) -> Self {
        Self { message: message.to_owned(), ..Self::default() }
    }

    /// Whether both say the same of the same place.
    pub fn is_same(&self, other: &Self) -> bool {
        let what = |mistake: &Self| (mistake.file.clone(), mistake.line, mistake.message.clone());
        what(self) == what(other)
    }

    /// `pages/index.html:3:5`; empty when unknown.
    pub fn place(&self) -> String {
        match (self.file.as_str(), self.line) {
            (file, 0) => file.to_owned(),
            (file, line) => format!("{file}:{line}:{}", self.column),
        }
    }

    /// A list of them for the browser.
    pub fn to_json(mistakes: &[Self]) -> String {
        // Text and numbers are always JSON.
        serde_json::to_string(mistakes).unwrap_or_default()
    }
}

/// The lines around a place of a file below `dir`; none where it is not known.
fn lines_around(dir: &Path, file: &str, line: u32, column: u32) -> Vec<ExcerptLine> {
    let source = if line > 0 { files::read(dir, file).ok() } else { None };
    source.map(|source| excerpt(&source.text, line, column)).unwrap_or_default()
}

fn excerpt(text: &str, line: u32, column: u32) -> Vec<ExcerptLine> {
    let index = (line as usize).saturating_sub(1);
    let first = index.saturating_sub(LINES_AROUND);
    let lines = text.lines().enumerate().skip(first).take(index + LINES_AROUND + 1 - first);
    // A long line is cut on both sides of the mark.
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
    fn the_lines_around_are_shown() {
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
