//! Ends a run whose time is up.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

/// How often a run may still go on after its time is up. The engine makes a checkpoint several times in
/// each turn, and ends the run there, so that the author can be told the line.
const LAST_TURNS: u32 = 8;

/// Runs `run` until its end, or until its time is up and it has had its last turns. Then returns `None`.
pub(crate) async fn until_over<T>(until: Option<Instant>, run: impl Future<Output = T>) -> Option<T> {
    let Some(until) = until else { return Some(run.await) };
    let (mut run, mut up) = (pin!(run), pin!(tokio::time::sleep_until(until.into())));
    let mut turns = LAST_TURNS;
    poll_fn(|context| {
        let was_up = Instant::now() >= until;
        if let Poll::Ready(done) = run.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        if was_up {
            if turns == 0 {
                return Poll::Ready(None);
            }
            turns -= 1;
        }
        // The timer costs nothing for runs that end in their first turn.
        if was_up || up.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, poll_fn};
    use std::task::Poll;
    use std::time::Instant;

    use super::{LAST_TURNS, until_over};

    #[tokio::test]
    async fn run_that_waits_ends_when_its_time_is_up() {
        assert_eq!(until_over(Some(Instant::now()), pending::<()>()).await, None);
        assert_eq!(until_over(None, async { 1 }).await, Some(1));
    }

    #[tokio::test]
    async fn run_that_never_stops_gets_a_bounded_number_of_turns() {
        let turns = Cell::new(0);
        let busy = poll_fn(|context| {
            turns.set(turns.get() + 1);
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!(until_over(Some(Instant::now()), busy).await, None);
        assert_eq!(turns.get(), LAST_TURNS + 1);
    }
}
