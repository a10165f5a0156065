//! The time that a page of the console is about. It is in the address, and holds for the whole page.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Value, json};

use sluice_kit::clock::{iso_utc, now_ms};

const MINUTE_MS: i64 = 60 * 1_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// How long the log keeps its runs by default.
const HOURS_MAX: i64 = 14 * 24;
const HOURS: i64 = 24;

/// Runs are counted in quarters of an hour.
const QUARTER_MS: i64 = 15 * MINUTE_MS;

/// `?hours=24`, or `?from=2026-01-31T10:00&to=2026-01-31T12:00` in UTC. Without `to`, until now.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(try_from = "Given")]
pub(crate) struct Range {
    hours: Option<i64>,
    from: Option<i64>,
    to: Option<i64>,
}

/// A range before it was checked.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Given {
    hours: Option<i64>,
    #[serde(deserialize_with = "moment")]
    from: Option<i64>,
    #[serde(deserialize_with = "moment")]
    to: Option<i64>,
}

impl TryFrom<Given> for Range {
    type Error = String;

    fn try_from(Given { hours, from, to }: Given) -> Result<Self, String> {
        match (from, to) {
            (None, Some(_)) => Err("`to` needs `from`, the time at which the range begins".to_owned()),
            (Some(from), Some(to)) if from > to => {
                Err(format!("the range ends ({}) before it begins ({})", written(to), written(from)))
            }
            _ => Ok(Self { hours, from, to }),
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
        let field = |pair: &str| {
            let (name, value) = pair.split_once('=')?;
            Some(json!({ "name": name, "value": value }))
        };
        self.query.split('&').filter_map(field).collect()
    }
}

#[derive(Debug, Serialize)]
struct Choice {
    hours: i64,
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
        let now = now_ms();
        let Some(from) = self.from else { return (now - self.hours() * HOUR_MS, now + 1) };
        let to = self.to.unwrap_or(now + 1).max(from + MINUTE_MS);
        (from.max(to - HOURS_MAX * HOUR_MS), to)
    }

    /// Whether the address has a range.
    pub(crate) fn is_given(self) -> bool {
        self.hours.is_some() || self.from.is_some()
    }

    fn hours(self) -> i64 {
        self.hours.unwrap_or(HOURS).clamp(1, HOURS_MAX)
    }

    /// The range as the picker and the links of a page need it that shows whole quarters of an hour.
    pub(crate) fn view(self) -> RangeView {
        let is_rounded = self.from.is_some() && {
            let (from, to) = self.exact();
            from % QUARTER_MS != 0 || (self.to.is_some() && to % QUARTER_MS != 0)
        };
        RangeView { is_rounded, ..self.view_of(self.bounds()) }
    }

    /// The range as a page needs it that shows exactly this time.
    pub(crate) fn exact_view(self) -> RangeView {
        self.view_of(self.exact())
    }

    fn view_of(self, (from_ms, to_ms): (i64, i64)) -> RangeView {
        let is_own = self.from.is_some();
        let choices = [(1, "1 h"), (24, "24 h"), (7 * 24, "7 d")].map(|(hours, label)| Choice {
            hours,
            label,
            is_chosen: !is_own && hours == self.hours(),
        });
        let (from, to) = (written(from_ms), written(to_ms));
        let (query, said) = match (is_own, self.to) {
            (false, _) if self.hours() == 1 => ("hours=1".to_owned(), "in the last hour".to_owned()),
            (false, _) => (format!("hours={}", self.hours()), format!("in the last {} hours", self.hours())),
            (true, None) => (format!("from={from}"), "since then".to_owned()),
            (true, Some(_)) => (format!("from={from}&to={to}"), "in this time".to_owned()),
        };
        RangeView {
            query,
            said,
            choices: choices.into(),
            is_own,
            is_until_now: self.to.is_none(),
            is_rounded: false,
            from_ms,
            to_ms,
            from,
            to,
        }
    }
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
            let longer = length(Range { hours, ..Range::default() }) - expected * HOUR_MS;
            assert!((1..=15 * MINUTE_MS).contains(&longer), "{hours:?}: {longer}");
        }
        let own = Range { from: Some(5), to: Some(HOUR_MS), ..Range::default() };
        assert_eq!((own.exact(), own.bounds()), ((5, HOUR_MS), (0, HOUR_MS)));
        assert!(own.view().is_rounded && !own.exact_view().is_rounded);
        let short = Range { from: Some(19 * MINUTE_MS), to: Some(21 * MINUTE_MS), ..own };
        assert_eq!(short.bounds(), (QUARTER_MS, 2 * QUARTER_MS));
        assert_eq!(Range { to: Some(0), from: Some(0), ..own }.bounds(), (0, QUARTER_MS));
        let longer = length(Range { to: None, ..own }) - HOURS_MAX * HOUR_MS;
        assert!((0..=QUARTER_MS).contains(&longer), "{longer}");
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
