//! Counts the runs that wait to be written, so that each brand gets its share of the queue.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Execution, QUEUE_BYTES_MAX, QUEUE_RUNS_MAX};

/// What waits, in total and by brand.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: Size,
    brands: HashMap<String, Size>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Size {
    runs: usize,
    bytes: usize,
}

impl Waiting {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a run, or returns false if its brand has its share of the queue. A brand may use as
    /// much as is free without it, so a brand that floods the log fills one half at most, and there
    /// is always room for others.
    pub(super) fn enter(&self, run: &Execution) -> bool {
        let mut counts = self.counts();
        let bytes = run.bytes();
        let Size { runs: all_runs, bytes: all_bytes } = counts.all;
        let own = counts.brands.get(&run.brand).copied().unwrap_or_default();
        let has_room =
            own.runs + 1 + all_runs <= QUEUE_RUNS_MAX && own.bytes + bytes + all_bytes <= QUEUE_BYTES_MAX;
        if has_room {
            counts.all = Size { runs: all_runs + 1, bytes: all_bytes + bytes };
            let own = Size { runs: own.runs + 1, bytes: own.bytes + bytes };
            match counts.brands.get_mut(&run.brand) {
                Some(known) => *known = own,
                None => _ = counts.brands.insert(run.brand.clone(), own),
            }
        }
        has_room
    }

    /// Counts runs that have left the queue.
    pub(super) fn leave(&self, runs: &[Execution]) {
        let mut counts = self.counts();
        for run in runs {
            let bytes = run.bytes();
            counts.all = counts.all.without(bytes);
            let Some(own) = counts.brands.get_mut(&run.brand) else { continue };
            *own = own.without(bytes);
            if *own == Size::default() {
                counts.brands.remove(&run.brand);
            }
        }
    }

    /// The number of runs that wait.
    pub(super) fn runs(&self) -> usize {
        self.counts().all.runs
    }
}

impl Size {
    /// One run of `bytes` less.
    fn without(self, bytes: usize) -> Self {
        Self { runs: self.runs.saturating_sub(1), bytes: self.bytes.saturating_sub(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::execution_of;
    use super::*;

    #[test]
    fn brand_that_floods_the_queue_leaves_room_for_others() {
        let waiting = Waiting::default();
        let flood = execution_of("loud");
        let mut taken = Vec::new();
        while waiting.enter(&flood) {
            taken.push(flood.clone());
        }
        assert_eq!(taken.len(), QUEUE_RUNS_MAX / 2);
        let quiet = execution_of("quiet");
        assert!(waiting.enter(&quiet));
        waiting.leave(&[quiet]);
        waiting.leave(&taken);
        assert_eq!(waiting.counts().all, Size::default());
        assert!(waiting.counts().brands.is_empty());
    }
}
