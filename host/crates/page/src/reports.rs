//! Results of checks and tests in the formats that other programs read: SARIF 2.1.0 and JUnit's XML.

mod junit;
mod sarif;

pub use junit::{Case, End, Suite, junit};
pub use sarif::{Level, RuleOfTool, SarifResult, sarif};

use crate::diagnostic::{Diagnostic, Rule, Severity};

/// What diagnostics are called in reports.
const TOOL: &str = "sluice check";
/// Where authors read about rules.
const DOCS: &str = "docs/errors";

/// Diagnostics as a SARIF log with one run.
pub fn sarif_of_diagnostics(all: &[Diagnostic]) -> String {
    let rules = Rule::ALL.iter().map(|rule| RuleOfTool {
        id: rule.code(),
        description: rule.description(),
        help: format!("{DOCS}/{}.md#{}", rule.kind().name(), rule.code()),
        level: level(rule.severity()),
    });
    let results: Vec<SarifResult> = all
        .iter()
        .map(|one| SarifResult {
            rule: one.rule.code(),
            level: level(one.severity),
            message: with_help(one),
            file: one.file.clone(),
            start: (one.line, one.column),
            end: one.end.map(|end| (end.line, end.column)),
        })
        .collect();
    sarif(TOOL, rules.collect(), &results)
}

/// Diagnostics as JUnit's XML: a suite for each file with a failure for each error. Warnings count as
/// skipped tests, unless they are `denied`.
pub fn junit_of_diagnostics(all: &[Diagnostic], denied: bool) -> String {
    let mut suites: Vec<Suite> = Vec::new();
    for one in all {
        let (name, text) = (place(one), with_help(one));
        let end = match one.severity {
            Severity::Warning if !denied => End::Skipped(text),
            _ => {
                let text = one.excerpt.iter().fold(text, |text, excerpt| format!("{text}\n{excerpt}"));
                End::Failed { kind: one.rule.code().to_owned(), message: one.message.clone(), text }
            }
        };
        let case = Case { name, line: one.line, seconds: 0.0, end, output: String::new() };
        match suites.last_mut().filter(|suite| suite.file == one.file) {
            Some(suite) => suite.cases.push(case),
            None => suites.push(Suite { name: one.file.clone(), file: one.file.clone(), cases: vec![case] }),
        }
    }
    if suites.is_empty() {
        // Some programs report a file without any test as a failure.
        let name = "no mistakes".to_owned();
        let case = Case { name, line: 0, seconds: 0.0, end: End::Passed, output: String::new() };
        suites.push(Suite { name: TOOL.to_owned(), file: String::new(), cases: vec![case] });
    }
    junit(TOOL, &suites)
}

fn level(severity: Severity) -> Level {
    match severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warning,
    }
}

fn with_help(one: &Diagnostic) -> String {
    let help = one.help.iter().map(|help| format!("\n{help}"));
    std::iter::once(one.message.clone()).chain(help).collect()
}

/// `2:3 unknown-global`
fn place(one: &Diagnostic) -> String {
    let code = one.rule.code();
    match (one.line, one.column) {
        (0, _) => code.to_owned(),
        (line, 0) => format!("{line} {code}"),
        (line, column) => format!("{line}:{column} {code}"),
    }
}

#[cfg(test)]
mod tests;
