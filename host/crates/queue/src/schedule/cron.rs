//! Cron rules: five fields that say at which minutes a schedule ticks, by the clock on the wall.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use serde::Deserialize;

use sluice_text::suggest::nearest;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// Names of whole rules.
const RULES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * sun"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];
/// A rule is searched for a tick in so many days. 29 February can be eight years after the last one.
const DAYS_MAX: usize = 8 * 366 + 31;
const HOURS: u64 = (1 << 24) - 1;
/// The most bytes of a rule. A list of all values of each field is shorter.
const RULE_BYTES_MAX: usize = 512;

/// A field of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    name: &'static str,
    least: u8,
    most: u8,
    /// Names of the values from `least` on.
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[] },
    Field { name: "hour", least: 0, most: 23, names: &[] },
    Field { name: "day of the month", least: 1, most: 31, names: &[] },
    Field { name: "month", least: 1, most: 12, names: &MONTHS },
    // Sunday is 0 and 7.
    Field { name: "day of the week", least: 0, most: 7, names: &WEEKDAYS },
];

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// It has another number of fields.
    #[error(
        "`{text}` has {count} fields. A cron rule has five: minute, hour, day of the month, month and day of the \
         week, such as \"0 3 * * *\" for 3:00 every day"
    )]
    Fields {
        /// The text.
        text: String,
        /// The number of its fields.
        count: usize,
    },
    /// It is too long to be a rule.
    #[error(
        "a cron rule has at most {RULE_BYTES_MAX} bytes, and this one has {bytes}: write ranges such as 1-5"
    )]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// It begins with `@` and is not the name of a rule.
    #[error("`{text}` is not the name of a cron rule{hint}")]
    Name {
        /// The text.
        text: String,
        /// The nearest name, or all names.
        hint: String,
    },
    /// A value is not a value of its field.
    #[error("`{text}` in `{rule}` is not valid for the {}: write {}{hint}", field.name, field.values())]
    Value {
        /// The value.
        text: String,
        /// The whole rule.
        rule: String,
        /// The field.
        field: Field,
        /// The nearest name.
        hint: String,
    },
    /// The end of a range is before its start.
    #[error("`{text}` in `{rule}` runs backwards: write two ranges with a comma, such as 22-23,0-2")]
    Backwards {
        /// The range.
        text: String,
        /// The whole rule.
        rule: String,
    },
    /// A step is 0, no number, or has no range.
    #[error(
        "`{text}` in `{rule}` is not a step: write `*/15` for every 15th value, or `10-40/15` in a range"
    )]
    Step {
        /// The step.
        text: String,
        /// The whole rule.
        rule: String,
    },
    /// No date matches it.
    #[error("`{rule}` never comes: no month that it names has such a day")]
    Never {
        /// The whole rule.
        rule: String,
    },
}

impl Field {
    fn values(&self) -> String {
        let names = match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!(" or {first} to {last}"),
            _ => String::new(),
        };
        format!("{} to {}{names}", self.least, self.most)
    }
}

/// A rule such as `0 3 * * mon-fri`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cron {
    text: String,
    // A bit for each value.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a date must match both the day of the month and the day of the week, because one of them is `*`.
    both_days: bool,
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        if text.len() > RULE_BYTES_MAX {
            return Err(CronError::TooLong { bytes: text.len() });
        }
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let rule = match RULES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&text)) {
            Some((_, rule)) => (*rule).to_owned(),
            None if text.starts_with('@') => return Err(no_such_name(text)),
            None => text.clone(),
        };
        let fields: Vec<&str> = rule.split(' ').filter(|field| !field.is_empty()).collect();
        let &[minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(CronError::Fields { count: fields.len(), text });
        };
        let [of_minutes, of_hours, of_days, of_months, of_weekdays] = &FIELDS;
        let weekday_bits = bits_of(weekdays, of_weekdays, &rule)?;
        let cron = Self {
            minutes: bits_of(minutes, of_minutes, &rule)?,
            hours: bits_of(hours, of_hours, &rule)?,
            days: bits_of(days, of_days, &rule)?,
            months: bits_of(months, of_months, &rule)?,
            weekdays: (weekday_bits | (weekday_bits >> 7)) & 0x7f,
            both_days: days.starts_with('*') || weekdays.starts_with('*'),
            text,
        };
        let text_of_rule = cron.text.clone();
        let has_tick = cron.after(DateTime::constant(2001, 1, 1, 0, 0, 0, 0)).next().is_some();
        has_tick.then_some(cron).ok_or(CronError::Never { rule: text_of_rule })
    }
}

impl TryFrom<String> for Cron {
    type Error = CronError;

    fn try_from(text: String) -> Result<Self, CronError> {
        text.parse()
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Cron {
    /// Whether it ticks in every hour of the days on which it ticks.
    pub(super) fn is_hourly(&self) -> bool {
        self.hours == HOURS
    }

    /// The times on the wall at or after `from`, in order, for some years.
    pub(super) fn after(&self, from: DateTime) -> impl Iterator<Item = DateTime> {
        let dates = std::iter::successors(Some(from.date()), |date| date.tomorrow().ok());
        let dates = dates.take(DAYS_MAX).filter(|date| self.has_date(*date));
        dates.flat_map(|date| self.times_of(date)).filter(move |time| *time >= from)
    }

    /// The times on the wall at or before `from`, the latest first, for some years.
    pub(super) fn before(&self, from: DateTime) -> impl Iterator<Item = DateTime> {
        let dates = std::iter::successors(Some(from.date()), |date| date.yesterday().ok());
        let dates = dates.take(DAYS_MAX).filter(|date| self.has_date(*date));
        dates.flat_map(|date| self.times_of(date).rev()).filter(move |time| *time <= from)
    }

    fn times_of(&self, date: Date) -> impl DoubleEndedIterator<Item = DateTime> {
        let minutes = self.minutes;
        let times =
            values(self.hours).flat_map(move |hour| values(minutes).map(move |minute| (hour, minute)));
        times.map(move |(hour, minute)| date.at(hour, minute, 0, 0))
    }

    fn has_date(&self, date: Date) -> bool {
        let has = |set: u64, value: i8| set >> value & 1 == 1;
        let of_month = has(self.days, date.day());
        let of_week = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let day = if self.both_days { of_month && of_week } else { of_month || of_week };
        day && has(self.months, date.month())
    }
}

/// The values in a set, in order.
fn values(set: u64) -> impl DoubleEndedIterator<Item = i8> {
    (0..64_i8).filter(move |value| set >> value & 1 == 1)
}

fn no_such_name(text: String) -> CronError {
    let names = || RULES.iter().map(|(name, _)| *name);
    let hint = match nearest(&text, names()) {
        Some(near) => format!("; did you mean {near}?"),
        None => format!("; the names are {}", names().collect::<Vec<_>>().join(", ")),
    };
    CronError::Name { text, hint }
}

/// The values of a field such as `1-5,30/10`.
fn bits_of(text: &str, field: &Field, rule: &str) -> Result<u64, CronError> {
    text.split(',').try_fold(0, |set, part| Ok(set | bits_of_part(part, field, rule)?))
}

fn bits_of_part(part: &str, field: &Field, rule: &str) -> Result<u64, CronError> {
    let no_step = || CronError::Step { text: part.to_owned(), rule: rule.to_owned() };
    let (range, step) = match part.split_once('/') {
        None => (part, 1),
        Some((range, step)) => {
            let step = step.parse::<u8>().ok().filter(|step| *step > 0).ok_or_else(no_step)?;
            (range, step)
        }
    };
    let (first, last) = match range.split_once('-') {
        // Sunday would be there twice.
        None if range == "*" => (field.least, field.most.min(if field.names.len() == 7 { 6 } else { 59 })),
        None if part.contains('/') => return Err(no_step()),
        None => {
            let value = value_of(range, field, rule)?;
            (value, value)
        }
        Some((first, last)) => (value_of(first, field, rule)?, value_of(last, field, rule)?),
    };
    if first > last {
        return Err(CronError::Backwards { text: range.to_owned(), rule: rule.to_owned() });
    }
    Ok((first..=last).step_by(step.into()).fold(0, |set, value| set | 1 << value))
}

fn value_of(text: &str, field: &Field, rule: &str) -> Result<u8, CronError> {
    let named = field.names.iter().position(|name| name.eq_ignore_ascii_case(text));
    let named = named.and_then(|at| u8::try_from(at).ok()).map(|at| at + field.least);
    let number = || text.parse().ok().filter(|value| (field.least..=field.most).contains(value));
    named.or_else(number).ok_or_else(|| {
        let near = nearest(text, field.names.iter().copied());
        let hint = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
        CronError::Value { text: text.to_owned(), rule: rule.to_owned(), field: *field, hint }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(rule: &str, count: usize) -> Vec<String> {
        let cron: Cron = rule.parse().unwrap();
        let from = jiff::civil::datetime(2026, 1, 30, 12, 0, 0, 0);
        let forward: Vec<DateTime> = cron.after(from).take(count).collect();
        let last = *forward.last().unwrap();
        let mut back: Vec<DateTime> = cron.before(last).take(count).collect();
        back.reverse();
        assert_eq!(forward, back, "{rule}: the times are the same in both directions");
        forward.iter().map(|time| time.strftime("%a %F %H:%M").to_string()).collect()
    }

    #[test]
    fn reads_rules() {
        for (rule, times) in [
            ("0 3 * * *", vec!["Sat 2026-01-31 03:00", "Sun 2026-02-01 03:00"]),
            ("*/20 12 * * *", vec!["Fri 2026-01-30 12:00", "Fri 2026-01-30 12:20", "Fri 2026-01-30 12:40"]),
            (
                "5-20/10,59 12,13 * * *",
                vec!["Fri 2026-01-30 12:05", "Fri 2026-01-30 12:15", "Fri 2026-01-30 12:59"],
            ),
            ("0 9 * * mon-fri", vec!["Mon 2026-02-02 09:00", "Tue 2026-02-03 09:00"]),
            ("0 9 * * SAT,7", vec!["Sat 2026-01-31 09:00", "Sun 2026-02-01 09:00", "Sat 2026-02-07 09:00"]),
            ("0 9 * * 0", vec!["Sun 2026-02-01 09:00", "Sun 2026-02-08 09:00"]),
            ("0 9 * * 5-7", vec!["Sat 2026-01-31 09:00", "Sun 2026-02-01 09:00", "Fri 2026-02-06 09:00"]),
            ("0 9 * * */3", vec!["Sat 2026-01-31 09:00", "Sun 2026-02-01 09:00", "Wed 2026-02-04 09:00"]),
            // Of two days, one is enough.
            ("0 9 13 * fri", vec!["Fri 2026-02-06 09:00", "Fri 2026-02-13 09:00", "Fri 2026-02-20 09:00"]),
            ("0 9 31 * *", vec!["Sat 2026-01-31 09:00", "Tue 2026-03-31 09:00"]),
            ("0 9 1 jun,Dec *", vec!["Mon 2026-06-01 09:00", "Tue 2026-12-01 09:00"]),
            ("0 0 29 2 *", vec!["Tue 2028-02-29 00:00", "Sun 2032-02-29 00:00"]),
            ("@monthly", vec!["Sun 2026-02-01 00:00", "Sun 2026-03-01 00:00"]),
            ("  0   3 * *  * ", vec!["Sat 2026-01-31 03:00"]),
        ] {
            assert_eq!(first(rule, times.len()), times, "{rule}");
        }
    }

    #[test]
    fn finds_the_leap_day_after_a_century_without_one() {
        let cron: Cron = "0 0 29 2 *".parse().unwrap();
        let time = cron.after(jiff::civil::datetime(2096, 3, 1, 0, 0, 0, 0)).next();
        assert_eq!(time, Some(jiff::civil::datetime(2104, 2, 29, 0, 0, 0, 0)));
    }

    #[test]
    fn says_what_is_wrong_with_a_rule() {
        let message = |rule: &str| rule.parse::<Cron>().unwrap_err().to_string();
        for (rule, part) in [
            ("", "`` has 0 fields. A cron rule has five"),
            ("0 3 * *", "`0 3 * *` has 4 fields. A cron rule has five: minute, hour"),
            ("0 0 3 * * *", "has 6 fields"),
            ("60 * * * *", "`60` in `60 * * * *` is not valid for the minute: write 0 to 59"),
            ("0 24 * * *", "`24` in `0 24 * * *` is not valid for the hour: write 0 to 23"),
            ("0 3 0 * *", "is not valid for the day of the month: write 1 to 31"),
            ("0 3 * 13 *", "is not valid for the month: write 1 to 12 or jan to dec"),
            ("0 3 * * 8", "is not valid for the day of the week: write 0 to 7 or sun to sat"),
            ("0 3 * * mno", "(did you mean mon?)"),
            ("0 22-2 * * *", "`22-2` in `0 22-2 * * *` runs backwards"),
            ("*/0 * * * *", "`*/0` in `*/0 * * * *` is not a step"),
            ("5/15 * * * *", "`5/15` in `5/15 * * * *` is not a step"),
            ("*/x * * * *", "is not a step"),
            ("1,,2 * * * *", "`` in `1,,2 * * * *` is not valid for the minute"),
            ("-1 * * * *", "is not valid for the minute"),
            ("0 0 31 2,4 *", "`0 0 31 2,4 *` never comes"),
            ("@daily2", "`@daily2` is not the name of a cron rule; did you mean @daily?"),
            ("@reboot", "the names are @hourly, @daily"),
        ] {
            assert!(message(rule).contains(part), "{rule}: {}", message(rule));
        }
    }
}
