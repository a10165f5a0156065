//! Which piece of long work a free thread takes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// One turn of a brand in this many goes to the piece that waits longest. Without it, long work would
/// not even notice that its time is over while new work keeps arriving.
const OLDEST_EVERY: u64 = 8;

/// The work that is ready, and the threads that are free for it. A piece of work is a `T`.
pub(super) struct Queue<T> {
    threads: usize,
    state: Mutex<State<T>>,
    /// Notified when work becomes ready or a thread becomes free.
    changed: Condvar,
}

struct State<T> {
    running: usize,
    /// Numbers the pieces that became ready.
    count: u64,
    /// The processor time of the brand whose turn was last. Brands start from here, so a brand that
    /// did nothing for long is not ahead of the others for long.
    used_ns: u64,
    /// The brands that have work.
    brands: HashMap<Arc<str>, Brand<T>>,
    is_closed: bool,
}

struct Brand<T> {
    used_ns: u64,
    running: usize,
    turns: u64,
    /// By the processor time that each has used, then by the order in which they became ready.
    ready: BTreeMap<(u64, u64), Ready<T>>,
}

/// A piece of work, and since when it has been ready.
pub(super) struct Ready<T> {
    pub(super) work: T,
    pub(super) since: Instant,
}

impl<T> Queue<T> {
    pub(super) fn new(threads: usize) -> Self {
        let state = State { running: 0, count: 0, used_ns: 0, brands: HashMap::new(), is_closed: false };
        Self { threads, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Adds work of `brand` that is ready.
    pub(super) fn enter(&self, brand: &Arc<str>, work: T, rank: u64) {
        let mut state = self.state.lock();
        if state.is_closed {
            return;
        }
        state.count += 1;
        let (number, used_ns) = (state.count, state.used_ns);
        let new = || Brand { used_ns, running: 0, turns: 0, ready: BTreeMap::new() };
        let brand = state.brands.entry(Arc::clone(brand)).or_insert_with(new);
        brand.ready.insert((rank, number), Ready { work, since: Instant::now() });
        self.changed.notify_one();
    }

    /// Waits for the next piece of work. `None` if the threads must end.
    pub(super) fn next(&self) -> Option<Ready<T>> {
        let mut state = self.state.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(ready) = state.take(self.threads) {
                return Some(ready);
            }
            self.changed.wait(&mut state);
        }
    }

    /// The next piece of work, if there is one for a free thread.
    #[cfg(test)]
    pub(super) fn next_now(&self) -> Option<T> {
        Some(self.state.lock().take(self.threads)?.work)
    }

    /// Notes that a thread has polled work of `brand` for this long. `again` is the work, if it is
    /// still ready, and its rank.
    pub(super) fn leave(&self, brand: &Arc<str>, used: Duration, again: Option<(T, u64)>) {
        let mut state = self.state.lock();
        state.running = state.running.saturating_sub(1);
        state.count += 1;
        let (number, is_closed) = (state.count, state.is_closed);
        if let Some(found) = state.brands.get_mut(brand) {
            found.running = found.running.saturating_sub(1);
            // Work that takes no time counts, too.
            let used_ns = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX).max(1);
            found.used_ns = found.used_ns.saturating_add(used_ns);
            if let Some((work, rank)) = again.filter(|_| !is_closed) {
                found.ready.insert((rank, number), Ready { work, since: Instant::now() });
            }
            if found.running == 0 && found.ready.is_empty() {
                state.brands.remove(brand);
            }
        }
        self.changed.notify_one();
    }

    /// Whether work of `brand` waits for a thread.
    pub(super) fn has_ready(&self, brand: &str) -> bool {
        self.state.lock().brands.get(brand).is_some_and(|brand| !brand.ready.is_empty())
    }

    /// Ends the threads and drops all work that is ready.
    pub(super) fn close(&self) {
        let dropped = {
            let mut state = self.state.lock();
            state.is_closed = true;
            std::mem::take(&mut state.brands)
        };
        self.changed.notify_all();
        drop(dropped);
    }
}

impl<T> State<T> {
    fn take(&mut self, threads: usize) -> Option<Ready<T>> {
        let free = threads.saturating_sub(self.running);
        let may = |brand: &Brand<T>| free > 0 && brand.running < free && !brand.ready.is_empty();
        let brand = self.brands.values_mut().filter(|brand| may(brand)).min_by_key(|brand| brand.used_ns)?;
        brand.turns += 1;
        let key = match brand.turns.is_multiple_of(OLDEST_EVERY) {
            true => *brand.ready.keys().min_by_key(|(_, number)| *number)?,
            false => *brand.ready.keys().next()?,
        };
        let ready = brand.ready.remove(&key)?;
        brand.running += 1;
        self.running += 1;
        self.used_ns = self.used_ns.max(brand.used_ns);
        Some(ready)
    }
}
