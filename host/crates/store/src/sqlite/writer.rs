//! The one writer: a thread that has the only connection for writing.
//!
//! It runs all waiting writes in one transaction (`BEGIN IMMEDIATE`). Each write has a
//! savepoint, so a write that fails undoes only itself. Callers get their answers after the
//! commit is on disk, and all writes of the transaction share the cost of that.

mod batch;

use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use sluice_kit::{BoxFuture, Cause, NoAnswer, StoreError, StoreFault, database_time};

use self::batch::{QueuedWrite, WriteJob};
use super::readers::time_left;
use crate::error::CallError;
use crate::health::Health;

/// Writes in the queue. A caller that finds it full waits for a place.
const QUEUE_WRITES_MAX: usize = 1_024;
/// Writes in one transaction. With more, the first write would wait too long for the last.
const BATCH_WRITES_MAX: usize = 256;

/// A handle of the writer's thread, which ends when the handle is dropped.
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    ended: watch::Receiver<()>,
    health: Health,
}

enum Message {
    Write {
        job: Box<dyn WriteJob>,
        since: Instant,
        /// How long it may wait until it is started.
        wait_max: Duration,
    },
    /// Write what is queued, then end.
    Close,
}

impl Writer {
    /// Starts the thread. A write that has waited longer than `wait_max` fails without being
    /// started.
    pub(super) fn start(conn: Connection, wait_max: Duration) -> Result<Self, StoreError> {
        let (queue, messages) = mpsc::channel(QUEUE_WRITES_MAX);
        let (running, ended) = watch::channel(());
        std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || {
                serve(conn, messages, wait_max);
                drop(running);
            })
            .map_err(|error| StoreError::Unavailable(Cause::of(error).into()))?;
        Ok(Self { queue, ended, health: Health::of("the database takes changes") })
    }

    /// Runs `write` in a transaction. If it fails, all its changes are undone. If the returned
    /// future is dropped before the write is queued, the write does not happen; after that it
    /// happens completely.
    pub(super) fn write<T, E>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T, E::Sql> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, E>>
    where
        T: Send + 'static,
        E: CallError,
    {
        let (queue, health) = (self.queue.clone(), self.health.clone());
        let write = move |conn: &Connection| write(conn).map_err(E::from);
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let job = Box::new(QueuedWrite { write, answer });
            let since = Instant::now();
            let message = Message::Write { job, since, wait_max: time_left()? };
            queue.send(message).await.map_err(|_| closed())?;
            let answer = answered.await;
            database_time::spend(since.elapsed());
            let done: Result<T, E> =
                answer.unwrap_or_else(|_| Err(StoreError::Failed(StoreFault::WriteLost).into()));
            health.note(done.as_ref().is_err_and(CallError::is_of_store));
            done
        })
    }

    /// Returns when all queued writes are done and the connection is closed.
    pub(super) async fn close(&self) {
        let _ = self.queue.send(Message::Close).await;
        let mut ended = self.ended.clone();
        // Nothing is ever sent: an error means that the thread has ended.
        while ended.changed().await.is_ok() {}
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable(NoAnswer::Closed)
}

fn serve(conn: Connection, mut queue: mpsc::Receiver<Message>, wait_max: Duration) {
    while let Some(first) = queue.blocking_recv() {
        let mut next = Some(first);
        let mut jobs = Vec::new();
        while let Some(message) = next {
            match message {
                Message::Write { job, since, wait_max: own } if since.elapsed() > wait_max.min(own) => {
                    job.fail(StoreError::Unavailable(NoAnswer::WaitedTooLong));
                }
                Message::Write { job, .. } => jobs.push(job),
                // Messages that are queued already are still received.
                Message::Close => queue.close(),
            }
            next = match jobs.len() < BATCH_WRITES_MAX {
                true => queue.try_recv().ok(),
                false => None,
            };
        }
        batch::run(&conn, jobs);
    }
    if let Err((_, error)) = conn.close() {
        tracing::warn!(%error, "the database was not closed cleanly");
    }
}
