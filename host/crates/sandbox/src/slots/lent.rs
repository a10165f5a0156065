//! Takes sandboxes that nobody needs, so that their memory can be returned to the system.

use std::sync::Arc;

use super::{Queue, Slots};

impl Slots {
    /// The most sandboxes that ran at the same time since the last call.
    pub(crate) fn take_most_running(&self) -> usize {
        let mut state = self.queue.state.lock();
        let running = state.running;
        std::mem::replace(&mut state.most_running, running)
    }

    /// Takes all free sandboxes but `keep`, unless requests wait for one.
    pub(crate) fn lend_free(&self, keep: usize) -> Lent {
        let mut state = self.queue.state.lock();
        let count = if state.waiting == 0 { state.free.saturating_sub(keep) } else { 0 };
        state.free -= count;
        Lent { queue: Arc::clone(&self.queue), count }
    }
}

/// Sandboxes that no run gets until this is dropped.
pub(crate) struct Lent {
    queue: Arc<Queue>,
    count: usize,
}

impl Lent {
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        state.free += self.count;
        self.queue.serve_waiting(&mut state);
    }
}
