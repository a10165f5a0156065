//! The medians that Criterion has left in its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::ROUNDS;

/// Where Criterion writes; a folder of the target directory.
pub fn dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("criterion")
}

/// What was measured since a point in time. A filter on the command line leaves
/// the files of earlier runs as they were: those do not count.
pub struct Medians {
    begun: SystemTime,
}

impl Medians {
    pub fn since(begun: SystemTime) -> Self {
        Self { begun }
    }

    /// The time that one benchmark took; none when this run did not measure it.
    pub fn of(&self, group: &str, side: &str) -> Option<Duration> {
        let rounds = (0..ROUNDS).filter_map(|round| self.nanoseconds(group, side, round));
        median(rounds.collect()).map(|nanoseconds| Duration::from_secs_f64(nanoseconds / 1e9))
    }

    /// How many times as long `side` took as `base`. Each round has its own
    /// ratio, in which the machine's speed cancels out.
    pub fn ratio(&self, group: &str, side: &str, base: &str) -> Option<f64> {
        let of_round =
            |round| Some(self.nanoseconds(group, side, round)? / self.nanoseconds(group, base, round)?);
        median((0..ROUNDS).filter_map(of_round).collect())
    }

    fn nanoseconds(&self, group: &str, side: &str, round: u32) -> Option<f64> {
        let file = dir().join(group).join(side).join(round.to_string()).join("new/estimates.json");
        let written = fs::metadata(&file).ok()?.modified().ok()?;
        if written < self.begun {
            return None;
        }
        let estimates: serde_json::Value = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
        estimates.pointer("/median/point_estimate")?.as_f64()
    }
}

/// The middle one; there is an odd number of rounds.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
