//! Turns the driver's errors into the host's.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use sluice_crm::CrmFault;
use sluice_kit::StoreError;

use crate::error::{CrmSqlError, SqlError};

/// An error type whose database part can be looked at.
pub(super) trait Fault: From<StoreError> + From<SqlError> + Send + 'static {
    /// Whether the database, and not a rule, is why.
    fn is_of_store(&self) -> bool;
}

impl Fault for SqlError {
    fn is_of_store(&self) -> bool {
        true
    }
}

impl Fault for CrmSqlError {
    fn is_of_store(&self) -> bool {
        matches!(self.0, CrmFault::Store(_))
    }
}

/// The server's own sentence and its code. Its detail and hint are left out: they may
/// hold values.
impl From<Error> for SqlError {
    fn from(error: Error) -> Self {
        Self(match error.as_db_error() {
            Some(answer) => {
                let text = format!("{} (SQLSTATE {})", answer.message(), answer.code().code());
                if may_pass(answer) { StoreError::Unavailable(text) } else { StoreError::Failed(text) }
            }
            None if is_of_connection(&error) => StoreError::Unavailable(explain(&error)),
            None => StoreError::Failed(explain(&error)),
        })
    }
}

impl From<Error> for CrmSqlError {
    fn from(error: Error) -> Self {
        SqlError::from(error).into()
    }
}

fn explain(error: &Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn is_of_connection(error: &Error) -> bool {
    error.is_closed()
        || error.source().is_some_and(|cause| cause.is::<std::io::Error>())
        || error.to_string().starts_with("error connecting")
}

/// Whether trying again may help: by the class of the code, which is its first two
/// characters. PgBouncer's own errors are of class 08.
fn may_pass(answer: &DbError) -> bool {
    let code = answer.code();
    // Connection, transaction rollback (deadlock), resources, operator, system.
    let class = ["08", "40", "53", "57", "58"].contains(&code.code().get(..2).unwrap_or_default());
    class
        || [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            // A server that was the primary until now.
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ]
        .contains(code)
}

/// A column that does not hold what it must.
pub(super) fn corrupt(what: &'static str, why: &str) -> StoreError {
    StoreError::Corrupt { what, why: why.to_owned() }
}
