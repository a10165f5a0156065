//! Dynamic values: what crosses between script and host, as MessagePack on the
//! wire and `serde_json::Value` in the host (key order kept).
//!
//! Numbers are JavaScript's: finite doubles, `-0` included. Bytes come from the
//! sandbox and are hostile: nothing is allocated that the input does not pay
//! for byte by byte, and depth is bounded.

use std::fmt;

use serde::Serialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Nesting that a value may have. The engine stops at 100.
pub const DEPTH_MAX: usize = 128;

#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    #[error("not a value that Sluice can read: {0}")]
    Malformed(String),
    #[error("bytes are left after the value")]
    Trailing,
}

/// Reads one value.
///
/// # Errors
/// Refuses numbers that are not finite, keys that are not text, extension and
/// binary types, nesting over [`DEPTH_MAX`] and trailing bytes.
pub fn decode(bytes: &[u8]) -> Result<Value, ValueError> {
    let mut rest = bytes;
    let mut reader = rmp_serde::Deserializer::new(&mut rest);
    let value = Exact { depth: 0 }
        .deserialize(&mut reader)
        .map_err(|error| ValueError::Malformed(error.to_string()))?;
    drop(reader);
    if rest.is_empty() { Ok(value) } else { Err(ValueError::Trailing) }
}

/// Writes one value. Integers that a double cannot hold exactly are written as
/// the nearest double, as JavaScript would read them.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to memory fails only when a length exceeds 32 bits, which no
    // value within the host's limits has; nil is what the script then sees.
    if Wire(value).serialize(&mut rmp_serde::Serializer::new(&mut out)).is_err() {
        out = vec![0xc0];
    }
    out
}

/// The largest integer up to which doubles are exact.
const EXACT_MAX: i64 = 9_007_199_254_740_991;

struct Wire<'a>(&'a Value);

impl Serialize for Wire<'_> {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Number(number) => match number.as_i64().filter(|n| (-EXACT_MAX..=EXACT_MAX).contains(n)) {
                Some(integer) => out.serialize_i64(integer),
                None => out.serialize_f64(number.as_f64().unwrap_or_default()),
            },
            Value::Array(items) => out.collect_seq(items.iter().map(Wire)),
            Value::Object(map) => out.collect_map(map.iter().map(|(key, value)| (key, Wire(value)))),
            other => other.serialize(out),
        }
    }
}

#[derive(Clone, Copy)]
struct Exact {
    depth: usize,
}

impl Exact {
    fn inside<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX}")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Exact {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Exact {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON-like value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("a number that is not finite"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            map.insert(key, entries.next_value_seed(inside)?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_survive_exactly() {
        let source = r#"{"b":1,"a":[-0.0,1e300,null,true,"\u0000ü😀"],"__proto__":{"x":9007199254740991}}"#;
        let value: Value = serde_json::from_str(source).unwrap();
        let back = decode(&encode(&value)).unwrap();
        assert_eq!(back, value);
        assert!(back["a"][0].as_f64().unwrap().is_sign_negative(), "-0 keeps its sign");
        assert_eq!(back.as_object().unwrap().keys().collect::<Vec<_>>(), ["b", "a", "__proto__"]);
    }

    #[test]
    fn integers_beyond_doubles_become_doubles() {
        assert_eq!(decode(&encode(&json!(u64::MAX))).unwrap(), json!(u64::MAX as f64));
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let mut deep = vec![0x91; DEPTH_MAX + 1];
        deep.push(0xc0);
        let cases: [(&str, &[u8]); 8] = [
            ("not finite", &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]),
            ("infinite, single precision", &[0xca, 0x7f, 0x80, 0, 0]),
            ("binary", &[0xc4, 1, 0]),
            ("extension", &[0xd4, 1, 0]),
            ("a list that claims four billion items", &[0xdd, 0xff, 0xff, 0xff, 0xff]),
            ("a key that is a number", &[0x81, 0x01, 0x01]),
            ("trailing bytes", &[0xc0, 0xc0]),
            ("too deep", &deep),
        ];
        for (what, bytes) in cases {
            assert!(decode(bytes).is_err(), "{what}");
        }
        assert!(decode(&deep[1..]).is_ok(), "just under the depth limit");
    }
}
