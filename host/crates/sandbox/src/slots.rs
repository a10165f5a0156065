//! Admission: so many sandboxes run, so many requests wait, the rest are told
//! to come back.
//!
//! Brands share what there is. A sandbox that becomes free goes to the brand
//! that runs the fewest, among equals to the one that was served longest ago.
//! When the line is full, who comes takes the place of the newest in the longest
//! line of another brand: a flood of one brand pushes out itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use sluice_telemetry::metrics::SandboxUsage;

/// How many run, how many wait and for how long.
#[derive(Debug, Clone, Copy)]
pub struct SlotsConfig {
    pub slots: usize,
    pub waiting_max: usize,
    pub wait_max: Duration,
}

/// All sandboxes and the line before them.
#[derive(Clone)]
pub struct Slots {
    line: Arc<Line>,
}

/// A place for one run, given back when dropped.
pub struct Slot {
    /// Gone in a slot that nobody took.
    line: Option<Arc<Line>>,
    brand: String,
}

struct Line {
    config: SlotsConfig,
    state: Mutex<State>,
}

struct State {
    free: usize,
    waiting: usize,
    /// Tickets and turns given so far.
    count: u64,
    /// Brands that run something or wait.
    brands: HashMap<String, BrandLine>,
}

#[derive(Default)]
struct BrandLine {
    running: usize,
    /// The turn in which a sandbox was last given to it.
    served: u64,
    waiters: VecDeque<Waiter>,
}

struct Waiter {
    ticket: u64,
    /// Dropped unsent: the waiter was pushed out.
    grant: oneshot::Sender<Slot>,
}

impl Slots {
    pub fn new(config: SlotsConfig) -> Self {
        let state = State { free: config.slots, waiting: 0, count: 0, brands: HashMap::new() };
        Self { line: Arc::new(Line { config, state: Mutex::new(state) }) }
    }

    /// A place for one run of `brand`; none when the line is full, others pushed
    /// this one out of it, or waiting took too long.
    pub async fn take(&self, brand: &str) -> Option<Slot> {
        let (ticket, granted) = match self.line.enter(brand) {
            Entered::Runs(slot) => return Some(slot),
            Entered::Waits(ticket, granted) => (ticket, granted),
            Entered::Full => return None,
        };
        let _place = Place { line: &self.line, brand, ticket };
        tokio::time::timeout(self.line.config.wait_max, granted).await.ok()?.ok()
    }

    /// True when a request of `brand` would be turned away at once.
    pub fn is_full_for(&self, brand: &str) -> bool {
        let state = self.line.lock();
        let is_full = state.free == 0 && state.waiting >= self.line.config.waiting_max;
        is_full && state.pushed_out_by(brand).is_none()
    }

    /// How full it is.
    pub fn usage(&self) -> SandboxUsage {
        let state = self.line.lock();
        let SlotsConfig { slots, waiting_max, .. } = self.line.config;
        SandboxUsage { limit: slots, running: slots - state.free, waiting: state.waiting, waiting_max }
    }
}

enum Entered {
    Runs(Slot),
    Waits(u64, oneshot::Receiver<Slot>),
    Full,
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing below can panic between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, brand: &str) -> Entered {
        let mut state = self.lock();
        if state.free > 0 {
            state.free -= 1;
            state.serve(brand);
            return Entered::Runs(Slot { line: Some(Arc::clone(self)), brand: brand.to_owned() });
        }
        if state.waiting >= self.config.waiting_max {
            let Some(other) = state.pushed_out_by(brand) else { return Entered::Full };
            state.push_out(&other);
        }
        state.count += 1;
        state.waiting += 1;
        let ticket = state.count;
        let (grant, granted) = oneshot::channel();
        state.brands.entry(brand.to_owned()).or_default().waiters.push_back(Waiter { ticket, grant });
        Entered::Waits(ticket, granted)
    }

    fn leave(self: &Arc<Self>, brand: &str) {
        let mut state = self.lock();
        state.free += 1;
        state.ended(brand);
        while let Some((brand, grant)) = state.next() {
            let slot = Slot { line: Some(Arc::clone(self)), brand };
            // Who gave up has no use for it: the next one is asked.
            let Err(mut unused) = grant.send(slot) else { return };
            unused.line = None;
            state.free += 1;
            state.ended(&unused.brand);
        }
    }
}

impl State {
    fn serve(&mut self, brand: &str) {
        self.count += 1;
        let turn = self.count;
        let line = self.brands.entry(brand.to_owned()).or_default();
        line.running += 1;
        line.served = turn;
    }

    fn ended(&mut self, brand: &str) {
        if let Some(line) = self.brands.get_mut(brand) {
            line.running = line.running.saturating_sub(1);
        }
        self.forget(brand);
    }

    /// Keeps no brand that neither runs nor waits.
    fn forget(&mut self, brand: &str) {
        if self.brands.get(brand).is_some_and(|line| line.running == 0 && line.waiters.is_empty()) {
            self.brands.remove(brand);
        }
    }

    /// Whose turn it is, with a sandbox taken for it.
    fn next(&mut self) -> Option<(String, oneshot::Sender<Slot>)> {
        if self.free == 0 {
            return None;
        }
        let waiting = self.brands.iter().filter(|(_, line)| !line.waiters.is_empty());
        let brand = waiting.min_by_key(|(_, line)| (line.running, line.served))?.0.clone();
        let waiter = self.brands.get_mut(&brand)?.waiters.pop_front()?;
        self.waiting -= 1;
        self.free -= 1;
        self.serve(&brand);
        Some((brand, waiter.grant))
    }

    /// The brand that has to make room for `brand`: the one with the longest
    /// line, where that is longer than its own.
    fn pushed_out_by(&self, brand: &str) -> Option<String> {
        let own = self.brands.get(brand).map_or(0, |line| line.waiters.len());
        let (other, line) = self.brands.iter().max_by_key(|(_, line)| line.waiters.len())?;
        (line.waiters.len() > own + 1).then(|| other.clone())
    }

    fn push_out(&mut self, brand: &str) {
        if let Some(line) = self.brands.get_mut(brand)
            && line.waiters.pop_back().is_some()
        {
            self.waiting -= 1;
        }
        self.forget(brand);
    }

    fn give_up(&mut self, brand: &str, ticket: u64) {
        if let Some(line) = self.brands.get_mut(brand)
            && let Some(at) = line.waiters.iter().position(|waiter| waiter.ticket == ticket)
        {
            line.waiters.remove(at);
            self.waiting -= 1;
        }
        self.forget(brand);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            line.leave(&self.brand);
        }
    }
}

/// A place in the line, given back however the wait ends.
struct Place<'a> {
    line: &'a Arc<Line>,
    brand: &'a str,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.line.lock().give_up(self.brand, self.ticket);
    }
}

#[cfg(test)]
mod tests;
