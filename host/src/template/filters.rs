//! Filters: `{{ value | name:argument }}`.

use super::budget::Budget;
use super::convert::{Made, to_text};
use super::json_text::{self, Layout};
use super::value::Val;

/// A filter by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Default,
    DefaultIfNone,
    Upper,
    Lower,
    Length,
    Raw,
    Json,
}

/// Name, filter, fewest and most arguments.
const FILTERS: &[(&str, Filter, usize, usize)] = &[
    ("default", Filter::Default, 1, 1),
    ("default_if_none", Filter::DefaultIfNone, 1, 1),
    ("upper", Filter::Upper, 0, 0),
    ("lower", Filter::Lower, 0, 0),
    ("length", Filter::Length, 0, 0),
    ("raw", Filter::Raw, 0, 0),
    ("json", Filter::Json, 0, 0),
];

impl Filter {
    pub(super) fn find(name: &str) -> Option<Filter> {
        let row = FILTERS.iter().find(|(known, ..)| *known == name)?;
        Some(row.1)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        FILTERS.iter().map(|(name, ..)| *name)
    }

    pub(super) fn check_args(self, given: usize) -> Result<(), String> {
        let Some((name, _, least, most)) = FILTERS.iter().find(|(_, filter, ..)| *filter == self) else {
            return Ok(());
        };
        if (*least..=*most).contains(&given) {
            return Ok(());
        }
        let count = match (least, most) {
            (0, 0) => "no argument".to_owned(),
            (1, 1) => "1 argument".to_owned(),
            (least, most) if least == most => format!("{least} arguments"),
            (least, most) => format!("{least} to {most} arguments"),
        };
        Err(format!("{name} takes {count}, not {given}"))
    }

    pub(super) fn apply<'a>(self, value: Val<'a>, args: &[Val<'a>], budget: &mut Budget) -> Made<Val<'a>> {
        let arg = |index: usize| args.get(index).cloned().unwrap_or(Val::Undefined);
        match self {
            Filter::Default if value.is_nullish() || value.as_str() == Some("") => Ok(arg(0)),
            Filter::DefaultIfNone if value.is_nullish() => Ok(arg(0)),
            Filter::Default | Filter::DefaultIfNone | Filter::Raw => Ok(value),
            Filter::Upper => text(&value, budget, |text| text.to_uppercase()),
            Filter::Lower => text(&value, budget, |text| text.to_lowercase()),
            Filter::Length => Ok(Val::Number(value.length().unwrap_or(0) as f64)),
            Filter::Json => json_text::write(&value, Layout::Script, budget).map(Val::made),
        }
    }
}

fn text<'a>(value: &Val<'_>, budget: &mut Budget, change: impl Fn(&str) -> String) -> Made<Val<'a>> {
    if value.is_nullish() {
        return Ok(Val::Text(""));
    }
    let text = to_text(value, budget)?;
    let changed = change(text.as_str().unwrap_or(""));
    budget.make(changed.len())?;
    Ok(Val::made(changed))
}
