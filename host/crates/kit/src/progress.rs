//! How far a long piece of work is, for whoever shows it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shared by what works and what shows it.
#[derive(Debug, Default)]
pub struct Progress {
    /// The stage that is going on, and how many there were before it.
    stage: Mutex<(Option<&'static str>, u32)>,
    done: AtomicUsize,
    total: AtomicUsize,
}

/// A moment of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Tells stages apart that have the same name.
    pub number: u32,
    /// `compiling pages`.
    pub stage: &'static str,
    pub done: usize,
    /// 0 where nothing can be counted.
    pub total: usize,
}

impl Progress {
    /// Begins a stage of `total` steps, 0 where they cannot be counted.
    pub fn begin(&self, stage: &'static str, total: usize) {
        let mut now = self.lock();
        *now = (Some(stage), now.1 + 1);
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// One more step of the stage is done.
    pub fn step(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Nothing is going on any more.
    pub fn end(&self) {
        self.lock().0 = None;
    }

    pub fn now(&self) -> Option<Step> {
        let (stage, number) = *self.lock();
        let [done, total] = [&self.done, &self.total].map(|count| count.load(Ordering::Relaxed));
        Some(Step { number, stage: stage?, done, total })
    }

    fn lock(&self) -> MutexGuard<'_, (Option<&'static str>, u32)> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
