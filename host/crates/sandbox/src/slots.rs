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
//! A request also waits if the memory that it needs is not free. Then all requests behind it wait,
//! too, so that small requests cannot keep a large one waiting for ever.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use sluice_telemetry::metrics::{MemoryUsage, SandboxUsage};

use crate::memory::{Memory, Reserved, Waiting};

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
}

struct Queue {
    config: SlotsConfig,
    memory: Arc<Memory>,
    state: Mutex<State>,
}

struct State {
    free: usize,
    waiting: usize,
    /// The request whose turn it is does not fit into the memory.
    lacks_memory: bool,
    /// Numbers the tickets and the turns.
    count: u64,
    /// The brands that run or wait.
    brands: HashMap<String, BrandQueue>,
}

#[derive(Default)]
struct BrandQueue {
    running: usize,
    /// The turn in which this brand last got a sandbox.
    served: u64,
    waiters: VecDeque<Waiter>,
}

struct Waiter {
    ticket: u64,
    /// The bytes of memory that the request reserves.
    bytes: usize,
    /// If it is dropped without a slot, the request was displaced.
    grant: oneshot::Sender<Slot>,
}

impl Slots {
    pub(crate) fn new(config: SlotsConfig, memory: Arc<Memory>) -> Self {
        let state =
            State { free: config.slots, waiting: 0, lacks_memory: false, count: 0, brands: HashMap::new() };
        let queue = Arc::new(Queue { config, memory: Arc::clone(&memory), state: Mutex::new(state) });
        let told: Weak<Queue> = Arc::downgrade(&queue);
        memory.tell(told);
        Self { queue }
    }

    /// Waits for a sandbox for a run of `brand`, and for `bytes` of memory. `None` if the queue is
    /// full, if another brand's request displaced this one, or if the wait timed out.
    pub async fn take(&self, brand: &str, bytes: usize) -> Option<Slot> {
        let (ticket, granted) = match self.queue.enter(brand, bytes) {
            Admission::Runs(slot) => return Some(slot),
            Admission::Waits(ticket, granted) => (ticket, granted),
            Admission::Full => return None,
        };
        let _place = Place { queue: &self.queue, brand, ticket };
        tokio::time::timeout(self.queue.config.wait_max, granted).await.ok()?.ok()
    }

    /// Whether a request of `brand` would be rejected at once.
    pub fn is_full_for(&self, brand: &str) -> bool {
        let state = self.queue.state.lock();
        let is_full = (!state.may_run(brand, 0, &self.queue.memory) || state.lacks_memory)
            && state.waiting >= self.queue.config.waiting_max;
        is_full && state.displaced_by(brand).is_none()
    }

    /// The numbers of running sandboxes and waiting requests, and their limits.
    pub fn usage(&self) -> SandboxUsage {
        let state = self.queue.state.lock();
        let SlotsConfig { slots, waiting_max, .. } = self.queue.config;
        SandboxUsage { limit: slots, running: slots - state.free, waiting: state.waiting, waiting_max }
    }
}

/// What happens to a request that needs a sandbox.
enum Admission {
    Runs(Slot),
    Waits(u64, oneshot::Receiver<Slot>),
    Full,
}

impl Queue {
    fn enter(self: &Arc<Self>, brand: &str, bytes: usize) -> Admission {
        let mut state = self.state.lock();
        if state.may_run(brand, bytes, &self.memory)
            && !state.lacks_memory
            && let Some(memory) = self.memory.try_reserve(bytes)
        {
            state.free -= 1;
            state.serve(brand);
            return Admission::Runs(self.slot(brand.to_owned(), memory));
        }
        if state.waiting >= self.config.waiting_max {
            let Some(other) = state.displaced_by(brand) else { return Admission::Full };
            state.displace(&other);
        }
        state.count += 1;
        state.waiting += 1;
        let ticket = state.count;
        let (grant, granted) = oneshot::channel();
        state.brands.entry(brand.to_owned()).or_default().waiters.push_back(Waiter { ticket, bytes, grant });
        // Memory may have been released since it was asked for.
        self.serve_waiting(&mut state);
        Admission::Waits(ticket, granted)
    }

    fn slot(self: &Arc<Self>, brand: String, memory: Reserved) -> Slot {
        Slot { queue: Some(Arc::clone(self)), brand, memory: Some(memory) }
    }

    fn leave(self: &Arc<Self>, brand: &str) {
        let mut state = self.state.lock();
        state.free += 1;
        state.ended(brand);
        self.serve_waiting(&mut state);
    }

    /// Gives the free sandboxes to the requests whose turn it is, as far as the memory allows.
    fn serve_waiting(self: &Arc<Self>, state: &mut State) {
        state.lacks_memory = false;
        while let Some((brand, grant, memory)) = state.next(&self.memory) {
            // If that request has stopped waiting, the sandbox goes to the next one.
            let Err(mut unused) = grant.send(self.slot(brand, memory)) else { continue };
            unused.queue = None;
            if let Some(memory) = unused.memory.take() {
                // This queue is locked, so it must not be told.
                memory.release_quietly();
            }
            state.free += 1;
            state.ended(&unused.brand);
        }
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
    fn serve(&mut self, brand: &str) {
        self.count += 1;
        let turn = self.count;
        let queue = self.brands.entry(brand.to_owned()).or_default();
        queue.running += 1;
        queue.served = turn;
    }

    fn ended(&mut self, brand: &str) {
        if let Some(queue) = self.brands.get_mut(brand) {
            queue.running = queue.running.saturating_sub(1);
        }
        self.forget(brand);
    }

    /// Removes a brand that neither runs nor waits.
    fn forget(&mut self, brand: &str) {
        if self.brands.get(brand).is_some_and(|queue| queue.running == 0 && queue.waiters.is_empty()) {
            self.brands.remove(brand);
        }
    }

    /// Whether a brand that runs this many sandboxes may get a further one with `bytes` of memory.
    fn has_room(&self, running: usize, bytes: usize, memory: &Memory) -> bool {
        let MemoryUsage { reserved, limit } = memory.usage();
        let free = limit.saturating_sub(reserved).saturating_mul(RUNNING_OF_FREE);
        running < self.free.saturating_mul(RUNNING_OF_FREE)
            && (running == 0 || bytes == 0 || running.saturating_mul(bytes) < free)
    }

    fn may_run(&self, brand: &str, bytes: usize, memory: &Memory) -> bool {
        self.has_room(self.brands.get(brand).map_or(0, |queue| queue.running), bytes, memory)
    }

    /// Takes a free sandbox and the memory for the request whose turn it is.
    fn next(&mut self, memory: &Arc<Memory>) -> Option<(String, oneshot::Sender<Slot>, Reserved)> {
        let may_run = |queue: &BrandQueue| {
            queue.waiters.front().is_some_and(|first| self.has_room(queue.running, first.bytes, memory))
        };
        let waiting = self.brands.iter().filter(|(_, queue)| may_run(queue));
        let brand = waiting.min_by_key(|(_, queue)| (queue.running, queue.served))?.0.clone();
        let waiters = &mut self.brands.get_mut(&brand)?.waiters;
        let Some(memory) = memory.try_reserve(waiters.front()?.bytes) else {
            self.lacks_memory = true;
            return None;
        };
        let waiter = waiters.pop_front()?;
        self.waiting -= 1;
        self.free -= 1;
        self.serve(&brand);
        Some((brand, waiter.grant, memory))
    }

    /// The brand whose newest request must make room for one of `brand`: the brand with the
    /// most waiting requests, if it has more than `brand` would have then.
    fn displaced_by(&self, brand: &str) -> Option<String> {
        let own = self.brands.get(brand).map_or(0, |queue| queue.waiters.len());
        let (other, queue) = self.brands.iter().max_by_key(|(_, queue)| queue.waiters.len())?;
        (queue.waiters.len() > own + 1).then(|| other.clone())
    }

    fn displace(&mut self, brand: &str) {
        if let Some(queue) = self.brands.get_mut(brand)
            && queue.waiters.pop_back().is_some()
        {
            self.waiting -= 1;
        }
        self.forget(brand);
    }

    fn give_up(&mut self, brand: &str, ticket: u64) {
        if let Some(queue) = self.brands.get_mut(brand)
            && let Some(at) = queue.waiters.iter().position(|waiter| waiter.ticket == ticket)
        {
            queue.waiters.remove(at);
            self.waiting -= 1;
        }
        self.forget(brand);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The queue must not be locked when the memory is released, which tells the queue.
        drop(self.memory.take());
        if let Some(queue) = self.queue.take() {
            queue.leave(&self.brand);
        }
    }
}

/// A place in the queue. It is given up when the wait ends in any way.
struct Place<'a> {
    queue: &'a Arc<Queue>,
    brand: &'a str,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        state.give_up(self.brand, self.ticket);
        if state.lacks_memory {
            // Requests behind this one may need less memory.
            self.queue.serve_waiting(&mut state);
        }
    }
}

#[cfg(test)]
mod tests;
