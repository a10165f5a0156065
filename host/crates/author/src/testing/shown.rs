//! How failures and console lines of tests are shown to people.

use std::fmt::Write as _;

use sluice_kit::folder::FolderPath;
use sluice_sandbox::outcome::{ConsoleLog, Failure};
use sluice_sandbox::secrets::BrandSecrets;
use sluice_text::printable::printable;

use super::calls::Expectation;
use crate::source_line;

/// A file with tests.
#[derive(Clone, Copy)]
pub struct FileOf<'a> {
    /// The brand's id.
    pub brand: &'a str,
    /// The brand's folder.
    pub dir: &'a FolderPath,
    /// Relative to the brand's folder.
    pub file: &'a str,
    /// The secrets of the brand, which no report shows.
    pub secrets: &'a BrandSecrets,
}

pub(super) fn console(log: &ConsoleLog) -> impl Iterator<Item = String> + '_ {
    let lines = log.lines.iter();
    lines.flat_map(|line| line.text.lines().map(|text| format!("{}: {}", line.level.name(), printable(text))))
}

pub(super) fn pretty(dir: &FolderPath, failure: &Failure, expectation: Option<&Expectation>) -> String {
    let mut out = String::new();
    let mut block = |text: &str, indent: &str| {
        for line in text.lines() {
            let _ = writeln!(out, "       {indent}{}", printable(line));
        }
    };
    block(&failure.to_string(), "");
    if let Some(line) = source_line(dir, failure) {
        block(&line, "    ");
    }
    if let Some(Expectation { expected, received }) = expectation {
        block(&format!("expected: {expected}\nreceived: {received}"), "");
    }
    if failure.stack.lines().nth(1).is_some() {
        block(&failure.stack, "  ");
    }
    out
}
