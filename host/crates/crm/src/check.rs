//! Checks that a value may be stored, and describes values in messages. Pure; the calls that
//! write and the reading of options use it.

use serde_json::Value;

use super::names::{chars, quoted};
use super::size::{depth, json_bytes};
use super::{Call, CrmError, DEPTH_MAX, OBJECT_BYTES_MAX, STRING_CHARS_MAX};

/// Checks that a value may be stored under `property`. It accepts `null`, which the caller
/// has to check.
pub(super) fn value(call: Call, property: &str, value: &Value) -> Result<(), CrmError> {
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        // A number that JSON cannot hold never becomes a `Value`.
        Value::Number(_) => Ok(()),
        Value::String(text) => match chars(text) {
            count if count > STRING_CHARS_MAX => Err(call.refused(format_args!(
                "{property} is a string of {count} characters; at most {STRING_CHARS_MAX} can be stored"
            ))),
            _ => Ok(()),
        },
        Value::Array(_) | Value::Object(_) => match json_bytes(value) {
            bytes if bytes > OBJECT_BYTES_MAX => Err(call.refused(format_args!(
                "{property} is {bytes} bytes as JSON; at most {OBJECT_BYTES_MAX} can be stored"
            ))),
            _ if depth(value) > DEPTH_MAX => Err(call
                .refused(format_args!("{property} has more than {DEPTH_MAX} levels of arrays and objects"))),
            _ => Ok(()),
        },
    }
}

/// Describes a given value for a message: `undefined`, `"text"`, `42`, `an array`.
pub(super) fn given(value: Option<&Value>) -> String {
    match value {
        None => "undefined".to_owned(),
        Some(Value::Array(_)) => "an array".to_owned(),
        Some(Value::Object(_)) => "an object".to_owned(),
        Some(Value::String(text)) => quoted(text),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Refusal;

    #[test]
    fn rejects_values_just_over_the_limits() {
        let ok = |v: Value| value(Call::SetField, "value", &v).is_ok();
        for v in [json!(0), json!(false), json!(""), json!(-0.0), json!([])] {
            assert!(ok(v));
        }
        assert!(ok(json!("x".repeat(10_000))) && !ok(json!("x".repeat(10_001))));
        assert!(ok(json!("🙂".repeat(5_000))) && !ok(json!("🙂".repeat(5_001))));
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(ok(nested(500)) && !ok(nested(501)));
        assert!(ok(json!(["x".repeat(10_240 - 4)])) && !ok(json!(["x".repeat(10_240 - 3)])));
        assert_eq!(
            value(Call::SetField, "value", &json!("x".repeat(10_001))).unwrap_err(),
            CrmError::Refused(
                Refusal::InvalidInput,
                "setCrmField: value is a string of 10001 characters; at most 10000 can be stored".to_owned()
            )
        );
    }

    #[test]
    fn describes_values_short_and_escaped() {
        assert_eq!(given(None), "undefined");
        assert_eq!(given(Some(&json!(null))), "null");
        assert_eq!(given(Some(&json!("a\u{1b}[31m"))), r#""a\u{1b}[31m""#);
        assert_eq!(given(Some(&json!({}))), "an object");
    }
}
