//! The time that runs see: the host's, or one that stands still.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmtime_wasi::clocks::{MonotonicClock, WallClock};
use wasmtime_wasi::{HostMonotonicClock as _, HostWallClock as _};

/// Where the time comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    #[default]
    Host,
    /// Stands still at this Unix time in milliseconds.
    Fixed(i64),
}

impl Clock {
    /// Unix time in milliseconds; a host clock before 1970 reads as 0.
    pub fn now_ms(self) -> i64 {
        match self {
            Self::Fixed(now_ms) => now_ms,
            Self::Host => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            }
        }
    }

    pub fn now(self) -> SystemTime {
        match self {
            Self::Host => SystemTime::now(),
            Self::Fixed(now_ms) => UNIX_EPOCH + since_1970(now_ms),
        }
    }
}

fn since_1970(now_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(now_ms).unwrap_or(0))
}

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
