//! JavaScript's conversions and comparisons.

use std::sync::Arc;

use crate::budget::{Budget, Limited};
use crate::json_text::{self, Layout};
use crate::value::{Val, compare_texts, number_text};

/// `String(value)`.
pub(super) fn to_text<'a>(value: &Val<'a>, budget: &mut Budget) -> Limited<Val<'a>> {
    let mut joined = String::new();
    let text = match value {
        Val::Text(_) | Val::Made(_) | Val::Json(_) => return Ok(value.clone()),
        Val::Undefined => "undefined",
        Val::Null => "null",
        Val::Bool(true) => "true",
        Val::Bool(false) => "false",
        Val::Object(_) | Val::Dict(_) | Val::Loop(_) => "[object Object]",
        Val::Number(number) => {
            budget.steps(1)?;
            return Ok(Val::made(number_text(*number)));
        }
        Val::Array(_) | Val::List(_) => {
            join_array(value, &mut joined, budget)?;
            return Ok(Val::made(joined));
        }
    };
    Ok(Val::Text(text))
}

fn join_array(value: &Val<'_>, into: &mut String, budget: &mut Budget) -> Limited<()> {
    // An explicit stack, since arrays from a script may nest as deep as the host allows.
    let mut open = vec![(value.clone(), 0)];
    while let Some((array, index)) = open.pop() {
        budget.steps(1)?;
        let Some(item) = array.items().and_then(|items| items.get(index)) else {
            continue;
        };
        if index > 0 {
            budget.make(1)?;
            into.push(',');
        }
        open.push((array, index + 1));
        if item.items().is_some() {
            open.push((item, 0));
        } else if !item.is_nullish() {
            let text = to_text(&item, budget)?;
            let text = text.as_str().unwrap_or("");
            budget.make(text.len())?;
            into.push_str(text);
        }
    }
    Ok(())
}

/// The text that `{{ value }}` prints before escaping. Null and undefined print nothing, arrays
/// and records print as JSON.
pub(super) fn printed<'a>(value: &Val<'a>, budget: &mut Budget) -> Limited<Val<'a>> {
    match value {
        Val::Undefined | Val::Null => Ok(Val::Text("")),
        value if value.is_object() => json_text::write(value, Layout::Compact, budget).map(Val::made),
        value => to_text(value, budget),
    }
}

/// `Number(value)`.
pub(super) fn to_number(value: &Val<'_>, budget: &mut Budget) -> Limited<f64> {
    // Parsing may go through all of the text.
    budget.walk(value.as_str().map_or(0, str::len))?;
    Ok(match value {
        Val::Undefined => f64::NAN,
        Val::Null => 0.0,
        Val::Bool(flag) => f64::from(u8::from(*flag)),
        Val::Number(number) => *number,
        Val::Text(text) => text_to_number(text),
        Val::Made(text) | Val::Json(text) => text_to_number(text),
        _ => {
            let text = to_text(value, budget)?;
            let text = text.as_str().unwrap_or("");
            budget.walk(text.len())?;
            text_to_number(text)
        }
    })
}

/// `Number(text)`.
pub(super) fn text_to_number(text: &str) -> f64 {
    let text = trim(text);
    if text.is_empty() {
        return 0.0;
    }
    for (prefix, radix) in [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            return radix_number(digits, radix);
        }
    }
    match text.strip_prefix(['+', '-']).unwrap_or(text) {
        "Infinity" if text.starts_with('-') => f64::NEG_INFINITY,
        "Infinity" => f64::INFINITY,
        // Rust also reads "inf" and "nan", which JavaScript does not.
        unsigned if unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            text.parse().unwrap_or(f64::NAN)
        }
        _ => f64::NAN,
    }
}

fn radix_number(digits: &str, radix: u32) -> f64 {
    if digits.is_empty() {
        return f64::NAN;
    }
    digits
        .chars()
        .try_fold(0.0, |number, c| {
            let digit = c.to_digit(radix)?;
            Some(number * f64::from(radix) + f64::from(digit))
        })
        .unwrap_or(f64::NAN)
}

/// `text.trim()`, which removes other characters than Rust's `trim`.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}')
}

/// `a + b`.
pub(super) fn add<'a>(a: &Val<'a>, b: &Val<'a>, budget: &mut Budget) -> Limited<Val<'a>> {
    let is_text = |value: &Val<'_>| value.as_str().is_some() || value.is_object();
    if !is_text(a) && !is_text(b) {
        return Ok(Val::Number(to_number(a, budget)? + to_number(b, budget)?));
    }
    let is_json = a.is_json() || b.is_json();
    let (a, b) = (to_text(a, budget)?, to_text(b, budget)?);
    let (a, b) = (a.as_str().unwrap_or(""), b.as_str().unwrap_or(""));
    budget.make(a.len() + b.len())?;
    let joined = Val::made([a, b].concat());
    Ok(if is_json { joined.into_json() } else { joined })
}

/// `a === b`.
pub(super) fn strict_equal(a: &Val<'_>, b: &Val<'_>, budget: &mut Budget) -> Limited<bool> {
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        budget.read(if a.len() == b.len() { a.len() } else { 0 })?;
        return Ok(a == b);
    }
    Ok(match (a, b) {
        (Val::Undefined, Val::Undefined) | (Val::Null, Val::Null) => true,
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Number(a), Val::Number(b)) => a == b,
        (Val::Array(a), Val::Array(b)) => std::ptr::eq(*a, *b),
        (Val::Object(a), Val::Object(b)) => std::ptr::eq(*a, *b),
        (Val::List(a), Val::List(b)) => Arc::ptr_eq(a, b),
        (Val::Dict(a), Val::Dict(b)) => Arc::ptr_eq(a, b),
        _ => false,
    })
}

/// `a == b`.
pub(super) fn loose_equal(a: &Val<'_>, b: &Val<'_>, budget: &mut Budget) -> Limited<bool> {
    if a.is_nullish() || b.is_nullish() {
        return Ok(a.is_nullish() && b.is_nullish());
    }
    match (a.is_object(), b.is_object()) {
        (true, true) => return strict_equal(a, b, budget),
        (true, false) => return loose_equal(&to_text(a, budget)?, b, budget),
        (false, true) => return loose_equal(a, &to_text(b, budget)?, budget),
        (false, false) => {}
    }
    if a.as_str().is_some() && b.as_str().is_some() {
        return strict_equal(a, b, budget);
    }
    Ok(to_number(a, budget)? == to_number(b, budget)?)
}

/// The order that `<`, `<=`, `>` and `>=` use. `None` if one side is compared as a number and is not
/// a number.
pub(super) fn order(a: &Val<'_>, b: &Val<'_>, budget: &mut Budget) -> Limited<Option<std::cmp::Ordering>> {
    let (a, b) = (primitive(a, budget)?, primitive(b, budget)?);
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        budget.read(a.len().min(b.len()))?;
        return Ok(Some(compare_texts(a, b)));
    }
    Ok(to_number(&a, budget)?.partial_cmp(&to_number(&b, budget)?))
}

/// Arrays and records as text; other values unchanged.
fn primitive<'a>(value: &Val<'a>, budget: &mut Budget) -> Limited<Val<'a>> {
    match value.is_object() {
        true => to_text(value, budget),
        false => Ok(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn converts_texts_to_numbers_as_javascript_does() {
        for (text, expected) in [
            ("", 0.0),
            (" \u{feff}12 ", 12.0),
            ("1e3", 1000.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("-5", -5.0),
            ("0x1F", 31.0),
            ("0b101", 5.0),
            ("Infinity", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(text_to_number(text), expected, "{text}");
        }
        for text in ["inf", "nan", "NaN", "1px", "0x", "-0x1", "1 2", ".", "+", "--1"] {
            assert!(text_to_number(text).is_nan(), "{text}");
        }
    }

    #[test]
    fn compares_for_equality_as_javascript_does() {
        let data = json!({
            "zero": 0, "one": 1, "empty": "", "text0": "0", "text1": "1", "t": true, "f": false,
            "null": null, "list": [], "list1": [1], "nested": [[1], null, [2, 3]], "object": {}
        });
        let undefined = Val::Undefined;
        let get = |key: &str| match key {
            "undefined" => undefined.clone(),
            key => Val::of(&data).get(key),
        };
        let mut budget = Budget::of(&crate::limits::TemplateLimits::default());
        for (a, b, loose, strict) in [
            ("zero", "empty", true, false),
            ("zero", "text0", true, false),
            ("zero", "f", true, false),
            ("empty", "text0", false, false),
            ("null", "undefined", true, false),
            ("null", "zero", false, false),
            ("null", "f", false, false),
            ("t", "text1", true, false),
            ("list", "empty", true, false),
            ("list", "f", true, false),
            ("list1", "one", true, false),
            ("list", "list", true, true),
            ("list", "object", false, false),
            ("one", "one", true, true),
            ("object", "empty", false, false),
        ] {
            for (a, b) in [(a, b), (b, a)] {
                assert_eq!(loose_equal(&get(a), &get(b), &mut budget), Ok(loose), "{a} == {b}");
                assert_eq!(strict_equal(&get(a), &get(b), &mut budget), Ok(strict), "{a} === {b}");
            }
        }
        let nested = to_text(&get("nested"), &mut budget).ok();
        assert_eq!(nested.as_ref().and_then(Val::as_str), Some("1,,2,3"));
    }
}
