//! Evaluates functions.

use std::sync::Arc;

use serde_json::{Map, Number, Value};

use crate::ast::Expr;
use crate::budget::{Budget, LimitError, Limited};
use crate::convert::to_text;
use crate::eval::Env;
use crate::filters::{Filter, Setting};
use crate::functions::Function;
use crate::host::{Host, PendingCall};
use crate::json_text::{self, Layout};
use crate::source::Pos;
use crate::translate::translate;
use crate::value::Val;

/// The most warnings of calls in one rendering.
const NOTES_MAX: usize = 100;
/// What a value takes on the host besides its text, in bytes.
const VALUE_BYTES: usize = 72;
/// How deep a value may nest that is given to the host.
const DEPTH_MAX: usize = 500;

impl<'a> Env<'a> {
    pub(super) fn call(&mut self, function: Function, args: &'a [Expr], pos: Pos) -> Limited<Val<'a>> {
        let args = args.iter().map(|arg| self.eval(arg)).collect::<Limited<Vec<_>>>()?;
        let arg = |index: usize| args.get(index).cloned().unwrap_or(Val::Undefined);
        match function {
            Function::FormatPrice => {
                let mut setting = Setting { budget: &mut self.budget, now: self.now };
                Filter::Currency.apply(arg(0), args.get(1..).unwrap_or_default(), &mut setting)
            }
            Function::GetCustomer => Ok(Val::of(self.scope.customer)),
            Function::GetUser => {
                let customer = Val::of(self.scope.customer);
                let field = |key: &'static str| match customer.get(key) {
                    Val::Undefined => (key, Val::Null),
                    value => (key, value),
                };
                self.budget.make(2 * size_of::<(&str, Val<'_>)>())?;
                Val::dict(vec![field("name"), field("email")]).ok_or(LimitError::ValueDepth)
            }
            Function::Translate => translate(self.scope.language, &arg(0), &arg(1), &mut self.budget),
            Function::Translations => {
                Ok(self.scope.language.map_or(Val::Undefined, |l| Val::Object(l.texts)))
            }
            Function::Locale => Ok(self.scope.language.map_or(Val::Text(""), |l| Val::Text(l.code))),
            Function::DefaultLocale => {
                Ok(self.scope.language.map_or(Val::Text(""), |l| Val::Text(l.default)))
            }
            Function::Locales => Ok(Val::Array(self.scope.language.map_or(&[], |l| l.codes))),
            Function::GetSessionItem => self.session_item(&arg(0)),
            Function::SetSessionItem => self.set_session_item(&arg(0), arg(1), pos),
            Function::ClearSessionItem => self.set_session_item(&arg(0), Val::Null, pos),
            Function::Crm(name) => self.crm(name, &arg(0), pos),
        }
    }

    fn host(&self) -> Limited<&'a dyn Host> {
        self.scope.host.ok_or_else(|| LimitError::Call("there is no session and no CRM here".to_owned()))
    }

    /// The value of a key, or the empty text.
    fn session_item(&mut self, key: &Val<'a>) -> Limited<Val<'a>> {
        let host = self.host()?;
        let key = to_text(key, &mut self.budget)?;
        let key = key.as_str().unwrap_or("");
        let known: usize =
            self.calls.changed.iter().map(|(known, _)| known.len() + size_of::<Val<'_>>()).sum();
        self.budget.call(key.len())?;
        self.budget.read(known)?;
        let changed = self.calls.changed.iter().find(|(known, _)| **known == *key);
        let value = match changed {
            Some((_, value)) => value.clone(),
            None => host.session_item(key).map_or(Val::Null, Val::of),
        };
        Ok(if value.is_nullish() { Val::Text("") } else { value })
    }

    fn set_session_item(&mut self, key: &Val<'a>, value: Val<'a>, pos: Pos) -> Limited<Val<'a>> {
        let host = self.host()?;
        let key = to_text(key, &mut self.budget)?;
        let key = key.as_str().unwrap_or("");
        let stored = self.for_host(&value)?;
        // The host reads the whole session to know its size.
        self.budget.walk(host.session_bytes())?;
        let done = match value {
            Val::Number(number) if !number.is_finite() => Err("the number is not finite".to_owned()),
            _ => host.set_session_item(key, stored),
        };
        match done {
            Ok(()) => {
                self.budget.make(key.len() + size_of::<(Arc<str>, Val<'_>)>())?;
                let known: usize = self.calls.changed.len() * size_of::<(Arc<str>, Val<'_>)>();
                self.budget.read(known)?;
                match self.calls.changed.iter_mut().find(|(known, _)| **known == *key) {
                    Some((_, changed)) => *changed = value,
                    None => self.calls.changed.push((key.into(), value)),
                }
            }
            Err(reason) if self.calls.notes.len() < NOTES_MAX => {
                // The line is counted from the beginning of the file.
                self.budget.read((pos.at as usize).saturating_mul(2))?;
                self.calls.notes.push((pos, format!("the session item was not set: {reason}")));
            }
            Err(_) => {}
        }
        Ok(Val::Undefined)
    }

    fn crm(&mut self, name: &'static str, options: &Val<'a>, pos: Pos) -> Limited<Val<'a>> {
        let host = self.host()?;
        let options = self.for_host(options)?;
        let number = self.calls.crm_calls;
        self.calls.crm_calls += 1;
        match host.answer(number) {
            Some(answer) => {
                self.budget.call(answer.bytes)?;
                Ok(Val::of(&answer.value))
            }
            None => {
                self.calls.pending = Some(PendingCall { name, options, pos, fuel: 0 });
                Err(LimitError::Waiting)
            }
        }
    }

    /// A value for the host. Charges the call, and the memory of the value.
    fn for_host(&mut self, value: &Val<'a>) -> Limited<Value> {
        let bytes = match value {
            value if value.is_object() => json_text::write(value, Layout::Compact, &mut self.budget)?.len(),
            value => value.as_str().map_or(0, str::len),
        };
        self.budget.call(bytes)?;
        owned(value, &mut self.budget)
    }
}

/// An owned value. Recurses as deep as the value nests: what a template creates nests at most 32
/// deep.
fn owned(value: &Val<'_>, budget: &mut Budget) -> Limited<Value> {
    Ok(match value {
        Val::Undefined | Val::Null => Value::Null,
        Val::Bool(flag) => Value::Bool(*flag),
        Val::Number(number) => json_number(*number),
        Val::Text(text) => owned_text(text, budget)?,
        Val::Made(text) | Val::Json(text) => owned_text(text, budget)?,
        Val::Array(items) => {
            Value::Array(items.iter().map(|item| copied(item, 1, budget)).collect::<Limited<_>>()?)
        }
        Val::Object(map) => copied_map(map, 1, budget)?,
        Val::List(list) => {
            budget.make(list.items.len().saturating_mul(VALUE_BYTES))?;
            Value::Array(list.items.iter().map(|item| owned(item, budget)).collect::<Limited<_>>()?)
        }
        Val::Dict(_) | Val::Loop(_) => {
            let fields = value.fields().unwrap_or_default();
            let mut map = Map::new();
            for (key, value) in fields.into_iter().filter(|(_, value)| !matches!(value, Val::Undefined)) {
                budget.make(key.len() + VALUE_BYTES)?;
                map.insert(key.to_owned(), owned(&value, budget)?);
            }
            Value::Object(map)
        }
    })
}

fn owned_text(text: &str, budget: &mut Budget) -> Limited<Value> {
    budget.make(text.len() + VALUE_BYTES)?;
    Ok(Value::String(text.to_owned()))
}

/// A copy of a value from the scope.
fn copied(value: &Value, depth: usize, budget: &mut Budget) -> Limited<Value> {
    if depth > DEPTH_MAX {
        return Err(LimitError::ValueDepth);
    }
    budget.steps(1)?;
    budget.make(VALUE_BYTES)?;
    Ok(match value {
        Value::String(text) => owned_text(text, budget)?,
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| copied(item, depth + 1, budget)).collect::<Limited<_>>()?)
        }
        Value::Object(map) => copied_map(map, depth + 1, budget)?,
        scalar => scalar.clone(),
    })
}

fn copied_map(map: &Map<String, Value>, depth: usize, budget: &mut Budget) -> Limited<Value> {
    let mut copy = Map::new();
    for (key, value) in map {
        budget.make(key.len() + VALUE_BYTES)?;
        copy.insert(key.clone(), copied(value, depth, budget)?);
    }
    Ok(Value::Object(copy))
}

/// A number as scripts give it to the host: an integer if it is one. NaN and infinite numbers are
/// null, as in JSON.
fn json_number(number: f64) -> Value {
    const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;
    let is_integer = number.fract() == 0.0 && number.abs() <= SAFE_INTEGER_MAX;
    match is_integer && !(number == 0.0 && number.is_sign_negative()) {
        true => Value::from(number as i64),
        false => Number::from_f64(number).map_or(Value::Null, Value::Number),
    }
}
