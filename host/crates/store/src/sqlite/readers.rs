//! Connections that read.

use deadpool_sqlite::{Config, Hook, HookError, Pool, PoolError, Runtime, Timeouts};
use rusqlite::Connection;
use tokio::runtime::Handle;

use sluice_kit::StoreError;

use super::{SqliteOptions, connection};

/// The pool, and the runtime that its connections belong to.
pub(super) struct Readers {
    pool: Pool,
    runtime: Handle,
}

impl Readers {
    /// On the current Tokio runtime. Connections are opened as they are needed.
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
        Ok(Self { pool, runtime })
    }

    /// Runs `ask` on a connection, off the caller's thread. It is its own task, which
    /// holds the connection to the end: were the caller's future to hold it, dropping
    /// that would give a connection back that is still at work.
    pub(super) fn read<T, S, E>(
        &self,
        ask: impl FnOnce(&mut Connection) -> Result<T, S> + Send + 'static,
    ) -> impl Future<Output = Result<T, E>> + Send + 'static
    where
        T: Send + 'static,
        S: Send + 'static,
        E: From<S> + From<StoreError> + Send + 'static,
    {
        let (pool, runtime) = (self.pool.clone(), self.runtime.clone());
        async move {
            let task = runtime.spawn(async move {
                let conn = pool.get().await.map_err(|error| no_connection(&error))?;
                let asked = conn.interact(ask).await;
                Ok(asked.map_err(|error| StoreError::Failed(format!("a read ended: {error}")))??)
            });
            // A runtime that is shutting down answers nothing any more.
            task.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
        }
    }

    /// Closes what is idle now and the rest when it comes back.
    pub(super) fn close(&self) {
        // Connections are closed on the runtime's blocking threads.
        let _on = self.runtime.enter();
        self.pool.close();
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.close();
    }
}

fn no_connection(error: &PoolError) -> StoreError {
    StoreError::Unavailable(format!("no connection to read with: {error}"))
}

fn failed(error: &dyn std::error::Error) -> StoreError {
    StoreError::Failed(error.to_string())
}
