//! Reads the arguments of a call.

use serde_json::{Map, Value};

use sluice_storage::Argument;
use sluice_text::suggest::nearest;

use crate::{DELAY_SECONDS_MAX, Mistake, NAME_CHARS_MAX};

/// The options of `queue.push`.
pub const PUSH_OPTIONS: &[&str] = &["fn", "delay", "at", "tag", "key"];

/// The options of one `queue.push`.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) function: String,
    pub(crate) due_at: i64,
    pub(crate) tag: Option<String>,
    pub(crate) key: Option<String>,
}

impl Options {
    pub(crate) fn of(argument: Option<&Value>, now_ms: i64) -> Result<Self, Mistake> {
        let none = Map::new();
        let map = match argument {
            None | Some(Value::Null) => &none,
            Some(Value::Object(map)) => map,
            other => return Err(Mistake::NoOptions(Argument::of(other))),
        };
        if let Some(unknown) = map.keys().find(|name| !PUSH_OPTIONS.contains(&name.as_str())) {
            return Err(no_such_option(unknown));
        }
        let optional = |what| given(map, what).map(|value| text(what, Some(value))).transpose();
        Ok(Self {
            function: optional("fn")?.unwrap_or_else(|| "default".to_owned()),
            due_at: due_at(given(map, "delay"), given(map, "at"), now_ms)?,
            tag: optional("tag")?,
            key: optional("key")?,
        })
    }
}

/// Whether a text can be the name of a module or function, a tag or a key: 1 to [`NAME_CHARS_MAX`] characters, no
/// control characters. Every database can store it.
pub fn is_name(text: &str) -> bool {
    let chars = text.chars().take(NAME_CHARS_MAX + 1).count();
    (1..=NAME_CHARS_MAX).contains(&chars) && !text.chars().any(char::is_control)
}

/// A text of an argument.
pub(crate) fn text(what: &'static str, argument: Option<&Value>) -> Result<String, Mistake> {
    let text = argument.and_then(Value::as_str).filter(|text| is_name(text));
    text.map(str::to_owned).ok_or_else(|| Mistake::Text { what, given: Argument::of(argument) })
}

/// A time that has passed stands for now.
#[allow(clippy::cast_possible_truncation, reason = "the number is whole and small enough")]
fn due_at(delay: Option<&Value>, at: Option<&Value>, now_ms: i64) -> Result<i64, Mistake> {
    let in_bounds = |seconds: &f64| (0.0..=DELAY_SECONDS_MAX).contains(seconds);
    match (delay, at) {
        (None, None) => Ok(now_ms),
        (Some(_), Some(_)) => Err(Mistake::DelayAndAt),
        (Some(delay), None) => {
            let seconds = delay.as_f64().filter(in_bounds).filter(|seconds| seconds.fract() == 0.0);
            let seconds = seconds.ok_or_else(|| Mistake::Delay(Argument::of(Some(delay))))?;
            Ok(now_ms.saturating_add(seconds as i64 * 1_000))
        }
        (None, Some(at)) => {
            let latest = now_ms.saturating_add(DELAY_SECONDS_MAX as i64 * 1_000);
            let wrong = || Mistake::At(Argument::of(Some(at)));
            let ms = at.as_f64().filter(|ms| *ms <= latest as f64).ok_or_else(wrong)?;
            Ok((ms as i64).clamp(now_ms, latest))
        }
    }
}

fn no_such_option(name: &str) -> Mistake {
    let help = match nearest(name, PUSH_OPTIONS.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("the options are {}", PUSH_OPTIONS.join(", ")),
    };
    Mistake::NoSuchOption { given: Argument::of(Some(&name.into())), help }
}

/// An option that is `null` is left out.
fn given<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn due(options: Value) -> Result<i64, String> {
        Options::of(Some(&options), NOW).map(|options| options.due_at).map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn reads_when_a_job_is_due() {
        const LATEST: i64 = NOW + 2_592_000_000;
        assert_eq!(due(json!({})), Ok(NOW));
        assert_eq!(due(json!({ "delay": 0 })), Ok(NOW));
        assert_eq!(due(json!({ "delay": 3600.0, "at": null })), Ok(NOW + 3_600_000));
        assert_eq!(due(json!({ "delay": 2_592_000 })), Ok(LATEST));
        assert_eq!(due(json!({ "at": 5 })), Ok(NOW));
        assert_eq!(due(json!({ "at": -1e300 })), Ok(NOW));
        assert_eq!(due(json!({ "at": NOW + 7 })), Ok(NOW + 7));
        assert_eq!(due(json!({ "at": LATEST })), Ok(LATEST));
        for wrong in [json!(-1), json!(0.5), json!(2_592_001), json!("60"), json!([]), json!(1e300)] {
            let message = due(json!({ "delay": wrong })).unwrap_err();
            assert!(message.starts_with("the delay must be a whole number"), "{message}");
        }
        for wrong in [json!(LATEST + 1), json!("soon"), json!({}), json!(true), json!(1e300)] {
            let message = due(json!({ "at": wrong })).unwrap_err();
            assert!(message.starts_with("at must be a time"), "{message}");
        }
        assert_eq!(due(json!({ "delay": 1, "at": 1 })).unwrap_err(), "delay and at cannot both be set");
    }

    #[test]
    fn rejects_options_and_names_that_cannot_be_stored() {
        let message = |options: Value| Options::of(Some(&options), NOW).unwrap_err().to_string();
        assert_eq!(message(json!({ "dealy": 1 })), "there is no option \"dealy\"; did you mean delay?");
        assert!(message(json!(7)).starts_with("the options must be an object"));
        let long = "t".repeat(192);
        for wrong in [json!(""), json!(long), json!("a\0b"), json!(7)] {
            for what in ["tag", "key", "fn"] {
                let message = message(json!({ what: wrong }));
                assert!(message.starts_with(&format!("the {what} must be text")), "{message}");
            }
        }
        let fits = json!({ "tag": "ü".repeat(191), "key": "quiz:a@shop.example" });
        assert!(Options::of(Some(&fits), NOW).is_ok());
    }
}
