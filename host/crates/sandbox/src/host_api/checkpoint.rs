//! Checkpoints: the engine tells how large the heap has been, and learns when the run is over. Then it tells
//! where the script is, and the run ends.
//!
//! Authors need the place, and nothing else depends on it: an engine that makes no checkpoints is stopped by
//! wasmtime, or by [`until_over`](crate::deadline::until_over).

use std::future::Future;
use std::time::Instant;

use sluice_kit::value;
use sluice_text::bounded::bounded;

use crate::RunState;
use crate::long_work::pause;
use crate::meter::TURN_FUEL;
use crate::waited::Waited;

/// A checkpoint reads a variable whose name begins like this. No variable can have such a name. It goes on
/// with the size of the heap, and maybe ` LINE COLUMN FILE`, a line end and the frames.
const NAME: &str = "sluice:checkpoint ";
/// The fuel between two checkpoints, more or less.
const INTERVAL_FUEL: u64 = TURN_FUEL / 4;
/// The most loop steps and calls between two checkpoints. The engine knows this number and the next one.
const STEPS_MAX: u64 = 2_500;
const STEPS_AT_FIRST: u64 = 1_000;
/// The most bytes of a file's name and of the frames.
const FILE_BYTES_MAX: usize = 1 << 10;
const STACK_BYTES_MAX: usize = 4 << 10;

/// The limit that a run has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Fuel,
    Memory,
    Time,
}

/// Where a script is. The engine says so, so it can be any text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) stack: String,
    /// Whether the run ended there. Otherwise it ended there or later.
    pub(crate) is_end: bool,
}

/// What the checkpoints of a run told.
pub(crate) struct Checkpoints {
    /// When the time of the run is up. `None` if it never is.
    until: Option<Instant>,
    over: Option<Over>,
    place: Option<Place>,
    /// The fuel that was left of the quota at the last checkpoint, and how many steps the next was to follow.
    left: u64,
    steps: u64,
    /// What a step cost lately.
    step_fuel: u64,
}

/// The run has reached a limit. Ends it.
#[derive(Debug, thiserror::Error)]
#[error("the run has reached one of its limits")]
struct Ended;

/// Whether reading this variable is a checkpoint.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(NAME)
}

impl Checkpoints {
    /// The checkpoints of a run that may use `fuel`.
    pub(crate) fn new(fuel: u64, until: Option<Instant>) -> Self {
        Self { until, over: None, place: None, left: fuel, steps: STEPS_AT_FIRST, step_fuel: 1 }
    }

    /// The limit that the run has reached, as far as its engine was told.
    pub(crate) fn over(&self) -> Option<Over> {
        self.over
    }

    /// Where the script was at last, if the engine said so.
    pub(crate) fn take_place(&mut self) -> Option<Place> {
        self.place.take()
    }

    /// Waits for `work` until the time of the run is up. If it is, the run was still waiting.
    pub(super) async fn in_time<T>(
        &mut self,
        waited: &mut Waited,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let until = self.until;
        let in_time = async {
            match until {
                None => Some(work.await),
                Some(until) => tokio::time::timeout_at(until.into(), work).await.ok(),
            }
        };
        let done = waited.during(in_time).await;
        if done.is_none() {
            waited.is_waiting = true;
            self.over = self.over.or(Some(Over::Time));
        }
        done
    }

    fn note(&mut self, left: u64, has_memory: bool) {
        let is_late = || self.until.is_some_and(|until| Instant::now() >= until);
        self.over = self.over.or_else(|| match (left, has_memory) {
            (0, _) => Some(Over::Fuel),
            (_, false) => Some(Over::Memory),
            _ => is_late().then_some(Over::Time),
        });
    }

    /// How many steps the next checkpoint should follow, by what the last ones cost.
    fn next_steps(&mut self, left: u64) -> u64 {
        // A cheap step among expensive ones says little about the next.
        let least = (self.step_fuel - self.step_fuel / 8).max(1);
        self.step_fuel = (self.left.saturating_sub(left) / self.steps).max(least);
        self.left = left;
        self.steps = (INTERVAL_FUEL / self.step_fuel).clamp(1, STEPS_MAX);
        self.steps
    }
}

impl RunState {
    /// Answers how many steps the next checkpoint should follow, as MessagePack. None means [`STEPS_MAX`], and
    /// 0 that the run is over: the engine then makes another one with the place.
    ///
    /// # Errors
    /// The run is over, and the engine has told the place.
    pub(super) async fn checkpoint(&mut self, name: &str) -> wasmtime::Result<Option<Vec<u8>>> {
        self.meter.note_checkpoint(name.len());
        if self.meter.take_turn() {
            pause().await;
        }
        let told = name.strip_prefix(NAME).unwrap_or_default();
        let (heap, place) = told.split_once(' ').unwrap_or((told, ""));
        self.limiter.note_heap(heap.parse().unwrap_or(0));
        let left = self.meter.left_of_quota();
        let checkpoints = &mut self.checkpoints;
        checkpoints.note(left, !self.limiter.is_beyond());
        let is_over = checkpoints.over.is_some();
        checkpoints.place = Place::read(place, is_over);
        if is_over && checkpoints.place.is_some() {
            return Err(Ended.into());
        }
        let steps = if is_over { 0 } else { checkpoints.next_steps(left) };
        Ok((steps < STEPS_MAX).then(|| value::encode(&steps.into())))
    }
}

impl Place {
    /// Reads `LINE COLUMN FILE`, a line end and the frames.
    fn read(told: &str, is_end: bool) -> Option<Self> {
        let (place, stack) = told.split_once('\n')?;
        let (line, rest) = place.split_once(' ')?;
        let (column, file) = rest.split_once(' ')?;
        Some(Self {
            file: bounded(file, FILE_BYTES_MAX).into_owned(),
            line: line.parse().ok()?,
            column: column.parse().ok()?,
            stack: bounded(stack, STACK_BYTES_MAX).into_owned(),
            is_end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Checkpoints, INTERVAL_FUEL, Place, STEPS_AT_FIRST, STEPS_MAX};

    #[test]
    fn expensive_steps_are_reported_more_often() {
        let mut checkpoints = Checkpoints::new(1_000_000_000, None);
        let mut left = 1_000_000_000;
        let mut after = |step_fuel: u64, steps: u64| {
            left -= step_fuel * steps;
            checkpoints.next_steps(left)
        };
        let steps = after(400, STEPS_AT_FIRST);
        assert_eq!(steps, STEPS_MAX);
        let steps = after(100_000, steps);
        assert_eq!(steps, INTERVAL_FUEL / 100_000);
        let steps = after(INTERVAL_FUEL * 10, steps);
        assert_eq!(steps, 1);
        let mut steps = after(400, steps);
        assert_eq!(steps, 1, "one cheap step");
        for _ in 0..100 {
            steps = after(400, steps);
        }
        assert_eq!(steps, STEPS_MAX);
    }

    #[test]
    fn place_of_an_engine_that_lies_is_ignored_or_cut() {
        let place = Place::read("3 5 pages/a b.html\nat f (pages/a b.html:3:5)", true).unwrap();
        assert_eq!((place.file.as_str(), place.line, place.column), ("pages/a b.html", 3, 5));
        for odd in ["", "\n", "3", "3 5 a", "3 \n", "-3 5 a\n", "3 99999999999 a\n", "a b c\n"] {
            assert_eq!(Place::read(odd, true), None, "{odd:?}");
        }
        let long = "x".repeat(1 << 20);
        let place = Place::read(&format!("3 5 {long}\n{long}"), false).unwrap();
        assert!(place.file.len() + place.stack.len() < 6 << 10);
    }
}
