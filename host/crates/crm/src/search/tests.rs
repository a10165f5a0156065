//! Tests without a database. The contract suite of the stores proves what searches find.

use serde_json::{Value, json};

use super::scalar::Scalar;
use super::{Cursor, CursorKey, Operand, Position, SortKey, UniqueKey};
use crate::EntryId;

fn stored(value: &Value) -> Vec<u8> {
    rmp_serde::to_vec(value).unwrap()
}

fn key(value: &Value) -> SortKey {
    SortKey::of_stored(&stored(value))
}

#[test]
fn keys_sort_like_values() {
    let ordered = [
        json!(false),
        json!(true),
        json!(f64::MIN),
        json!(i64::MIN),
        json!(-40_000),
        json!(-1.5),
        json!(-1),
        json!(-5e-324),
        json!(0),
        json!(5e-324),
        json!(1),
        json!(127),
        json!(128),
        json!(255.5),
        json!(70_000),
        json!(u64::MAX),
        json!(f64::MAX),
        json!(""),
        json!("\0"),
        json!("a"),
        json!("a\0"),
        json!("aa"),
        json!("é"),
        json!("\u{ffff}"),
        json!("🙂"),
        json!([]),
    ];
    let keys: Vec<SortKey> = ordered.iter().map(key).chain([SortKey::missing()]).collect();
    assert!(keys.is_sorted_by(|before, after| before < after), "{keys:?}");
    for (one, other) in [(json!(1), json!(1.0)), (json!(0), json!(-0.0)), (json!([1]), json!({"a": 2}))] {
        assert_eq!(key(&one), key(&other));
    }
}

#[test]
fn keys_of_long_texts_are_bounded_and_their_hashes_are_not() {
    let texts: Vec<Value> = ["1", "2"].iter().map(|end| json!("x".repeat(9_000) + end)).collect();
    let [one, other] = texts.as_slice() else { panic!() };
    assert_eq!(key(one), key(other));
    assert_eq!(key(one).as_bytes().len(), 121);
    let hash = |value: &Value| UniqueKey::of_stored(&stored(value));
    assert_ne!(hash(one), hash(other));
    assert_eq!(hash(&json!(1)), hash(&json!(1.0)));
    assert_ne!(hash(&json!(1)), hash(&json!("1")));
}

#[test]
fn the_first_bytes_of_a_text_decide() {
    for length in [0, 1, 31, 32, 255, 256, 65_535, 65_536] {
        let whole = stored(&json!("x".repeat(length)));
        for operand in ["", "x", "xy", "w", "y", &"x".repeat(31), &"x".repeat(300)] {
            let cut = &whole[..whole.len().min(Scalar::stored_bytes(operand.len()))];
            let expected = "x".repeat(length).as_str().cmp(operand);
            let operand = Operand::Text(operand.to_owned());
            assert_eq!(Scalar::of_stored(cut).compare(&operand), Some(expected), "{length} {operand:?}");
        }
    }
}

#[test]
fn damaged_values_are_like_arrays() {
    for bytes in [&[0xc0][..], &[0xcb, 1], &[0xd9], &[0xdc, 0, 0], &[0xc1]] {
        assert_eq!(Scalar::of_stored(bytes), Scalar::Other, "{bytes:?}");
    }
    assert_eq!(Scalar::of_stored(&[]), Scalar::Missing);
}

#[test]
fn cursors_return_their_position() {
    let (one, other) = (CursorKey::of(["ab", "c"]), CursorKey::of(["a", "bc"]));
    let position = Position { key: vec![0, 0x30, 0xff], id: EntryId::from_bytes([7; 16]) };
    let text = Cursor::text(one, &position);
    assert_eq!(Cursor::read(one, &text), Some(position));
    assert_eq!(Cursor::read(other, &text), None);
}
