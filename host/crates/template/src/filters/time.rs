//! Points in time, in UTC, as milliseconds since 1970.
//!
//! The calendar is the `time` crate's. Two things are our own:
//!
//! - The range of years. JavaScript's dates span years from −271821 to 275760, `time`'s from −9999
//!   to 9999; its feature `large-dates` would change how other crates of the process parse dates.
//!   The Gregorian calendar repeats every 400 years, so a date is computed in the years 1970 to
//!   2369 and then moved.
//! - The syntax of dates. `time`'s ISO 8601 parser rejects years without a month, a space before
//!   the time, and years of six digits.

use time::{Date, Month, OffsetDateTime};

/// Milliseconds of a day.
pub(super) const DAY_MS: f64 = 86_400_000.0;
const DAY_MS_WHOLE: i64 = 86_400_000;

/// JavaScript's dates end this many milliseconds before and after 1970.
const TIME_MS_MAX: f64 = 8.64e15;

/// The years after which the calendar repeats, and their milliseconds.
const CYCLE_YEARS: i64 = 400;
const CYCLE_MS: i64 = 146_097 * DAY_MS_WHOLE;

/// A point in time, by the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Cycles of 400 years between 1970 and the year.
    cycles: i64,
    in_cycle: OffsetDateTime,
}

impl Moment {
    /// `None` outside of JavaScript's range.
    pub(super) fn from_ms(ms: f64) -> Option<Moment> {
        if ms.is_nan() || ms.abs() > TIME_MS_MAX {
            return None;
        }
        let ms = ms.trunc() as i64;
        let nanoseconds = i128::from(ms.rem_euclid(CYCLE_MS)) * 1_000_000;
        let in_cycle = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()?;
        Some(Moment { cycles: ms.div_euclid(CYCLE_MS), in_cycle })
    }

    pub(super) fn year(self) -> i64 {
        i64::from(self.in_cycle.year()) + self.cycles * CYCLE_YEARS
    }

    /// The same point in the years 1970 to 2369, for everything but the year.
    pub(super) fn in_cycle(self) -> OffsetDateTime {
        self.in_cycle
    }

    /// As JavaScript's `toISOString`.
    pub(super) fn iso(self) -> String {
        let (hour, minute, second, millisecond) = self.in_cycle.to_hms_milli();
        format!("{}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z", self.iso_date())
    }

    /// The date of `toISOString`.
    pub(super) fn iso_date(self) -> String {
        let (year, month, day) = (self.year(), u8::from(self.in_cycle.month()), self.in_cycle.day());
        match year {
            0..=9999 => format!("{year:04}-{month:02}-{day:02}"),
            _ => format!("{}{:06}-{month:02}-{day:02}", if year < 0 { '-' } else { '+' }, year.abs()),
        }
    }
}

/// The milliseconds at which a day begins, or `None` if the calendar does not have that day.
fn day_start_ms(year: i64, month: u32, day: u32) -> Option<i64> {
    let first_year = i64::from(OffsetDateTime::UNIX_EPOCH.year());
    let cycles = (year - first_year).div_euclid(CYCLE_YEARS);
    let year = i32::try_from(year - cycles * CYCLE_YEARS).ok()?;
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()?;
    let days = date.to_julian_day() - OffsetDateTime::UNIX_EPOCH.date().to_julian_day();
    Some(cycles * CYCLE_MS + i64::from(days) * DAY_MS_WHOLE)
}

/// Reads an ISO 8601 text (`2024-03-05`, `2024-03-05T14:07:09.5+01:00`; seconds and zone are
/// optional) as milliseconds. Without a zone it is UTC.
pub(super) fn parse_iso(text: &str) -> Option<f64> {
    let mut reader = Reader { rest: text.trim() };
    let sign = reader.take(&['+', '-']);
    let year = i64::from(reader.digits(if sign.is_some() { 6 } else { 4 })?);
    let year = if sign == Some('-') { -year } else { year };
    let (mut month, mut day) = (1, 1);
    let (mut hour, mut minute, mut second, mut millisecond) = (0, 0, 0, 0);
    let mut zone_minutes = 0;
    if reader.take(&['-']).is_some() {
        month = reader.digits(2)?;
        if reader.take(&['-']).is_some() {
            day = reader.digits(2)?;
        }
    }
    if reader.take(&['T', 't', ' ']).is_some() {
        hour = reader.digits(2)?;
        reader.take(&[':'])?;
        minute = reader.digits(2)?;
        if reader.take(&[':']).is_some() {
            second = reader.digits(2)?;
            if reader.take(&['.', ',']).is_some() {
                millisecond = reader.fraction()?;
            }
        }
        zone_minutes = reader.zone()?;
    }
    // 24:00 is the end of the day.
    let valid = minute < 60 && second < 60 && (hour < 24 || (hour == 24 && minute == 0 && second == 0));
    let of_day = i64::from((hour * 3600 + minute * 60 + second) * 1000 + millisecond);
    let ms = day_start_ms(year, month, day)? + of_day - i64::from(zone_minutes) * 60_000;
    (valid && reader.rest.is_empty()).then_some(ms as f64)
}

struct Reader<'s> {
    rest: &'s str,
}

impl Reader<'_> {
    fn take(&mut self, any: &[char]) -> Option<char> {
        let c = self.rest.chars().next().filter(|c| any.contains(c))?;
        self.rest = self.rest.get(c.len_utf8()..)?;
        Some(c)
    }

    fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.rest.get(..count)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.rest = self.rest.get(count..)?;
        digits.parse().ok()
    }

    /// Milliseconds from any number of decimals; those after the third are dropped.
    fn fraction(&mut self) -> Option<u32> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        let three: String = digits.chars().chain("000".chars()).take(3).collect();
        three.parse().ok().filter(|_| !digits.is_empty())
    }

    /// Minutes by which the zone is ahead of UTC.
    fn zone(&mut self) -> Option<i32> {
        let Some(sign) = self.take(&['Z', 'z', '+', '-']) else {
            return Some(0);
        };
        if matches!(sign, 'Z' | 'z') {
            return Some(0);
        }
        let hours = self.digits(2)?;
        self.take(&[':']);
        let minutes = if self.rest.is_empty() { 0 } else { self.digits(2)? };
        let offset = i32::try_from(hours * 60 + minutes).ok()?;
        Some(if sign == '-' { -offset } else { offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_iso_texts() {
        for (text, expected) in [
            ("2024-03-05", "2024-03-05T00:00:00.000Z"),
            ("2024-02-29T23:59:59.9999Z", "2024-02-29T23:59:59.999Z"),
            ("2024-03-05T14:07", "2024-03-05T14:07:00.000Z"),
            ("2024-03-05 14:07:09", "2024-03-05T14:07:09.000Z"),
            ("2024-03-05T14:07:09+02:00", "2024-03-05T12:07:09.000Z"),
            ("2024-03-05T00:07:09-0130", "2024-03-05T01:37:09.000Z"),
            ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
            ("0000-03-01", "0000-03-01T00:00:00.000Z"),
            ("-000001-12-31", "-000001-12-31T00:00:00.000Z"),
            ("-271821-04-20", "-271821-04-20T00:00:00.000Z"),
            ("+275760-09-13", "+275760-09-13T00:00:00.000Z"),
            ("+010000-02-29", "+010000-02-29T00:00:00.000Z"),
            ("2024", "2024-01-01T00:00:00.000Z"),
            ("2024-01-01T24:00Z", "2024-01-02T00:00:00.000Z"),
        ] {
            let moment = parse_iso(text).and_then(Moment::from_ms);
            assert_eq!(moment.map(Moment::iso).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "now",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "2023-02-29",
            "+010100-02-29",
            "2024-03-05T25:00",
            "2024-03-05T24:01",
            "2024-03-05T23:60",
            "2024-03-05x",
            "1e3",
            "é024-01-01",
        ] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
    }

    #[test]
    fn reads_back_every_day_of_eight_centuries() {
        for days in -150_000..150_000 {
            let ms = f64::from(days) * DAY_MS;
            let text = Moment::from_ms(ms).map(Moment::iso_date).unwrap_or_default();
            assert_eq!(parse_iso(&text), Some(ms), "{text}");
        }
    }

    #[test]
    fn dates_end_where_javascripts_do() {
        for (ms, expected) in [(8.64e15, Some("+275760-09-13")), (-8.64e15, Some("-271821-04-20"))] {
            assert_eq!(Moment::from_ms(ms).map(Moment::iso_date).as_deref(), expected);
            assert_eq!(Moment::from_ms(ms + ms.signum()), None);
        }
    }
}
