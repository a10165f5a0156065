//! The time that a page of the console is about. It is in the address, and holds for the whole page.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use sluice_kit::clock::{iso_utc, now_ms};

const MINUTE_MS: i64 = 60 * 1_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// How long the log keeps its runs by default.
const HOURS_MAX: i64 = 14 * 24;
const HOURS: i64 = 24;

/// The longest range of which charts have finer steps than quarters of an hour.
const SHORT_MS: i64 = 2 * HOUR_MS + 1;

/// Runs are counted in quarters of an hour.
const QUARTER_MS: i64 = 15 * MINUTE_MS;

/// `?hours=24`, `?last=90m`, or `?from=2026-01-31T10:00&to=2026-01-31T12:00` in UTC. Without `to`, until now.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(try_from = "Given")]
pub(crate) struct Range {
    /// How long it is, until now, in minutes.
    minutes: Option<i64>,
    from: Option<i64>,
    to: Option<i64>,
}

/// A range before it was checked.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Given {
    hours: Option<i64>,
    #[serde(deserialize_with = "length")]
    last: Option<i64>,
    #[serde(deserialize_with = "moment")]
    from: Option<i64>,
    #[serde(deserialize_with = "moment")]
    to: Option<i64>,
}

impl TryFrom<Given> for Range {
    type Error = String;

    fn try_from(Given { hours, last, from, to }: Given) -> Result<Self, String> {
        // A form has its own range beside the length that somebody types.
        if last.is_some() {
            return Ok(Self { minutes: last, ..Self::default() });
        }
        let minutes = hours.map(|hours| hours.saturating_mul(60).max(60));
        match (from, to) {
            (None, Some(_)) => Err("`to` needs `from`, the time at which the range begins".to_owned()),
            (Some(from), Some(to)) if from > to => {
                Err(format!("the range ends ({}) before it begins ({})", written(to), written(from)))
            }
            _ => Ok(Self { minutes, from, to }),
        }
    }
}

/// `2026-01-31T10:00`
fn written(at: i64) -> String {
    iso_utc(at).get(..16).unwrap_or_default().to_owned()
}

/// A range as the console shows it.
#[derive(Debug, Serialize)]
pub(crate) struct RangeView {
    /// For links to other pages: `hours=24`.
    query: String,
    /// `in the last 24 hours`
    said: String,
    choices: Vec<Choice>,
    is_own: bool,
    /// It is a length that is none of the choices: `90m`.
    is_typed: bool,
    typed: String,
    /// The last quarter of an hour is not over.
    is_until_now: bool,
    /// The range that was asked for is a part of the one that is shown.
    is_rounded: bool,
    from_ms: i64,
    to_ms: i64,
    /// The bounds for the fields of an own range: `2026-01-31T10:00`.
    from: String,
    to: String,
}

impl RangeView {
    /// `hours=24`
    pub(crate) fn query(&self) -> &str {
        &self.query
    }

    /// The range as hidden fields of another form.
    pub(crate) fn fields(&self) -> Vec<Value> {
        super::fields(self.query.split('&').filter_map(|pair| pair.split_once('=')))
    }
}

#[derive(Debug, Serialize)]
struct Choice {
    /// `hours` or `last`, and its value.
    name: &'static str,
    value: &'static str,
    label: &'static str,
    is_chosen: bool,
}

impl Range {
    /// The first moment and the moment after the last one, in Unix milliseconds, in whole quarters of an hour. The
    /// last quarter ends now if it has not ended.
    pub(crate) fn bounds(self) -> (i64, i64) {
        let (from, to) = self.exact();
        // The quarters at the ends are counted as wholes.
        let end = to.saturating_add(QUARTER_MS - 1);
        let to = if self.to.is_some() { end - end.rem_euclid(QUARTER_MS) } else { to };
        let from = from - from.rem_euclid(QUARTER_MS);
        (from, to.max(from + QUARTER_MS))
    }

    /// The same as it was asked for.
    pub(crate) fn exact(self) -> (i64, i64) {
        let (from, to) = self.of_any_length();
        (from.max(to - HOURS_MAX * HOUR_MS), to)
    }

    /// The same for what is kept longer than runs: a range with a begin can have any length.
    pub(crate) fn of_any_length(self) -> (i64, i64) {
        let now = now_ms();
        let Some(from) = self.from else { return (now - self.minutes() * MINUTE_MS, now + 1) };
        (from, self.to.unwrap_or(now + 1).max(from.saturating_add(MINUTE_MS)))
    }

    /// Whether the address has a range.
    pub(crate) fn is_given(self) -> bool {
        self.minutes.is_some() || self.from.is_some()
    }

    fn minutes(self) -> i64 {
        self.minutes.unwrap_or(HOURS * 60).clamp(1, HOURS_MAX * 60)
    }

    /// Whether it is so short that quarters of an hour show little of it.
    pub(crate) fn is_short(self) -> bool {
        let (from, to) = self.exact();
        to - from <= SHORT_MS
    }

    /// The range as the picker and the links of a page need it that shows whole quarters of an hour.
    pub(crate) fn view(self) -> RangeView {
        let (from, to) = self.exact();
        let is_rounded = match self.from {
            Some(_) => from % QUARTER_MS != 0 || (self.to.is_some() && to % QUARTER_MS != 0),
            // Of a longer one, a quarter of an hour is a small part.
            None => self.minutes() <= 60,
        };
        RangeView { is_rounded, ..self.view_of(self.bounds()) }
    }

    /// The range as a page needs it that shows exactly this time.
    pub(crate) fn exact_view(self) -> RangeView {
        self.view_of(self.exact())
    }

    /// The range as a page needs it that shows what is kept longer than runs.
    pub(crate) fn view_of_any_length(self) -> RangeView {
        self.view_of(self.of_any_length())
    }

    fn view_of(self, (from_ms, to_ms): (i64, i64)) -> RangeView {
        let is_own = self.from.is_some();
        let choices = [
            (15, "last", "15m", "15 min"),
            (60, "hours", "1", "1 h"),
            (24 * 60, "hours", "24", "24 h"),
            (7 * 24 * 60, "hours", "168", "7 d"),
        ];
        let choices = choices.map(|(minutes, name, value, label)| Choice {
            name,
            value,
            label,
            is_chosen: !is_own && minutes == self.minutes(),
        });
        let is_typed = !is_own && choices.iter().all(|choice| !choice.is_chosen);
        let typed = match self.minutes() {
            _ if !is_typed => String::new(),
            minutes if minutes % (24 * 60) == 0 => format!("{}d", minutes / (24 * 60)),
            minutes if minutes % 60 == 0 => format!("{}h", minutes / 60),
            minutes => format!("{minutes}m"),
        };
        let (from, to) = (written(from_ms), written(to_ms));
        let (query, said) = match (is_own, self.to) {
            (false, _) => match (self.minutes() / 60, self.minutes() % 60) {
                (1, 0) => ("hours=1".to_owned(), "in the last hour".to_owned()),
                (hours, 0) if hours > 24 && hours % 24 == 0 => {
                    (format!("hours={hours}"), format!("in the last {} days", hours / 24))
                }
                (hours, 0) => (format!("hours={hours}"), format!("in the last {hours} hours")),
                _ => {
                    let minutes = self.minutes();
                    (format!("last={minutes}m"), format!("in the last {minutes} minutes"))
                }
            },
            (true, None) => (format!("from={from}"), "since then".to_owned()),
            (true, Some(_)) => (format!("from={from}&to={to}"), "in this time".to_owned()),
        };
        RangeView {
            query,
            said,
            choices: choices.into(),
            is_own,
            is_typed,
            typed,
            is_until_now: self.to.is_none(),
            is_rounded: false,
            from_ms,
            to_ms,
            from,
            to,
        }
    }
}

/// Reads a length: `15m`, `90 min`, `36h`, `7d`. The empty text of a form is none.
fn length<'de, D: Deserializer<'de>>(given: D) -> Result<Option<i64>, D::Error> {
    let text = String::deserialize(given)?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    let wrong = || D::Error::custom(format!("{text:?} is not a length of time such as 15m, 90m, 36h or 7d"));
    parse_length(&text).map(Some).ok_or_else(wrong)
}

/// The minutes of `last 15m`, `90 min`, `36h` or `7d`.
pub(crate) fn parse_length(text: &str) -> Option<i64> {
    let text = text.trim().to_lowercase();
    let text = text.strip_prefix("last").unwrap_or(&text).trim();
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(end)?;
    let minutes = match unit.trim() {
        "m" | "min" | "minute" | "minutes" => 1,
        "h" | "hour" | "hours" => 60,
        "d" | "day" | "days" => 24 * 60,
        _ => return None,
    };
    let minutes = digits.parse::<i64>().ok()?.checked_mul(minutes)?;
    (minutes > 0).then_some(minutes)
}

/// Reads a moment in UTC. The empty text of a form is none.
fn moment<'de, D: Deserializer<'de>>(given: D) -> Result<Option<i64>, D::Error> {
    let text = String::deserialize(given)?;
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || D::Error::custom(format!("{text:?} is not a time such as 2026-01-31T10:00 (in UTC)"));
    parse(&text).map(Some).ok_or_else(wrong)
}

/// The Unix milliseconds of `2026-01-31T10:00`, with or without seconds and `Z`.
fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z').unwrap_or(text).split_once('T')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i64>().ok())?;
    let mut date = date.split('-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split('.').next()?.split(':').map(number);
    let (hour, minute) = (time.next()??, time.next()??);
    let second = time.next().unwrap_or(Some(0))?;
    let is_valid = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    if !is_valid || date.next().is_some() || time.next().is_some() {
        return None;
    }
    // Days since 1970 in the proleptic Gregorian calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * MINUTE_MS + second * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for at in [0, 951_782_400_000, 1_767_225_600_000, 1_795_867_260_000, 4_102_444_740_000] {
            assert_eq!(parse(&iso_utc(at)), Some(at), "{}", iso_utc(at));
            assert_eq!(parse(iso_utc(at).get(..16).unwrap()), Some(at));
        }
        for wrong in
            ["", "2026-01-31", "2026-13-01T00:00", "2026-01-01T24:00", "a-b-cTd:e", "2026-01-01T1:2:3:4"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn bounds_every_range() {
        let length = |range: Range| range.bounds().1 - range.bounds().0;
        for (hours, expected) in [(None, 24), (Some(0), 1), (Some(i64::MAX), HOURS_MAX)] {
            let range = Range::try_from(Given { hours, ..Given::default() }).unwrap();
            let longer = length(range) - expected * HOUR_MS;
            assert!((1..=15 * MINUTE_MS).contains(&longer), "{hours:?}: {longer}");
        }
        assert!((1..=15 * MINUTE_MS + 1).contains(&(length(of_last("15m")) - 15 * MINUTE_MS)));
        let own = Range { from: Some(5), to: Some(HOUR_MS), ..Range::default() };
        assert_eq!((own.exact(), own.bounds()), ((5, HOUR_MS), (0, HOUR_MS)));
        assert!(own.view().is_rounded && !own.exact_view().is_rounded);
        let short = Range { from: Some(19 * MINUTE_MS), to: Some(21 * MINUTE_MS), ..own };
        assert_eq!(short.bounds(), (QUARTER_MS, 2 * QUARTER_MS));
        assert_eq!(Range { to: Some(0), from: Some(0), ..own }.bounds(), (0, QUARTER_MS));
        let longer = length(Range { to: None, ..own }) - HOURS_MAX * HOUR_MS;
        assert!((0..=QUARTER_MS).contains(&longer), "{longer}");
    }

    fn of_last(text: &str) -> Range {
        Range { minutes: parse_length(text), ..Range::default() }
    }

    #[test]
    fn length_is_a_number_with_a_unit() {
        for (text, minutes) in
            [("15m", 15), ("last 90m", 90), (" 36 h", 36 * 60), ("7d", 7 * 24 * 60), ("90 minutes", 90)]
        {
            assert_eq!(parse_length(text), Some(minutes), "{text}");
        }
        for wrong in ["15", "m", "0m", "-5m", "1.5h", "7w", "99999999999999999999m", "9223372036854775807d"] {
            assert_eq!(parse_length(wrong), None, "{wrong}");
        }
        assert_eq!(of_last("90m").view().query(), "last=90m");
        assert_eq!(of_last("120m").view().query(), "hours=2");
        assert!(of_last("15m").view().is_rounded && !of_last("90m").view().is_rounded);
        assert!(of_last("2h").is_short() && !of_last("121m").is_short());
        // What is typed counts, and not what stands beside it in the form.
        let given = Given { last: Some(15), from: Some(2), to: Some(1), ..Given::default() };
        assert_eq!(Range::try_from(given).unwrap().minutes(), 15);
    }

    #[test]
    fn rejects_ranges_that_end_before_they_begin() {
        for given in [
            Given { from: Some(2), to: Some(1), ..Given::default() },
            Given { to: Some(1), ..Given::default() },
        ] {
            assert!(Range::try_from(given).is_err());
        }
    }
}
