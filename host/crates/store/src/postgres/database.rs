//! The connections, and the work that runs on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Status};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::TaskTracker;

use sluice_kit::{BoxFuture, Cause, NoAnswer, StoreError, StoreFault, database_time};

use super::PostgresOptions;
use super::batch::execute;
use super::breaker::Breaker;
use crate::PoolUsage;
use crate::error::CallError;
use crate::health::Health;

/// How long a request to cancel a query may take.
const CANCEL_MAX: Duration = Duration::from_secs(2);
/// A call that waits this long makes the host probe the server.
const PROBE_AFTER: Duration = Duration::from_secs(1);
/// How long the server may take to answer a probe.
const PROBE_MAX: Duration = Duration::from_secs(2);
/// The pause between two probes.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// If the server accepts no more connections, a host that has some tries this often to open another.
const FULL_WAIT: Duration = Duration::from_secs(1);
/// The same for a host that has none.
const FULL_WAIT_WITHOUT: Duration = Duration::from_millis(100);
/// Connections that are not used are closed after this time, so that other hosts can open some.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// How often unused connections are looked for.
const IDLE_CHECK_EVERY: Duration = Duration::from_secs(5);

/// The connections of this host to the database.
#[derive(Clone)]
pub(super) struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    /// A call needs a place before it may use a connection. There are as many as connections that
    /// may be open, and fewer while the server accepts no more.
    places: Arc<Semaphore>,
    /// How many calls wait for a place or a connection.
    waiting: AtomicUsize,
    server: Config,
    tls: MakeRustlsConnect,
    runtime: Handle,
    running: TaskTracker,
    breaker: Breaker,
    health: Health,
    wait_max: Duration,
    call_max: Duration,
}

/// How long one call may take.
#[derive(Clone, Copy)]
struct CallLimits {
    /// Until it has a connection.
    wait: Duration,
    /// Once it has a connection.
    work: Duration,
    /// In all.
    total: Duration,
}

impl CallLimits {
    /// The limits of a call, within the time that its request has left.
    fn of(wait: Duration, work: Duration) -> Result<Self, StoreError> {
        let total = database_time::left().unwrap_or(Duration::MAX);
        if total.is_zero() {
            return Err(StoreError::Unavailable(NoAnswer::TimeUsedUp));
        }
        Ok(Self { wait: wait.min(total), work, total })
    }
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
        let connections_max = options.connections_max.max(1);
        let pool = Pool::builder(Manager::from_config(server.clone(), tls.clone(), config))
            .max_size(connections_max)
            .create_timeout(Some(options.connect_max().saturating_mul(2)))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| failed(&error))?;
        let shared = Arc::new(Shared {
            pool,
            places: Arc::new(Semaphore::new(connections_max)),
            waiting: AtomicUsize::new(0),
            server,
            tls,
            runtime,
            running: TaskTracker::new(),
            breaker: Breaker::new(),
            health: Health::of("the database answers"),
            wait_max: options.wait_max(),
            call_max: options.call_max(),
        });
        shared.close_idle_connections();
        Ok(Self { shared })
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
        self.run_within(self.shared.call_max, work)
    }

    /// As [`run`](Self::run), with another time limit.
    pub(super) fn run_within<T, E, W>(&self, limit: Duration, work: W) -> BoxFuture<'static, Result<T, E>>
    where
        W: for<'c> FnOnce(&'c Client) -> BoxFuture<'c, Result<T, E::Sql>> + Send + 'static,
        T: Send + 'static,
        E: CallError,
    {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            shared.check_open()?;
            shared.breaker.check()?;
            let limits = CallLimits::of(shared.wait_max, limit)?;
            let began = Instant::now();
            let task = shared.running.spawn_on(Arc::clone(&shared).watched(limits, work), &shared.runtime);
            let done = task.await;
            database_time::spend(began.elapsed());
            done.map_err(|error| unfinished(&error))?
        })
    }

    /// As [`run_within`](Self::run_within), also while other calls fail at once. For the work
    /// without which the host cannot use the database.
    pub(super) fn run_first<T, E, W>(&self, limit: Duration, work: W) -> BoxFuture<'static, Result<T, E>>
    where
        W: for<'c> FnOnce(&'c Client) -> BoxFuture<'c, Result<T, E::Sql>> + Send + 'static,
        T: Send + 'static,
        E: CallError,
    {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            shared.check_open()?;
            let limits = CallLimits { wait: shared.wait_max, work: limit, total: Duration::MAX };
            let call = {
                let shared = Arc::clone(&shared);
                async move { shared.call(limits, work).await }
            };
            let task = shared.running.spawn_on(call, &shared.runtime);
            task.await.map_err(|error| unfinished(&error))?
        })
    }

    /// How many connections are in use.
    pub(super) fn pool_usage(&self) -> PoolUsage {
        let Status { max_size, size, available, .. } = self.shared.pool.status();
        PoolUsage {
            limit: max_size,
            open: size,
            in_use: size.saturating_sub(available),
            waiting: self.shared.waiting.load(Ordering::Relaxed),
        }
    }

    /// Makes calls fail at once, until [`resume`](Self::resume).
    pub(super) fn suspend(&self, why: Cause) {
        self.shared.health.note(true);
        self.shared.breaker.begin_probe();
        self.shared.breaker.open(why);
    }

    /// Ends what [`suspend`](Self::suspend) began.
    pub(super) fn resume(&self) {
        self.shared.breaker.close();
        self.shared.health.note(false);
        self.shared.breaker.end_probe();
    }

    /// Whether the store was closed.
    pub(super) fn is_closed(&self) -> bool {
        self.shared.running.is_closed()
    }

    /// Why calls fail at once at the moment, if they do.
    pub(super) fn outage(&self) -> Option<String> {
        self.shared.breaker.why()
    }

    /// Returns when all work that was started is done and the pool is closed.
    pub(super) async fn close(&self) {
        self.shared.running.close();
        self.shared.running.wait().await;
        self.shared.pool.close();
    }
}

impl Shared {
    fn check_open(&self) -> Result<(), StoreError> {
        match self.running.is_closed() {
            true => Err(StoreError::Unavailable(NoAnswer::Closed)),
            false => Ok(()),
        }
    }

    /// Makes a call. If it waits for long, the server is probed, and if that fails, so does the call.
    async fn watched<T, E, W>(self: Arc<Self>, limits: CallLimits, work: W) -> Result<T, E>
    where
        W: for<'c> FnOnce(&'c Client) -> BoxFuture<'c, Result<T, E::Sql>>,
        E: CallError,
    {
        let mut call = std::pin::pin!(self.call(limits, work));
        tokio::select! {
            done = &mut call => return done,
            () = sleep(PROBE_AFTER) => self.suspect(),
        }
        tokio::select! {
            done = call => done,
            outage = self.breaker.opened() => Err(outage.into()),
        }
    }

    async fn call<T, E, W>(&self, limits: CallLimits, work: W) -> Result<T, E>
    where
        W: for<'c> FnOnce(&'c Client) -> BoxFuture<'c, Result<T, E::Sql>>,
        E: CallError,
    {
        let began = Instant::now();
        let done: Result<T, E> = match self.connection(began + limits.wait).await {
            Ok((conn, place)) => {
                let left = limits.total.saturating_sub(began.elapsed());
                let lease = Lease { conn: Some(conn), tls: self.tls.clone(), _place: place };
                lease.run(limits.work.min(left), work).await
            }
            Err(error) => Err(error.into()),
        };
        self.health.note(done.as_ref().is_err_and(CallError::is_of_store));
        done
    }

    /// A connection that no other work uses. If all are in use, or the server accepts no more, the
    /// call waits for one until the time `until`.
    async fn connection(&self, until: Instant) -> Result<(Object, OwnedSemaphorePermit), StoreError> {
        let _waiting = Waiting::enter(&self.waiting);
        loop {
            let place = timeout_at(until, Arc::clone(&self.places).acquire_owned()).await;
            let place = place.map_err(|_| StoreError::Unavailable(NoAnswer::AllInUse))?;
            let place = place.map_err(|_| StoreError::Unavailable(NoAnswer::Closed))?;
            match timeout_at(until, self.pool.get()).await {
                Ok(Ok(conn)) => return Ok((conn, place)),
                Ok(Err(error)) if is_full(&error) => self.set_aside(place),
                Ok(Err(error)) => return Err(no_connection(&error)),
                Err(_) => return Err(StoreError::Unavailable(NoAnswer::NotOpened)),
            }
        }
    }

    /// Takes a place out of use for a while, because the server accepts no more connections. Calls
    /// then wait for the connections that are open, in order, instead of asking the server again.
    fn set_aside(&self, place: OwnedSemaphorePermit) {
        let wait = if self.pool.status().size == 0 { FULL_WAIT_WITHOUT } else { FULL_WAIT };
        self.runtime.spawn(async move {
            sleep(wait).await;
            drop(place);
        });
    }

    /// Probes the server, unless that is being done, until it answers.
    fn suspect(self: &Arc<Self>) {
        if !self.breaker.begin_probe() {
            return;
        }
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            while let Err(why) = shared.probe().await {
                if shared.running.is_closed() {
                    break;
                }
                shared.health.note(true);
                if shared.breaker.open(why) {
                    // They may hang even when the server answers again.
                    drop(shared.pool.retain(|_, _| false));
                }
                sleep(PROBE_EVERY).await;
            }
            shared.breaker.close();
            shared.health.note(false);
            shared.breaker.end_probe();
        });
    }

    /// Asks the server on a new connection. A server that answers with an error answers.
    async fn probe(&self) -> Result<(), Cause> {
        let asked = timeout(PROBE_MAX, async {
            let (client, connection) = self.server.connect(self.tls.clone()).await?;
            tokio::select! {
                answer = client.simple_query("SELECT 1") => answer.map(drop),
                ended = connection => ended,
            }
        });
        match asked.await {
            Ok(Err(error)) if error.as_db_error().is_none() => Err(Cause::of(error)),
            Ok(_) => Ok(()),
            Err(_) => Err(Cause::of(format_args!("no answer to a probe within {} s", PROBE_MAX.as_secs()))),
        }
    }

    /// Closes connections that are not used, except one.
    fn close_idle_connections(self: &Arc<Self>) {
        let shared = Arc::downgrade(self);
        self.runtime.spawn(async move {
            loop {
                sleep(IDLE_CHECK_EVERY).await;
                let Some(shared) = shared.upgrade() else { return };
                let mut kept = 0;
                shared.pool.retain(|_, metrics| {
                    let keep = kept == 0 || metrics.last_used() < IDLE_MAX;
                    kept += usize::from(keep);
                    keep
                });
            }
        });
    }
}

/// A call that waits. It counts until this is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that is closed unless it is returned to the pool.
struct Lease {
    /// `None` after the connection has been returned.
    conn: Option<Object>,
    /// For the connection that cancels a query.
    tls: MakeRustlsConnect,
    /// Given back after the connection.
    _place: OwnedSemaphorePermit,
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
        let done = timeout(limit, async {
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
                tokio::spawn(timeout(CANCEL_MAX, async move {
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

/// Whether the server, the database, the role or PgBouncer has as many connections as it may have.
fn is_full(error: &PoolError) -> bool {
    let PoolError::Backend(error) = error else { return false };
    let Some(answer) = error.as_db_error() else { return false };
    let is_of_bouncer = answer.message().starts_with("no more connections allowed");
    *answer.code() == SqlState::TOO_MANY_CONNECTIONS || is_of_bouncer
}

/// A task was cancelled by a runtime that is shutting down, or its work panicked.
fn unfinished(error: &JoinError) -> StoreError {
    match error.is_panic() {
        true => StoreError::Failed(StoreFault::WorkPanicked),
        false => StoreError::Unavailable(Cause::of(error).into()),
    }
}

/// Whether the settings have to change before a connection can be opened: a wrong password, a
/// database that does not exist, or a certificate that is not valid.
fn is_of_settings(error: &tokio_postgres::Error) -> bool {
    let classes = ["28", "3D"];
    let cause = std::error::Error::source(error);
    let io = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
    match (error.as_db_error(), io) {
        (Some(answer), _) => classes.contains(&answer.code().code().get(..2).unwrap_or_default()),
        (None, Some(io)) => io.kind() == std::io::ErrorKind::InvalidData,
        (None, None) => !error.is_closed(),
    }
}

fn no_connection(error: &PoolError) -> StoreError {
    let cause = Cause::of(chain(error));
    match error {
        PoolError::Backend(error) if is_of_settings(error) => {
            StoreError::Failed(StoreFault::CannotConnect(cause))
        }
        _ => StoreError::Unavailable(NoAnswer::NoConnection(cause)),
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
    StoreError::Failed(Cause::of(error).into())
}
