//! A future that outlives who waits for it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use tokio::runtime::Handle;

/// What a future panicked with.
pub type Panic = Box<dyn Any + Send>;

type Finishing<T> = Pin<Box<dyn Future<Output = Result<T, Panic>> + Send>>;

/// Polled by who waits for it; dropped before its end, it goes on as a task of a runtime.
///
/// A task from the start would do too, but costs two more turns of the thread: one
/// until it begins, and one until the waiter hears of its end. On a busy thread a
/// turn is as long as everything else that is ready there.
pub struct Uncancelled<T: Send + 'static> {
    future: Option<Finishing<T>>,
    runtime: Handle,
}

impl<T: Send + 'static> Uncancelled<T> {
    /// `future` goes on in `runtime` when nobody waits for it.
    pub fn new(future: impl Future<Output = T> + Send + 'static, runtime: &Handle) -> Self {
        let future = AssertUnwindSafe(future).catch_unwind().boxed();
        Self { future: Some(future), runtime: runtime.clone() }
    }
}

impl<T: Send + 'static> Future for Uncancelled<T> {
    type Output = Result<T, Panic>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.future else { return Poll::Pending };
        let polled = future.as_mut().poll(context);
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Uncancelled<T> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            self.runtime.spawn(future);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_goes_on_when_who_waited_left() {
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let journey = async move {
            may_go_on.await.unwrap();
            done.send("saved").unwrap();
        };
        let mut waited_for = Uncancelled::new(journey, &Handle::current());
        assert!((&mut waited_for).now_or_never().is_none());
        drop(waited_for);
        go_on.send(()).unwrap();
        assert_eq!(is_done.await.unwrap(), "saved");
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let journey = async { panic!("{}", "on the way") };
        let ended: Result<(), Panic> = Uncancelled::new(journey, &Handle::current()).await;
        assert_eq!(ended.unwrap_err().downcast_ref::<String>().unwrap(), "on the way");
    }
}
