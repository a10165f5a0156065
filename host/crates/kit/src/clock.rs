//! Unix time in milliseconds: reading it, fixing it for tests, and printing it. Whatever
//! stores or shows a moment uses it. `sluice run` and `sluice test` fix the time that
//! scripts see.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// Where the time comes from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The host's clock.
    #[default]
    Host,
    /// Always this Unix time, in milliseconds.
    Fixed(i64),
    /// A Unix time in milliseconds that only [`Clock::set`] changes. Clones show the same time.
    Movable(Arc<AtomicI64>),
}

impl Clock {
    /// Returns the Unix time in milliseconds. A host clock before 1970 reads as 0.
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::Fixed(now_ms) => *now_ms,
            Self::Movable(now_ms) => now_ms.load(Ordering::Relaxed),
            Self::Host => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            }
        }
    }

    /// Returns the time as the standard library's type. A fixed time before 1970 reads as 1970.
    pub fn now(&self) -> SystemTime {
        match self {
            Self::Host => SystemTime::now(),
            Self::Fixed(_) | Self::Movable(_) => UNIX_EPOCH + since_1970(self.now_ms()),
        }
    }

    /// Returns a clock that shows this time until it is set.
    pub fn movable(&self) -> Self {
        Self::Movable(Arc::new(AtomicI64::new(self.now_ms())))
    }

    /// Sets a movable clock. Has no effect on others.
    pub fn set(&self, now_ms: i64) {
        if let Self::Movable(time) = self {
            time.store(now_ms, Ordering::Relaxed);
        }
    }
}

/// Returns the duration from 1970 to a Unix time in milliseconds, or zero for an earlier time.
pub fn since_1970(now_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(now_ms).unwrap_or(0))
}

/// Returns the Unix time of the host's clock in milliseconds.
pub fn now_ms() -> i64 {
    Clock::Host.now_ms()
}

/// Formats Unix milliseconds as `2026-01-31T23:59:59.999Z`. A year outside 0 to 9999 has as
/// many digits as it needs.
pub fn iso_utc(unix_ms: i64) -> String {
    // `time` knows the years up to 9999. The calendar repeats every 400 years, so the date is
    // computed for the same moment between 1970 and 2369.
    const CYCLE_MS: i64 = 146_097 * 86_400_000;
    let (cycles, ms) = (unix_ms.div_euclid(CYCLE_MS), unix_ms.rem_euclid(CYCLE_MS));
    let moment = OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(ms);
    let year = i64::from(moment.year()) + cycles * 400;
    let (month, day) = (u8::from(moment.month()), moment.day());
    let (hour, minute, second, milli) = moment.to_hms_milli();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_dates_of_any_year() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "10000-01-01T00:00:00.000Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "-001-12-31T23:59:59.999Z"),
            // The first and the last moment of the type.
            (i64::MIN, "-292275055-05-16T16:47:04.192Z"),
            (i64::MAX, "292278994-08-17T07:12:55.807Z"),
        ] {
            assert_eq!(iso_utc(ms), text);
        }
    }
}
