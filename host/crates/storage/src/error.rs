//! Why a call failed, in types. The text is made where it is shown.

use std::fmt;

use serde_json::Value;

use sluice_kit::StoreError;

use super::{Area, Call};

/// What is wrong with a key or a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It has no characters.
    #[error("must not be empty")]
    Empty,
    /// It has too many characters.
    #[error("must have at most {chars_max} characters")]
    TooLong {
        /// The most that it may have.
        chars_max: usize,
    },
    /// It has a character that is not allowed.
    #[error("must consist of letters, digits and the characters _ . : -")]
    Characters,
}

/// What a script passed, as far as a message shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument(String);

/// The most characters of a text that a message shows.
const SHOWN_CHARS_MAX: usize = 60;

impl Argument {
    /// Describes an argument, without the content of arrays and objects.
    pub fn of(value: Option<&Value>) -> Self {
        Self(match value {
            None | Some(Value::Null) => "nothing".to_owned(),
            Some(Value::Bool(flag)) => flag.to_string(),
            Some(Value::Number(number)) => format!("the number {number}"),
            Some(Value::String(text)) => {
                let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
                if shown.len() < text.len() {
                    shown.push('…');
                }
                format!("\"{}\"", shown.escape_debug())
            }
            Some(Value::Array(_)) => "an array".to_owned(),
            Some(Value::Object(_)) => "an object".to_owned(),
        })
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a call failed. Messages are for the page's author and start with the call's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The script gets a `TypeError` with this message.
    #[error("{}: {mistake}", call.name(*area))]
    Type {
        /// The call.
        call: Call,
        /// `storage` or `cache`.
        area: Area,
        /// What is wrong with its arguments.
        mistake: Mistake,
    },
    /// The script gets a `RangeError` with this message.
    #[error("{}: {reached}", call.name(*area))]
    Range {
        /// The call.
        call: Call,
        /// `storage` or `cache`.
        area: Area,
        /// What was exceeded.
        reached: Reached,
    },
    /// The script gets an `Error` without details, which are for the operator.
    #[error(transparent)]
    Store(StoreError),
}

/// What is wrong with the arguments of a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// A key or namespace is not text.
    #[error("the {what} must be text, got {given}")]
    NotText {
        /// `key`, `namespace`, …
        what: &'static str,
        /// What was given.
        given: Argument,
    },
    /// A key or namespace is invalid.
    #[error("the {what} {error}, got {given}")]
    Key {
        /// `key`, `namespace`, …
        what: &'static str,
        /// What is wrong.
        error: KeyError,
        /// What was given.
        given: Argument,
    },
    /// The options are not an object.
    #[error("the options must be an object such as {{ namespace: \"orders\" }}, got {0}")]
    NoOptions(Argument),
    /// There is no such option.
    #[error("there is no option {given}; {help}")]
    NoSuchOption {
        /// What was given.
        given: Argument,
        /// What the script probably meant, or the options that there are.
        help: String,
    },
    /// A number is missing or out of bounds.
    #[error("the {what} must be {bounds}, got {given}")]
    Number {
        /// `ttl`, `amount`, …
        what: &'static str,
        /// What it may be.
        bounds: &'static str,
        /// What was given.
        given: Argument,
    },
    /// The script increments something else than a number.
    #[error("the value of \"{0}\" is not a number")]
    NotANumber(String),
    /// The sandbox asks for a call that there is not.
    #[error("there is no such call")]
    NoSuchCall,
}

/// What a call has exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reached {
    /// The sum of two numbers is not finite.
    #[error("the sum is larger than a number can be")]
    Number,
    /// `storage_value_bytes_max` or `cache_value_bytes_max`
    #[error("the value has {bytes} bytes as MessagePack; {quota} is {bytes_max}")]
    ValueBytes {
        /// Its size.
        bytes: usize,
        /// The quota.
        bytes_max: usize,
        /// The name of the quota.
        quota: &'static str,
    },
    /// A quota of the brand. `set` returns `false` then.
    #[error("the brand has no room for the value, because of {0}")]
    Brand(&'static str),
    /// The memory of the run.
    #[error("the result takes more memory than the run has left")]
    Memory,
}
