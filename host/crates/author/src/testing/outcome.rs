//! How a test ended, and why.

use std::time::Duration;

use sluice_page::failures::ScriptFiles;
use sluice_sandbox::outcome::{ConsoleLog, Failure};
use sluice_sandbox::{RunReport, SandboxError};
use sluice_site::files::FileError;

pub use super::calls::Expectation;
use crate::scratch::ScratchError;

/// A test that has ended.
pub struct TestEnd {
    /// The test's name.
    pub name: String,
    /// Whether it passed.
    pub result: TestResult,
    /// What the test itself logged.
    pub console: ConsoleLog,
    /// The time that the test took, its requests included.
    pub wall: Duration,
}

/// The result of a test.
pub enum TestResult {
    /// The test ended without an error.
    Passed,
    /// The test was not run.
    Skipped,
    /// The test failed.
    Failed {
        /// The error, with its position in the author's files.
        failure: Failure,
        /// The expectation that does not hold, if that is what failed.
        expectation: Option<Expectation>,
    },
}

/// Why a file has no tests to run.
#[derive(Debug)]
pub enum FileProblem {
    /// The author's mistake.
    Author(Box<Failure>),
    /// The file could not be compiled or run for another reason.
    Host(HostError),
}

/// Why tests could not be run although the author made no mistake.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// No host could be started for the test.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The brand's folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FileError),
}

impl From<Failure> for FileProblem {
    fn from(failure: Failure) -> Self {
        Self::Author(Box::new(failure))
    }
}

impl From<HostError> for FileProblem {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl TestEnd {
    /// A test that was not run.
    pub(super) fn skipped(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            result: TestResult::Skipped,
            console: ConsoleLog::default(),
            wall: Duration::ZERO,
        }
    }
}

/// What is known about a test when its run has ended.
pub(super) struct Ended {
    /// The first stack frame is where the test is declared.
    pub(super) declared: Failure,
    pub(super) failed: Option<Expectation>,
    pub(super) has_passed: bool,
    pub(super) wall: Duration,
}

impl Ended {
    pub(super) fn judge(self, name: &str, report: RunReport, files: &ScriptFiles) -> TestEnd {
        let place = frame_place(&self.declared.stack);
        let failure = match report.failure {
            Some(failure) => {
                let mut failure = files.in_author_terms(failure);
                // Frames of the library do not help the author.
                let own = failure.stack.lines().filter(|frame| !frame.contains("(sluice:"));
                failure.stack = own.collect::<Vec<_>>().join("\n");
                if failure.file.is_empty() || failure.file.starts_with("sluice:") {
                    put_at(&mut failure, place.clone());
                }
                Some(failure)
            }
            None if report.effects.stop.is_some() => Some(stopped(place.clone())),
            None if !self.has_passed => {
                let mut failure = Failure::new("TestError", "the test file ended before the test had ended");
                put_at(&mut failure, place.clone());
                Some(failure)
            }
            None => None,
        };
        let result = match failure {
            None => TestResult::Passed,
            Some(failure) => {
                let expectation = self.failed.filter(|_| failure.name == "AssertionError");
                TestResult::Failed { failure, expectation }
            }
        };
        TestEnd { name: name.to_owned(), result, console: report.effects.console, wall: self.wall }
    }
}

/// File, line and column.
type Place = (String, u32, u32);

/// The failure of a test that itself called `redirect` or another function that ends a run.
pub(super) fn stopped(place: Option<Place>) -> Failure {
    let mut failure = Failure::new(
        "TestError",
        "response.json, response.send or redirect ended the test, as it would end a page; \
         make the request with visit() and check its response",
    );
    put_at(&mut failure, place);
    failure
}

fn put_at(failure: &mut Failure, place: Option<Place>) {
    if let Some((file, line, column)) = place {
        (failure.file, failure.line, failure.column) = (file, line, column);
    }
}

/// The place of a stack frame.
fn frame_place(frame: &str) -> Option<Place> {
    let frame = frame.trim();
    let place = match frame.strip_suffix(')') {
        Some(open) => open.rsplit_once('(')?.1,
        None => frame.strip_prefix("at ")?,
    };
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file.to_owned(), line.parse().ok()?, column.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_place_of_a_stack_frame() {
        let place = |frame: &str| frame_place(frame);
        let expected = Some(("modules/a.test.js".to_owned(), 3, 7));
        assert_eq!(place("at <anonymous> (modules/a.test.js:3:7)"), expected);
        assert_eq!(place("    at modules/a.test.js:3:7"), expected);
        assert_eq!(place("at native"), None);
    }
}
