//! Values that cross between scripts and the host. On the wire they are MessagePack, in the
//! host `serde_json::Value`, which keeps the order of keys. The host functions in `sandbox`
//! use it for their arguments and results, and `store` for the values in its rows.
//!
//! Numbers are JavaScript's: finite doubles, `-0` included. The bytes come from the sandbox
//! and are hostile. Decoding therefore bounds the nesting, and the memory that the value takes:
//! one byte can become 72. rmp-serde's own decoding to `serde_json::Value` does neither and accepts
//! binary, extension types and non-finite numbers.

mod room;

use std::fmt;

use serde::Serialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

pub use room::{Room, held, held_by_entry, held_by_object};

/// How deep arrays and objects of a value may nest. The engine stops at 100.
const DEPTH_MAX: usize = 128;

/// Why bytes were rejected.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// The bytes are not MessagePack, or use a part of it that values do not have.
    #[error("not a value that Sluice can read: {0}")]
    Malformed(#[from] rmp_serde::decode::Error),
    /// There are more bytes than the value has.
    #[error("bytes are left after the value")]
    Trailing,
    /// The value takes more memory than there is room for, in bytes.
    #[error("the value takes more memory than the {0} bytes that are left")]
    TooLarge(usize),
}

impl ValueError {
    /// Whether the value does not fit into the memory that is left for it.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge(_))
    }
}

/// Decodes one value from MessagePack.
///
/// # Errors
/// The bytes are rejected if they contain a number that is not finite, a key that is not
/// text, an extension or binary type, nesting deeper than 128, or trailing bytes, and if the value
/// would take more memory than `room` has.
pub fn decode(bytes: &[u8], room: &Room) -> Result<Value, ValueError> {
    let mut rest = bytes;
    let mut reader = rmp_serde::Deserializer::new(&mut rest);
    let decoded = Exact { depth: 0, room }.deserialize(&mut reader);
    drop(reader);
    if room.is_exceeded() {
        return Err(ValueError::TooLarge(room.bytes_max()));
    }
    let value = decoded?;
    if rest.is_empty() { Ok(value) } else { Err(ValueError::Trailing) }
}

/// Encodes one value as MessagePack. An integer that a double cannot hold exactly is written
/// as the nearest double, as JavaScript would read it.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Encoding fails only if a length exceeds 32 bits, which the host's limits prevent. The
    // script would see `null` then.
    if Wire(value).serialize(&mut rmp_serde::Serializer::new(&mut out)).is_err() {
        out = vec![0xc0];
    }
    out
}

/// The largest integer below which a double holds every integer exactly.
const EXACT_MAX: i64 = 9_007_199_254_740_991;

/// Encodes numbers as JavaScript reads them.
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

/// Decodes a value that `depth` arrays and objects surround.
#[derive(Clone, Copy)]
struct Exact<'r> {
    depth: usize,
    room: &'r Room,
}

/// Fails if the memory for the next part of a value could not be charged.
fn charged<E: de::Error>(fits: bool) -> Result<(), E> {
    if fits { Ok(()) } else { Err(E::custom("there is no memory left for it")) }
}

impl Exact<'_> {
    fn inside<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX}")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Exact<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Exact<'_> {
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
        charged(self.room.text(text.len()))?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        // MessagePack claims a number of elements, which may be a lie, but is charged.
        let claimed = items.size_hint().unwrap_or(0);
        charged(self.room.elements(claimed))?;
        let mut list = Vec::with_capacity(claimed);
        while let Some(item) = items.next_element_seed(inside)? {
            if list.len() == list.capacity() {
                let more = list.capacity().max(4);
                charged(self.room.elements(more))?;
                list.reserve_exact(more);
            }
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let claimed = entries.size_hint().unwrap_or(0);
        charged(self.room.entries(claimed))?;
        let mut map = Map::with_capacity(claimed);
        let mut places = claimed;
        while let Some(key) = entries.next_key_seed(Key(self.room))? {
            if map.len() == places {
                // The object doubles its places when it is full.
                let more = places.max(4);
                charged(self.room.entries(more))?;
                places += more;
            }
            map.insert(key, entries.next_value_seed(inside)?);
        }
        Ok(Value::Object(map))
    }
}

/// Decodes the key of an object.
struct Key<'r>(&'r Room);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<String, D::Error> {
        input.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        charged(self.0.text(text.len()))?;
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn decoded_value_equals_the_encoded_one() {
        let source = r#"{"b":1,"a":[-0.0,1e300,null,true,"\u0000ü😀"],"__proto__":{"x":9007199254740991}}"#;
        let value: Value = serde_json::from_str(source).unwrap();
        let back = decode(&encode(&value), &Room::new(10_000)).unwrap();
        assert_eq!(back, value);
        assert!(back["a"][0].as_f64().unwrap().is_sign_negative(), "-0 keeps its sign");
        assert_eq!(back.as_object().unwrap().keys().collect::<Vec<_>>(), ["b", "a", "__proto__"]);
    }

    #[test]
    fn large_integers_become_doubles() {
        assert_eq!(decode(&encode(&json!(u64::MAX)), &Room::new(0)).unwrap(), json!(u64::MAX as f64));
    }

    #[test]
    fn rejects_hostile_bytes() {
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
            assert!(decode(bytes, &Room::new(1 << 20)).is_err(), "{what}");
        }
        assert!(decode(&deep[1..], &Room::new(1 << 20)).is_ok(), "just under the depth limit");
    }

    #[test]
    fn charges_a_value_for_what_it_holds_before_it_is_allocated() {
        let text = "x".repeat(1_000);
        for value in [
            json!([]),
            json!([[], [], [[]], [1, 2, 3]]),
            json!({"a": {"b": [null, true, text]}, "c": 1.5, text: {}}),
            Value::Array(vec![json!([]); 1_000]),
            Value::Object((0..100).map(|n| (n.to_string(), json!(n))).collect()),
        ] {
            let bytes = encode(&value);
            let room = Room::new(1 << 20);
            assert_eq!(decode(&bytes, &room).unwrap(), value);
            let needed = room.taken();
            // Empty arrays count their block, which they do not have.
            let held = held(&value);
            assert!((needed / 2..=needed + size_of::<Value>()).contains(&held), "{needed} {held}");
            if needed > 16 {
                let error = decode(&bytes, &Room::new(needed - 1)).unwrap_err();
                assert!(error.is_too_large(), "{error}");
            }
        }
        // One megabyte that would take 72 on the host.
        let row = Value::Array(vec![json!([]); 1_000]);
        let dense = encode(&Value::Array(vec![row; 1_000]));
        assert_eq!(dense.len(), 1_003_003);
        assert!(decode(&dense, &Room::new(16 << 20)).unwrap_err().is_too_large());
        let claims_four_billion = [0xdd, 0xff, 0xff, 0xff, 0xff];
        assert!(decode(&claims_four_billion, &Room::new(16 << 20)).unwrap_err().is_too_large());
    }
}
