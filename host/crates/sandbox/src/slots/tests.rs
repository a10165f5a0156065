use std::task::Poll;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::*;

fn slots(slots: usize, waiting_max: usize) -> Slots {
    Slots::new(SlotsConfig { slots, waiting_max, wait_max: Duration::from_secs(600) })
}

type Waiting = BoxFuture<'static, Option<Slot>>;

/// A request that has come, and been told to wait or not.
fn come(slots: &Slots, brand: &'static str) -> Waiting {
    let slots = slots.clone();
    let mut waiting: Waiting = Box::pin(async move { slots.take(brand).await });
    if let Some(done) = (&mut waiting).now_or_never() {
        return Box::pin(async move { done });
    }
    waiting
}

/// What it has been told by now.
fn told(waiting: &mut Waiting) -> Poll<Option<Slot>> {
    waiting.now_or_never().map_or(Poll::Pending, Poll::Ready)
}

fn slot(waiting: &mut Waiting) -> Slot {
    match told(waiting) {
        Poll::Ready(Some(slot)) => slot,
        Poll::Ready(None) => panic!("it was turned away"),
        Poll::Pending => panic!("it still waits"),
    }
}

fn is_turned_away(waiting: &mut Waiting) -> bool {
    matches!(told(waiting), Poll::Ready(None))
}

#[tokio::test]
async fn a_place_is_given_back() {
    let slots = slots(1, 8);
    let first = slot(&mut come(&slots, "a"));
    let mut second = come(&slots, "a");
    assert!(told(&mut second).is_pending());
    drop(first);
    drop(slot(&mut second));
    assert_eq!(slots.usage(), SandboxUsage { limit: 1, running: 0, waiting: 0, waiting_max: 8 });
    assert!(slots.line.lock().brands.is_empty(), "nothing is kept of brands that left");
}

#[tokio::test]
async fn the_line_is_bounded() {
    let slots = slots(1, 2);
    let _running = slot(&mut come(&slots, "a"));
    let _line = [come(&slots, "a"), come(&slots, "a")];
    assert!(slots.is_full_for("a"));
    assert!(is_turned_away(&mut come(&slots, "a")));
    assert_eq!(slots.usage().waiting, 2);
}

#[tokio::test]
async fn who_gives_up_leaves_the_line_and_loses_no_sandbox() {
    let slots = slots(1, 2);
    let running = slot(&mut come(&slots, "a"));
    let gone = come(&slots, "a");
    let mut next = come(&slots, "a");
    drop(gone);
    assert_eq!(slots.usage().waiting, 1);
    drop(running);
    let given = slot(&mut next);
    // Given a sandbox and gone before it was taken up.
    let late = come(&slots, "a");
    drop(given);
    drop(late);
    assert_eq!(slots.usage().running, 0);
}

#[tokio::test]
async fn a_free_sandbox_goes_to_the_brand_that_runs_the_fewest() {
    let slots = slots(2, 16);
    let first = slot(&mut come(&slots, "flood"));
    let second = slot(&mut come(&slots, "flood"));
    let mut flood: Vec<_> = (0..4).map(|_| come(&slots, "flood")).collect();
    let mut guest = [come(&slots, "guest"), come(&slots, "guest")];
    drop(first);
    let guest_runs = slot(&mut guest[0]);
    // One each: the guest's next run has its turn after the flood's.
    drop(second);
    let _flood_runs = slot(&mut flood[0]);
    assert!(told(&mut guest[1]).is_pending());
    // However long the flood is, the guest is next whenever its own run ends.
    drop(guest_runs);
    let _guest_runs = slot(&mut guest[1]);
    assert!(told(&mut flood[1]).is_pending());
}

#[tokio::test]
async fn a_flood_pushes_out_itself() {
    let slots = slots(1, 3);
    let running = slot(&mut come(&slots, "flood"));
    let mut flood: Vec<_> = (0..3).map(|_| come(&slots, "flood")).collect();
    assert!(slots.is_full_for("flood") && !slots.is_full_for("guest"));
    let mut guest = come(&slots, "guest");
    assert!(is_turned_away(&mut flood[2]), "the newest of the flood made room");
    assert!(told(&mut flood[1]).is_pending());
    // Lines of two and one: nobody has to make room for another guest.
    assert!(is_turned_away(&mut come(&slots, "guest")));
    drop(running);
    drop(slot(&mut guest));
    drop(slot(&mut flood[0]));
    drop(slot(&mut flood[1]));
    assert_eq!(slots.usage().running, 0);
}

#[tokio::test]
async fn waiting_ends() {
    let slots = Slots::new(SlotsConfig { slots: 1, waiting_max: 3, wait_max: Duration::from_millis(1) });
    let _running = slot(&mut come(&slots, "a"));
    assert!(come(&slots, "a").await.is_none());
    assert_eq!(slots.usage().waiting, 0);
}
