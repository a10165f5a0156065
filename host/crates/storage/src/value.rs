//! The form in which values are stored. Numbers are columns of their own, because the database adds to
//! them. Other values are MessagePack, with a hash of what they are worth as JSON, so that the database
//! can compare two values whose keys have another order.

use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

use sluice_kit::value::{Room, ValueError, decode, encode};

/// The MessagePack of a number, in bytes.
const NUMBER_BYTES: usize = 9;

/// A value as the database stores it.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredValue {
    /// A number. It is finite.
    Number(f64),
    /// Another value.
    Other {
        /// MessagePack.
        bytes: Vec<u8>,
        /// Is equal for values that are equal as JSON, whatever the order of their keys.
        digest: [u8; 32],
    },
}

impl StoredValue {
    /// The stored form of a value.
    pub fn of(value: &Value) -> Self {
        match value.as_f64() {
            Some(number) => Self::Number(number),
            None => Self::Other { bytes: encode(value), digest: digest(value) },
        }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Other { bytes, .. } if bytes.as_slice() == [0xc0])
    }

    /// The bytes of the value as MessagePack.
    pub fn size(&self) -> usize {
        match self {
            Self::Number(_) => NUMBER_BYTES,
            Self::Other { bytes, .. } => bytes.len(),
        }
    }

    /// The value as MessagePack.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Number(number) => encode(&json_number(number)),
            Self::Other { bytes, .. } => bytes,
        }
    }

    /// The value. `room` is charged for what it takes in memory.
    ///
    /// # Errors
    /// The value does not fit, or is not one that this program has stored.
    pub fn to_value(&self, room: &Room) -> Result<Value, ValueError> {
        match self {
            Self::Number(number) => Ok(json_number(*number)),
            Self::Other { bytes, .. } => decode(bytes, room),
        }
    }

    /// Whether both are equal as JSON values.
    pub fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one == other,
            (Self::Other { digest: one, .. }, Self::Other { digest: other, .. }) => one == other,
            _ => false,
        }
    }
}

/// The largest integer below which a double holds every integer exactly.
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

/// A whole number is an integer, so that people read it as one. `null` for a number that is not finite,
/// which no database returns.
#[allow(clippy::cast_possible_truncation, reason = "the number is whole and small enough")]
pub(super) fn json_number(number: f64) -> Value {
    let is_negative_zero = number == 0.0 && number.is_sign_negative();
    match number.fract() == 0.0 && number.abs() <= EXACT_MAX && !is_negative_zero {
        true => (number as i64).into(),
        false => Number::from_f64(number).map_or(Value::Null, Value::Number),
    }
}

/// Whether the sum may be larger than a number can be. Databases cannot add such numbers, so this is decided
/// before. A sum of exactly the largest number counts, too.
pub fn overflows(number: f64, amount: f64) -> bool {
    (number > 0.0 && amount > 0.0 && number >= f64::MAX - amount)
        || (number < 0.0 && amount < 0.0 && number <= -f64::MAX - amount)
}

fn digest(value: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    feed(&mut hash, value);
    hash.finalize().into()
}

/// Each part begins with a byte for its kind, and with its length if that is not fixed, so that different
/// values are different bytes.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update([0]),
        Value::Bool(flag) => hash.update([1, u8::from(*flag)]),
        Value::Number(number) => {
            // -0 is equal to 0.
            let number = number.as_f64().unwrap_or_default() + 0.0;
            hash.update([2]);
            hash.update(number.to_be_bytes());
        }
        Value::String(text) => feed_text(hash, text),
        Value::Array(items) => {
            hash.update([4]);
            hash.update((items.len() as u64).to_be_bytes());
            items.iter().for_each(|item| feed(hash, item));
        }
        Value::Object(map) => {
            hash.update([5]);
            hash.update((map.len() as u64).to_be_bytes());
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            for (key, value) in entries {
                feed_text(hash, key);
                feed(hash, value);
            }
        }
    }
}

fn feed_text(hash: &mut Sha256, text: &str) {
    hash.update([3]);
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_equal_whatever_the_order_of_their_keys() {
        let same = [
            (
                json!({"a": 1, "b": [1.5, {"x": null, "y": true}]}),
                json!({"b": [1.5, {"y": true, "x": null}], "a": 1.0}),
            ),
            (json!(0), json!(-0.0)),
            (json!([0]), json!([-0.0])),
            (json!(3), json!(3.0)),
            (json!(null), json!(null)),
        ];
        for (one, other) in same {
            assert!(StoredValue::of(&one).equals(&StoredValue::of(&other)), "{one} {other}");
        }
        let different = [
            (json!([1, 2]), json!([2, 1])),
            (json!(["a", "b"]), json!(["ab"])),
            (json!({"a": "b"}), json!(["a", "b"])),
            (json!(1), json!("1")),
            (json!(0), json!(null)),
            (json!({}), json!([])),
            (json!(false), json!(null)),
            (json!({"a": null}), json!({})),
        ];
        for (one, other) in different {
            assert!(!StoredValue::of(&one).equals(&StoredValue::of(&other)), "{one} {other}");
        }
    }

    #[test]
    fn no_sum_that_is_allowed_overflows() {
        let near = [
            f64::MAX,
            f64::MAX / 2.0,
            2.9937604643020797e292,
            1.797_693_134_862_315_5e308,
            1e292,
            1.0,
            5e-324,
            0.0,
        ];
        for one in near {
            for other in near {
                for (number, amount) in [(one, other), (-one, other), (one, -other), (-one, -other)] {
                    assert!(overflows(number, amount) || (number + amount).is_finite(), "{number} {amount}");
                }
            }
        }
        for (number, amount) in [(0.0, f64::MAX), (f64::MAX, -f64::MAX), (-1.0, f64::MAX), (1e307, 1e307)] {
            assert!(!overflows(number, amount), "{number} {amount}");
        }
    }

    #[test]
    fn stored_values_are_returned_exactly() {
        for text in
            [r#"{"b":1,"a":[-0.0,1e300,null,true,"\u0000ü"]}"#, "-0.0", "5e-324", "null", "[]", "\"\""]
        {
            let value: Value = serde_json::from_str(text).unwrap();
            let stored = StoredValue::of(&value);
            let back = stored.to_value(&Room::new(10_000)).unwrap();
            assert_eq!(encode(&back), encode(&value), "{text}");
            assert_eq!(stored.into_bytes(), encode(&value), "{text}");
        }
    }
}
