//! Several writes in one transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use tokio::sync::oneshot;

use sluice_kit::StoreError;

use crate::error::SqlError;

/// A write whose result type is nobody's business here.
pub(super) trait Job: Send {
    /// Does the work and keeps the answer.
    fn run(self: Box<Self>, conn: &Connection) -> Ran;
    /// Answers without having done anything.
    fn refuse(self: Box<Self>, error: StoreError);
}

/// A job's work is done and its answer not yet given.
pub(super) struct Ran {
    /// Whether what it wrote is to stay.
    keep: bool,
    /// Takes the error that undid it after all, if there was one.
    answer: Answer,
}

type Answer = Box<dyn FnOnce(Option<StoreError>)>;

/// A write and the one who waits for it.
pub(super) struct Write<F, T, E> {
    pub(super) write: F,
    pub(super) answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Write<F, T, E>
where
    F: FnOnce(&Connection) -> Result<T, E> + Send,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    fn run(self: Box<Self>, conn: &Connection) -> Ran {
        let Self { write, answer } = *self;
        let result = catch_unwind(AssertUnwindSafe(|| write(conn)))
            .unwrap_or_else(|_| Err(StoreError::Failed("a write panicked".to_owned()).into()));
        Ran {
            keep: result.is_ok(),
            // Nobody may be waiting any more; the write stands all the same.
            answer: Box::new(move |undone| {
                let _ = answer.send(match (result, undone) {
                    (Ok(_), Some(error)) => Err(error.into()),
                    (result, _) => result,
                });
            }),
        }
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        let _ = self.answer.send(Err(error.into()));
    }
}

/// Runs all jobs and answers each once it is known to be on disk.
pub(super) fn run(conn: &Connection, jobs: Vec<Box<dyn Job>>) {
    let mut waiting = jobs.into_iter().peekable();
    // Errors such as a full disk make SQLite roll back the whole transaction; the jobs
    // that have not run by then go into another one.
    while waiting.peek().is_some() {
        if let Err(error) = execute(conn, "BEGIN IMMEDIATE") {
            waiting.for_each(|job| job.refuse(error.clone()));
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

/// Runs one job in a savepoint. The error is what undid it, where it did not itself.
fn run_one(conn: &Connection, job: Box<dyn Job>) -> (Answer, Option<StoreError>) {
    if let Err(error) = execute(conn, "SAVEPOINT job") {
        return (Box::new(move |_| job.refuse(error)), None);
    }
    let Ran { keep, answer } = job.run(conn);
    let undo = || execute(conn, "ROLLBACK TO job").and_then(|()| execute(conn, "RELEASE job"));
    let ended = match keep {
        // Who is told of an error must find nothing written.
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
