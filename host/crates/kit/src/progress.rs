//! How far a long piece of work has come. The code that does the work (starting, compiling,
//! copying) reports here; the command line reads it and shows a bar or lines. This is not
//! an indicatif bar, because most work has no terminal: a server logs its progress.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Shared by the thread that works and the one that shows progress.
#[derive(Debug, Default)]
pub struct Progress {
    /// The current stage, and the number of stages that have begun.
    stage: Mutex<(Option<&'static str>, u32)>,
    done: AtomicUsize,
    total: AtomicUsize,
}

/// The progress at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Counts the stages from 1. It tells stages with the same name apart.
    pub number: u32,
    /// The name of the stage, such as `compiling pages`.
    pub stage: &'static str,
    /// Steps that are done.
    pub done: usize,
    /// All steps of the stage, or 0 if their number is not known.
    pub total: usize,
}

impl Progress {
    /// Begins a stage of `total` steps. Pass 0 if their number is not known.
    pub fn begin(&self, stage: &'static str, total: usize) {
        let mut now = self.stage.lock();
        *now = (Some(stage), now.1 + 1);
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Counts one more step as done.
    pub fn step(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the last stage.
    pub fn end(&self) {
        self.stage.lock().0 = None;
    }

    /// Returns the current progress, or `None` outside all stages.
    pub fn now(&self) -> Option<Step> {
        let (stage, number) = *self.stage.lock();
        let [done, total] = [&self.done, &self.total].map(|count| count.load(Ordering::Relaxed));
        Some(Step { number, stage: stage?, done, total })
    }
}
