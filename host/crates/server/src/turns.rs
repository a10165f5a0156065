//! Whose request is looked at first when a thread has more to do than it can.

use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

/// Turns of the thread that a connection lets go by before its next request is looked at.
#[derive(Default)]
pub struct TurnsOwed(AtomicU32);

/// What an answer costs in turns. Requests that are answered at once would otherwise keep
/// the thread for as long as their connection has more of them.
const TURNS_OF_ANSWER: u32 = 1;
/// What being turned away costs: clients that ask again at once come after those who are
/// let in, and still hear within milliseconds.
const TURNS_OF_REFUSAL: u32 = 16;

impl TurnsOwed {
    /// Waits until the thread has done that many rounds of what is ready.
    pub async fn let_others_go_first(&self) {
        let mut owed = self.0.swap(0, Ordering::Relaxed);
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

    /// Notes the status of an answer on this connection.
    pub fn note(&self, status: u16) {
        let turns = if status == 503 { TURNS_OF_REFUSAL } else { TURNS_OF_ANSWER };
        self.0.store(turns, Ordering::Relaxed);
    }
}
