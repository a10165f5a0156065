//! Which connection's request a worker thread handles first when it has more work than it can do.

use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

/// The number of turns of the thread that a connection waits before its next request is handled.
#[derive(Default)]
pub(crate) struct TurnsOwed(AtomicU32);

/// Turns that a connection waits after any response but 503. Without them, a connection whose
/// requests are answered at once would keep the thread until it has no more requests.
const TURNS_OF_ANSWER: u32 = 1;
/// Turns that a connection waits after 503. Clients that retry at once are handled after admitted
/// requests, and still get their response within milliseconds.
const TURNS_OF_REJECTION: u32 = 16;

impl TurnsOwed {
    /// Waits for the turns that this connection owes. In each turn the thread polls every task that
    /// is ready. Requests of HTTP/2 that come at the same time all wait.
    pub(crate) async fn let_others_go_first(&self) {
        let mut owed = self.0.load(Ordering::Relaxed);
        std::future::poll_fn(|context| {
            if owed == 0 {
                return Poll::Ready(());
            }
            owed -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Sets the turns that this connection owes after a response with `status`.
    pub(crate) fn note(&self, status: u16) {
        let turns = if status == 503 { TURNS_OF_REJECTION } else { TURNS_OF_ANSWER };
        self.0.store(turns, Ordering::Relaxed);
    }
}
