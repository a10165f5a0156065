//! A piece of long work, and whether it is ready.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use sluice_kit::thread::cpu_time;

use super::queue::Queue;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Waits for something else than a thread.
const IDLE: u8 = 0;
/// Is in the queue.
const READY: u8 = 1;
/// A thread polls it.
const RUNNING: u8 = 2;
/// A thread polls it, and it was woken since the poll began.
const WOKEN: u8 = 3;
const ENDED: u8 = 4;

/// A future that the threads poll.
pub(super) struct Task {
    pub(super) brand: Arc<str>,
    work: Mutex<Option<Work>>,
    /// The runtime whose timers and tasks the future uses.
    runtime: Handle,
    queue: Weak<Queue<Arc<Task>>>,
    state: AtomicU8,
    is_cancelled: AtomicBool,
    used_ns: AtomicU64,
    waited_ns: AtomicU64,
}

impl Task {
    pub(super) fn new(brand: &str, work: Work, runtime: Handle, queue: &Arc<Queue<Arc<Task>>>) -> Arc<Self> {
        Arc::new(Self {
            brand: brand.into(),
            work: Mutex::new(Some(work)),
            runtime,
            queue: Arc::downgrade(queue),
            state: AtomicU8::new(IDLE),
            is_cancelled: AtomicBool::new(false),
            used_ns: AtomicU64::new(0),
            waited_ns: AtomicU64::new(0),
        })
    }

    /// Polls the future once and returns the thread to `queue`. The task was ready since `since`.
    pub(super) fn turn(self: Arc<Self>, since: Instant, queue: &Queue<Arc<Task>>) {
        self.waited_ns.fetch_add(nanoseconds(since.elapsed()), Ordering::Relaxed);
        self.state.store(RUNNING, Ordering::SeqCst);
        let began = cpu_time();
        let has_ended = self.poll();
        let used = cpu_time().saturating_sub(began);
        self.used_ns.fetch_add(nanoseconds(used), Ordering::Relaxed);
        if has_ended {
            self.state.store(ENDED, Ordering::SeqCst);
        }
        let now_idle = self.state.compare_exchange(RUNNING, IDLE, Ordering::SeqCst, Ordering::SeqCst);
        let again = (now_idle == Err(WOKEN)).then(|| {
            self.state.store(READY, Ordering::SeqCst);
            (Arc::clone(&self), self.rank())
        });
        queue.leave(&self.brand, used, again);
    }

    /// Returns true if there is nothing more to do. A panic is the future's own affair: it catches it
    /// and passes it on.
    fn poll(self: &Arc<Self>) -> bool {
        let mut work = self.work.lock();
        let Some(future) = work.as_mut() else { return true };
        let _runtime = self.runtime.enter();
        let waker = Waker::from(Arc::clone(self));
        let has_ended = self.is_cancelled.load(Ordering::SeqCst)
            || future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        if has_ended {
            *work = None;
        }
        has_ended
    }

    /// The work of a brand that has used the least goes first. Cancelled work only has to be dropped.
    fn rank(&self) -> u64 {
        match self.is_cancelled.load(Ordering::SeqCst) {
            true => 0,
            false => self.used_ns.load(Ordering::Relaxed),
        }
    }

    /// Makes the task ready, unless it is.
    pub(super) fn wake_now(self: &Arc<Self>) {
        let Some(queue) = self.queue.upgrade() else { return };
        let was = self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| match state {
            IDLE => Some(READY),
            RUNNING => Some(WOKEN),
            _ => None,
        });
        if was == Ok(IDLE) {
            queue.enter(&self.brand, Arc::clone(self), self.rank());
        }
    }

    /// Drops the future at the next turn, which it gets soon.
    pub(super) fn cancel(self: &Arc<Self>) {
        self.is_cancelled.store(true, Ordering::SeqCst);
        self.wake_now();
    }

    pub(super) fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited_ns.load(Ordering::Relaxed))
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_now();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_now();
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

const POLLED: u8 = 0;
const PAUSED: u8 = 1;
const WAITS: u8 = 2;

/// The waker of a future that the thread of its caller polls. Tells a future that wants to go on at
/// once from one that waits for something.
pub(super) struct FirstPoll {
    state: AtomicU8,
    caller: Waker,
}

impl FirstPoll {
    pub(super) fn new(caller: Waker) -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(POLLED), caller })
    }

    /// Whether the future was woken during its poll. Later, waking it wakes its caller.
    pub(super) fn has_paused(&self) -> bool {
        self.state.swap(WAITS, Ordering::SeqCst) == PAUSED
    }
}

impl Wake for FirstPoll {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.compare_exchange(POLLED, PAUSED, Ordering::SeqCst, Ordering::SeqCst) == Err(WAITS) {
            self.caller.wake_by_ref();
        }
    }
}
