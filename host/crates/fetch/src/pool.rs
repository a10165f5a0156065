//! The connections and calls of one brand. Brands share nothing, so what one of them sends cannot reach the
//! connection of another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::Whole;
use crate::host::Named;
use crate::rules::Target;
use crate::stream::Meter;

/// Calls of a brand at the same time, in all and to one host. Further calls wait.
pub(crate) const BRAND_CALLS_MAX: usize = 32;
pub(crate) const HOST_CALLS_MAX: usize = 8;
/// Names that a brand looks up at the same time. A name whose servers do not answer keeps its place longer
/// than its call, so without this bound one brand could keep all others from looking up theirs.
const LOOKUPS_MAX: usize = 8;
/// Connections of a brand that no call uses.
const IDLE_MAX: usize = 16;
/// How long such a connection is kept.
const IDLE: Duration = Duration::from_secs(20);

/// What calls go to: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    is_https: bool,
    host: Named,
    port: u16,
}

impl Origin {
    pub(crate) fn of(target: &Target) -> Self {
        Self { is_https: target.is_https, host: target.host.clone(), port: target.port }
    }
}

/// A connection that can take a request.
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Whole>,
    /// What it may still read.
    pub(crate) meter: Arc<Meter>,
    /// Whether it goes to a network that the operator calls private.
    pub(crate) is_private: bool,
    /// Whether it took a request before.
    pub(crate) is_used: bool,
}

struct Idle {
    origin: Origin,
    connection: Connection,
    since: Instant,
}

/// The calls of one brand.
pub(crate) struct BrandCalls {
    calls: Arc<Semaphore>,
    hosts: Mutex<HashMap<Named, Arc<Semaphore>>>,
    lookups: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    /// Whether a task closes connections that are not used for long.
    has_closer: AtomicBool,
}

impl Default for BrandCalls {
    fn default() -> Self {
        Self {
            calls: Arc::new(Semaphore::new(BRAND_CALLS_MAX)),
            hosts: Mutex::default(),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            idle: Mutex::default(),
            has_closer: AtomicBool::new(false),
        }
    }
}

impl BrandCalls {
    /// Waits until the brand may make another call.
    pub(crate) async fn admit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.calls).acquire_owned().await.ok()
    }

    /// Waits until the brand may make another call to this host.
    pub(crate) async fn admit_to(&self, host: &Named) -> Option<OwnedSemaphorePermit> {
        let calls = {
            let mut hosts = self.hosts.lock();
            // Those that no call uses.
            if hosts.len() > BRAND_CALLS_MAX {
                hosts.retain(|_, calls| Arc::strong_count(calls) > 1);
            }
            let calls = hosts.entry(host.clone());
            Arc::clone(calls.or_insert_with(|| Arc::new(Semaphore::new(HOST_CALLS_MAX))))
        };
        calls.acquire_owned().await.ok()
    }

    /// Waits until the brand may look up another name.
    pub(crate) async fn admit_lookup(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.lookups).acquire_owned().await.ok()
    }

    /// A connection that an earlier call has left, the newest first.
    pub(crate) fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut idle = self.idle.lock();
        idle.retain(|one| one.since.elapsed() < IDLE && !one.connection.sender.is_closed());
        let at = idle.iter().rposition(|one| one.origin == *origin)?;
        Some(idle.remove(at).connection)
    }

    /// Keeps a connection for later calls.
    pub(crate) fn keep(self: &Arc<Self>, origin: Origin, connection: Connection, runtime: &Handle) {
        if connection.sender.is_closed() {
            return;
        }
        let connection = Connection { is_used: true, ..connection };
        let mut idle = self.idle.lock();
        if idle.len() >= IDLE_MAX {
            idle.remove(0);
        }
        idle.push(Idle { origin, connection, since: Instant::now() });
        if !self.has_closer.swap(true, Ordering::AcqRel) {
            runtime.spawn(close_old(Arc::downgrade(self)));
        }
    }
}

/// Closes the connections of a brand that are not used for long, until there are none.
async fn close_old(calls: Weak<BrandCalls>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let Some(calls) = calls.upgrade() else { return };
        let mut idle = calls.idle.lock();
        idle.retain(|one| one.since.elapsed() < IDLE && !one.connection.sender.is_closed());
        // Under the lock, so that a connection that is kept now gets a new task.
        if idle.is_empty() {
            calls.has_closer.store(false, Ordering::Release);
            return;
        }
    }
}
