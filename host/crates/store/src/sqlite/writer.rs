//! The one writer: a thread of its own with the only connection that writes.
//!
//! It takes all writes that wait into one transaction (`BEGIN IMMEDIATE`), each in a
//! savepoint, so that one that fails undoes only itself. Nobody gets an answer before
//! the commit is on disk: the cost of reaching the disk is shared by all who waited.

mod batch;

use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use sluice_kit::StoreError;

use self::batch::{Job, Write};

/// Writes that may wait; who comes then waits for a place in the queue.
const QUEUE_WRITES_MAX: usize = 1_024;
/// Writes in one transaction. More would make the first wait for the last.
const BATCH_WRITES_MAX: usize = 256;

/// The way to the writer's thread, which ends when this is dropped.
pub(super) struct Writer {
    queue: mpsc::Sender<Queued>,
    ended: watch::Receiver<()>,
}

enum Queued {
    Write(Waiting),
    Close,
}

struct Waiting {
    job: Box<dyn Job>,
    since: Instant,
}

impl Writer {
    /// `wait_max`: a write that waited longer is answered and not begun.
    pub(super) fn start(conn: Connection, wait_max: Duration) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel(QUEUE_WRITES_MAX);
        let (running, ended) = watch::channel(());
        std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || {
                serve(conn, waiting, wait_max);
                drop(running);
            })
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { queue, ended })
    }

    /// Runs `write` in a transaction. An error it gives undoes all it did. It may be
    /// dropped: before it has its place in the queue nothing happens, after that all.
    pub(super) fn write<T, S, E>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T, S> + Send + 'static,
    ) -> impl Future<Output = Result<T, E>> + Send + 'static
    where
        T: Send + 'static,
        E: From<S> + From<StoreError> + Send + 'static,
    {
        let queue = self.queue.clone();
        let write = move |conn: &Connection| write(conn).map_err(E::from);
        async move {
            let (answer, answered) = oneshot::channel();
            let queued =
                Queued::Write(Waiting { job: Box::new(Write { write, answer }), since: Instant::now() });
            queue.send(queued).await.map_err(|_| closed())?;
            answered.await.map_err(|_| StoreError::Failed("a write ended without an answer".to_owned()))?
        }
    }

    /// Returns when all that was queued is written and the connection is closed.
    pub(super) async fn close(&self) {
        let _ = self.queue.send(Queued::Close).await;
        let mut ended = self.ended.clone();
        // The only news is that the thread's end is gone.
        while ended.changed().await.is_ok() {}
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".to_owned())
}

fn serve(conn: Connection, mut queue: mpsc::Receiver<Queued>, wait_max: Duration) {
    while let Some(first) = queue.blocking_recv() {
        let mut next = Some(first);
        let mut jobs = Vec::new();
        while let Some(queued) = next {
            match queued {
                Queued::Write(Waiting { job, since }) if since.elapsed() > wait_max => {
                    let waited = "a write waited too long and was not begun";
                    job.refuse(StoreError::Unavailable(waited.to_owned()));
                }
                Queued::Write(Waiting { job, .. }) => jobs.push(job),
                // What is queued already still comes; after that there is no more.
                Queued::Close => queue.close(),
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
