//! What `sluice test` prints: for people, or in a format that other programs read.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use sluice_sandbox::outcome::Failure;
use sluice_text::printable::printable;

use super::calls::Expectation;
use super::collected::Collected;
use super::outcome::{TestEnd, TestResult};
pub use super::shown::FileOf;
use super::shown::{console, pretty};

/// How many tests passed, failed and were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u32,
    /// Tests that failed.
    pub failed: u32,
    /// Tests that were not run.
    pub skipped: u32,
    /// Files that could not be run.
    pub broken: u32,
}

/// How results are printed. The comments of the variants are the command's help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text for people
    Pretty,
    /// The Test Anything Protocol (TAP), version 14
    Tap,
    /// JUnit's XML, for servers for continuous integration
    Junit,
    /// SARIF 2.1.0, for code hosts and editors: the tests that failed
    Sarif,
}

/// Counts results, and makes the text that is printed for each.
pub struct Report {
    format: Format,
    /// The results so far.
    pub counts: Counts,
    /// How many test points have been written; TAP numbers them.
    points: u32,
    /// What JUnit and SARIF print at the end.
    collected: Collected,
}

impl Report {
    /// A report without results.
    pub fn new(format: Format) -> Self {
        Self { format, counts: Counts::default(), points: 0, collected: Collected::default() }
    }

    /// The text before the first file.
    pub fn begin(&self) -> &'static str {
        match self.format {
            Format::Pretty | Format::Junit | Format::Sarif => "",
            Format::Tap => "TAP version 14\n",
        }
    }

    /// The text before a file's tests.
    pub fn file(&self, of: FileOf<'_>) -> String {
        match self.format {
            Format::Pretty => format!("{}/{}\n", of.brand, of.file),
            Format::Tap => format!("# {}/{}\n", of.brand, of.file),
            Format::Junit | Format::Sarif => String::new(),
        }
    }

    /// Counts a file that does not compile or has no tests, and returns its text.
    pub fn broken(&mut self, of: FileOf<'_>, failure: &Failure) -> String {
        self.counts.broken += 1;
        match self.format {
            Format::Pretty => format!("  FAIL the file cannot be run\n{}", pretty(of.dir, failure, None)),
            Format::Tap => {
                self.points += 1;
                format!("not ok {} - {}/{}\n{}", self.points, of.brand, of.file, yaml(failure, None))
            }
            Format::Junit | Format::Sarif => {
                self.collected.broken(of, failure);
                String::new()
            }
        }
    }

    /// Counts a test, and returns its text.
    pub fn test(&mut self, of: FileOf<'_>, end: &TestEnd) -> String {
        match end.result {
            TestResult::Passed => self.counts.passed += 1,
            TestResult::Skipped => self.counts.skipped += 1,
            TestResult::Failed { .. } => self.counts.failed += 1,
        }
        self.points += 1;
        match self.format {
            Format::Pretty => pretty_test(of, end),
            Format::Tap => self.tap_test(of, end),
            Format::Junit | Format::Sarif => {
                self.collected.test(of, end);
                String::new()
            }
        }
    }

    /// The text after the last file.
    pub fn end(&self, wall: Duration) -> String {
        match self.format {
            Format::Tap => format!("1..{}\n", self.points),
            Format::Junit => self.collected.junit(),
            Format::Sarif => self.collected.sarif(),
            Format::Pretty => {
                let Counts { passed, failed, skipped, broken } = self.counts;
                let count = |count: u32, what: &str| (count > 0).then(|| format!(", {count} {what}"));
                let rest = [
                    count(failed, "failed"),
                    count(skipped, "skipped"),
                    count(broken, if broken == 1 { "file cannot be run" } else { "files cannot be run" }),
                ];
                let rest: String = rest.into_iter().flatten().collect();
                format!("\n{passed} passed{rest} in {:.2} s\n", wall.as_secs_f64())
            }
        }
    }

    fn tap_test(&self, of: FileOf<'_>, end: &TestEnd) -> String {
        let name = format!("{}/{}: {}", of.brand, of.file, end.name);
        // In TAP, an unescaped `#` starts a directive.
        let name = printable(&name).replace('#', "\\#");
        let number = self.points;
        let mut out = match &end.result {
            TestResult::Passed => format!("ok {number} - {name}\n"),
            TestResult::Skipped => format!("ok {number} - {name} # SKIP\n"),
            TestResult::Failed { failure, expectation } => {
                format!("not ok {number} - {name}\n{}", yaml(failure, expectation.as_ref()))
            }
        };
        for line in console(&end.console) {
            let _ = writeln!(out, "# {line}");
        }
        out
    }
}

fn pretty_test(of: FileOf<'_>, end: &TestEnd) -> String {
    let name = printable(&end.name);
    let mut out = match &end.result {
        TestResult::Passed => format!("  ok   {name} ({:.1} ms)\n", end.wall.as_secs_f64() * 1e3),
        TestResult::Skipped => format!("  skip {name}\n"),
        TestResult::Failed { failure, expectation } => {
            format!("  FAIL {name}\n{}", pretty(of.dir, failure, expectation.as_ref()))
        }
    };
    for line in console(&end.console) {
        let _ = writeln!(out, "       {line}");
    }
    out
}

/// A YAML block of TAP. JSON scalars and lists are also valid YAML.
fn yaml(failure: &Failure, expectation: Option<&Expectation>) -> String {
    let mut out = String::from("  ---\n");
    let mut put = |key: &str, value: Value| {
        let _ = writeln!(out, "  {key}: {value}");
    };
    put("message", format!("{}: {}", failure.name, failure.message).into());
    if failure.line > 0 {
        put("at", format!("{}:{}:{}", failure.file, failure.line, failure.column).into());
    } else if !failure.file.is_empty() {
        put("at", failure.file.as_str().into());
    }
    if let Some(Expectation { expected, received }) = expectation {
        put("expected", expected.as_str().into());
        put("received", received.as_str().into());
    }
    let stack: Vec<&str> = failure.stack.lines().collect();
    if stack.len() > 1 {
        put("stack", stack.into());
    }
    out.push_str("  ...\n");
    out
}
