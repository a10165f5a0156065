//! Which entries a search looks for.

use std::cmp::Ordering;

use super::scalar::{Scalar, TEXT_KEY_BYTES};
use crate::FieldKey;

/// A value to compare with.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// `true` or `false`.
    Flag(bool),
    /// A finite number.
    Number(f64),
    /// A text.
    Text(String),
}

impl Operand {
    pub(super) fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Flag(flag) => Scalar::Flag(*flag),
            Self::Number(number) => Scalar::Number(*number),
            Self::Text(text) => Scalar::Text(text.as_bytes(), text.len()),
        }
    }

    /// Whether an index holds the whole value.
    pub(super) fn is_whole_in_index(&self) -> bool {
        !matches!(self, Self::Text(text) if text.len() > TEXT_KEY_BYTES)
    }

    fn length(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Flag(_) | Self::Number(_) => 0,
        }
    }
}

/// A condition for the value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The value is the same.
    Eq(Operand),
    /// The value is another one, or the entry does not have the field.
    Ne(Operand),
    /// The value is of the same type and less.
    Lt(Operand),
    /// The value is of the same type and not greater.
    Lte(Operand),
    /// The value is of the same type and greater.
    Gt(Operand),
    /// The value is of the same type and not less.
    Gte(Operand),
    /// The value is one of these.
    In(Vec<Operand>),
    /// The value is a text that starts with this one.
    StartsWith(String),
    /// The entry has the field, or does not have it.
    Exists(bool),
}

impl Test {
    fn holds(&self, value: Scalar<'_>) -> bool {
        let is = |operand: &Operand, fits: fn(Ordering) -> bool| value.compare(operand).is_some_and(fits);
        match self {
            Self::Eq(operand) => is(operand, Ordering::is_eq),
            Self::Ne(operand) => !is(operand, Ordering::is_eq),
            Self::Lt(operand) => is(operand, Ordering::is_lt),
            Self::Lte(operand) => is(operand, Ordering::is_le),
            Self::Gt(operand) => is(operand, Ordering::is_gt),
            Self::Gte(operand) => is(operand, Ordering::is_ge),
            Self::In(operands) => operands.iter().any(|operand| is(operand, Ordering::is_eq)),
            Self::StartsWith(start) => value.starts_with(start),
            Self::Exists(wanted) => (value != Scalar::Missing) == *wanted,
        }
    }

    /// The length of the longest text that it compares with.
    fn length(&self) -> usize {
        match self {
            Self::Eq(operand)
            | Self::Ne(operand)
            | Self::Lt(operand)
            | Self::Lte(operand)
            | Self::Gt(operand)
            | Self::Gte(operand) => operand.length(),
            Self::In(operands) => operands.iter().map(Operand::length).max().unwrap_or(0),
            Self::StartsWith(start) => start.len(),
            Self::Exists(_) => 0,
        }
    }
}

/// Conditions for an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All hold. None at all means every entry.
    All(Vec<Filter>),
    /// At least one holds.
    Any(Vec<Filter>),
    /// A condition for a field.
    Field(FieldKey, Test),
}

impl Filter {
    /// Matches every entry.
    pub fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// Whether it matches every entry.
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::All(filters) if filters.iter().all(Self::is_everything))
    }

    /// Adds the keys of its fields.
    pub(super) fn add_keys(&self, keys: &mut Vec<FieldKey>) {
        match self {
            Self::All(filters) | Self::Any(filters) => {
                filters.iter().for_each(|filter| filter.add_keys(keys));
            }
            Self::Field(key, _) if !keys.contains(key) => keys.push(key.clone()),
            Self::Field(..) => {}
        }
    }

    /// Whether an entry matches. `value` returns what the entry has for a field.
    pub(super) fn matches<'a>(&self, value: &impl Fn(&FieldKey) -> Scalar<'a>) -> bool {
        match self {
            Self::All(filters) => filters.iter().all(|filter| filter.matches(value)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(value)),
            Self::Field(key, test) => test.holds(value(key)),
        }
    }

    /// The length of the longest text that it compares with.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::All(filters) | Self::Any(filters) => filters.iter().map(Self::length).max().unwrap_or(0),
            Self::Field(_, test) => test.length(),
        }
    }
}
