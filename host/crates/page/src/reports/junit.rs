//! JUnit's XML, as Jenkins, GitLab and most other servers for continuous integration read it.

use std::fmt::Write as _;

use sluice_text::printable::printable_lines;

/// The tests of a file.
pub struct Suite {
    /// The name of the suite.
    pub name: String,
    /// The file; empty if there is none.
    pub file: String,
    /// The tests, in order.
    pub cases: Vec<Case>,
}

/// A test that has ended.
pub struct Case {
    /// The test's name.
    pub name: String,
    /// Its line in the file; 0 if it is unknown.
    pub line: u32,
    /// How long it took.
    pub seconds: f64,
    /// How it ended.
    pub end: End,
    /// What it printed.
    pub output: String,
}

/// How a test ended.
pub enum End {
    /// It passed.
    Passed,
    /// It did not run, for this reason.
    Skipped(String),
    /// It failed.
    Failed {
        /// The class of the failure.
        kind: String,
        /// One sentence.
        message: String,
        /// The message and all details.
        text: String,
    },
}

/// How many tests there are, and how they ended.
#[derive(Default, Clone, Copy)]
struct Counts {
    tests: usize,
    failures: usize,
    skipped: usize,
    seconds: f64,
}

impl Counts {
    fn of<'a>(cases: impl Iterator<Item = &'a Case>) -> Self {
        cases.fold(Self::default(), |counts, case| Self {
            tests: counts.tests + 1,
            failures: counts.failures + usize::from(matches!(case.end, End::Failed { .. })),
            skipped: counts.skipped + usize::from(matches!(case.end, End::Skipped(_))),
            seconds: counts.seconds + case.seconds,
        })
    }

    fn attributes(self) -> String {
        let Self { tests, failures, skipped, seconds } = self;
        format!(
            "tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{seconds:.3}\""
        )
    }
}

/// Suites as an XML document.
pub fn junit(name: &str, suites: &[Suite]) -> String {
    let all = Counts::of(suites.iter().flat_map(|suite| &suite.cases));
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = writeln!(out, "<testsuites name=\"{}\" {}>", escaped(name), all.attributes());
    for suite in suites {
        let counts = Counts::of(suite.cases.iter()).attributes();
        let _ = writeln!(out, "  <testsuite name=\"{}\" {counts}>", escaped(&suite.name));
        suite.cases.iter().for_each(|case| out.push_str(&of_case(suite, case)));
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn of_case(suite: &Suite, case: &Case) -> String {
    let mut out = format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
        escaped(&suite.name),
        escaped(&case.name),
        case.seconds
    );
    if !suite.file.is_empty() {
        let _ = write!(out, " file=\"{}\"", escaped(&suite.file));
    }
    if case.line > 0 {
        let _ = write!(out, " line=\"{}\"", case.line);
    }
    let mut inside = match &case.end {
        End::Passed => String::new(),
        End::Skipped(reason) if reason.is_empty() => "      <skipped/>\n".to_owned(),
        End::Skipped(reason) => format!("      <skipped message=\"{}\"/>\n", escaped(reason)),
        End::Failed { kind, message, text } => format!(
            "      <failure type=\"{}\" message=\"{}\">{}</failure>\n",
            escaped(kind),
            escaped(message),
            escaped(text)
        ),
    };
    if !case.output.is_empty() {
        let _ = writeln!(inside, "      <system-out>{}</system-out>", escaped(&case.output));
    }
    match inside.as_str() {
        "" => out.push_str("/>\n"),
        inside => {
            let _ = write!(out, ">\n{inside}    </testcase>\n");
        }
    }
    out
}

/// Escapes text for an attribute or an element. XML has no escape for control characters, so they are
/// shown as in the terminal.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in printable_lines(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
