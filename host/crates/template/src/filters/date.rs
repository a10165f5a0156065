//! Filters of dates.

use super::time::{DAY_MS, Moment, parse_iso};
use crate::budget::{Budget, Limited};
use crate::convert::to_text;
use crate::value::Val;

/// The tokens of a pattern. Longer ones come first, so that the first match is the right one.
const TOKENS: &[&str] = &[
    "yyyy", "yy", "y", "MMMM", "MMM", "MM", "M", "dd", "do", "d", "EEEE", "EEE", "EE", "E", "HH", "H", "hh",
    "h", "mm", "m", "ss", "SSS", "s", "aaa", "a", "Q",
];
/// How many times as long as a token its text is at most: `y` can print `-271821`.
const GROWTH_MAX: usize = 7;
/// How many letters of a weekday or a month its short name has.
const SHORT_NAME: usize = 3;

const DEFAULT_FORMAT: &str = "MMM d, yyyy";

/// The milliseconds since 1970 that a value stands for: an ISO text, a number, or `now`.
fn time(value: &Val<'_>, now: f64, budget: &Budget) -> Limited<Option<f64>> {
    budget.steps(1)?;
    budget.walk(value.as_str().map_or(0, str::len))?;
    Ok(match value {
        Val::Number(ms) => Some(*ms),
        value => value.as_str().and_then(|text| match text.trim() {
            "now" => Some(now),
            digits if digits.len() > 4 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok()
            }
            text => parse_iso(text),
        }),
    })
}

/// `date`: the value by a pattern. A value that is not a date stays unchanged.
pub(super) fn format<'a>(
    value: Val<'a>,
    pattern: &Val<'_>,
    now: f64,
    budget: &mut Budget,
) -> Limited<Val<'a>> {
    let Some(moment) = time(&value, now, budget)?.and_then(Moment::from_ms) else {
        return Ok(value);
    };
    let pattern = match pattern.is_nullish() {
        true => Val::Text(DEFAULT_FORMAT),
        false => to_text(pattern, budget)?,
    };
    let mut rest = pattern.as_str().unwrap_or("");
    budget.check_room(rest.len().saturating_mul(GROWTH_MAX))?;
    let mut text = String::new();
    while let Some(c) = rest.chars().next() {
        budget.steps(1)?;
        let mut length = c.len_utf8();
        if let Some(token) = TOKENS.iter().find(|token| rest.starts_with(**token)) {
            write_token(token, moment, &mut text);
            length = token.len();
        } else if let Some(quoted) = rest.strip_prefix('\'').and_then(|rest| rest.split_once('\'')) {
            // Text in quotes is printed unchanged; two quotes print one.
            budget.read(quoted.0.len())?;
            text.push_str(if quoted.0.is_empty() { "'" } else { quoted.0 });
            length = quoted.0.len() + 2;
        } else {
            text.push(c);
        }
        rest = rest.get(length..).unwrap_or("");
    }
    budget.make(text.len())?;
    Ok(Val::made(text))
}

fn write_token(token: &str, moment: Moment, text: &mut String) {
    let at = moment.in_cycle();
    let month = at.month().to_string();
    let weekday = at.weekday().to_string();
    let short = |name: &str| name.get(..SHORT_NAME).unwrap_or(name).to_owned();
    let hour12 = (at.hour() + 11) % 12 + 1;
    let number = match token {
        "yyyy" => return text.push_str(&format!("{:04}", moment.year())),
        "yy" => return text.push_str(&format!("{:02}", moment.year().rem_euclid(100))),
        "MMMM" => return text.push_str(&month),
        "MMM" => return text.push_str(&short(&month)),
        "EEEE" => return text.push_str(&weekday),
        "EEE" | "EE" | "E" => return text.push_str(&short(&weekday)),
        "y" => return text.push_str(&moment.year().to_string()),
        "do" => return text.push_str(&ordinal(at.day())),
        "SSS" => return text.push_str(&format!("{:03}", at.millisecond())),
        "Q" => return text.push_str(&(u8::from(at.month()).div_ceil(3)).to_string()),
        "aaa" => return text.push_str(if at.hour() < 12 { "am" } else { "pm" }),
        "a" => return text.push_str(if at.hour() < 12 { "AM" } else { "PM" }),
        "MM" | "M" => u8::from(at.month()),
        "dd" | "d" => at.day(),
        "HH" | "H" => at.hour(),
        "hh" | "h" => hour12,
        "mm" | "m" => at.minute(),
        _ => at.second(),
    };
    match token.len() {
        2 => text.push_str(&format!("{number:02}")),
        _ => text.push_str(&number.to_string()),
    }
}

/// `1st`, `2nd`, `3rd`, `4th`.
fn ordinal(day: u8) -> String {
    let ending = match (day / 10, day % 10) {
        (1, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{day}{ending}")
}

/// `date_add`: the date some days later, as ISO text. A date without a time stays without one.
pub(super) fn add_days<'a>(value: Val<'a>, days: f64, now: f64, budget: &Budget) -> Limited<Val<'a>> {
    let Some(time) = time(&value, now, budget)? else {
        return Ok(value);
    };
    let Some(moment) = Moment::from_ms(time + days * DAY_MS) else {
        return Ok(value);
    };
    let is_date = value.as_str().is_some_and(|text| text.len() == "2024-03-05".len());
    Ok(match is_date && days.fract() == 0.0 {
        true => Val::made(moment.iso_date()),
        false => Val::made(moment.iso()),
    })
}

/// Units of time and their seconds.
const UNITS: &[(&str, f64)] = &[
    ("year", 365.0 * 86_400.0),
    ("month", 30.0 * 86_400.0),
    ("day", 86_400.0),
    ("hour", 3600.0),
    ("minute", 60.0),
    ("second", 1.0),
];

/// A script may compute a date this long before the page renders. Distances in the future are
/// extended by as much, so that `in 2 hours` does not become `in 1 hour`.
const SLACK_SECONDS: f64 = 5.0;

/// `timeago`: `3 days ago` or `in 2 hours`, in whole units of the largest unit that fits.
pub(super) fn time_ago<'a>(value: Val<'a>, now: f64, budget: &Budget) -> Limited<Val<'a>> {
    let Some(time) = time(&value, now, budget)? else {
        return Ok(value);
    };
    let seconds = ((now - time) / 1000.0).round();
    let slack = if seconds < SLACK_SECONDS - 60.0 { SLACK_SECONDS } else { 0.0 };
    let count = |unit: f64| ((seconds.abs() + slack) / unit).floor();
    let Some((name, unit)) = UNITS.iter().find(|(_, unit)| count(*unit) >= 1.0) else {
        return Ok(Val::Text("just now"));
    };
    let count = count(*unit);
    let plural = if count == 1.0 { "" } else { "s" };
    Ok(Val::made(match seconds < 0.0 {
        true => format!("in {count} {name}{plural}"),
        false => format!("{count} {name}{plural} ago"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_distances_in_the_largest_unit() {
        let now = 1_700_000_000_000.0;
        for (seconds, expected) in [
            (0.0, "just now"),
            (-1.0, "1 second ago"),
            (-59.0, "59 seconds ago"),
            (-60.0, "1 minute ago"),
            (-3599.0, "59 minutes ago"),
            (-7199.0, "1 hour ago"),
            (-3.0 * 86_400.0, "3 days ago"),
            (-45.0 * 86_400.0, "1 month ago"),
            (-800.0 * 86_400.0, "2 years ago"),
            (7199.0, "in 2 hours"),
            (86_400.0, "in 1 day"),
            (12.0 * 3600.0, "in 12 hours"),
            (59.0, "in 1 minute"),
            (20.0, "in 20 seconds"),
        ] {
            let budget = Budget::of(&crate::limits::TemplateLimits::default());
            let text = time_ago(Val::Number(now + seconds * 1000.0), now, &budget);
            assert_eq!(text.as_ref().ok().and_then(Val::as_str), Some(expected), "{seconds}");
        }
    }
}
