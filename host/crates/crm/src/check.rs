//! Checks that a value may be stored. Pure; the calls that write, the reading of options and the edits of operators
//! use it.

use serde_json::Value;

use super::names::chars;
use super::size::{depth, json_bytes};
use super::{Call, CrmError, DEPTH_MAX, OBJECT_BYTES_MAX, OptionMistake, OptionName, STRING_CHARS_MAX};

/// Checks that a value may be stored, as [`storable`] does for a call.
pub(super) fn value(call: Call, option: &OptionName, value: &Value) -> Result<(), CrmError> {
    storable(option, value).map_err(|mistake| call.refused(mistake))
}

/// Checks that a value may be stored. Messages name it `option`. It accepts `null`, which the caller
/// has to check.
pub(super) fn storable(option: &OptionName, value: &Value) -> Result<(), OptionMistake> {
    let option = || option.clone();
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        // A number that JSON cannot hold never becomes a `Value`.
        Value::Number(_) => Ok(()),
        Value::String(text) => match chars(text) {
            chars if chars > STRING_CHARS_MAX => Err(OptionMistake::LongString { option: option(), chars }),
            _ => Ok(()),
        },
        Value::Array(_) | Value::Object(_) => match json_bytes(value) {
            bytes if bytes > OBJECT_BYTES_MAX => Err(OptionMistake::LargeObject { option: option(), bytes }),
            _ if depth(value) > DEPTH_MAX => Err(OptionMistake::TooDeep(option(), DEPTH_MAX)),
            _ => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rejects_values_just_over_the_limits() {
        let name = OptionName::Plain("value");
        let ok = |v: Value| value(Call::SetField, &name, &v).is_ok();
        for v in [json!(0), json!(false), json!(""), json!(-0.0), json!([])] {
            assert!(ok(v));
        }
        assert!(ok(json!("x".repeat(10_000))) && !ok(json!("x".repeat(10_001))));
        assert!(ok(json!("🙂".repeat(5_000))) && !ok(json!("🙂".repeat(5_001))));
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(ok(nested(500)) && !ok(nested(501)));
        assert!(ok(json!(["x".repeat(10_240 - 4)])) && !ok(json!(["x".repeat(10_240 - 3)])));
        assert_eq!(
            value(Call::SetField, &name, &json!("x".repeat(10_001))).unwrap_err().to_string(),
            "setCrmField: value is a string of 10001 characters; at most 10000 can be stored"
        );
    }
}
