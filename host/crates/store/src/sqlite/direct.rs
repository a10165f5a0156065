//! Reads of rows by their keys, on the caller's thread.
//!
//! Such a read takes microseconds if the rows are in memory. Passing it to another thread and its answer
//! back takes ten times as long. If the file is locked, or the disk is slow, the read goes to the other
//! threads after a few milliseconds, and so do those of the next second.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use tokio::runtime::Handle;

use super::{SqliteOptions, connection};
use crate::PoolUsage;

/// How long a read may wait for a lock on the caller's thread.
const BUSY_MAX: Duration = Duration::from_millis(5);
/// How long reads stay away from the callers' threads after some took longer.
const PAUSE: Duration = Duration::from_secs(1);
/// So many slow reads in a row mean that the disk is slow. A single one can be slow because other work took
/// the processor.
const SLOW_MAX: u32 = 3;
/// The most connections. More threads than this seldom read at the same moment.
const CONNECTIONS_MAX: usize = 16;
/// The memory of each connection for pages of the file, in KiB.
const CACHE_KIB: u32 = 512;

/// The connections. A thread takes the one that was used last, which has the pages in its cache.
pub(super) struct DirectReaders {
    path: PathBuf,
    runtime: Handle,
    free: Mutex<Vec<Connection>>,
    /// Connections that are open or being opened.
    open: AtomicUsize,
    connections_max: usize,
    is_closed: AtomicBool,
    since: Instant,
    /// How many reads in a row were slow.
    slow: AtomicU32,
    /// Until then reads stay away, in milliseconds after `since`.
    paused_until_ms: AtomicU64,
}

impl DirectReaders {
    /// Connections are opened when they are needed, on the blocking threads of `runtime`.
    pub(super) fn new(options: &SqliteOptions, runtime: Handle) -> Arc<Self> {
        let threads = available_parallelism().map_or(1, usize::from);
        Arc::new(Self {
            path: options.path.clone(),
            runtime,
            free: Mutex::default(),
            open: AtomicUsize::new(0),
            connections_max: (2 * threads).min(CONNECTIONS_MAX),
            is_closed: AtomicBool::new(false),
            since: Instant::now(),
            slow: AtomicU32::new(0),
            paused_until_ms: AtomicU64::new(0),
        })
    }

    /// Runs `ask` on this thread. `None` if no connection is free, or if the database does not answer at
    /// once, which `has_failed` tells from the answer.
    pub(super) fn ask<T, E>(
        self: &Arc<Self>,
        ask: impl FnOnce(&mut Connection) -> Result<T, E>,
        has_failed: impl FnOnce(&E) -> bool,
    ) -> Option<Result<T, E>> {
        if self.is_paused() {
            return None;
        }
        let mut taken = self.take()?;
        let began = Instant::now();
        let answer = ask(taken.conn.as_mut()?);
        let has_failed = answer.as_ref().is_err_and(has_failed);
        if has_failed || self.is_slow(began.elapsed()) {
            self.pause();
        }
        if has_failed { None } else { Some(answer) }
    }

    /// Notes how long a read took. Returns true if too many in a row were slow.
    fn is_slow(&self, took: Duration) -> bool {
        if took <= BUSY_MAX {
            // Nearly every read is fast after one that was.
            if self.slow.load(Ordering::Relaxed) > 0 {
                self.slow.store(0, Ordering::Relaxed);
            }
            return false;
        }
        let slow = self.slow.fetch_add(1, Ordering::Relaxed) + 1;
        slow.is_multiple_of(SLOW_MAX)
    }

    fn is_paused(&self) -> bool {
        let until_ms = self.paused_until_ms.load(Ordering::Relaxed);
        until_ms > 0 && self.elapsed_ms() < until_ms
    }

    fn pause(&self) {
        let pause_ms = u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX);
        self.paused_until_ms.store(self.elapsed_ms().saturating_add(pause_ms), Ordering::Relaxed);
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A free connection. If there is none, another one is opened for the next read.
    fn take(self: &Arc<Self>) -> Option<Taken> {
        let free = self.free.lock().pop();
        if let Some(conn) = free {
            return Some(Taken { readers: Arc::clone(self), conn: Some(conn) });
        }
        let more = |open| (open < self.connections_max).then_some(open + 1);
        let may_open = !self.is_closed.load(Ordering::SeqCst)
            && self.open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok();
        if may_open {
            let readers = Arc::clone(self);
            self.runtime.spawn_blocking(move || {
                let opened = Taken { conn: readers.open().ok(), readers };
                // Returns it to those that are free.
                drop(opened);
            });
        }
        None
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, flags)?;
        connection::set_up_reader(&conn, BUSY_MAX)?;
        conn.execute_batch(&format!("PRAGMA cache_size = -{CACHE_KIB}"))?;
        // Loads the schema.
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(conn)
    }

    /// Adds the connections to `usage`.
    pub(super) fn add_usage(&self, usage: &mut PoolUsage) {
        let (open, free) = (self.open.load(Ordering::SeqCst), self.free.lock().len());
        usage.limit += self.connections_max;
        usage.open += open;
        usage.in_use += open.saturating_sub(free);
    }

    /// Closes the connections: those that are free now, and the others after their reads.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        let closed = std::mem::take(&mut *self.free.lock());
        self.open.fetch_sub(closed.len(), Ordering::SeqCst);
    }
}

/// A connection that one thread uses.
struct Taken {
    readers: Arc<DirectReaders>,
    conn: Option<Connection>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut free = self.readers.free.lock();
        match self.conn.take() {
            // The flag is read under the lock, so that no connection comes back after the last was closed.
            Some(conn) if !self.readers.is_closed.load(Ordering::SeqCst) => free.push(conn),
            _ => drop(self.readers.open.fetch_sub(1, Ordering::SeqCst)),
        }
    }
}
