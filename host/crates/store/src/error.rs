//! Errors of statements, and how they become the errors that the store's traits return.
//!
//! `?` has to convert the drivers' errors, and such a conversion can only be written for types
//! of this crate. So each error of a trait has a counterpart here; see [`CallError::Sql`].

use sluice_crm::{CrmFault, Refusal};
use sluice_kit::{Cause, StoreError};
use sluice_session::storage::SessionError;

use crate::transfer::ImportFault;

/// An error that a call of a store returns.
pub(crate) trait CallError: From<Self::Sql> + From<StoreError> + Send + 'static {
    /// The error that the statements of such a call return.
    type Sql: Send + 'static;

    /// True if the database failed, false if a rule rejected the call.
    fn is_of_store(&self) -> bool;
}

impl CallError for StoreError {
    type Sql = SqlError;

    fn is_of_store(&self) -> bool {
        true
    }
}

impl CallError for CrmFault {
    type Sql = CrmSqlError;

    fn is_of_store(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

impl CallError for ImportFault {
    type Sql = Self;

    fn is_of_store(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

impl CallError for SessionError {
    type Sql = CommitSqlError;

    fn is_of_store(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

/// Why the changes of a request could not be committed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct CommitSqlError(pub(crate) SessionError);

impl From<SessionError> for CommitSqlError {
    fn from(error: SessionError) -> Self {
        Self(error)
    }
}

impl From<SqlError> for CommitSqlError {
    fn from(error: SqlError) -> Self {
        Self(error.0.into())
    }
}

impl From<CrmSqlError> for CommitSqlError {
    fn from(error: CrmSqlError) -> Self {
        Self(match error.0 {
            CrmFault::Store(error) => error.into(),
            fault => SessionError::Job(fault),
        })
    }
}

impl From<CommitSqlError> for SessionError {
    fn from(error: CommitSqlError) -> Self {
        error.0
    }
}

/// Why a statement failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub(crate) struct SqlError(pub(crate) StoreError);

/// Why a statement of a CRM call failed, or which rule of the CRM the call broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub(crate) struct CrmSqlError(pub(crate) CrmFault);

impl From<StoreError> for SqlError {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> Self {
        error.0
    }
}

impl From<SqlError> for ImportFault {
    fn from(error: SqlError) -> Self {
        Self::Store(error.0)
    }
}

impl From<StoreError> for CrmSqlError {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

impl From<SqlError> for CrmSqlError {
    fn from(error: SqlError) -> Self {
        error.0.into()
    }
}

impl From<CrmFault> for CrmSqlError {
    fn from(fault: CrmFault) -> Self {
        Self(fault)
    }
}

impl From<Refusal> for CrmSqlError {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.into())
    }
}

impl From<CrmSqlError> for CrmFault {
    fn from(error: CrmSqlError) -> Self {
        error.0
    }
}

impl From<CrmSqlError> for SqlError {
    /// For statements that no rule of the CRM can reject.
    fn from(error: CrmSqlError) -> Self {
        match error.0 {
            CrmFault::Store(error) => Self(error),
            other => Self(StoreError::Failed(Cause::of(other).into())),
        }
    }
}
