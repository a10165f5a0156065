//! The load of this host over the last day. A task samples it, and it is kept in memory only.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;

use sluice_app::app::App;
use sluice_kit::clock::now_ms;
use sluice_telemetry::process;

const EVERY: Duration = Duration::from_secs(15);
const EVERY_MS: i64 = 15_000;
/// A day.
const KEPT: usize = 24 * 60 * 4;
/// The points of a chart. Samples in between are merged.
const POINTS: i64 = 240;

/// What the host was doing at one moment, or the most of it during one step.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Sample {
    pub(crate) at_ms: i64,
    /// Sandboxes in use.
    pub(crate) running: u64,
    /// Requests that waited for a sandbox.
    pub(crate) waiting: u64,
    /// The resident memory of the process.
    pub(crate) memory_bytes: u64,
    /// The processor time since the sample before, in thousandths of one processor.
    pub(crate) cpu_permille: u64,
    /// Runs that ended since the sample before.
    pub(crate) runs: u64,
    /// How many of them failed.
    pub(crate) failures: u64,
}

/// The samples, oldest first.
#[derive(Default)]
pub(crate) struct Load {
    samples: Mutex<VecDeque<Sample>>,
}

impl Load {
    /// Samples the host on the current runtime, until the host has ended.
    pub(crate) fn watch(app: &Arc<App>) -> Arc<Self> {
        let load = Arc::new(Self::default());
        tokio::spawn(sample(Arc::downgrade(app), Arc::downgrade(&load)));
        load
    }

    /// The samples between two moments, in steps of the returned length. Of each step, the most, and
    /// the sum of the runs.
    pub(crate) fn between(&self, from_ms: i64, to_ms: i64) -> (i64, Vec<Sample>) {
        // A young process has samples of a part of the time only.
        let known_ms = self.first_at().map_or(from_ms, |first| first.clamp(from_ms, to_ms));
        let step_ms = ((to_ms - known_ms) / POINTS).max(EVERY_MS);
        (step_ms, self.in_steps(from_ms, to_ms, step_ms))
    }

    /// The same in steps of a length.
    pub(crate) fn in_steps(&self, from_ms: i64, to_ms: i64, step_ms: i64) -> Vec<Sample> {
        let mut steps: Vec<Sample> = Vec::new();
        for sample in self.samples.lock().iter().filter(|one| (from_ms..to_ms).contains(&one.at_ms)) {
            let at_ms = sample.at_ms - (sample.at_ms - from_ms).rem_euclid(step_ms);
            match steps.last_mut().filter(|last| last.at_ms == at_ms) {
                None => steps.push(Sample { at_ms, ..*sample }),
                Some(last) => {
                    last.running = last.running.max(sample.running);
                    last.waiting = last.waiting.max(sample.waiting);
                    last.memory_bytes = last.memory_bytes.max(sample.memory_bytes);
                    last.cpu_permille = last.cpu_permille.max(sample.cpu_permille);
                    last.runs += sample.runs;
                    last.failures += sample.failures;
                }
            }
        }
        steps
    }

    /// When the first of the samples was taken.
    fn first_at(&self) -> Option<i64> {
        self.samples.lock().front().map(|sample| sample.at_ms)
    }

    fn add(&self, sample: Sample) {
        let mut samples = self.samples.lock();
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back(sample);
    }
}

async fn sample(app: Weak<App>, load: Weak<Load>) {
    let mut timer = tokio::time::interval(EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut before: Option<(Instant, f64)> = None;
    let mut counted = (0, 0);
    loop {
        timer.tick().await;
        let (Some(app), Some(load)) = (app.upgrade(), load.upgrade()) else { return };
        let usage = app.sandbox.slots.usage();
        let now = (Instant::now(), process::cpu_seconds().unwrap_or(0.0));
        let cpu =
            before.map_or(0.0, |(at, seconds)| (now.1 - seconds) / now.0.duration_since(at).as_secs_f64());
        before = Some(now);
        let (runs, failures) = app.executions.ended();
        load.add(Sample {
            at_ms: now_ms(),
            running: usage.running as u64,
            waiting: usage.waiting as u64,
            memory_bytes: process::resident_bytes().unwrap_or(0) as u64,
            cpu_permille: (cpu * 1_000.0).max(0.0) as u64,
            runs: runs.saturating_sub(counted.0),
            failures: failures.saturating_sub(counted.1),
        });
        counted = (runs, failures);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_day_and_the_most_of_each_step() {
        let load = Load::default();
        for index in 0..KEPT as i64 + 10 {
            let running = (index % 7) as u64;
            load.add(Sample { at_ms: index * EVERY_MS, running, runs: 2, ..Sample::default() });
        }
        assert_eq!(load.samples.lock().len(), KEPT);
        let last = (KEPT as i64 + 10) * EVERY_MS;
        let (step_ms, of_day) = load.between(last - 86_400_000, last);
        assert_eq!((step_ms, of_day.len()), (360_000, 240));
        assert!(of_day.iter().all(|sample| sample.running == 6 && sample.runs == 48));
        assert_eq!(
            load.in_steps(last - 120_000, last, 60_000).iter().map(|one| one.runs).collect::<Vec<_>>(),
            [8, 8]
        );
        let (step_ms, of_minute) = load.between(last - 60_000, last);
        assert_eq!((step_ms, of_minute.len()), (EVERY_MS, 4));
        assert!(load.between(last, last + 60_000).1.is_empty());
    }
}
