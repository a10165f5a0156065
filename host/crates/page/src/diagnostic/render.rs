//! Prints diagnostics.

use std::fmt::Write as _;

use serde_json::json;

use sluice_text::printable::{printable, printable_json, printable_lines};

use super::{Diagnostic, Severity};

/// A diagnostic as text for people:
///
/// ```text
/// pages/index.html:3:5: error: `sesion` is not defined [unknown-global]
///     sesion.get("a");
///     ^
///   help: did you mean `session`?
/// ```
pub fn human(one: &Diagnostic) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(out, "{}", printable(&one.file));
    for number in [one.line, one.column].into_iter().take_while(|number| *number > 0) {
        let _ = write!(out, ":{number}");
    }
    let severity = severity(one.severity);
    let _ = write!(out, ": {severity}: {} [{}]", printable(&one.message), one.rule.code());
    for line in one.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
        let _ = write!(out, "\n    {}", printable(line));
    }
    if let Some(help) = &one.help {
        let _ = write!(out, "\n  help: {}", printable(help));
    }
    out
}

/// All diagnostics as one JSON object: `{"diagnostics": […], "errors": 1, "warnings": 0}`.
pub fn json(all: &[Diagnostic]) -> String {
    let (errors, warnings) = counts(all);
    printable_json(&json!({ "diagnostics": all, "errors": errors, "warnings": warnings }).to_string())
}

/// A diagnostic as one line that a GitHub workflow turns into an annotation next to the
/// code.
pub fn github(one: &Diagnostic) -> String {
    let mut places = vec![format!("file={}", property(&printable(&one.file)))];
    let end = one.end.filter(|end| end.line == one.line);
    for (name, number) in
        [("line", one.line), ("col", one.column), ("endColumn", end.map_or(0, |end| end.column))]
    {
        if number > 0 {
            places.push(format!("{name}={number}"));
        }
    }
    places.push(format!("title={}", property(one.rule.code())));
    let help = one.help.iter().map(|help| format!("\n{help}"));
    let text: String = std::iter::once(one.message.clone()).chain(help).collect();
    format!("::{} {}::{}", severity(one.severity), places.join(","), data(&printable_lines(&text)))
}

/// The number of errors and warnings: `2 errors and 1 warning`. `None` if there are none.
pub fn summary(all: &[Diagnostic]) -> Option<String> {
    let count = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        many => Some(format!("{many} {what}s")),
    };
    let (errors, warnings) = counts(all);
    let parts: Vec<String> =
        [count(errors, "error"), count(warnings, "warning")].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}

fn counts(all: &[Diagnostic]) -> (usize, usize) {
    let errors = all.iter().filter(|one| one.is_error()).count();
    (errors, all.len() - errors)
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Escapes the text of an annotation.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of an annotation.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::*;
    use sluice_text::source::Source;

    fn one() -> Diagnostic {
        let source = Source { file: "pages/ü,:%.html".into(), text: "<p>\r\n\tsesion.get(1)\r\n".into() };
        let found = Diagnostic::at(Rule::UnknownGlobal, &source, 6..12, "`sesion` is not defined: 100%\n");
        found.help("did you mean `session`?")
    }

    #[test]
    fn text_has_position_line_and_help() {
        assert_eq!(
            human(&one()),
            "pages/ü,:%.html:2:2: error: `sesion` is not defined: 100%\\n [unknown-global]\n     \
             sesion.get(1)\n     ^\n  help: did you mean `session`?"
        );
        let file = Diagnostic::of_file(Rule::File, "a", "is a link").below("./b/");
        assert_eq!(human(&file), "b/a: error: is a link [file]");
    }

    #[test]
    fn annotations_escape_separators() {
        assert_eq!(
            github(&one()),
            "::error file=pages/ü%2C%3A%25.html,line=2,col=2,endColumn=8,title=unknown-global::`sesion` \
             is not defined: 100%25%0A%0Adid you mean `session`?"
        );
    }

    #[test]
    fn json_has_every_field() {
        let text: serde_json::Value = serde_json::from_str(&json(&[one()])).unwrap();
        assert_eq!(text["errors"], 1);
        let expected = json!({
            "severity": "error", "code": "unknown-global", "file": "pages/ü,:%.html", "line": 2, "column": 2,
            "end": { "line": 2, "column": 8 }, "message": "`sesion` is not defined: 100%\n",
            "help": "did you mean `session`?", "excerpt": " sesion.get(1)\n ^",
        });
        assert_eq!(text["diagnostics"][0], expected);
    }

    #[test]
    fn summary_counts_errors_and_warnings() {
        assert_eq!(summary(&[]), None);
        let warning = Diagnostic::of_file(Rule::UnmatchedPath, "a", "b");
        assert_eq!(summary(&[one(), one(), warning]).as_deref(), Some("2 errors and 1 warning"));
    }
}
