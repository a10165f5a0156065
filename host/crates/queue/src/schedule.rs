//! Schedules: when a function runs again and again.
//!
//! A tick is a moment at which a rule matches the clock on the wall in a time zone. When that clock is put
//! forward, a tick in the hour that is left out comes as much later as the clock was put forward. When it is put
//! back, a tick in the hour that comes twice is only in the first one, unless the rule ticks in every hour.

mod cron;

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp, ToSpan as _};
use serde::Deserialize;

use sluice_text::suggest;

pub use cron::{Cron, CronError, Field};

/// The most schedules of a brand.
pub const SCHEDULES_MAX: usize = 50;

/// A change of the clock moves a tick by less than this.
fn margin() -> Span {
    3.hours()
}

/// A time zone such as `Europe/Berlin`. All hosts have the rules of the same release of the time zone database,
/// which is part of the program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// Why a text is no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a time zone such as Europe/Berlin{hint}")]
pub struct ZoneError {
    name: String,
    hint: String,
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Self, ZoneError> {
        let zones = TimeZoneDatabase::bundled();
        let found = zones.get(name).ok();
        let found = found.and_then(|zone| Some(Self { name: zone.iana_name()?.to_owned(), zone }));
        found.ok_or_else(|| {
            let known: Vec<String> = zones.available().map(|name| name.to_string()).collect();
            let hint = suggest::hint(name, known.iter().map(String::as_str));
            ZoneError { name: name.to_owned(), hint }
        })
    }
}

impl TryFrom<String> for Zone {
    type Error = ZoneError;

    fn try_from(name: String) -> Result<Self, ZoneError> {
        name.parse()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// When a schedule ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The times on the wall.
    pub cron: Cron,
    /// Where the wall is.
    pub zone: Zone,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.cron, self.zone)
    }
}

impl Rule {
    /// The first tick after a time. Both are in Unix milliseconds.
    pub fn next(&self, after_ms: i64) -> Option<i64> {
        let from = self.on_the_wall(after_ms)?.checked_sub(margin()).ok()?;
        let ticks = self.cron.after(from).flat_map(|time| self.ticks_at(time));
        self.best(ticks.filter(|(_, tick)| *tick > after_ms), i64::min)
    }

    /// The last tick at or before a time. Both are in Unix milliseconds.
    pub fn last(&self, until_ms: i64) -> Option<i64> {
        let from = self.on_the_wall(until_ms)?.checked_add(margin()).ok()?;
        let ticks = self.cron.before(from).flat_map(|time| self.ticks_at(time));
        self.best(ticks.filter(|(_, tick)| *tick <= until_ms), i64::max)
    }

    /// The best of the first ticks. Where the clock changes, ticks may have another order than the times on the
    /// wall.
    fn best(
        &self,
        mut ticks: impl Iterator<Item = (DateTime, i64)>,
        better: fn(i64, i64) -> i64,
    ) -> Option<i64> {
        let (first, tick) = ticks.next()?;
        let (from, to) = (first.checked_sub(margin()).ok()?, first.checked_add(margin()).ok()?);
        Some(
            ticks
                .take_while(|(time, _)| (from..=to).contains(time))
                .fold(tick, |best, (_, tick)| better(best, tick)),
        )
    }

    fn on_the_wall(&self, ms: i64) -> Option<DateTime> {
        let time = Timestamp::from_millisecond(ms).ok()?;
        Some(self.zone.zone.to_datetime(time))
    }

    /// The ticks when the clock on the wall shows `time`, with that time.
    fn ticks_at(&self, time: DateTime) -> impl Iterator<Item = (DateTime, i64)> {
        let (first, second) = match self.zone.zone.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } => (offset, None),
            AmbiguousOffset::Gap { before, .. } => (before, None),
            AmbiguousOffset::Fold { before, after } => {
                (before, Some(after).filter(|_| self.cron.is_hourly()))
            }
        };
        let tick =
            move |offset: jiff::tz::Offset| Some((time, offset.to_timestamp(time).ok()?.as_millisecond()));
        [Some(first), second].into_iter().flatten().filter_map(tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    /// All ticks after a time and until another one, found forwards and backwards.
    fn ticks(cron: &str, zone: &str, after: &str, until: &str) -> Vec<String> {
        let rule = Rule { cron: cron.parse().unwrap(), zone: zone.parse().unwrap() };
        let (after, until) = (ms(after), ms(until));
        let next = |tick: &i64| rule.next(*tick).filter(|tick| *tick <= until);
        let forward: Vec<i64> = std::iter::successors(next(&after), next).collect();
        let last = |tick: i64| rule.last(tick).filter(|tick| *tick > after);
        let mut back: Vec<i64> = std::iter::successors(last(until), |tick| last(tick - 1)).collect();
        back.reverse();
        assert_eq!(forward, back, "{cron}");
        forward.iter().map(|tick| Timestamp::from_millisecond(*tick).unwrap().to_string()).collect()
    }

    #[test]
    fn tick_in_the_hour_that_is_left_out_comes_later() {
        // 2:00 to 3:00 is left out in the night to 29 March 2026.
        let day = ("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z");
        let berlin = |cron| ticks(cron, "Europe/Berlin", day.0, day.1);
        assert_eq!(berlin("30 2 * * *"), ["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"], "3:30 and 2:30");
        assert_eq!(berlin("0 3 * * *"), ["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"]);
        // Those that come later may meet those of the next hour. Each moment is one tick.
        assert_eq!(
            berlin("*/30 1-3 29 3 *"),
            ["2026-03-29T00:00:00Z", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]
        );
        let hours = ticks("0 * * * *", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
        assert_eq!(hours.len(), 23, "every hour, and the day has 23: {hours:?}");
    }

    #[test]
    fn tick_in_the_hour_that_comes_twice_is_in_the_first() {
        // 2:00 to 3:00 comes twice in the night to 25 October 2026.
        let day = ("2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
        let berlin = |cron| ticks(cron, "Europe/Berlin", day.0, day.1);
        assert_eq!(berlin("30 2 * * *"), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        assert_eq!(berlin("0 3 * * *"), ["2026-10-25T02:00:00Z", "2026-10-26T02:00:00Z"]);
        let hours = ticks("15 * * * *", "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        assert_eq!(hours.len(), 25, "a rule for every hour ticks in both");
        let minutes = ticks("* * * * *", "Europe/Berlin", "2026-10-24T23:59:00Z", "2026-10-25T02:00:00Z");
        assert_eq!(minutes.len(), 121);
    }

    #[test]
    fn knows_other_zones() {
        // An offset of 5:45, a change of half an hour, and one at midnight.
        assert_eq!(
            ticks("0 3 * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
            ["2026-01-01T21:15:00Z"]
        );
        let howe = ticks("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T20:00:00Z", "2026-10-04T20:00:00Z");
        assert_eq!(howe, ["2026-10-03T15:45:00Z", "2026-10-04T15:15:00Z"]);
        let beirut = ticks("0 0 * * *", "Asia/Beirut", "2026-03-27T23:00:00Z", "2026-03-29T23:00:00Z");
        assert_eq!(beirut, ["2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"]);
        assert_eq!("europe/berlin".parse::<Zone>().unwrap().to_string(), "Europe/Berlin");
        assert_eq!("UTC".parse::<Zone>().unwrap(), Zone::utc());
        let message = "Europe/Berln".parse::<Zone>().unwrap_err().to_string();
        assert_eq!(
            message,
            "`Europe/Berln` is not a time zone such as Europe/Berlin (did you mean \"Europe/Berlin\"?)"
        );
        for wrong in ["", "Berlin", "+01:00", "../etc/passwd"] {
            assert!(wrong.parse::<Zone>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_that_no_calendar_has_have_no_tick() {
        let rule = Rule { cron: "* * * * *".parse().unwrap(), zone: Zone::utc() };
        assert_eq!((rule.next(i64::MAX), rule.last(i64::MIN)), (None, None));
        assert_eq!(rule.last(59_999), Some(0));
        assert_eq!(rule.next(0), Some(60_000));
    }
}
