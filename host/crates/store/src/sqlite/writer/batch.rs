//! Several writes in one transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use tokio::sync::oneshot;

use sluice_kit::{StoreError, StoreFault};

use crate::error::SqlError;

/// A write of any result type.
pub(super) trait WriteJob: Send {
    /// Runs the write. The caller gets the answer later.
    fn run(self: Box<Self>, conn: &Connection) -> FinishedWrite;
    /// Answers the caller with `error` without having run the write.
    fn fail(self: Box<Self>, error: StoreError);
}

/// A write that has run and whose caller has no answer yet.
pub(super) struct FinishedWrite {
    /// False if the write failed, so that its changes have to be undone.
    keep: bool,
    answer: Answer,
}

/// Answers the caller. The argument is the error that undid the write after it had succeeded.
type Answer = Box<dyn FnOnce(Option<StoreError>)>;

/// A write, and the channel to its caller.
pub(super) struct QueuedWrite<F, T, E> {
    pub(super) write: F,
    pub(super) answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> WriteJob for QueuedWrite<F, T, E>
where
    F: FnOnce(&Connection) -> Result<T, E> + Send,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    fn run(self: Box<Self>, conn: &Connection) -> FinishedWrite {
        let Self { write, answer } = *self;
        let result = catch_unwind(AssertUnwindSafe(|| write(conn)))
            .unwrap_or_else(|_| Err(StoreError::Failed(StoreFault::WritePanicked).into()));
        FinishedWrite {
            keep: result.is_ok(),
            // The caller may have stopped waiting. The write is kept all the same.
            answer: Box::new(move |undone| {
                let _ = answer.send(match (result, undone) {
                    (Ok(_), Some(error)) => Err(error.into()),
                    (result, _) => result,
                });
            }),
        }
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let _ = self.answer.send(Err(error.into()));
    }
}

/// Runs all writes, and answers each caller when the write is on disk.
pub(super) fn run(conn: &Connection, jobs: Vec<Box<dyn WriteJob>>) {
    let mut waiting = jobs.into_iter().peekable();
    // An error such as a full disk makes SQLite roll back the whole transaction. The writes
    // that have not run by then run in another one.
    while waiting.peek().is_some() {
        if let Err(error) = execute(conn, "BEGIN IMMEDIATE") {
            waiting.for_each(|job| job.fail(error.clone()));
            return;
        }
        let mut done = Vec::new();
        while let Some(job) = (!conn.is_autocommit()).then(|| waiting.next()).flatten() {
            done.push(run_one(conn, job));
        }
        let committed = execute(conn, "COMMIT");
        if committed.is_err() && !conn.is_autocommit() {
            let _ = execute(conn, "ROLLBACK");
        }
        let undone = committed.err();
        for (answer, error) in done {
            answer(error.or_else(|| undone.clone()));
        }
    }
}

/// Runs one write in a savepoint. The error is the one that undid the write after it had
/// succeeded.
fn run_one(conn: &Connection, job: Box<dyn WriteJob>) -> (Answer, Option<StoreError>) {
    if let Err(error) = execute(conn, "SAVEPOINT job") {
        return (Box::new(move |_| job.fail(error)), None);
    }
    let FinishedWrite { keep, answer } = job.run(conn);
    let undo = || execute(conn, "ROLLBACK TO job").and_then(|()| execute(conn, "RELEASE job"));
    let ended = match keep {
        // A caller that gets an error must find nothing written.
        true => execute(conn, "RELEASE job").inspect_err(|_| drop(undo())),
        false => undo(),
    };
    (answer, ended.err())
}

fn execute(conn: &Connection, sql: &str) -> Result<(), StoreError> {
    let done = conn.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    done.map(drop).map_err(|error| SqlError::from(error).into())
}

#[cfg(test)]
mod tests;
