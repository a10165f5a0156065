//! Which call it is, who makes it, and how it can fail.

use serde_json::Value;

use super::CrmCaps;
use crate::store::StoreError;

/// A call by its name in scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `getCrmField`
    GetField,
    /// `getCrmFields`
    GetFields,
    /// `getCrmEntries`
    GetEntries,
    /// `setCrmField`
    SetField,
    /// `setCrmFields`
    SetFields,
}

impl Call {
    /// The global's name, with which every message starts.
    pub fn name(self) -> &'static str {
        match self {
            Self::GetField => "getCrmField",
            Self::GetFields => "getCrmFields",
            Self::GetEntries => "getCrmEntries",
            Self::SetField => "setCrmField",
            Self::SetFields => "setCrmFields",
        }
    }

    /// What the script gets where the call was refused.
    pub fn refused_value(self) -> Value {
        match self {
            Self::GetField | Self::GetFields => Value::Null,
            Self::GetEntries => Value::Array(Vec::new()),
            Self::SetField | Self::SetFields => Value::Bool(false),
        }
    }

    pub(super) fn type_error(self, what: impl std::fmt::Display) -> CrmError {
        CrmError::Type(format!("{}: {what}", self.name()))
    }

    pub(super) fn refused(self, what: impl std::fmt::Display) -> CrmError {
        CrmError::Refused(format!("{}: {what}", self.name()))
    }
}

/// Who makes a call, and when. Every part is the host's word, never the script's.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The brand that the page belongs to.
    pub brand: &'a str,
    /// The session's `customer_id`; `None` where nobody is logged in.
    pub customer_id: Option<&'a str>,
    /// Quotas in force for this run.
    pub caps: CrmCaps,
    /// Unix milliseconds.
    pub now_ms: i64,
}

/// Why a call did not do what it was asked. Messages are for the page's author and
/// start with the call's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrmError {
    /// The script gets a `TypeError` with this message.
    #[error("{0}")]
    Type(String),
    /// The script gets a `RangeError` with this message.
    #[error("{0}")]
    Range(String),
    /// The script gets [`Call::refused_value`]; this warning goes to the execution log.
    #[error("{0}")]
    Refused(String),
    /// The script gets an `Error` without details; these are for the operator.
    #[error(transparent)]
    Store(StoreError),
}
