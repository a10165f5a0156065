//! Threads of low priority for work that takes longer than a worker's thread may be held. Brands
//! share them by the processor time that they use.
//!
//! A free thread takes the work of the brand that has used the least processor time, and of that
//! brand the piece that has used the least. It polls the piece once, up to its next pause, and then
//! chooses again. A brand gets a further thread only while it has fewer than are free, so its work
//! never takes all threads.
//!
//! The system runs the workers' threads first, because they have the normal priority. However much
//! long work there is, a short request is answered at once.

mod own_share;
mod queue;
mod task;

use std::any::Any;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use sluice_kit::thread::{cpu_time, lower_priority};

use own_share::OwnShares;
use queue::{Queue, Ready};
use task::{FirstPoll, Task};

/// Threads that do long work.
pub struct LongWork {
    queue: Arc<Queue<Arc<Task>>>,
    shares: Mutex<OwnShares>,
}

/// A result of [`LongWork`].
pub struct Done<T> {
    /// What the future returned.
    pub value: T,
    /// How long the work was ready while no thread was free for it.
    pub waited: Duration,
}

impl LongWork {
    /// Starts the threads, twice as many as processors. They end when this value is dropped.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(name: &str) -> io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from) * 2;
        let work = Self::on(threads);
        for _ in 0..threads {
            let queue = Arc::clone(&work.queue);
            thread::Builder::new().name(name.to_owned()).spawn(move || {
                lower_priority();
                while let Some(Ready { work, since }) = queue.next() {
                    work.turn(since, &queue);
                }
            })?;
        }
        Ok(work)
    }

    /// Without threads. `threads` is how many there could be.
    fn on(threads: usize) -> Self {
        Self { queue: Arc::new(Queue::new(threads)), shares: Mutex::default() }
    }

    /// Runs `future` for `brand` on the threads. Dropping what this returns cancels the future. Returns
    /// `None` only while the process stops.
    ///
    /// # Panics
    /// Panics if the future does, with the same payload.
    pub async fn run<T: Send + 'static>(
        &self,
        brand: &str,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<Done<T>> {
        let (send, receive) = oneshot::channel();
        let future = async move {
            let ended = AssertUnwindSafe(future).catch_unwind().await;
            // The caller may have gone.
            drop(send.send(ended));
        };
        let task = Task::new(brand, Box::pin(future), Handle::current(), &self.queue);
        let cancel = CancelOnDrop(Arc::clone(&task));
        task.wake_now();
        let ended: Result<T, Box<dyn Any + Send>> = receive.await.ok()?;
        let waited = cancel.0.waited();
        match ended {
            Ok(value) => Some(Done { value, waited }),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Runs `work` for `brand` on the threads, as [`LongWork::run`] does. `work` is not interrupted.
    ///
    /// # Panics
    /// Panics if `work` does.
    pub async fn call<T: Send + 'static>(
        &self,
        brand: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        Some(self.run(brand, async move { work() }).await?.value)
    }

    /// Runs `future` on the caller's thread until it pauses in order to let others run. From there on
    /// it runs on the threads. It begins there if the brand has used more than its share of the
    /// callers' threads.
    ///
    /// # Panics
    /// Panics if the future does.
    pub async fn run_if_long<T: Send + 'static>(
        &self,
        brand: &str,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<Done<T>> {
        let mut future: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(future);
        if !self.is_over_share(brand) {
            let here = poll_fn(|context| self.poll_here(brand, future.as_mut(), context));
            if let Some(value) = here.await {
                return Some(Done { value, waited: Duration::ZERO });
            }
        }
        self.run(brand, future).await
    }

    /// Polls a future on the caller's thread. `None` means that it must go on elsewhere.
    fn poll_here<T>(
        &self,
        brand: &str,
        future: Pin<&mut (dyn Future<Output = T> + Send)>,
        context: &Context<'_>,
    ) -> Poll<Option<T>> {
        let woken = FirstPoll::new(context.waker().clone());
        let began = cpu_time();
        let polled = future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(&woken))));
        self.note_here(brand, cpu_time().saturating_sub(began));
        match polled {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if woken.has_paused() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Whether `brand` has used more than its share of the workers' threads, so that even its short
    /// work belongs on the threads of low priority.
    pub fn is_over_share(&self, brand: &str) -> bool {
        self.queue.has_ready(brand) || self.shares.lock().is_over(brand, Instant::now())
    }

    /// Notes that `brand` used this much processor time on the thread of a worker.
    pub fn note_here(&self, brand: &str, used: Duration) {
        self.shares.lock().note(brand, used, Instant::now());
    }
}

impl Drop for LongWork {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Lets the future of a task be dropped when nobody waits for its result.
struct CancelOnDrop(Arc<Task>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Pauses once. Work of [`LongWork`] lets other work run, and a future in
/// [`LongWork::run_if_long`] goes on there.
pub(crate) async fn pause() {
    let mut has_paused = false;
    poll_fn(|context| {
        if has_paused {
            return Poll::Ready(());
        }
        has_paused = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
