//! A mistake in a site, in its author's terms, and how it is shown: for people, as
//! JSON, and as annotations of GitHub's.

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

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot work.
    Error,
    /// It is probably not what was meant.
    Warning,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Which rule it breaks; in JSON the rule's code.
    #[serde(rename = "code")]
    pub rule: Rule,
    /// As the author knows it: below the brand's folder, until [`Diagnostic::below`].
    pub file: String,
    /// 1-based; 0 where the whole file is meant.
    pub line: u32,
    /// 1-based, in characters; 0 where the whole line or file is meant.
    pub column: u32,
    /// Behind the last character that is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Position>,
    /// What is wrong: one sentence without a full stop.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The line with a caret under the column, in two lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

impl Diagnostic {
    /// A mistake in a whole file.
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

    /// A mistake in the bytes `span` of a file.
    pub fn at(rule: Rule, source: &Source, span: std::ops::Range<usize>, message: impl Into<String>) -> Self {
        let end = (span.end > span.start).then(|| source.position(span.end));
        Self { end, ..Self::at_position(rule, source, source.position(span.start), message) }
    }

    /// A mistake at a place of a file.
    pub fn at_position(rule: Rule, source: &Source, place: Position, message: impl Into<String>) -> Self {
        let line = source.line(place);
        Self {
            line: place.line,
            column: place.column,
            excerpt: line.map(|line| excerpt(line.trim_end_matches('\r'), place.column as usize)),
            ..Self::of_file(rule, &source.file, message)
        }
    }

    /// What keeps a script from compiling; `source` is the file that it names.
    pub fn of_failure(rule: Rule, failure: &Failure, source: Option<&Source>) -> Self {
        let place = Position { line: failure.line, column: failure.column };
        match source.filter(|_| failure.line > 0) {
            Some(source) => Self::at_position(rule, source, place, &failure.message),
            None => Self::of_file(rule, &failure.file, &failure.message),
        }
    }

    /// What keeps a template from compiling.
    pub fn of_template(error: &TemplateError) -> Self {
        Self {
            line: u32::try_from(error.line).unwrap_or(u32::MAX),
            column: u32::try_from(error.column).unwrap_or(u32::MAX),
            excerpt: Some(error.excerpt()),
            help: error.suggestion.as_ref().map(|name| format!("did you mean \"{name}\"?")),
            ..Self::of_file(Rule::Template, &error.file, &error.message)
        }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With the help, if there is any.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// The same as named from outside `folder`.
    #[must_use]
    pub fn below(mut self, folder: &str) -> Self {
        let folder = folder.trim_start_matches("./").trim_end_matches('/');
        if !matches!(folder, "" | ".") {
            self.file = format!("{folder}/{}", self.file);
        }
        self
    }

    /// All of them as named from where `folder` is.
    pub fn all_below(all: Vec<Self>, folder: &Path) -> Vec<Self> {
        let folder = folder.display().to_string();
        all.into_iter().map(|one| one.below(&folder)).collect()
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// By file and place; what is the same in every respect once.
    pub fn sort(all: &mut Vec<Self>) {
        let place = |one: &Self| (one.file.clone(), one.line, one.column, one.rule, one.message.clone());
        all.sort_by_cached_key(place);
        all.dedup();
    }
}

/// In one line, for the log.
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
