//! Converts the driver's errors.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use sluice_kit::{BadRow, Cause, StoreError};

use crate::error::{CrmSqlError, SqlError};

/// The text has the server's message and code, without its detail and hint, which may contain
/// values.
impl From<Error> for SqlError {
    fn from(error: Error) -> Self {
        Self(match error.as_db_error() {
            Some(answer) => {
                let text = format_args!("{} (SQLSTATE {})", answer.message(), answer.code().code());
                let cause = Cause::of(text);
                match is_temporary(answer) {
                    true => StoreError::Unavailable(cause.into()),
                    false => StoreError::Failed(cause.into()),
                }
            }
            None if is_of_connection(&error) => StoreError::Unavailable(explain(&error).into()),
            None => StoreError::Failed(explain(&error).into()),
        })
    }
}

impl From<Error> for CrmSqlError {
    fn from(error: Error) -> Self {
        SqlError::from(error).into()
    }
}

fn explain(error: &Error) -> Cause {
    match error.source() {
        Some(source) => Cause::of(format_args!("{error}: {source}")),
        None => Cause::of(error),
    }
}

/// The driver keeps an error's kind to itself. Its "error connecting to server" always has an I/O
/// error as its source (tokio-postgres 0.7.18, `Error::connect`).
fn is_of_connection(error: &Error) -> bool {
    error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>())
}

/// Whether a later attempt may succeed. The class of an error is the first two characters of its
/// code. PgBouncer's own errors have class 08.
fn is_temporary(answer: &DbError) -> bool {
    let code = answer.code();
    // Connection, transaction rollback (deadlock), resources, operator, system.
    let class = ["08", "40", "53", "57", "58"].contains(&code.code().get(..2).unwrap_or_default());
    class
        || [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            // A server that is no longer the primary.
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ]
        .contains(code)
}

/// A stored value is not one that this program writes.
pub(super) fn corrupt(what: &'static str, why: impl Into<BadRow>) -> StoreError {
    StoreError::Corrupt { what, why: why.into() }
}
