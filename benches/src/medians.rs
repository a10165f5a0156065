//! Reads the medians from Criterion's files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The folder of the target directory in which Criterion writes its files. `target_tmpdir` is
/// cargo's `CARGO_TARGET_TMPDIR`, which only a bench itself knows.
pub fn dir(target_tmpdir: &str) -> PathBuf {
    Path::new(target_tmpdir).with_file_name("criterion")
}

/// The measurements since a point in time. With a filter on the command line, Criterion
/// does not replace all files; files of earlier runs are ignored.
pub struct Medians {
    dir: PathBuf,
    rounds: u32,
    begun: SystemTime,
}

impl Medians {
    /// The measurements that began after `begun`. Each has this odd number of rounds.
    pub fn since(begun: SystemTime, dir: PathBuf, rounds: u32) -> Self {
        Self { dir, rounds, begun }
    }

    /// The time of one benchmark. `None` if this run did not measure it.
    pub fn of(&self, group: &str, side: &str) -> Option<Duration> {
        let rounds = (0..self.rounds).filter_map(|round| self.nanoseconds(group, side, round));
        median(rounds.collect()).map(|nanoseconds| Duration::from_secs_f64(nanoseconds / 1e9))
    }

    /// How many times as long `side` took as `base`. Each round has its own
    /// ratio, in which the machine's speed cancels out.
    pub fn ratio(&self, group: &str, side: &str, base: &str) -> Option<f64> {
        let of_round =
            |round| Some(self.nanoseconds(group, side, round)? / self.nanoseconds(group, base, round)?);
        median((0..self.rounds).filter_map(of_round).collect())
    }

    fn nanoseconds(&self, group: &str, side: &str, round: u32) -> Option<f64> {
        let file = self.dir.join(group).join(side).join(round.to_string()).join("new/estimates.json");
        let written = fs::metadata(&file).ok()?.modified().ok()?;
        if written < self.begun {
            return None;
        }
        let estimates: serde_json::Value = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
        estimates.pointer("/median/point_estimate")?.as_f64()
    }
}

/// The middle value, or the upper one of the two in the middle. `None` if there is no value.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
