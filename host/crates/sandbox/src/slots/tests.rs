use std::task::Poll;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::*;

fn slots(slots: usize, waiting_max: usize) -> Slots {
    with_memory(slots, waiting_max, &Memory::new(usize::MAX))
}

fn with_memory(slots: usize, waiting_max: usize, memory: &Arc<Memory>) -> Slots {
    let config = SlotsConfig { slots, waiting_max, wait_max: Duration::from_secs(600) };
    Slots::new(config, Arc::clone(memory))
}

const DATABASE: RunKind = RunKind { database: true, network: false };
const NETWORK: RunKind = RunKind { database: false, network: true };
const BOTH: RunKind = RunKind { database: true, network: true };

type Waiting = BoxFuture<'static, Option<Slot>>;

/// Sends a request. It gets a sandbox, waits, or is rejected.
fn send(slots: &Slots, brand: &'static str) -> Waiting {
    send_kind(slots, brand, RunKind::PLAIN)
}

fn send_kind(slots: &Slots, brand: &'static str, kind: RunKind) -> Waiting {
    let slots = slots.clone();
    let mut waiting: Waiting = Box::pin(async move { slots.take(brand, kind, 10).await });
    if let Some(done) = (&mut waiting).now_or_never() {
        return Box::pin(async move { done });
    }
    waiting
}

/// The answer that the request has got so far.
fn answer(waiting: &mut Waiting) -> Poll<Option<Slot>> {
    waiting.now_or_never().map_or(Poll::Pending, Poll::Ready)
}

fn slot(waiting: &mut Waiting) -> Slot {
    match answer(waiting) {
        Poll::Ready(Some(slot)) => slot,
        Poll::Ready(None) => panic!("it was rejected"),
        Poll::Pending => panic!("it is still waiting"),
    }
}

fn is_rejected(waiting: &mut Waiting) -> bool {
    matches!(answer(waiting), Poll::Ready(None))
}

#[tokio::test]
async fn dropped_slot_goes_to_the_next_request() {
    let slots = slots(1, 8);
    let first = slot(&mut send(&slots, "a"));
    let mut second = send(&slots, "a");
    assert!(answer(&mut second).is_pending());
    drop(first);
    drop(slot(&mut second));
    assert_eq!(slots.usage(), SandboxUsage { limit: 1, running: 0, waiting: 0, waiting_max: 8 });
    assert!(slots.queue.state.lock().brands.is_empty(), "brands without requests are removed");
}

#[tokio::test]
async fn rejects_requests_beyond_the_queue() {
    let slots = slots(1, 2);
    let _running = slot(&mut send(&slots, "a"));
    let _line = [send(&slots, "a"), send(&slots, "a")];
    assert!(slots.is_full_for("a", RunKind::PLAIN));
    assert!(is_rejected(&mut send(&slots, "a")));
    assert_eq!(slots.usage().waiting, 2);
}

#[tokio::test]
async fn cancelled_request_leaves_the_queue_and_loses_no_sandbox() {
    let slots = slots(1, 2);
    let running = slot(&mut send(&slots, "a"));
    let gone = send(&slots, "a");
    let mut next = send(&slots, "a");
    drop(gone);
    assert_eq!(slots.usage().waiting, 1);
    drop(running);
    let given = slot(&mut next);
    // This request gets a sandbox, but is cancelled before it takes it.
    let late = send(&slots, "a");
    drop(given);
    drop(late);
    assert_eq!(slots.usage().running, 0);
}

#[tokio::test]
async fn free_sandbox_goes_to_the_brand_with_the_fewest_runs() {
    let slots = slots(2, 16);
    let first = slot(&mut send(&slots, "flood"));
    let second = slot(&mut send(&slots, "flood"));
    let mut flood: Vec<_> = (0..4).map(|_| send(&slots, "flood")).collect();
    let mut guest = [send(&slots, "guest"), send(&slots, "guest")];
    drop(first);
    let guest_runs = slot(&mut guest[0]);
    // The guest still runs one and the flood none, so the flood is next.
    drop(second);
    let _flood_runs = slot(&mut flood[0]);
    assert!(answer(&mut guest[1]).is_pending());
    // However long the flood is, the guest is next when its own run ends.
    drop(guest_runs);
    let _guest_runs = slot(&mut guest[1]);
    assert!(answer(&mut flood[1]).is_pending());
}

#[tokio::test]
async fn one_brand_never_runs_all_sandboxes() {
    let slots = slots(128, 512);
    let mut flood: Vec<_> = (0..200).map(|_| send(&slots, "flood")).collect();
    let mut running: Vec<_> = flood.drain(..96).map(|mut request| slot(&mut request)).collect();
    assert!(flood.iter_mut().all(|request| answer(request).is_pending()));
    assert_eq!((slots.usage().running, slots.usage().waiting), (96, 104));
    // Others need not wait, although requests wait.
    let guests: Vec<_> = (0..8).map(|_| slot(&mut send(&slots, "guest"))).collect();
    assert!(!slots.is_full_for("guest", RunKind::PLAIN));
    // A sandbox of the flood that becomes free stays free until the flood runs few enough.
    running.pop();
    assert!(answer(&mut flood[0]).is_pending());
    drop(guests);
    let _next = slot(&mut flood[0]);
    assert!(answer(&mut flood[1]).is_pending());
}

#[tokio::test]
async fn one_brand_never_takes_all_memory() {
    let memory = Memory::new(100);
    let slots = with_memory(64, 64, &memory);
    let mut flood: Vec<_> = (0..20).map(|_| send(&slots, "flood")).collect();
    let running: Vec<_> = flood.drain(..8).map(|mut request| slot(&mut request)).collect();
    assert!(flood.iter_mut().all(|request| answer(request).is_pending()));
    let _guest = slot(&mut send(&slots, "guest"));
    drop(running);
    assert!(answer(&mut flood[0]).is_ready());
}

#[tokio::test]
async fn flood_displaces_its_own_requests() {
    let slots = slots(1, 3);
    let running = slot(&mut send(&slots, "flood"));
    let mut flood: Vec<_> = (0..3).map(|_| send(&slots, "flood")).collect();
    assert!(slots.is_full_for("flood", RunKind::PLAIN) && !slots.is_full_for("guest", RunKind::PLAIN));
    let mut guest = send(&slots, "guest");
    assert!(is_rejected(&mut flood[2]), "the newest request of the flood made room");
    assert!(answer(&mut flood[1]).is_pending());
    // Two and one are waiting, so no request is displaced for another guest.
    assert!(is_rejected(&mut send(&slots, "guest")));
    drop(running);
    drop(slot(&mut guest));
    drop(slot(&mut flood[0]));
    drop(slot(&mut flood[1]));
    assert_eq!(slots.usage().running, 0);
}

#[tokio::test]
async fn waiting_request_times_out() {
    let slots = Slots::new(
        SlotsConfig { slots: 1, waiting_max: 3, wait_max: Duration::from_millis(1) },
        Memory::new(usize::MAX),
    );
    let _running = slot(&mut send(&slots, "a"));
    assert!(send(&slots, "a").await.is_none());
    assert_eq!(slots.usage().waiting, 0);
}

#[tokio::test]
async fn requests_wait_for_memory_as_for_a_sandbox() {
    let memory = Memory::new(25);
    let slots = with_memory(8, 2, &memory);
    let other_work = memory.try_reserve(6).unwrap();
    let first = slot(&mut send(&slots, "a"));
    let mut second = send(&slots, "a");
    let mut third = send(&slots, "b");
    assert!(answer(&mut second).is_pending(), "10 + 6 + 10 bytes do not fit into 25");
    assert!(answer(&mut third).is_pending());
    assert!(slots.is_full_for("a", RunKind::PLAIN));
    assert_eq!((slots.usage().running, slots.usage().waiting), (1, 2));
    // Any work that releases memory lets the next request run: the brand with the fewest sandboxes.
    drop(other_work);
    let third = slot(&mut third);
    assert!(answer(&mut second).is_pending());
    drop(first);
    let mut second = slot(&mut second);
    // A run can keep its memory after it has given back its sandbox.
    let kept = second.memory.take();
    drop((second, third));
    assert_eq!((slots.usage().running, memory.usage().reserved), (0, 10));
    drop(kept);
    assert_eq!(memory.usage().reserved, 0);
}

#[tokio::test]
async fn memory_for_a_request_that_stopped_waiting_goes_to_the_next() {
    let memory = Memory::new(10);
    let slots = with_memory(8, 8, &memory);
    let first = slot(&mut send(&slots, "a"));
    let gone = send(&slots, "a");
    let mut next = send(&slots, "a");
    drop(gone);
    drop(first);
    drop(slot(&mut next));
    assert_eq!((slots.usage().waiting, memory.usage().reserved), (0, 0));
}

#[tokio::test]
async fn runs_that_wait_for_the_database_leave_half_of_the_sandboxes() {
    let slots = slots(8, 8);
    let database = |slots: &Slots| send_kind(slots, "a", DATABASE);
    let mut running: Vec<_> = (0..4).map(|_| slot(&mut database(&slots))).collect();
    let mut waiting: Vec<_> = (0..4).map(|_| database(&slots)).collect();
    assert!(waiting.iter_mut().all(|request| answer(request).is_pending()), "four sandboxes are free");
    assert!(slots.is_full_for("a", DATABASE) && !slots.is_full_for("a", RunKind::PLAIN));
    assert!(is_rejected(&mut database(&slots)), "their part of the queue is full");
    let first = slot(&mut send(&slots, "a"));
    let _second = slot(&mut send(&slots, "a"));
    let mut third = send(&slots, "a");
    assert!(answer(&mut third).is_pending(), "a quarter is left for other brands");
    drop(first);
    let _third = slot(&mut third);
    assert!(answer(&mut waiting[0]).is_pending(), "a request that came later runs first");
    drop(running.pop());
    let _next = slot(&mut waiting[0]);
    assert!(answer(&mut waiting[1]).is_pending());
}

#[tokio::test]
async fn a_run_counts_from_its_first_use_of_the_database() {
    let slots = slots(8, 8);
    let running: Vec<_> = (0..4).map(|_| slot(&mut send(&slots, "a"))).collect();
    for run in &running {
        run.wait_for(Awaited::Database);
        run.wait_for(Awaited::Database);
    }
    let mut database = send_kind(&slots, "a", DATABASE);
    assert!(answer(&mut database).is_pending());
    drop(running);
    drop(slot(&mut database));
    let state = slots.queue.state.lock();
    assert_eq!((state.free, state.waiting), (8, 0));
    assert_eq!(state.database, Share::default());
}

#[tokio::test]
async fn lent_sandboxes_come_back_to_those_who_wait() {
    let slots = slots(8, 8);
    let mut running: Vec<_> = (0..3).map(|_| slot(&mut send(&slots, "a"))).collect();
    running.pop();
    assert_eq!((slots.take_most_running(), slots.take_most_running()), (3, 2));
    let lent = slots.lend_free(1);
    assert_eq!((lent.count(), slots.usage().running), (5, 2));
    running.push(slot(&mut send(&slots, "b")));
    let mut waiting = send(&slots, "c");
    assert!(answer(&mut waiting).is_pending());
    assert_eq!(slots.lend_free(0).count(), 0, "a request waits");
    drop(lent);
    drop(slot(&mut waiting));
    drop(running);
    assert_eq!(slots.lend_free(0).count(), 8);
}

#[tokio::test]
async fn runs_that_wait_for_the_database_leave_half_of_the_memory() {
    let slots = with_memory(100, 100, &Memory::new(100));
    let database = |slots: &Slots| send_kind(slots, "a", DATABASE);
    let _running: Vec<_> = (0..5).map(|_| slot(&mut database(&slots))).collect();
    assert!(answer(&mut database(&slots)).is_pending());
    let _plain = slot(&mut send(&slots, "a"));
}

#[tokio::test]
async fn runs_that_call_other_servers_leave_half_of_the_sandboxes_to_those_that_use_the_database() {
    let slots = slots(16, 16);
    let mut network: Vec<_> = (0..8).map(|_| slot(&mut send_kind(&slots, "a", NETWORK))).collect();
    let mut further = send_kind(&slots, "b", NETWORK);
    assert!(answer(&mut further).is_pending(), "half of the sandboxes are taken");
    let mut both = send_kind(&slots, "b", BOTH);
    assert!(answer(&mut both).is_pending(), "a run that waits for both needs room for both");
    let _database: Vec<_> = (0..4).map(|_| slot(&mut send_kind(&slots, "b", DATABASE))).collect();
    let _plain = slot(&mut send(&slots, "c"));
    drop(network.pop());
    let further = slot(&mut further);
    assert!(answer(&mut both).is_pending());
    drop(further);
    let both = slot(&mut both);
    {
        let state = slots.queue.state.lock();
        assert_eq!((state.network.running, state.database.running, state.network.waiting), (8, 5, 0));
    }
    drop((network, both));
    assert_eq!(slots.queue.state.lock().network, Share::default());
}

#[tokio::test]
async fn a_run_counts_from_its_first_call_of_another_server() {
    let slots = slots(8, 8);
    let run = slot(&mut send_kind(&slots, "a", DATABASE));
    run.wait_for(Awaited::Network);
    run.wait_for(Awaited::Network);
    {
        let state = slots.queue.state.lock();
        assert_eq!((state.network.running, state.database.running), (1, 1));
    }
    drop(run);
    let state = slots.queue.state.lock();
    assert_eq!((&state.network, &state.database), (&Share::default(), &Share::default()));
}
