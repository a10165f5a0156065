//! Statements that are sent together and take one round trip.
//!
//! The driver sends a statement when its future is polled, without waiting for earlier answers.
//! So statements that are awaited together run in the order in which they were added, and the
//! host waits once.

use futures_util::future::join_all;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use sluice_kit::{StoreError, StoreFault};

use crate::error::SqlError;

/// The settings last for this transaction only, because behind PgBouncer the next transaction may
/// use another connection. The limits are in milliseconds. They end the transaction of a host
/// that has died, so that its locks are released.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
    SET LOCAL statement_timeout = 12000; SET LOCAL lock_timeout = 10000; \
    SET LOCAL idle_in_transaction_session_timeout = 10000";

/// All statements of the transaction see the same snapshot.
const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL statement_timeout = 12000; \
    SET LOCAL idle_in_transaction_session_timeout = 10000";

/// A parameter and the type of its column. Without the type, the driver would have to ask the
/// server for it and prepare the statement under a name.
pub(super) type Param<'a> = (Box<dyn ToSql + Sync + Send + 'a>, Type);

pub(super) fn text(value: &str) -> Param<'_> {
    (Box::new(value), Type::TEXT)
}

pub(super) fn owned_text<'a>(value: String) -> Param<'a> {
    (Box::new(value), Type::TEXT)
}

pub(super) fn optional_text(value: Option<&str>) -> Param<'_> {
    (Box::new(value), Type::TEXT)
}

pub(super) fn texts(values: Vec<&str>) -> Param<'_> {
    (Box::new(values), Type::TEXT_ARRAY)
}

pub(super) fn bytes(value: &[u8]) -> Param<'_> {
    (Box::new(value), Type::BYTEA)
}

pub(super) fn optional_bytes(value: Option<&[u8]>) -> Param<'_> {
    (Box::new(value), Type::BYTEA)
}

pub(super) fn byte_arrays(values: Vec<&[u8]>) -> Param<'_> {
    (Box::new(values), Type::BYTEA_ARRAY)
}

pub(super) fn int<'a>(value: i64) -> Param<'a> {
    (Box::new(value), Type::INT8)
}

pub(super) fn optional_int<'a>(value: Option<i64>) -> Param<'a> {
    (Box::new(value), Type::INT8)
}

pub(super) fn optional_number<'a>(value: Option<f64>) -> Param<'a> {
    (Box::new(value), Type::FLOAT8)
}

pub(super) fn ints<'a>(values: Vec<i64>) -> Param<'a> {
    (Box::new(values), Type::INT8_ARRAY)
}

pub(super) fn small<'a>(value: i16) -> Param<'a> {
    (Box::new(value), Type::INT2)
}

pub(super) fn flag<'a>(value: bool) -> Param<'a> {
    (Box::new(value), Type::BOOL)
}

/// Statements in the order in which they are sent.
#[derive(Default)]
pub(super) struct Batch<'a>(Vec<Statement<'a>>);

enum Statement<'a> {
    /// Has no parameters and returns no rows.
    Plain(&'a str),
    /// Its rows are returned.
    Query(&'a str, Vec<Param<'a>>),
}

impl<'a> Batch<'a> {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Begins a transaction that writes.
    pub(super) fn begin() -> Self {
        Self::new().plain(BEGIN)
    }

    /// Begins a transaction that reads a snapshot taken at its first statement.
    pub(super) fn begin_snapshot() -> Self {
        Self::new().plain(BEGIN_SNAPSHOT)
    }

    pub(super) fn plain(mut self, sql: &'a str) -> Self {
        self.0.push(Statement::Plain(sql));
        self
    }

    pub(super) fn query(mut self, sql: &'a str, params: impl Into<Vec<Param<'a>>>) -> Self {
        self.add(sql, params);
        self
    }

    pub(super) fn add(&mut self, sql: &'a str, params: impl Into<Vec<Param<'a>>>) {
        self.0.push(Statement::Query(sql, params.into()));
    }

    /// Ends the transaction. If an earlier statement failed, the server rolls back instead, and
    /// [`run`](Self::run) returns the error of that statement.
    pub(super) fn commit(self) -> Self {
        self.plain("COMMIT")
    }

    /// The number of statements that return rows.
    pub(super) fn queries(&self) -> usize {
        self.0.iter().filter(|statement| matches!(statement, Statement::Query(..))).count()
    }

    /// Sends all statements and waits for all answers. Returns the rows of each query, or the
    /// first error; in a transaction, later errors only say that the transaction has failed.
    pub(super) async fn run(self, conn: &Client) -> Result<Vec<Vec<Row>>, SqlError> {
        let sent = self.0.iter().map(|statement| statement.send(conn));
        let answers = join_all(sent).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// As [`run`](Self::run), for `N` queries.
    pub(super) async fn run_for<const N: usize>(self, conn: &Client) -> Result<[Vec<Row>; N], SqlError> {
        let answers = self.run(conn).await?;
        let count = answers.len();
        let other = || StoreError::Failed(StoreFault::ResultCount { sent: count, wanted: N });
        answers.try_into().map_err(|_| other().into())
    }
}

impl Statement<'_> {
    async fn send(&self, conn: &Client) -> Result<Option<Vec<Row>>, Error> {
        match self {
            Self::Plain(sql) => conn.batch_execute(sql).await.map(|()| None),
            Self::Query(sql, params) => {
                let params: Vec<(&(dyn ToSql + Sync), Type)> = params
                    .iter()
                    .map(|(value, kind)| (&**value as &(dyn ToSql + Sync), kind.clone()))
                    .collect();
                conn.query_typed(sql, &params).await.map(Some)
            }
        }
    }
}

/// One query outside a transaction.
pub(super) async fn query<'a>(
    conn: &Client,
    sql: &'a str,
    params: impl Into<Vec<Param<'a>>>,
) -> Result<Vec<Row>, SqlError> {
    let [rows] = Batch::new().query(sql, params).run_for(conn).await?;
    Ok(rows)
}

/// One statement in a round trip of its own.
pub(super) async fn execute(conn: &Client, sql: &str) -> Result<(), SqlError> {
    Ok(conn.batch_execute(sql).await?)
}
