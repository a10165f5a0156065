//! Results that are printed when all tests have ended: JUnit's XML and SARIF.

use sluice_page::reports::{Case, End, Level, RuleOfTool, SarifResult, Suite, junit, sarif};
use sluice_sandbox::outcome::Failure;

use super::calls::Expectation;
use super::outcome::{TestEnd, TestResult};
use super::shown::{FileOf, console, pretty};

const TOOL: &str = "sluice test";
/// The rules of SARIF's results.
const FAILED: &str = "test-failed";
const BROKEN: &str = "test-file";

/// The results so far. Secrets in them are masked.
#[derive(Default)]
pub(super) struct Collected {
    suites: Vec<Suite>,
    failures: Vec<SarifResult>,
}

impl Collected {
    /// Adds a file that cannot be run.
    pub(super) fn broken(&mut self, of: FileOf<'_>, failure: &Failure) {
        self.fail(of, BROKEN, "the file can be run", 0.0, failure, None, String::new());
    }

    /// Adds a test.
    pub(super) fn test(&mut self, of: FileOf<'_>, end: &TestEnd) {
        let (name, seconds) = (end.name.as_str(), end.wall.as_secs_f64());
        let output = console(&end.console).collect::<Vec<_>>().join("\n");
        let ended = match &end.result {
            TestResult::Passed => End::Passed,
            TestResult::Skipped => End::Skipped(String::new()),
            TestResult::Failed { failure, expectation } => {
                return self.fail(of, FAILED, name, seconds, failure, expectation.as_ref(), output);
            }
        };
        self.add(
            of,
            Case { name: masked(of, name), line: 0, seconds, end: ended, output: masked(of, &output) },
        );
    }

    #[allow(clippy::too_many_arguments, reason = "each of them is one part of the report")]
    fn fail(
        &mut self,
        of: FileOf<'_>,
        rule: &'static str,
        name: &str,
        seconds: f64,
        failure: &Failure,
        expectation: Option<&Expectation>,
        output: String,
    ) {
        let text = pretty(of.dir, failure, expectation);
        let text = text.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
        let (kind, message) = (masked(of, &failure.name), masked(of, &failure.message));
        let text = masked(of, &text);
        let file = if failure.file.is_empty() { of.file } else { failure.file.as_str() };
        self.failures.push(SarifResult {
            rule,
            level: Level::Error,
            message: format!("{}: {text}", masked(of, name)),
            file: path(of, file),
            start: (failure.line, failure.column),
            end: None,
        });
        let line = if file == of.file { failure.line } else { 0 };
        let end = End::Failed { kind, message, text };
        self.add(of, Case { name: masked(of, name), line, seconds, end, output: masked(of, &output) });
    }

    fn add(&mut self, of: FileOf<'_>, case: Case) {
        let file = path(of, of.file);
        match self.suites.last_mut().filter(|suite| suite.file == file) {
            Some(suite) => suite.cases.push(case),
            None => {
                self.suites.push(Suite { name: format!("{}/{}", of.brand, of.file), file, cases: vec![case] })
            }
        }
    }

    pub(super) fn junit(&self) -> String {
        junit(TOOL, &self.suites)
    }

    pub(super) fn sarif(&self) -> String {
        let rule = |id, description| RuleOfTool {
            id,
            description,
            help: "docs/testing.md".to_owned(),
            level: Level::Error,
        };
        let rules = vec![rule(FAILED, "A test that fails."), rule(BROKEN, "A test file that cannot be run.")];
        let mut text = sarif(TOOL, rules, &self.failures);
        text.push('\n');
        text
    }
}

/// A file of the brand, as the tools of its author name it.
fn path(of: FileOf<'_>, file: &str) -> String {
    let path = of.dir.path().join(file).display().to_string();
    path.trim_start_matches("./").to_owned()
}

fn masked(of: FileOf<'_>, text: &str) -> String {
    of.secrets.mask(text).into_owned()
}
