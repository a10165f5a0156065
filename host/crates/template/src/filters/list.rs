//! Filters of lists. Those that make sense for text also work on the characters of a text.

use std::cmp::Ordering;
use std::collections::HashSet;

use crate::budget::{Budget, LimitError, Limited};
use crate::convert::{printed, to_number, to_text};
use crate::json_text::{self, Layout};
use crate::value::{Val, compare_texts};

/// `length`: the number of elements of a list, of fields of a record, or of UTF-16 units of a text.
pub(super) fn length<'a>(value: &Val<'_>, budget: &mut Budget) -> Limited<Val<'a>> {
    budget.read(value.as_str().map_or(0, str::len))?;
    let length = match value {
        Val::Object(fields) => fields.len(),
        Val::Dict(dict) => dict.fields.len(),
        value => value.length().unwrap_or(0),
    };
    Ok(Val::Number(length as f64))
}

/// `first` and `last`: an element or a character.
pub(super) fn end<'a>(value: Val<'a>, first: bool, budget: &mut Budget) -> Limited<Val<'a>> {
    if let Some(items) = value.items() {
        let index = if first { 0 } else { items.len().wrapping_sub(1) };
        return Ok(items.get(index).unwrap_or(Val::Undefined));
    }
    if value.is_nullish() || value.is_object() {
        return Ok(Val::Undefined);
    }
    let text = to_text(&value, budget)?;
    let mut chars = text.as_str().unwrap_or("").chars();
    let c = if first { chars.next() } else { chars.next_back() };
    Ok(c.map_or(Val::Undefined, |c| Val::made(c.to_string())))
}

/// `slice`: the part from one index up to another. Negative indexes count from the end.
pub(super) fn slice<'a>(
    value: Val<'a>,
    start: &Val<'_>,
    end: &Val<'_>,
    budget: &mut Budget,
) -> Limited<Val<'a>> {
    let start = to_number(start, budget)?;
    let end = if end.is_nullish() { f64::INFINITY } else { to_number(end, budget)? };
    if let Some(items) = value.items() {
        let (start, end) = range(start, end, items.len());
        budget.make(end.saturating_sub(start) * size_of::<Val<'_>>())?;
        return list((start..end).filter_map(|index| items.get(index)).collect());
    }
    if value.is_nullish() || value.is_object() {
        return Ok(value);
    }
    let text = to_text(&value, budget)?;
    let text = text.as_str().unwrap_or("");
    budget.check_room(text.len())?;
    budget.walk(text.len())?;
    let (start, end) = range(start, end, text.chars().count());
    let part: String = text.chars().skip(start).take(end.saturating_sub(start)).collect();
    budget.make(part.len())?;
    Ok(Val::made(part))
}

/// The range that JavaScript's `slice` would take.
fn range(start: f64, end: f64, length: usize) -> (usize, usize) {
    let index = |at: f64| {
        let at = if at < 0.0 { at + length as f64 } else { at };
        (at.max(0.0) as usize).min(length)
    };
    (index(start), index(end))
}

/// `reverse`: a list or a text from its end to its beginning.
pub(super) fn reverse<'a>(value: Val<'a>, budget: &mut Budget) -> Limited<Val<'a>> {
    if let Some(items) = value.items() {
        budget.make(items.len() * size_of::<Val<'_>>())?;
        return list(items.iter().rev().collect());
    }
    if value.is_nullish() || value.is_object() {
        return Ok(value);
    }
    let text = to_text(&value, budget)?;
    let text = text.as_str().unwrap_or("");
    budget.walk(text.len())?;
    budget.make(text.len())?;
    let reversed: String = text.chars().rev().collect();
    Ok(Val::made(reversed))
}

/// `join`: the elements as `{{ }}` prints them, with a text or a comma between them.
pub(super) fn join<'a>(value: Val<'a>, separator: &Val<'_>, budget: &mut Budget) -> Limited<Val<'a>> {
    let Some(items) = value.items() else {
        return Ok(value);
    };
    let separator = match separator {
        Val::Undefined => Val::Text(","),
        separator => to_text(separator, budget)?,
    };
    let separator = separator.as_str().unwrap_or("");
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        let text = printed(&item, budget)?;
        let text = text.as_str().unwrap_or("");
        budget.steps(1)?;
        budget.make(text.len() + separator.len())?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text);
    }
    Ok(Val::made(joined))
}

/// The sort key of an element. Numbers come first, then texts, then elements without a key.
enum Key {
    Number(f64),
    Text(String),
    Nothing,
}

/// `sort`: numbers by size, everything else by its text. With a field, the field's value is compared.
pub(super) fn sort<'a>(value: Val<'a>, field: &Val<'_>, budget: &mut Budget) -> Limited<Val<'a>> {
    let Some(items) = value.items() else {
        return Ok(value);
    };
    budget.make(items.len() * size_of::<(Key, Val<'_>)>())?;
    let mut keyed = Vec::with_capacity(items.len());
    let mut text_bytes = 0_usize;
    for item in items.iter() {
        let key = match by_field(&item, field, budget)? {
            Val::Undefined | Val::Null => Key::Nothing,
            Val::Number(number) if number.is_nan() => Key::Nothing,
            Val::Number(number) => Key::Number(number),
            key => {
                let text = to_text(&key, budget)?;
                let text = text.as_str().unwrap_or("");
                budget.make(text.len())?;
                text_bytes += text.len();
                Key::Text(text.to_owned())
            }
        };
        keyed.push((key, item));
    }
    let rounds = keyed.len().checked_ilog2().unwrap_or(0) as usize + 1;
    budget.steps(keyed.len().saturating_mul(rounds))?;
    budget.read(text_bytes.saturating_mul(rounds))?;
    keyed.sort_by(|(a, _), (b, _)| a.compare(b));
    budget.make(keyed.len() * size_of::<Val<'_>>())?;
    list(keyed.into_iter().map(|(_, item)| item).collect())
}

impl Key {
    fn compare(&self, other: &Key) -> Ordering {
        match (self, other) {
            (Key::Number(a), Key::Number(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Key::Text(a), Key::Text(b)) => compare_texts(a, b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Key::Number(_) => 0,
            Key::Text(_) => 1,
            Key::Nothing => 2,
        }
    }
}

/// `unique`: the first of equal elements. Lists and records are equal if their JSON is.
pub(super) fn unique<'a>(value: Val<'a>, field: &Val<'_>, budget: &mut Budget) -> Limited<Val<'a>> {
    let Some(items) = value.items() else {
        return Ok(value);
    };
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for item in items.iter() {
        let key = by_field(&item, field, budget)?;
        let is_new = match &key {
            Val::Undefined => seen.insert("undefined".to_owned()),
            key => {
                let text = json_text::write(key, Layout::Compact, budget)?;
                budget.read(text.len().saturating_mul(2))?;
                seen.insert(text)
            }
        };
        if is_new {
            budget.make(size_of::<Val<'_>>())?;
            kept.push(item);
        }
    }
    list(kept)
}

fn by_field<'a>(item: &Val<'a>, field: &Val<'_>, budget: &mut Budget) -> Limited<Val<'a>> {
    budget.steps(1)?;
    match field {
        Val::Undefined => Ok(item.clone()),
        field => {
            let key = to_text(field, budget)?;
            let key = key.as_str().unwrap_or("");
            budget.read(item.lookup_bytes(key.len()))?;
            Ok(item.get(key))
        }
    }
}

fn list(items: Vec<Val<'_>>) -> Limited<Val<'_>> {
    Val::list(items).ok_or(LimitError::ValueDepth)
}
