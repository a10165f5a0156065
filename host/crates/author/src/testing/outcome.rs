//! How a test ended, and why.

use std::time::Duration;

use sluice_page::failures::ScriptFiles;
use sluice_sandbox::RunReport;
use sluice_sandbox::outcome::{ConsoleLog, Failure};

use super::calls::Expectation;

/// A test that has ended.
pub struct TestEnd {
    pub name: String,
    pub result: TestResult,
    pub console: ConsoleLog,
    /// Of the test itself; its requests have budgets of their own.
    pub fuel: u64,
    pub wall: Duration,
}

pub enum TestResult {
    Passed,
    Skipped,
    Failed { failure: Failure, expectation: Option<Expectation> },
}

/// Why a file has no tests to run.
pub enum FileProblem {
    /// The author's mistake.
    Author(Box<Failure>),
    Host(anyhow::Error),
}

impl From<Failure> for FileProblem {
    fn from(failure: Failure) -> Self {
        Self::Author(Box::new(failure))
    }
}

impl From<anyhow::Error> for FileProblem {
    fn from(error: anyhow::Error) -> Self {
        Self::Host(error)
    }
}

impl TestEnd {
    pub fn skipped(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            result: TestResult::Skipped,
            console: ConsoleLog::default(),
            fuel: 0,
            wall: Duration::ZERO,
        }
    }
}

/// What is known of a test when its run has ended.
pub struct Ended {
    /// Where it is declared: the first frame of the stack.
    pub declared: Failure,
    pub failed: Option<Expectation>,
    pub has_passed: bool,
    pub wall: Duration,
}

impl Ended {
    pub fn judge(self, name: &str, report: RunReport, files: &ScriptFiles) -> TestEnd {
        let place = frame_place(&self.declared.stack);
        let failure = match report.failure {
            Some(failure) => {
                let mut failure = files.in_author_terms(failure);
                // The library's frames tell an author nothing.
                let own = failure.stack.lines().filter(|frame| !frame.contains("(sluice:"));
                failure.stack = own.collect::<Vec<_>>().join("\n");
                if failure.file.is_empty() || failure.file.starts_with("sluice:") {
                    put_at(&mut failure, place.clone());
                }
                Some(failure)
            }
            None if report.effects.stop.is_some() => Some(stopped(place.clone())),
            None if !self.has_passed => {
                let mut failure = Failure::new("TestError", "the test's file ended before the test had");
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
        TestEnd {
            name: name.to_owned(),
            result,
            console: report.effects.console,
            fuel: report.fuel,
            wall: self.wall,
        }
    }
}

type Place = (String, u32, u32);

/// What a test is told that called `redirect` and the like itself.
pub fn stopped(place: Option<Place>) -> Failure {
    let mut failure = Failure::new(
        "TestError",
        "response.json, response.send or redirect ended the test, as it ends a page; \
         make the request with visit() and look at its answer",
    );
    put_at(&mut failure, place);
    failure
}

fn put_at(failure: &mut Failure, place: Option<Place>) {
    if let Some((file, line, column)) = place {
        (failure.file, failure.line, failure.column) = (file, line, column);
    }
}

/// File, line and column of a stack frame.
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
    fn frames_have_places() {
        let place = |frame: &str| frame_place(frame);
        let expected = Some(("modules/a.test.js".to_owned(), 3, 7));
        assert_eq!(place("at <anonymous> (modules/a.test.js:3:7)"), expected);
        assert_eq!(place("    at modules/a.test.js:3:7"), expected);
        assert_eq!(place("at native"), None);
    }
}
