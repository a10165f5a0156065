//! Reads the arguments of a call.

use serde_json::{Map, Value};

use sluice_text::suggest::nearest;

use super::error::{Argument, KeyError, Mistake};
use super::{
    Area, CACHE_TTL_SECONDS, CACHE_TTL_SECONDS_MAX, Key, LIST_KEYS, LIST_KEYS_MAX, Namespace, TTL_SECONDS_MAX,
};

/// Milliseconds of a second.
const MS: f64 = 1_000.0;
/// The options of all calls of `storage` but `list`.
pub const OPTIONS: &[&str] = &["namespace", "ttl"];
/// The options of `storage.list`.
pub const LIST_OPTIONS: &[&str] = &["prefix", "after", "limit", "namespace"];

/// What all calls but `list` can be told besides their key and value.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) namespace: Namespace,
    /// `None` keeps the value for ever.
    pub(super) ttl_ms: Option<i64>,
}

/// The options of `list`.
#[derive(Debug)]
pub(super) struct ListOptions {
    pub(super) namespace: Namespace,
    pub(super) prefix: Key,
    pub(super) after: Option<Key>,
    pub(super) limit: u32,
}

impl Options {
    /// Reads the last argument: the options of `storage`, or the lifetime of `cache`.
    pub(super) fn of(area: Area, argument: Option<&Value>) -> Result<Self, Mistake> {
        match area {
            Area::Storage => Self::of_storage(argument),
            Area::Cache => {
                let given = argument.filter(|value| !value.is_null());
                let seconds = given.map_or(Ok(CACHE_TTL_SECONDS), |given| ttl(given, area))?;
                Ok(Self { namespace: Namespace::default(), ttl_ms: Some(ms(seconds)) })
            }
        }
    }

    fn of_storage(argument: Option<&Value>) -> Result<Self, Mistake> {
        let Some(map) = object(argument, OPTIONS)? else { return Ok(Self::default()) };
        let ttl_ms = match given(map, "ttl") {
            Some(seconds) => Some(ms(ttl(seconds, Area::Storage)?)),
            None => None,
        };
        Ok(Self { namespace: namespace(map)?, ttl_ms })
    }
}

impl ListOptions {
    pub(super) fn of(argument: Option<&Value>) -> Result<Self, Mistake> {
        let area = Area::Storage;
        let none = Map::new();
        let map = object(argument, LIST_OPTIONS)?.unwrap_or(&none);
        let prefix = given(map, "prefix").map_or(Ok(""), |value| text("prefix", Some(value)))?;
        let after = given(map, "after").map(|value| key("after", area, Some(value))).transpose()?;
        let limit = match given(map, "limit") {
            None => LIST_KEYS,
            Some(value) => limit(value)?,
        };
        Ok(Self {
            namespace: namespace(map)?,
            prefix: Key::prefix(area, prefix)
                .map_err(|error| invalid("prefix", error, given(map, "prefix")))?,
            after,
            limit,
        })
    }
}

/// The key, which is the first argument of every call but `list`.
pub(super) fn key(what: &'static str, area: Area, argument: Option<&Value>) -> Result<Key, Mistake> {
    Key::new(area, text(what, argument)?).map_err(|error| invalid(what, error, argument))
}

/// The number to add, 1 if none was given.
pub(super) fn amount(argument: Option<&Value>) -> Result<f64, Mistake> {
    match argument {
        None | Some(Value::Null) => Ok(1.0),
        Some(value) => value.as_f64().ok_or_else(|| Mistake::Number {
            what: "amount",
            bounds: "a number",
            given: Argument::of(Some(value)),
        }),
    }
}

fn text<'a>(what: &'static str, argument: Option<&'a Value>) -> Result<&'a str, Mistake> {
    let text = argument.and_then(Value::as_str);
    text.ok_or_else(|| Mistake::NotText { what, given: Argument::of(argument) })
}

fn invalid(what: &'static str, error: KeyError, argument: Option<&Value>) -> Mistake {
    Mistake::Key { what, error, given: Argument::of(argument) }
}

fn object<'a>(
    argument: Option<&'a Value>,
    names: &[&str],
) -> Result<Option<&'a Map<String, Value>>, Mistake> {
    match argument {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => match map.keys().find(|name| !names.contains(&name.as_str())) {
            None => Ok(Some(map)),
            Some(unknown) => Err(no_such_option(unknown, names)),
        },
        other => Err(Mistake::NoOptions(Argument::of(other))),
    }
}

fn no_such_option(name: &str, names: &[&str]) -> Mistake {
    let help = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("the options are {}", names.join(", ")),
    };
    Mistake::NoSuchOption { given: Argument::of(Some(&name.into())), help }
}

/// An option that is `null` is left out.
fn given<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).filter(|value| !value.is_null())
}

fn namespace(map: &Map<String, Value>) -> Result<Namespace, Mistake> {
    let Some(value) = given(map, "namespace") else { return Ok(Namespace::default()) };
    Namespace::new(text("namespace", Some(value))?).map_err(|error| invalid("namespace", error, Some(value)))
}

fn ttl(value: &Value, area: Area) -> Result<f64, Mistake> {
    let (seconds_max, bounds) = match area {
        Area::Storage => (TTL_SECONDS_MAX, "a number of seconds above 0 and up to 31,536,000 (a year)"),
        Area::Cache => (CACHE_TTL_SECONDS_MAX, "a number of seconds above 0 and up to 86,400 (a day)"),
    };
    let seconds = value.as_f64().filter(|seconds| *seconds > 0.0 && *seconds <= seconds_max);
    seconds.ok_or_else(|| Mistake::Number { what: "ttl", bounds, given: Argument::of(Some(value)) })
}

/// The number of milliseconds is at most that of a year.
#[allow(clippy::cast_possible_truncation, reason = "the number is small and has no fraction")]
fn ms(seconds: f64) -> i64 {
    (seconds * MS).ceil() as i64
}

fn limit(value: &Value) -> Result<u32, Mistake> {
    let limit = value.as_u64().or_else(|| whole(value.as_f64()?));
    let limit = limit.and_then(|limit| u32::try_from(limit).ok());
    limit.filter(|limit| (1..=LIST_KEYS_MAX).contains(limit)).ok_or_else(|| Mistake::Number {
        what: "limit",
        bounds: "a whole number from 1 to 200",
        given: Argument::of(Some(value)),
    })
}

/// A number without a fraction, such as `50.0`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number is in bounds")]
fn whole(number: f64) -> Option<u64> {
    ((0.0..=f64::from(u32::MAX)).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}
