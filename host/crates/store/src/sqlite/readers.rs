//! The connections that read: those of the callers' threads, and a pool with threads of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_sqlite::{Config, Hook, HookError, Pool, PoolError, Runtime, Status, Timeouts};
use rusqlite::Connection;
use tokio::runtime::Handle;

use sluice_kit::{BoxFuture, Cause, NoAnswer, StoreError, StoreFault, database_time};

use super::direct::DirectReaders;
use super::{SqliteOptions, connection};
use crate::PoolUsage;
use crate::error::CallError;

/// How long the next call of a request may take.
pub(super) fn time_left() -> Result<Duration, StoreError> {
    let left = database_time::left().unwrap_or(Duration::MAX);
    if left.is_zero() { Err(StoreError::Unavailable(NoAnswer::TimeUsedUp)) } else { Ok(left) }
}

/// The pool, and the runtime that its connections belong to.
pub(super) struct Readers {
    pool: Pool,
    direct: Arc<DirectReaders>,
    runtime: Handle,
    wait_ms_max: u64,
}

impl Readers {
    /// Makes a pool on the current Tokio runtime. Connections are opened when they are needed.
    pub(super) fn new(options: &SqliteOptions) -> Result<Self, StoreError> {
        let busy = options.busy_max();
        let runtime = Handle::try_current().map_err(|error| failed(&error))?;
        let pool = Config::new(&options.path)
            .builder(Runtime::Tokio1)
            .map_err(|error| failed(&error))?
            .max_size(options.readers_max.max(1))
            .timeouts(Timeouts::wait_millis(options.wait_ms_max))
            .post_create(Hook::async_fn(move |conn, _| {
                Box::pin(async move {
                    conn.interact(move |conn| connection::set_up_reader(conn, busy))
                        .await
                        .map_err(|error| HookError::message(error.to_string()))?
                        .map_err(HookError::Backend)
                })
            }))
            .build()
            .map_err(|error| failed(&error))?;
        let direct = DirectReaders::new(options, runtime.clone());
        Ok(Self { pool, direct, runtime, wait_ms_max: options.wait_ms_max })
    }

    /// How many connections are in use.
    pub(super) fn pool_usage(&self) -> PoolUsage {
        let Status { max_size, size, available, waiting } = self.pool.status();
        let mut usage =
            PoolUsage { limit: max_size, open: size, in_use: size.saturating_sub(available), waiting };
        self.direct.add_usage(&mut usage);
        usage
    }

    /// Runs `ask`, which reads a few rows by their keys, on the caller's thread. If the database does not
    /// answer at once, the read begins again as in [`Readers::read`].
    pub(super) fn read_by_key<T, E>(
        &self,
        ask: impl Fn(&mut Connection) -> Result<T, E::Sql> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, E>>
    where
        T: Send + 'static,
        E: CallError,
    {
        Box::pin(async move {
            time_left()?;
            let began = Instant::now();
            let answer = self.direct.ask(|conn| ask(conn).map_err(E::from), E::is_of_store);
            database_time::spend(began.elapsed());
            match answer {
                Some(answer) => answer,
                None => self.read(ask).await,
            }
        })
    }

    /// Runs `ask` on a connection, off the caller's thread. `ask` runs in a task of its own,
    /// which holds the connection until the end. If the caller's future held it, dropping that
    /// future would return a connection to the pool that is still in use.
    pub(super) fn read<T, E>(
        &self,
        ask: impl FnOnce(&mut Connection) -> Result<T, E::Sql> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, E>>
    where
        T: Send + 'static,
        E: CallError,
    {
        let (pool, runtime, wait_ms_max) = (self.pool.clone(), self.runtime.clone(), self.wait_ms_max);
        Box::pin(async move {
            let limit = time_left()?;
            let began = Instant::now();
            let task = runtime.spawn(async move {
                let conn = pool.get().await.map_err(|error| no_connection(&error, wait_ms_max))?;
                let asked = conn.interact(ask).await;
                Ok(asked
                    .map_err(|error| StoreError::Failed(StoreFault::ReadNotFinished(Cause::of(error))))??)
            });
            // The read goes on, but nobody waits for it.
            let done = tokio::time::timeout(limit, task).await;
            database_time::spend(began.elapsed());
            let done =
                done.map_err(|_| StoreError::Unavailable(NoAnswer::TimedOut { ms: limit.as_millis() }))?;
            // A runtime that is shutting down cancels the task.
            done.map_err(|error| StoreError::Unavailable(Cause::of(error).into()))?
        })
    }

    /// Closes idle connections now and the others when their reads have finished.
    pub(super) fn close(&self) {
        // Connections are closed on the runtime's blocking threads.
        let _entered = self.runtime.enter();
        self.pool.close();
        self.direct.close();
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.close();
    }
}

fn no_connection(error: &PoolError, wait_ms_max: u64) -> StoreError {
    StoreError::Unavailable(match error {
        PoolError::Timeout(_) => NoAnswer::AllReadersInUse { ms: wait_ms_max },
        PoolError::Closed => NoAnswer::Closed,
        other => NoAnswer::NoReader(Cause::of(other)),
    })
}

fn failed(error: &dyn std::error::Error) -> StoreError {
    StoreError::Failed(Cause::of(error).into())
}
