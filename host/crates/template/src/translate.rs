//! Texts in the visitor's language: `t('key')` and `{{ 'key' | t }}`.

use serde_json::Value;

use crate::budget::{Budget, Limited};
use crate::convert::to_text;
use crate::scope::Language;
use crate::value::Val;

/// The text of a key, with the fields of `params` in place of `{{ name }}`. Empty if no language has
/// the key.
pub(super) fn translate<'a>(
    language: Option<Language<'a>>,
    key: &Val<'a>,
    params: &Val<'a>,
    budget: &mut Budget,
) -> Limited<Val<'a>> {
    let key = to_text(key, budget)?;
    let key = key.as_str().unwrap_or("");
    budget.read(key.len().saturating_mul(LOOKUP_ROUNDS))?;
    let found = language.and_then(|language| language.texts.get(key).or_else(|| language.fallback.get(key)));
    match found {
        Some(Value::String(text)) if params.is_record() => with_params(text, params, budget),
        Some(Value::Null) | None => Ok(Val::Text("")),
        Some(value) => Ok(Val::of(value)),
    }
}

/// A key is compared with at most this many others.
const LOOKUP_ROUNDS: usize = 40;

fn with_params<'a>(text: &str, params: &Val<'a>, budget: &mut Budget) -> Limited<Val<'a>> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        budget.steps(1)?;
        let name = name.trim();
        budget.read(params.lookup_bytes(name.len()))?;
        out.push_str(before);
        match params.get(name) {
            Val::Undefined | Val::Null => {}
            value => {
                let value = to_text(&value, budget)?;
                let value = value.as_str().unwrap_or("");
                budget.make(value.len())?;
                out.push_str(value);
            }
        }
        rest = after;
    }
    budget.make(text.len())?;
    out.push_str(rest);
    Ok(Val::made(out))
}
