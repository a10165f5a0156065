//! The pool of connections, and the work that runs on them.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use tokio::runtime::Handle;
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::TaskTracker;

use sluice_kit::{BoxFuture, Cause, NoAnswer, StoreError, StoreFault};

use super::PostgresOptions;
use super::batch::execute;
use crate::error::CallError;

/// How long a request to cancel a query may take.
const CANCEL_MAX: Duration = Duration::from_secs(2);

/// A bounded pool, and the runtime of its connections.
pub(super) struct Database {
    pool: Pool,
    tls: MakeRustlsConnect,
    runtime: Handle,
    running: TaskTracker,
    call_max: Duration,
}

impl Database {
    /// Makes a pool on the current Tokio runtime. Connections are opened when they are needed.
    pub(super) fn new(options: &PostgresOptions) -> Result<Self, StoreError> {
        let runtime = Handle::try_current().map_err(|error| failed(&error))?;
        let mut server = options.server.clone();
        if server.get_connect_timeout().is_none() {
            server.connect_timeout(options.connect_max());
        }
        // Testing a connection before each use would take a round trip. A connection that has died
        // was closed by its own task, and `call_max` bounds one that hangs.
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let tls = options.tls.clone();
        let pool = Pool::builder(Manager::from_config(server, tls.clone(), config))
            .max_size(options.connections_max.max(1))
            .wait_timeout(Some(options.wait_max()))
            .create_timeout(Some(options.connect_max().saturating_mul(2)))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| failed(&error))?;
        Ok(Self { pool, tls, runtime, running: TaskTracker::new(), call_max: options.call_max() })
    }

    /// Runs `work` on a connection that no other work uses. The work is a task on the database's
    /// runtime: the caller may use any runtime and may stop waiting, and the work still finishes.
    ///
    /// If the database fails, the connection is not used again, because it may hang, or its server
    /// may no longer be the primary.
    pub(super) fn run<T, E, W>(&self, work: W) -> BoxFuture<'static, Result<T, E>>
    where
        W: for<'c> FnOnce(&'c Client) -> BoxFuture<'c, Result<T, E::Sql>> + Send + 'static,
        T: Send + 'static,
        E: CallError,
    {
        self.run_within(self.call_max, work)
    }

    /// As [`run`](Self::run), with another time limit.
    pub(super) fn run_within<T, E, W>(&self, limit: Duration, work: W) -> BoxFuture<'static, Result<T, E>>
    where
        W: for<'c> FnOnce(&'c Client) -> BoxFuture<'c, Result<T, E::Sql>> + Send + 'static,
        T: Send + 'static,
        E: CallError,
    {
        let (pool, runtime, running) = (self.pool.clone(), self.runtime.clone(), self.running.clone());
        let tls = self.tls.clone();
        Box::pin(async move {
            if running.is_closed() {
                return Err(StoreError::Unavailable(NoAnswer::Closed).into());
            }
            let task = running.spawn_on(
                async move {
                    let conn = pool.get().await.map_err(|error| no_connection(&error))?;
                    Lease { conn: Some(conn), tls }.run(limit, work).await
                },
                &runtime,
            );
            // The task was cancelled by a runtime that is shutting down, or the work panicked.
            task.await.map_err(|error| match error.is_panic() {
                true => StoreError::Failed(StoreFault::WorkPanicked),
                false => StoreError::Unavailable(Cause::of(error).into()),
            })?
        })
    }

    /// Returns when all work that was started is done and the pool is closed.
    pub(super) async fn close(&self) {
        self.running.close();
        self.running.wait().await;
        self.pool.close();
    }
}

/// A connection that is closed unless it is returned to the pool.
struct Lease {
    /// `None` after the connection has been returned.
    conn: Option<Object>,
    /// For the connection that cancels a query.
    tls: MakeRustlsConnect,
}

impl Lease {
    async fn run<T, E, W>(mut self, limit: Duration, work: W) -> Result<T, E>
    where
        W: for<'c> FnOnce(&'c Client) -> BoxFuture<'c, Result<T, E::Sql>>,
        E: CallError,
    {
        let Some(conn) = self.conn.as_ref() else {
            return Err(StoreError::Failed(StoreFault::NoConnection).into());
        };
        let (cancel, tls) = (conn.cancel_token(), self.tls.clone());
        let done = tokio::time::timeout(limit, async {
            let result = work(conn).await.map_err(E::from);
            // A rule rejected the call, perhaps in the middle of a transaction.
            if result.as_ref().is_err_and(|error| !error.is_of_store()) {
                execute(conn, "ROLLBACK").await.map_err(StoreError::from)?;
            }
            result
        })
        .await;
        match done {
            Ok(result) => {
                if !result.as_ref().is_err_and(CallError::is_of_store) {
                    // Dropping the pool's object returns the connection.
                    drop(self.conn.take());
                }
                result
            }
            Err(_) => {
                tokio::spawn(tokio::time::timeout(CANCEL_MAX, async move {
                    if let Err(error) = cancel.cancel_query(tls).await {
                        tracing::debug!(%error, "a query that took too long could not be cancelled");
                    }
                }));
                Err(StoreError::Unavailable(NoAnswer::TimedOut { ms: limit.as_millis() }).into())
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            drop(Object::take(conn));
        }
    }
}

fn no_connection(error: &PoolError) -> StoreError {
    StoreError::Unavailable(NoAnswer::NoConnection(Cause::of(chain(error))))
}

fn chain(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) => {
            let cause = std::error::Error::source(error);
            cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
        }
        other => other.to_string(),
    }
}

fn failed(error: &dyn std::error::Error) -> StoreError {
    StoreError::Failed(Cause::of(error).into())
}
