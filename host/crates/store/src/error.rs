//! Errors of statements. They convert from the drivers' errors, and into the errors that
//! the traits of a store give.

use sluice_crm::{CrmFault, Refusal};
use sluice_kit::StoreError;

use crate::transfer::ImportFault;

/// Why a statement failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub(crate) struct SqlError(pub(crate) StoreError);

/// Why a statement of a CRM call failed, or which rule it broke.
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

impl From<SqlError> for CrmFault {
    fn from(error: SqlError) -> Self {
        Self::Store(error.0)
    }
}

impl From<rusqlite::Error> for ImportFault {
    fn from(error: rusqlite::Error) -> Self {
        SqlError::from(error).into()
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
            other => Self(StoreError::Failed(other.to_string())),
        }
    }
}
