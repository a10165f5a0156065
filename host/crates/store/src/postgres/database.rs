//! The pool, and how work gets its connection.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use tokio::runtime::Handle;
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::TaskTracker;

use sluice_kit::{BoxFuture, StoreError};

use super::PostgresOptions;
use super::batch::execute;
use super::error::Fault;

/// How long telling the server that nobody waits any more may take.
const CANCEL_MAX: Duration = Duration::from_secs(2);

/// A bounded pool, and the runtime that its connections belong to.
pub(super) struct Database {
    pool: Pool,
    tls: MakeRustlsConnect,
    runtime: Handle,
    running: TaskTracker,
    call_max: Duration,
}

impl Database {
    /// On the current Tokio runtime. Connections are opened as they are needed.
    pub(super) fn new(options: &PostgresOptions) -> Result<Self, StoreError> {
        let runtime = Handle::try_current().map_err(|error| failed(&error))?;
        let mut server = options.server.clone();
        if server.get_connect_timeout().is_none() {
            server.connect_timeout(options.connect_max());
        }
        // Asking each time whether a connection lives would be a round trip; one that
        // died has been closed by its own task, and one that hangs meets `call_max`.
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

    /// Runs `work` on a connection that nobody else has. It is its own task on the
    /// database's runtime: the caller may be on any runtime and may stop waiting; the
    /// work goes on to its end.
    ///
    /// A connection on which the database failed is not used again: it may hang, or be
    /// one to a server that is not the primary any more.
    pub(super) fn run<T, S, E, W>(&self, work: W) -> impl Future<Output = Result<T, E>> + Send + 'static
    where
        W: for<'c> FnOnce(&'c Client) -> BoxFuture<'c, Result<T, S>> + Send + 'static,
        T: Send + 'static,
        S: Fault,
        E: From<S> + From<StoreError> + Send + 'static,
    {
        self.run_within(self.call_max, work)
    }

    /// [`run`](Self::run) with a time of its own.
    pub(super) fn run_within<T, S, E, W>(
        &self,
        limit: Duration,
        work: W,
    ) -> impl Future<Output = Result<T, E>> + Send + 'static
    where
        W: for<'c> FnOnce(&'c Client) -> BoxFuture<'c, Result<T, S>> + Send + 'static,
        T: Send + 'static,
        S: Fault,
        E: From<S> + From<StoreError> + Send + 'static,
    {
        let (pool, runtime, running) = (self.pool.clone(), self.runtime.clone(), self.running.clone());
        let tls = self.tls.clone();
        async move {
            if running.is_closed() {
                return Err(StoreError::Unavailable("it is closed".to_owned()).into());
            }
            let task = running.spawn_on(
                async move {
                    let conn = pool.get().await.map_err(|error| no_connection(&error))?;
                    Ok(Lease { conn: Some(conn), tls }.run(limit, work).await?)
                },
                &runtime,
            );
            // A runtime that is shutting down answers nothing any more; a panic is the
            // work's own.
            task.await.map_err(|error| match error.is_panic() {
                true => StoreError::Failed("work on the database panicked".to_owned()),
                false => StoreError::Unavailable(error.to_string()),
            })?
        }
    }

    /// Returns when all that was handed over is done and the pool is closed.
    pub(super) async fn close(&self) {
        self.running.close();
        self.running.wait().await;
        self.pool.close();
    }
}

/// A connection that is thrown away unless it is given back.
struct Lease {
    /// None once it has been given back.
    conn: Option<Object>,
    /// What a cancellation connects with.
    tls: MakeRustlsConnect,
}

impl Lease {
    async fn run<T, E, W>(mut self, limit: Duration, work: W) -> Result<T, E>
    where
        W: for<'c> FnOnce(&'c Client) -> BoxFuture<'c, Result<T, E>>,
        E: Fault,
    {
        let Some(conn) = self.conn.as_ref() else {
            return Err(StoreError::Failed("no connection to work with".to_owned()).into());
        };
        let (cancel, tls) = (conn.cancel_token(), self.tls.clone());
        let done = tokio::time::timeout(limit, async {
            let result = work(conn).await;
            // A rule said no: undo what was begun.
            if result.as_ref().is_err_and(|fault| !fault.is_of_store()) {
                execute(conn, "ROLLBACK").await?;
            }
            result
        })
        .await;
        match done {
            Ok(result) => {
                if !result.as_ref().is_err_and(Fault::is_of_store) {
                    // Dropped as itself it goes back to the pool.
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
                let why = format!("no answer within {} ms", limit.as_millis());
                Err(StoreError::Unavailable(why).into())
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
    match error {
        PoolError::Backend(_) => StoreError::Unavailable(format!("no connection: {}", chain(error))),
        _ => StoreError::Unavailable(format!("no connection: {error}")),
    }
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
    StoreError::Failed(error.to_string())
}
