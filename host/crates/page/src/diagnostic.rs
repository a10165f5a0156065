//! A mistake in a site, in its author's terms, and the ways to print it: as text, as JSON,
//! and as annotations for GitHub workflows.

mod render;
mod rule;

use std::path::Path;

use serde::Serialize;

pub use render::{github, human, json, summary};
pub use rule::{Kind, Rule};

use sluice_sandbox::outcome::Failure;
use sluice_template::TemplateError;
use sluice_text::excerpt::excerpt;
use sluice_text::source::{Position, Source};

/// How serious a mistake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The site cannot work like this.
    Error,
    /// The site probably does not do what its author wants.
    Warning,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How serious the mistake is.
    pub severity: Severity,
    /// The rule that the mistake breaks. In JSON it is the rule's code.
    #[serde(rename = "code")]
    pub rule: Rule,
    /// The file, relative to the brand's folder. [`Diagnostic::below`] makes it relative to
    /// a folder further up.
    pub file: String,
    /// 1-based; 0 if the mistake concerns the whole file.
    pub line: u32,
    /// 1-based, in characters; 0 if the mistake concerns the whole line or file.
    pub column: u32,
    /// The position after the last character that the mistake concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Position>,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The line of the file, and a second line with a caret under the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

impl Diagnostic {
    /// A mistake that concerns a whole file.
    pub fn of_file(rule: Rule, file: &str, message: impl Into<String>) -> Self {
        Self {
            severity: rule.severity(),
            rule,
            file: file.to_owned(),
            line: 0,
            column: 0,
            end: None,
            message: message.into(),
            help: None,
            excerpt: None,
        }
    }

    /// A mistake at a range of bytes of a file.
    pub fn at(rule: Rule, source: &Source, span: std::ops::Range<usize>, message: impl Into<String>) -> Self {
        let end = (span.end > span.start).then(|| source.position(span.end));
        Self { end, ..Self::at_position(rule, source, source.position(span.start), message) }
    }

    /// A mistake at a position of a file.
    pub fn at_position(rule: Rule, source: &Source, place: Position, message: impl Into<String>) -> Self {
        let line = source.line(place);
        Self {
            line: place.line,
            column: place.column,
            excerpt: line.map(|line| excerpt(line.trim_end_matches('\r'), place.column as usize)),
            ..Self::of_file(rule, &source.file, message)
        }
    }

    /// The reason why a script does not compile. `source` is the file that the failure
    /// names.
    pub fn of_failure(rule: Rule, failure: &Failure, source: Option<&Source>) -> Self {
        let place = Position { line: failure.line, column: failure.column };
        match source.filter(|_| failure.line > 0) {
            Some(source) => Self::at_position(rule, source, place, &failure.message),
            None => Self::of_file(rule, &failure.file, &failure.message),
        }
    }

    /// The reason why a template does not compile.
    pub fn of_template(error: &TemplateError) -> Self {
        let near = error.suggestion.as_ref().map(|name| format!("did you mean \"{name}\"?"));
        Self {
            line: u32::try_from(error.line).unwrap_or(u32::MAX),
            column: u32::try_from(error.column).unwrap_or(u32::MAX),
            excerpt: Some(error.excerpt()),
            help: near.or_else(|| error.help.as_deref().map(str::to_owned)),
            ..Self::of_file(Rule::Template, &error.file, &error.message)
        }
    }

    /// Adds a help text.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a help text, if there is one.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Makes the file relative to the folder that contains `folder`: `pages/index.html`
    /// becomes `brands/demo/pages/index.html`.
    #[must_use]
    pub fn below(mut self, folder: &str) -> Self {
        let folder = folder.trim_start_matches("./").trim_end_matches('/');
        if !matches!(folder, "" | ".") {
            self.file = format!("{folder}/{}", self.file);
        }
        self
    }

    /// Makes the files of all diagnostics relative to the folder that contains `folder`.
    pub fn all_below(all: Vec<Self>, folder: &Path) -> Vec<Self> {
        let folder = folder.display().to_string();
        all.into_iter().map(|one| one.below(&folder)).collect()
    }

    /// Whether it is an error and not a warning.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Sorts diagnostics by file and position, and removes duplicates.
    pub fn sort(all: &mut Vec<Self>) {
        let place = |one: &Self| (one.file.clone(), one.line, one.column, one.rule, one.message.clone());
        all.sort_by_cached_key(place);
        all.dedup();
    }
}

/// Prints one line, for the log.
impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().take_while(|number| *number > 0) {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.message)?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
    }
}
