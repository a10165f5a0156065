//! Making an answer: one request does, the others wait.

use tokio::sync::watch;

/// A fill that runs. The requests that wait for it are woken when it is dropped.
pub(crate) struct FillState {
    /// Differs from those of all other fills.
    pub(crate) number: u64,
    end: watch::Sender<()>,
}

impl FillState {
    pub(crate) fn new(number: u64) -> Self {
        Self { number, end: watch::Sender::new(()) }
    }

    pub(crate) fn wait(&self) -> Waiting {
        Waiting(self.end.subscribe())
    }
}

/// Waits until another request has made the answer, or has failed to.
pub struct Waiting(watch::Receiver<()>);

impl Waiting {
    /// Waits. Then the caller has to look again.
    pub async fn until_over(mut self) {
        // Nothing is ever sent: the end is that the sender is dropped.
        while self.0.changed().await.is_ok() {}
    }
}
