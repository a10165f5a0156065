//! Filters: `{{ value | name:argument }}`. `docs/templates.md` has an example of each filter.

mod currency;
mod date;
mod list;
mod number;
mod product;
mod text;
mod time;

use thiserror::Error;

use crate::budget::{Budget, Limited};
use crate::convert::{to_number, to_text};
use crate::json_text::{self, Layout};
use crate::value::Val;

/// An ISO 8601 text as milliseconds since 1970.
pub(super) fn parse_time(text: &str) -> Option<f64> {
    time::parse_iso(text)
}

/// The filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Abs,
    Capitalize,
    Ceil,
    Currency,
    Date,
    DateAdd,
    Default,
    DefaultIfNone,
    First,
    Floor,
    Join,
    Json,
    Last,
    Length,
    Lower,
    Nl2br,
    NumberFormat,
    ProductUrl,
    Raw,
    Replace,
    Reverse,
    Round,
    Slice,
    Sort,
    StripTags,
    Timeago,
    Title,
    Trim,
    Truncate,
    TruncateWords,
    Unique,
    Upper,
    UrlEncode,
    YesNo,
}

/// The name of each filter, and the fewest and most arguments that it takes.
const FILTERS: &[(&str, Filter, usize, usize)] = &[
    ("abs", Filter::Abs, 0, 0),
    ("capitalize", Filter::Capitalize, 0, 0),
    ("ceil", Filter::Ceil, 0, 0),
    ("currency", Filter::Currency, 0, 1),
    ("date", Filter::Date, 0, 1),
    ("date_add", Filter::DateAdd, 1, 1),
    ("default", Filter::Default, 1, 1),
    ("default_if_none", Filter::DefaultIfNone, 1, 1),
    ("first", Filter::First, 0, 0),
    ("floor", Filter::Floor, 0, 0),
    ("formatPrice", Filter::Currency, 0, 1),
    ("join", Filter::Join, 0, 1),
    ("json", Filter::Json, 0, 0),
    ("last", Filter::Last, 0, 0),
    ("length", Filter::Length, 0, 0),
    ("lower", Filter::Lower, 0, 0),
    ("nl2br", Filter::Nl2br, 0, 0),
    ("number_format", Filter::NumberFormat, 0, 1),
    ("productUrl", Filter::ProductUrl, 0, 1),
    ("raw", Filter::Raw, 0, 0),
    ("replace", Filter::Replace, 2, 2),
    ("reverse", Filter::Reverse, 0, 0),
    ("round", Filter::Round, 0, 1),
    ("size", Filter::Length, 0, 0),
    ("slice", Filter::Slice, 1, 2),
    ("sort", Filter::Sort, 0, 1),
    ("strip_tags", Filter::StripTags, 0, 0),
    ("timeago", Filter::Timeago, 0, 0),
    ("title", Filter::Title, 0, 0),
    ("trim", Filter::Trim, 0, 0),
    ("truncate", Filter::Truncate, 1, 1),
    ("truncatewords", Filter::TruncateWords, 1, 1),
    ("unique", Filter::Unique, 0, 1),
    ("upper", Filter::Upper, 0, 0),
    ("url_encode", Filter::UrlEncode, 0, 0),
    ("yesno", Filter::YesNo, 0, 3),
];

/// What filters need besides their arguments.
pub(super) struct Setting<'b> {
    pub budget: &'b mut Budget,
    /// Milliseconds since 1970, the same all through one rendering.
    pub now: f64,
}

impl Filter {
    pub(super) fn find(name: &str) -> Option<Filter> {
        FILTERS.iter().find(|(known, ..)| *known == name).map(|(_, filter, ..)| *filter)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        FILTERS.iter().map(|(name, ..)| *name)
    }

    /// Checks the number of arguments.
    pub(super) fn check_args(self, given: usize) -> Result<(), ArgumentCountError> {
        let row = FILTERS.iter().find(|(_, filter, ..)| *filter == self);
        match row {
            Some((name, _, least, most)) if !(*least..=*most).contains(&given) => {
                Err(ArgumentCountError { name, least: *least, most: *most, given })
            }
            _ => Ok(()),
        }
    }

    /// Applies the filter. What a filter makes of JSON counts as JSON, unless it escapes it.
    pub(super) fn apply<'a>(
        self,
        value: Val<'a>,
        args: &[Val<'a>],
        setting: &mut Setting<'_>,
    ) -> Limited<Val<'a>> {
        let is_json = match self {
            Filter::Nl2br | Filter::ProductUrl | Filter::UrlEncode => false,
            Filter::Join if value.items().is_some_and(|items| items.iter().any(|part| part.is_json())) => {
                true
            }
            _ => value.is_json() || args.iter().any(Val::is_json),
        };
        let filtered = self.filtered(value, args, setting)?;
        Ok(if is_json { filtered.into_json() } else { filtered })
    }

    fn filtered<'a>(self, value: Val<'a>, args: &[Val<'a>], setting: &mut Setting<'_>) -> Limited<Val<'a>> {
        let now = setting.now;
        let budget = &mut *setting.budget;
        let arg = |index: usize| args.get(index).cloned().unwrap_or(Val::Undefined);
        match self {
            Filter::Default if value.is_nullish() || value.as_str() == Some("") => Ok(arg(0)),
            Filter::DefaultIfNone if value.is_nullish() => Ok(arg(0)),
            Filter::Default | Filter::DefaultIfNone | Filter::Raw => Ok(value),
            Filter::Json => {
                json_text::write(&value, Layout::Script, budget).map(Val::made).map(Val::into_json)
            }
            Filter::YesNo => Ok(yes_no(&value, args)),

            Filter::Upper => of_text(&value, budget, str::to_uppercase),
            Filter::Lower => of_text(&value, budget, str::to_lowercase),
            Filter::Capitalize => of_text(&value, budget, text::capitalize),
            Filter::Title => of_text(&value, budget, text::title),
            Filter::Trim => of_text(&value, budget, |text| crate::convert::trim(text).to_owned()),
            // A quote becomes six bytes.
            Filter::Nl2br => of_text_growing(&value, 6, budget, text::nl2br),
            Filter::StripTags => of_text(&value, budget, text::strip_tags),
            Filter::UrlEncode => of_text(&value, budget, text::url_encode),
            Filter::Truncate => {
                let length = count(&arg(0), budget)?;
                of_text(&value, budget, |text| text::truncate(text, length))
            }
            Filter::TruncateWords => {
                let words = count(&arg(0), budget)?;
                of_text(&value, budget, |text| text::truncate_words(text, words))
            }
            Filter::Replace => text::replace(&value, &arg(0), &arg(1), budget),

            Filter::Length => list::length(&value, budget),
            Filter::First => list::end(value, true, budget),
            Filter::Last => list::end(value, false, budget),
            Filter::Slice => list::slice(value, &arg(0), &arg(1), budget),
            Filter::Reverse => list::reverse(value, budget),
            Filter::Join => list::join(value, &arg(0), budget),
            Filter::Sort => list::sort(value, &arg(0), budget),
            Filter::Unique => list::unique(value, &arg(0), budget),

            Filter::Abs => of_number(value, budget, f64::abs),
            Filter::Floor => of_number(value, budget, f64::floor),
            Filter::Ceil => of_number(value, budget, f64::ceil),
            Filter::Round => {
                budget.steps(NUMBER_STEPS)?;
                let digits = digits(&arg(0), 0, budget)?;
                of_number(value, budget, |number| number::round(number, digits))
            }
            Filter::NumberFormat => {
                budget.steps(NUMBER_STEPS)?;
                let digits = digits(&arg(0), 2, budget)?;
                to_text_of_number(value, budget, |number| number::grouped(number, digits))
            }
            Filter::Currency => {
                let code = to_text(&arg(0), budget)?;
                let code = if arg(0).truthy() { code.as_str().unwrap_or("") } else { "USD" };
                budget.steps(NUMBER_STEPS)?;
                budget.walk(code.len())?;
                to_text_of_number(value, budget, |number| currency::format(number, code))
            }

            Filter::ProductUrl => product::url(&value, &arg(0), budget),

            Filter::Date => date::format(value, &arg(0), now, budget),
            Filter::DateAdd => {
                let days = to_number(&arg(0), budget)?;
                date::add_days(value, days, now, budget)
            }
            Filter::Timeago => date::time_ago(value, now, budget),
        }
    }
}

/// A filter or a function with too few or too many arguments.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name} takes {}, not {given}", self.allowed())]
pub(super) struct ArgumentCountError {
    pub(super) name: &'static str,
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) given: usize,
}

impl ArgumentCountError {
    fn allowed(&self) -> String {
        match (self.least, self.most) {
            (0, 0) => "no arguments".to_owned(),
            (1, 1) => "1 argument".to_owned(),
            (least, most) if least == most => format!("{least} arguments"),
            (least, most) => format!("{least} to {most} arguments"),
        }
    }
}

/// Changes the text of a value. A missing value becomes the empty text. Upper case, lower case and
/// percent-encoding make three bytes of one at most.
fn of_text<'a>(value: &Val<'_>, budget: &mut Budget, change: impl Fn(&str) -> String) -> Limited<Val<'a>> {
    of_text_growing(value, 3, budget, change)
}

/// Like [`of_text`], for a change that makes `growth` bytes of one at most.
fn of_text_growing<'a>(
    value: &Val<'_>,
    growth: usize,
    budget: &mut Budget,
    change: impl Fn(&str) -> String,
) -> Limited<Val<'a>> {
    if value.is_nullish() {
        return Ok(Val::Text(""));
    }
    let text = to_text(value, budget)?;
    let text = text.as_str().unwrap_or("");
    budget.check_room(text.len().saturating_mul(growth))?;
    budget.walk(text.len().saturating_mul(growth))?;
    let changed = change(text);
    budget.make(changed.len())?;
    Ok(Val::made(changed))
}

/// The number that a value stands for. `None` for a missing value and for one that is not a number.
fn number_in(value: &Val<'_>, budget: &mut Budget) -> Limited<Option<f64>> {
    budget.walk(value.as_str().map_or(0, str::len))?;
    if value.is_nullish() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Ok(None);
    }
    let number = to_number(value, budget)?;
    Ok((!number.is_nan()).then_some(number))
}

/// Changes a number. A value that is not a number stays unchanged.
fn of_number<'a>(value: Val<'a>, budget: &mut Budget, change: impl Fn(f64) -> f64) -> Limited<Val<'a>> {
    let number = number_in(&value, budget)?;
    Ok(number.map_or(value, |number| Val::Number(change(number))))
}

/// Writes a number as text. A value that is not a number stays unchanged.
fn to_text_of_number<'a>(
    value: Val<'a>,
    budget: &mut Budget,
    write: impl Fn(f64) -> String,
) -> Limited<Val<'a>> {
    let Some(number) = number_in(&value, budget)? else {
        return Ok(value);
    };
    let text = write(number);
    budget.make(text.len())?;
    Ok(Val::made(text))
}

/// An argument that is a count.
fn count(arg: &Val<'_>, budget: &mut Budget) -> Limited<usize> {
    let number = to_number(arg, budget)?;
    // Casting saturates, and turns NaN into 0.
    Ok(number as usize)
}

/// What writing a number costs, which has up to 330 digits.
const NUMBER_STEPS: usize = 20;

/// The most decimals that a filter writes.
const DIGITS_MAX: usize = 20;

fn digits(arg: &Val<'_>, default: usize, budget: &mut Budget) -> Limited<usize> {
    match arg.is_nullish() {
        true => Ok(default),
        false => Ok(count(arg, budget)?.min(DIGITS_MAX)),
    }
}

/// `yesno:'a':'b':'c'`: the texts for true, false and a missing value.
fn yes_no<'a>(value: &Val<'a>, args: &[Val<'a>]) -> Val<'a> {
    let no = || args.get(1).cloned().unwrap_or(Val::Text("no"));
    if value.truthy() {
        return args.first().cloned().unwrap_or(Val::Text("yes"));
    }
    match args.get(2) {
        Some(nothing) if value.is_nullish() => nothing.clone(),
        _ => no(),
    }
}
