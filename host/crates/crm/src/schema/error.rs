//! Where a `crm.toml` is wrong, and what was probably meant.

use std::ops::Range;

use sluice_text::suggest::nearest;

/// `crm.toml:12:1: unknown key "slgu"; did you mean "slug"?`
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct SchemaError {
    /// As it was given to the parser.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// One line.
    pub message: String,
}

/// The text that is being read.
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
        }
    }

    pub(super) fn toml(&self, error: &toml::de::Error) -> SchemaError {
        let span = error.span().unwrap_or(0..0);
        let message = error.message();
        let message = unknown(message, "field", "key")
            .or_else(|| unknown(message, "variant", "name"))
            .unwrap_or_else(|| message.replace('\n', "; "));
        self.at(span, message)
    }
}

/// Serde's "unknown field `a`, expected one of `b`, `c`" in this program's words.
/// `None` where the message is another one.
fn unknown(message: &str, serde_noun: &str, noun: &str) -> Option<String> {
    let rest = message.strip_prefix(&format!("unknown {serde_noun} `"))?;
    let (word, rest) = rest.split_once('`')?;
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    Some(match nearest(word, known.iter().copied()) {
        Some(meant) => format!("unknown {noun} {word:?}; did you mean {meant:?}?"),
        None => format!("unknown {noun} {word:?}; known are {}", known.join(", ")),
    })
}
