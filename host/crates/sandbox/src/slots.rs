//! Admits runs. A bounded number of sandboxes run, a bounded number of requests wait in a queue,
//! and further requests are rejected.
//!
//! Brands share the sandboxes. A sandbox that becomes free goes to the brand with the fewest
//! running sandboxes, and among equals to the one that was served longest ago. A brand gets a
//! further sandbox only while it runs less than three times as many as are free, and while their memory
//! is less than three times the memory that is free. So a single brand uses at most three quarters of
//! them, and another brand's first request need not wait. If the queue is
//! full and a brand with few waiting requests sends another, the newest waiting request of the
//! brand with the most is rejected to make room. So a flood of one brand displaces its own
//! requests only.
//!
//! Runs that use the database get at most half of the sandboxes, of the queue and of the memory, and so do
//! runs that call other servers. So if the database or other servers hang, pages that do not need them are
//! still served. A request whose template calls the CRM keeps its place when its run has ended, and takes one
//! if it has no run.
//!
//! A request also waits if the memory that it needs is not free. Then all requests behind it wait,
//! too, so that small requests cannot keep a large one waiting for ever.

mod kind;
mod lent;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use sluice_telemetry::metrics::{MemoryUsage, SandboxUsage};

use crate::memory::{Memory, Reserved, Waiting};
use kind::KINDS;
pub(crate) use kind::SeenKind;
pub use kind::{Awaited, RunKind};

/// The size of the pool and of its queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlotsConfig {
    /// Runs at the same time.
    pub(crate) slots: usize,
    /// Requests that may wait.
    pub(crate) waiting_max: usize,
    /// How long a request may wait.
    pub(crate) wait_max: Duration,
}

/// A brand gets a further sandbox while it runs less than this many times as many as are free.
const RUNNING_OF_FREE: usize = 3;

/// The part of a number that runs may take which wait for the same thing.
fn share(all: usize) -> usize {
    all - all / 2
}

/// All sandboxes, and the queue of requests that wait for one.
#[derive(Clone)]
pub struct Slots {
    queue: Arc<Queue>,
}

/// The right to run one sandbox. Dropping it passes the sandbox on.
pub struct Slot {
    /// `None` in a slot that its request did not take.
    queue: Option<Arc<Queue>>,
    brand: String,
    /// The memory of the run. It can be kept longer than the slot.
    pub memory: Option<Reserved>,
    /// The bytes that were reserved for the run.
    bytes: usize,
    uses_database: AtomicBool,
    uses_network: AtomicBool,
}

struct Queue {
    config: SlotsConfig,
    memory: Arc<Memory>,
    state: Mutex<State>,
}

struct State {
    free: usize,
    running: usize,
    /// The most that ran at the same time since somebody asked.
    most_running: usize,
    waiting: usize,
    database: Share,
    network: Share,
    /// The request whose turn it is does not fit into the memory.
    lacks_memory: bool,
    /// Numbers the tickets and the turns.
    count: u64,
    /// The brands that run or wait.
    brands: HashMap<String, BrandQueue>,
}

/// The runs that wait for the same thing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Share {
    /// Running sandboxes, and the memory that was reserved for them.
    running: usize,
    bytes: usize,
    /// Waiting requests.
    waiting: usize,
}

#[derive(Default)]
struct BrandQueue {
    running: usize,
    /// The turn in which this brand last got a sandbox.
    served: u64,
    /// Requests by what their runs wait for: nothing, the database, other servers, both.
    lines: [VecDeque<Waiter>; 4],
}

struct Waiter {
    ticket: u64,
    /// The bytes of memory that the request reserves.
    bytes: usize,
    /// If it is dropped without a slot, the request was displaced.
    grant: oneshot::Sender<Slot>,
}

/// The part of the queue that is full.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    /// The share of the requests whose runs wait for the same thing.
    Of(Awaited),
}

impl Part {
    fn has(self, kind: RunKind) -> bool {
        match self {
            Self::Whole => true,
            Self::Of(awaited) => kind.waits_for(awaited),
        }
    }
}

impl BrandQueue {
    fn line(&mut self, kind: RunKind) -> &mut VecDeque<Waiter> {
        let [plain, database, network, both] = &mut self.lines;
        match (kind.database, kind.network) {
            (false, false) => plain,
            (true, false) => database,
            (false, true) => network,
            (true, true) => both,
        }
    }

    /// The lines of a part of the queue, each with its kind.
    fn lines(&self, part: Part) -> impl Iterator<Item = (RunKind, &VecDeque<Waiter>)> {
        KINDS.into_iter().zip(&self.lines).filter(move |(kind, _)| part.has(*kind))
    }

    fn waiting(&self, part: Part) -> usize {
        self.lines(part).map(|(_, line)| line.len()).sum()
    }

    /// The kind of the request that waits longest, among those that are first and may run.
    fn first(&self, may_run: impl Fn(RunKind, usize) -> bool) -> Option<RunKind> {
        let fronts = self.lines(Part::Whole).filter_map(|(kind, line)| Some((kind, line.front()?)));
        let ready = fronts.filter(|(kind, waiter)| may_run(*kind, waiter.bytes));
        ready.min_by_key(|(_, waiter)| waiter.ticket).map(|(kind, _)| kind)
    }

    /// The kind of the newest request in a part of the queue.
    fn newest(&self, part: Part) -> Option<RunKind> {
        let backs = self.lines(part).filter_map(|(kind, line)| Some((kind, line.back()?)));
        backs.max_by_key(|(_, waiter)| waiter.ticket).map(|(kind, _)| kind)
    }
}

impl Slots {
    pub(crate) fn new(config: SlotsConfig, memory: Arc<Memory>) -> Self {
        let state = State {
            free: config.slots,
            running: 0,
            most_running: 0,
            waiting: 0,
            database: Share::default(),
            network: Share::default(),
            lacks_memory: false,
            count: 0,
            brands: HashMap::new(),
        };
        let queue = Arc::new(Queue { config, memory: Arc::clone(&memory), state: Mutex::new(state) });
        let told: Weak<Queue> = Arc::downgrade(&queue);
        memory.tell(told);
        Self { queue }
    }

    /// Waits for a sandbox for a run of `brand`, and for `bytes` of memory. `None` if the queue is
    /// full, if another brand's request displaced this one, or if the wait timed out.
    pub async fn take(&self, brand: &str, kind: RunKind, bytes: usize) -> Option<Slot> {
        let (ticket, granted) = match self.queue.enter(brand, kind, bytes) {
            Admission::Runs(slot) => return Some(slot),
            Admission::Waits(ticket, granted) => (ticket, granted),
            Admission::Full => return None,
        };
        let _place = Place { queue: &self.queue, brand, kind, ticket };
        tokio::time::timeout(self.queue.config.wait_max, granted).await.ok()?.ok()
    }

    /// Whether a request of `brand` would be rejected at once.
    pub fn is_full_for(&self, brand: &str, kind: RunKind) -> bool {
        let state = self.queue.state.lock();
        let would_wait = state.lacks_memory || !self.queue.may_run(&state, state.running(brand), kind, 0);
        let full = self.queue.full_part(&state, kind).filter(|_| would_wait);
        full.is_some_and(|part| state.displaced_by(brand, part).is_none())
    }

    /// The numbers of running sandboxes and waiting requests, and their limits.
    pub fn usage(&self) -> SandboxUsage {
        let state = self.queue.state.lock();
        let SlotsConfig { slots, waiting_max, .. } = self.queue.config;
        SandboxUsage { limit: slots, running: state.running, waiting: state.waiting, waiting_max }
    }
}

impl Slot {
    /// Notes that the run waits for something.
    pub(crate) fn wait_for(&self, awaited: Awaited) {
        let flag = match awaited {
            Awaited::Database => &self.uses_database,
            Awaited::Network => &self.uses_network,
        };
        if !flag.swap(true, Ordering::Relaxed)
            && let Some(queue) = &self.queue
        {
            let mut state = queue.state.lock();
            let share = state.share(awaited);
            share.running += 1;
            share.bytes += self.bytes;
        }
    }

    fn kind(&self) -> RunKind {
        RunKind {
            database: self.uses_database.load(Ordering::Relaxed),
            network: self.uses_network.load(Ordering::Relaxed),
        }
    }
}

/// What happens to a request that needs a sandbox.
enum Admission {
    Runs(Slot),
    Waits(u64, oneshot::Receiver<Slot>),
    Full,
}

impl Queue {
    fn enter(self: &Arc<Self>, brand: &str, kind: RunKind, bytes: usize) -> Admission {
        let mut state = self.state.lock();
        if self.may_run(&state, state.running(brand), kind, bytes)
            && !state.lacks_memory
            && let Some(memory) = self.memory.try_reserve(bytes)
        {
            state.serve(brand, kind, bytes);
            return Admission::Runs(self.slot(brand.to_owned(), kind, bytes, memory));
        }
        if let Some(part) = self.full_part(&state, kind) {
            let Some(other) = state.displaced_by(brand, part) else { return Admission::Full };
            state.displace(&other, part);
        }
        state.count += 1;
        state.add_waiting(kind);
        let ticket = state.count;
        let (grant, granted) = oneshot::channel();
        let waiter = Waiter { ticket, bytes, grant };
        state.brands.entry(brand.to_owned()).or_default().line(kind).push_back(waiter);
        // Memory may have been released since it was asked for.
        self.serve_waiting(&mut state);
        Admission::Waits(ticket, granted)
    }

    /// Whether a brand that runs this many sandboxes may get a further one with `bytes` of memory.
    fn may_run(&self, state: &State, running: usize, kind: RunKind, bytes: usize) -> bool {
        let MemoryUsage { reserved, limit } = self.memory.usage();
        let free = limit.saturating_sub(reserved).saturating_mul(RUNNING_OF_FREE);
        let has_share = running < state.free.saturating_mul(RUNNING_OF_FREE)
            && (running == 0 || bytes == 0 || running.saturating_mul(bytes) < free);
        has_share && kind.awaited().all(|awaited| self.has_room(state.share_of(awaited), bytes, limit))
    }

    /// Whether one more run may wait for the same thing.
    fn has_room(&self, taken: &Share, bytes: usize, memory_max: usize) -> bool {
        let fits = taken.bytes.saturating_add(bytes) <= share(memory_max) || taken.running == 0;
        fits && taken.running < share(self.config.slots)
    }

    /// The part of the queue in which a request would wait, if it is full.
    fn full_part(&self, state: &State, kind: RunKind) -> Option<Part> {
        let waiting_max = self.config.waiting_max;
        if state.waiting >= waiting_max {
            return Some(Part::Whole);
        }
        let is_full = |awaited: &Awaited| state.share_of(*awaited).waiting >= share(waiting_max);
        kind.awaited().find(is_full).map(Part::Of)
    }

    fn slot(self: &Arc<Self>, brand: String, kind: RunKind, bytes: usize, memory: Reserved) -> Slot {
        Slot {
            queue: Some(Arc::clone(self)),
            brand,
            memory: Some(memory),
            bytes,
            uses_database: AtomicBool::new(kind.database),
            uses_network: AtomicBool::new(kind.network),
        }
    }

    fn leave(self: &Arc<Self>, brand: &str, kind: RunKind, bytes: usize) {
        let mut state = self.state.lock();
        state.ended(brand, kind, bytes);
        self.serve_waiting(&mut state);
    }

    /// Gives the free sandboxes to the requests whose turn it is, as far as the memory allows.
    fn serve_waiting(self: &Arc<Self>, state: &mut State) {
        state.lacks_memory = false;
        while let Some((brand, kind, Waiter { bytes, grant, .. }, memory)) = self.next(state) {
            // If that request has stopped waiting, the sandbox goes to the next one.
            let Err(mut unused) = grant.send(self.slot(brand, kind, bytes, memory)) else { continue };
            unused.queue = None;
            if let Some(memory) = unused.memory.take() {
                // This queue is locked, so it must not be told.
                memory.release_quietly();
            }
            state.ended(&unused.brand, kind, bytes);
        }
    }

    /// Takes a free sandbox and the memory for the request whose turn it is.
    fn next(&self, state: &mut State) -> Option<(String, RunKind, Waiter, Reserved)> {
        let waiting = state.brands.iter().filter_map(|(brand, queue)| {
            let kind = queue.first(|kind, bytes| self.may_run(state, queue.running, kind, bytes))?;
            Some((queue.running, queue.served, brand, kind))
        });
        let (_, _, brand, kind) = waiting.min_by_key(|(running, served, ..)| (*running, *served))?;
        let brand = brand.clone();
        let waiters = state.brands.get_mut(&brand)?.line(kind);
        let Some(memory) = self.memory.try_reserve(waiters.front()?.bytes) else {
            state.lacks_memory = true;
            return None;
        };
        let waiter = waiters.pop_front()?;
        state.remove_waiting(kind);
        state.serve(&brand, kind, waiter.bytes);
        Some((brand, kind, waiter, memory))
    }
}

impl Waiting for Queue {
    fn memory_released(self: Arc<Self>) {
        let mut state = self.state.lock();
        if state.waiting > 0 {
            self.serve_waiting(&mut state);
        }
    }
}

impl State {
    fn share(&mut self, awaited: Awaited) -> &mut Share {
        match awaited {
            Awaited::Database => &mut self.database,
            Awaited::Network => &mut self.network,
        }
    }

    fn share_of(&self, awaited: Awaited) -> &Share {
        match awaited {
            Awaited::Database => &self.database,
            Awaited::Network => &self.network,
        }
    }

    /// How many sandboxes a brand runs.
    fn running(&self, brand: &str) -> usize {
        self.brands.get(brand).map_or(0, |queue| queue.running)
    }

    fn serve(&mut self, brand: &str, kind: RunKind, bytes: usize) {
        self.free -= 1;
        self.running += 1;
        self.most_running = self.most_running.max(self.running);
        for awaited in kind.awaited() {
            let share = self.share(awaited);
            share.running += 1;
            share.bytes += bytes;
        }
        self.count += 1;
        let turn = self.count;
        let queue = self.brands.entry(brand.to_owned()).or_default();
        queue.running += 1;
        queue.served = turn;
    }

    fn ended(&mut self, brand: &str, kind: RunKind, bytes: usize) {
        self.free += 1;
        self.running -= 1;
        for awaited in kind.awaited() {
            let share = self.share(awaited);
            share.running -= 1;
            share.bytes -= bytes;
        }
        if let Some(queue) = self.brands.get_mut(brand) {
            queue.running = queue.running.saturating_sub(1);
        }
        self.forget(brand);
    }

    fn add_waiting(&mut self, kind: RunKind) {
        self.waiting += 1;
        for awaited in kind.awaited() {
            self.share(awaited).waiting += 1;
        }
    }

    fn remove_waiting(&mut self, kind: RunKind) {
        self.waiting -= 1;
        for awaited in kind.awaited() {
            self.share(awaited).waiting -= 1;
        }
    }

    /// Removes a brand that neither runs nor waits.
    fn forget(&mut self, brand: &str) {
        let is_gone = |queue: &BrandQueue| queue.running == 0 && queue.waiting(Part::Whole) == 0;
        if self.brands.get(brand).is_some_and(is_gone) {
            self.brands.remove(brand);
        }
    }

    /// The brand whose newest request must make room for one of `brand`: the brand with the
    /// most waiting requests, if it has more than `brand` would have then.
    fn displaced_by(&self, brand: &str, part: Part) -> Option<String> {
        let own = self.brands.get(brand).map_or(0, |queue| queue.waiting(part));
        let (other, queue) = self.brands.iter().max_by_key(|(_, queue)| queue.waiting(part))?;
        (queue.waiting(part) > own + 1).then(|| other.clone())
    }

    fn displace(&mut self, brand: &str, part: Part) {
        if let Some(queue) = self.brands.get_mut(brand) {
            let newest = queue.newest(part).filter(|kind| queue.line(*kind).pop_back().is_some());
            if let Some(kind) = newest {
                self.remove_waiting(kind);
            }
        }
        self.forget(brand);
    }

    fn give_up(&mut self, brand: &str, kind: RunKind, ticket: u64) {
        if let Some(queue) = self.brands.get_mut(brand)
            && let Some(at) = queue.line(kind).iter().position(|waiter| waiter.ticket == ticket)
        {
            queue.line(kind).remove(at);
            self.remove_waiting(kind);
        }
        self.forget(brand);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The queue must not be locked when the memory is released, which tells the queue.
        drop(self.memory.take());
        if let Some(queue) = self.queue.take() {
            queue.leave(&self.brand, self.kind(), self.bytes);
        }
    }
}

/// A place in the queue. It is given up when the wait ends in any way.
struct Place<'a> {
    queue: &'a Arc<Queue>,
    brand: &'a str,
    kind: RunKind,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        state.give_up(self.brand, self.kind, self.ticket);
        if state.lacks_memory {
            // Requests behind this one may need less memory.
            self.queue.serve_waiting(&mut state);
        }
    }
}

#[cfg(test)]
mod tests;
