//! A future that continues when its caller is dropped.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use tokio::runtime::Handle;

/// The payload of a panic.
pub type Panic = Box<dyn Any + Send>;

type Finishing<T> = Pin<Box<dyn Future<Output = Result<T, Panic>> + Send>>;

/// A future that cannot be cancelled. Its caller polls it; if it is dropped before its end, it
/// continues as a task of a runtime.
///
/// Spawning a task at once would be slower. The caller would wait one turn of its thread for the
/// task to start, and one for its result. On a busy thread, a turn takes as long as everything
/// else that is ready there.
pub struct Uncancelled<T: Send + 'static> {
    future: Option<Finishing<T>>,
    runtime: Handle,
}

impl<T: Send + 'static> Uncancelled<T> {
    /// Wraps `future`. It continues in `runtime` if its caller drops it.
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
    async fn continues_after_its_caller_drops_it() {
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
    async fn returns_a_panic_as_an_error() {
        let journey = async { panic!("{}", "on the way") };
        let ended: Result<(), Panic> = Uncancelled::new(journey, &Handle::current()).await;
        assert_eq!(ended.unwrap_err().downcast_ref::<String>().unwrap(), "on the way");
    }
}
