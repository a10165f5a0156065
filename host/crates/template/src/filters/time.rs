//! Points in time, in UTC, as milliseconds since 1970.

pub(super) const DAY_MS: f64 = 86_400_000.0;

/// JavaScript's dates end here on both sides.
const TIME_MS_MAX: f64 = 8.64e15;

/// A point in time, by the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub millisecond: u32,
}

/// Days since 1970-01-01, by the proleptic Gregorian calendar: years are counted from March,
/// so that the leap day is the last.
fn days_from_date(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn date_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, small(month), small(day))
}

fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

impl Moment {
    /// `None` outside of JavaScript's range.
    pub(super) fn from_ms(ms: f64) -> Option<Moment> {
        if ms.is_nan() || ms.abs() > TIME_MS_MAX {
            return None;
        }
        let ms = ms.trunc() as i64;
        let day_ms = 86_400_000;
        let (year, month, day) = date_from_days(ms.div_euclid(day_ms));
        let of_day = small(ms.rem_euclid(day_ms));
        Some(Moment {
            year,
            month,
            day,
            hour: of_day / 3_600_000,
            minute: of_day / 60_000 % 60,
            second: of_day / 1000 % 60,
            millisecond: of_day % 1000,
        })
    }

    fn to_ms(self) -> f64 {
        let days = days_from_date(self.year, self.month, self.day) as f64;
        let seconds = f64::from(self.hour * 3600 + self.minute * 60 + self.second);
        days * DAY_MS + seconds * 1000.0 + f64::from(self.millisecond)
    }

    /// As JavaScript's `toISOString`.
    pub(super) fn iso(self) -> String {
        let Moment { hour, minute, second, millisecond, .. } = self;
        format!("{}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z", self.iso_date())
    }

    pub(super) fn iso_date(self) -> String {
        let Moment { year, month, day, .. } = self;
        match year {
            0..=9999 => format!("{year:04}-{month:02}-{day:02}"),
            _ => format!("{}{:06}-{month:02}-{day:02}", if year < 0 { '-' } else { '+' }, year.abs()),
        }
    }
}

/// ISO text (`2024-03-05`, `2024-03-05T14:07:09.5+01:00`, seconds and zone optional) as
/// milliseconds. Without a zone it is UTC.
pub(super) fn parse_iso(text: &str) -> Option<f64> {
    let mut reader = Reader { rest: text.trim() };
    let sign = reader.take(&['+', '-']);
    let year = i64::from(reader.digits(if sign.is_some() { 6 } else { 4 })?);
    let mut moment = Moment {
        year: if sign == Some('-') { -year } else { year },
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        millisecond: 0,
    };
    let mut zone_minutes = 0;
    if reader.take(&['-']).is_some() {
        moment.month = reader.digits(2)?;
        if reader.take(&['-']).is_some() {
            moment.day = reader.digits(2)?;
        }
    }
    if reader.take(&['T', 't', ' ']).is_some() {
        moment.hour = reader.digits(2)?;
        reader.take(&[':'])?;
        moment.minute = reader.digits(2)?;
        if reader.take(&[':']).is_some() {
            moment.second = reader.digits(2)?;
            if reader.take(&['.', ',']).is_some() {
                moment.millisecond = reader.fraction()?;
            }
        }
        zone_minutes = reader.zone()?;
    }
    let valid = (1..=12).contains(&moment.month)
        && (1..=days_in_month(moment.year, moment.month)).contains(&moment.day)
        && moment.minute < 60
        && moment.second < 60
        && (moment.hour < 24 || (moment.hour == 24 && moment.minute == 0 && moment.second == 0));
    let ms = moment.to_ms() - f64::from(zone_minutes) * 60_000.0;
    (valid && reader.rest.is_empty()).then_some(ms)
}

fn days_in_month(year: i64, month: u32) -> u32 {
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
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

    /// Milliseconds from as many digits as there are.
    fn fraction(&mut self) -> Option<u32> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        let three: String = digits.chars().chain("000".chars()).take(3).collect();
        three.parse().ok().filter(|_| !digits.is_empty())
    }

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
    fn iso_text_is_read_and_written() {
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
            ("2024", "2024-01-01T00:00:00.000Z"),
            ("2024-01-01T24:00Z", "2024-01-02T00:00:00.000Z"),
        ] {
            let moment = parse_iso(text).and_then(Moment::from_ms);
            assert_eq!(moment.map(Moment::iso).as_deref(), Some(expected), "{text}");
        }
        for text in
            ["", "now", "2024-13-01", "2023-02-29", "2024-03-05T25:00", "2024-03-05x", "1e3", "é024-01-01"]
        {
            assert_eq!(parse_iso(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_reads_back() {
        for days in -150_000..150_000 {
            let (year, month, day) = date_from_days(days);
            assert_eq!(days_from_date(year, month, day), days);
            assert!((1..=days_in_month(year, month)).contains(&day));
        }
        assert_eq!(Moment::from_ms(8.64e15 + 1.0), None);
        assert_eq!(Moment::from_ms(8.64e15).map(Moment::iso_date).as_deref(), Some("+275760-09-13"));
    }
}
