//! The two clocks that one run sees through WASI.

use std::time::Duration;

use wasmtime_wasi::clocks::{MonotonicClock, WallClock};
use wasmtime_wasi::{HostMonotonicClock as _, HostWallClock as _};

use sluice_kit::clock::{Clock, since_1970};

/// The two clocks of one run.
pub(crate) enum RunClock {
    Host { wall: WallClock, monotonic: MonotonicClock },
    Fixed(Duration),
}

impl RunClock {
    pub fn new(clock: Clock) -> Self {
        match clock {
            Clock::Host => Self::Host { wall: WallClock::new(), monotonic: MonotonicClock::new() },
            Clock::Fixed(now_ms) => Self::Fixed(since_1970(now_ms)),
        }
    }

    /// Since 1970.
    pub fn wall(&self) -> Duration {
        match self {
            Self::Host { wall, .. } => wall.now(),
            Self::Fixed(since) => *since,
        }
    }

    /// Nanoseconds since the run began.
    pub fn monotonic(&self) -> u64 {
        match self {
            Self::Host { monotonic, .. } => monotonic.now(),
            Self::Fixed(_) => 0,
        }
    }
}
