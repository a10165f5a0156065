//! The time that runs see: the host's, or one that stands still.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// The duration between 1970 and a Unix time in milliseconds; zero for earlier times.
pub fn since_1970(now_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(now_ms).unwrap_or(0))
}

/// Unix time in milliseconds, by the host's clock.
pub fn now_ms() -> i64 {
    Clock::Host.now_ms()
}

/// `2026-01-31T23:59:59.999Z` from unix milliseconds; years over 9999 or under 0
/// have as many digits as they need.
pub fn iso_utc(unix_ms: i64) -> String {
    const DAY_MS: i64 = 86_400_000;
    let (days, ms) = (unix_ms.div_euclid(DAY_MS), unix_ms.rem_euclid(DAY_MS));
    // Civil date from a day number: years start in March, so that the leap day is a
    // year's last; an era is 400 years.
    let day = days + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
    let (second, milli) = (ms / 1_000 % 60, ms % 1_000);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso_utc(ms), text);
        }
        // The ends of the type must not overflow.
        assert!(iso_utc(i64::MIN).ends_with('Z') && iso_utc(i64::MAX).ends_with('Z'));
    }
}
