//! The errors of a `crm.toml`: the place, the problem, and a suggestion.

use std::ops::Range;

use sluice_text::suggest::nearest;

use super::{INDEXES_MAX, NAME_CHARS_MAX};
use crate::FieldKeyError;
use crate::names::quoted;

/// A mistake in a `crm.toml`, such as
/// `crm.toml:12:1: unknown key "slgu"; did you mean "slug"?`
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {}", mistake.with_help())]
pub struct SchemaError {
    /// The file's name, as it was given to the parser.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// The problem.
    pub mistake: SchemaMistake,
}

/// What is wrong at one place of a `crm.toml`. `Display` is one line, without the help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaMistake {
    /// There is no such key.
    #[error("unknown key {name:?}")]
    UnknownKey {
        /// What is in the file.
        name: String,
        /// The keys that are allowed there.
        known: Vec<String>,
    },
    /// There is no such mode or type.
    #[error("unknown name {name:?}")]
    UnknownName {
        /// What is in the file.
        name: String,
        /// The names that are allowed there.
        known: Vec<String>,
    },
    /// Another complaint of the TOML library, which has no other form than its message.
    #[error("{0}")]
    Toml(String),
    /// An entity of mode `data` has pipelines.
    #[error("entity {0:?} has mode \"data\", but pipelines need mode \"crm\"")]
    PipelinesOfData(String),
    /// A field key is invalid.
    #[error("key {0}")]
    Key(FieldKeyError),
    /// A colour would not be one in a style.
    #[error("color {} is neither #rgb, #rrggbb nor a colour's name", quoted(.0))]
    Color(String),
    /// A slug or a status has another character, or is too long.
    #[error("{what} {} does not match ^[a-z0-9][a-z0-9_-]*$ (at most 128 characters)", quoted(text))]
    Slug {
        /// The key in the file.
        what: &'static str,
        /// Its value.
        text: String,
    },
    /// Two things in a list have the same slug or key.
    #[error("{what} {name:?} is declared twice")]
    Twice {
        /// The kind of thing.
        what: &'static str,
        /// Its slug or key.
        name: String,
    },
    /// A field is unique, but has no index.
    #[error("a unique field needs its index; leave out \"index\", or set both to false")]
    UniqueWithoutIndex,
    /// An entity has too many indexes.
    #[error("entity {0:?} declares more than {INDEXES_MAX} fields with \"index\" or \"unique\"")]
    TooManyIndexes(String),
    /// A value has a number that JSON does not have.
    #[error("{0} must not contain nan or inf; write a number, or the word in quotes")]
    NotFinite(&'static str),
    /// A name or label is empty, too long, or has several lines.
    #[error("{0} must be one line of 1 to {NAME_CHARS_MAX} characters")]
    Name(&'static str),
}

impl SchemaMistake {
    /// What was probably meant, or what is allowed.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::UnknownKey { name, known } | Self::UnknownName { name, known } => {
                Some(match nearest(name, known.iter().map(String::as_str)) {
                    Some(meant) => format!("did you mean {meant:?}?"),
                    None => format!("the known names are {}", known.join(", ")),
                })
            }
            _ => None,
        }
    }

    /// The mistake with the help: `unknown key "slgu"; did you mean "slug"?`.
    fn with_help(&self) -> String {
        self.help().map_or_else(|| self.to_string(), |help| format!("{self}; {help}"))
    }
}

/// Why JSON does not declare an entity. `Display` names no place, because JSON that a script
/// passes has none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntityError {
    /// It cannot be written as TOML, whose rules apply to it.
    #[error(transparent)]
    NotToml(#[from] toml::ser::Error),
    /// It breaks a rule.
    #[error("{}", .0.mistake.with_help())]
    Schema(#[from] SchemaError),
    /// It is empty.
    #[error("there is no entity")]
    Missing,
}

/// The text that is parsed.
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a str,
}

impl Source<'_> {
    pub(super) fn at(&self, span: Range<usize>, mistake: SchemaMistake) -> SchemaError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        SchemaError {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            mistake,
        }
    }

    pub(super) fn toml(&self, error: &toml::de::Error) -> SchemaError {
        let span = error.span().unwrap_or(0..0);
        let message = error.message();
        let mistake = if let Some((name, known)) = unknown(message, "field") {
            SchemaMistake::UnknownKey { name, known }
        } else if let Some((name, known)) = unknown(message, "variant") {
            SchemaMistake::UnknownName { name, known }
        } else {
            SchemaMistake::Toml(message.replace('\n', "; "))
        };
        self.at(span, mistake)
    }
}

/// The names in serde's "unknown field `a`, expected one of `b`, `c`". `None` if the message is
/// another one.
fn unknown(message: &str, serde_noun: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix(&format!("unknown {serde_noun} `"))?;
    let (word, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2);
    Some((word.to_owned(), known.map(str::to_owned).collect()))
}
