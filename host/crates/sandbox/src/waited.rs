//! How long a run waits in host calls.

use std::future::Future;
use std::time::{Duration, Instant};

/// The waits of a run, and whether it is waiting now: if it times out meanwhile, the host is the cause.
#[derive(Default)]
pub(crate) struct Waited {
    pub(crate) wall: Duration,
    pub(crate) is_waiting: bool,
}

impl Waited {
    /// Waits for `work`. If the returned future is dropped before it ends, the run was still waiting.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        self.is_waiting = true;
        let done = work.await;
        self.is_waiting = false;
        self.wall += began.elapsed();
        done
    }
}
