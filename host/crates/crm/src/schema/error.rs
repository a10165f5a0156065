//! The errors of a `crm.toml`: the place, the problem, and a suggestion.

use std::ops::Range;

use sluice_text::suggest::nearest;

/// A mistake in a `crm.toml`, such as
/// `crm.toml:12:1: unknown key "slgu"; did you mean "slug"?`
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {}", self.text())]
pub struct SchemaError {
    /// The file's name, as it was given to the parser.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// One line, without the place.
    pub message: String,
    /// What was probably meant, or what is allowed.
    pub help: Option<String>,
    /// Whether the mistake is a key that does not exist.
    pub is_unknown_key: bool,
}

impl SchemaError {
    /// The message with the help: `unknown key "slgu"; did you mean "slug"?`.
    pub fn text(&self) -> String {
        match &self.help {
            Some(help) => format!("{}; {help}", self.message),
            None => self.message.clone(),
        }
    }
}

/// Why JSON does not declare an entity. `Display` names no place, because JSON that a script
/// passes has none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntityError {
    #[error(transparent)]
    NotToml(#[from] toml::ser::Error),
    #[error("{}", .0.text())]
    Schema(#[from] SchemaError),
    #[error("there is no entity")]
    Missing,
}

/// The text that is parsed.
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a str,
}

impl Source<'_> {
    pub(super) fn at(&self, span: Range<usize>, message: impl Into<String>) -> SchemaError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        SchemaError {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
            help: None,
            is_unknown_key: false,
        }
    }

    pub(super) fn toml(&self, error: &toml::de::Error) -> SchemaError {
        let span = error.span().unwrap_or(0..0);
        let message = error.message();
        let key = unknown(message, "field", "key");
        let is_unknown_key = key.is_some();
        match key.or_else(|| unknown(message, "variant", "name")) {
            Some((message, help)) => {
                SchemaError { help: Some(help), is_unknown_key, ..self.at(span, message) }
            }
            None => self.at(span, message.replace('\n', "; ")),
        }
    }
}

/// Serde's "unknown field `a`, expected one of `b`, `c`" in this program's words, and what
/// was probably meant. `None` if the message is another one.
fn unknown(message: &str, serde_noun: &str, noun: &str) -> Option<(String, String)> {
    let rest = message.strip_prefix(&format!("unknown {serde_noun} `"))?;
    let (word, rest) = rest.split_once('`')?;
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let help = match nearest(word, known.iter().copied()) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None => format!("known are {}", known.join(", ")),
    };
    Some((format!("unknown {noun} {word:?}"), help))
}
