//! What values hold in memory, and how much they may hold.
//!
//! A value in memory is much larger than its encoding: an empty array is one byte of MessagePack,
//! or three of JSON with its comma, and takes the size of a [`Value`]. The costs here are upper
//! bounds, so that charging them is enough.

use std::cell::Cell;

use serde_json::{Map, Value};

/// The bytes of a value in the array or object that contains it.
const NODE_BYTES: usize = size_of::<Value>();
/// The bytes of an object's entry besides its value: the key, its hash, and its places in the
/// table, which is at most twice as large as needed.
const ENTRY_BYTES: usize = size_of::<String>() + size_of::<u64>() + 32;
/// What the allocator adds to each block.
const BLOCK_BYTES: usize = 16;

/// The memory that a decoded value may take. Everything is charged before it is allocated.
#[derive(Debug)]
pub struct Room {
    bytes_max: usize,
    left: Cell<usize>,
    is_exceeded: Cell<bool>,
}

impl Room {
    /// Room for this many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, left: Cell::new(bytes_max), is_exceeded: Cell::new(false) }
    }

    /// All bytes that the room had.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Whether something did not fit.
    pub fn is_exceeded(&self) -> bool {
        self.is_exceeded.get()
    }

    /// The bytes that were charged.
    pub fn taken(&self) -> usize {
        self.bytes_max - self.left.get()
    }

    /// Charges this many bytes. Returns false, and charges nothing, if they do not fit.
    fn take(&self, bytes: usize) -> bool {
        match self.left.get().checked_sub(bytes) {
            Some(left) => self.left.set(left),
            None => self.is_exceeded.set(true),
        }
        !self.is_exceeded.get()
    }

    /// Charges a text of this many bytes.
    pub(super) fn text(&self, bytes: usize) -> bool {
        self.take(text_bytes(bytes))
    }

    /// Charges places for this many more elements of an array.
    pub(super) fn elements(&self, count: usize) -> bool {
        self.take(count.saturating_mul(NODE_BYTES).saturating_add(BLOCK_BYTES))
    }

    /// Charges places for this many more entries of an object, without their keys.
    pub(super) fn entries(&self, count: usize) -> bool {
        self.take(count.saturating_mul(NODE_BYTES + ENTRY_BYTES).saturating_add(2 * BLOCK_BYTES))
    }
}

fn text_bytes(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes.saturating_add(BLOCK_BYTES) }
}

/// The bytes of memory that `value` holds, itself included.
pub fn held(value: &Value) -> usize {
    NODE_BYTES + held_outside(value)
}

/// The bytes of memory that an entry of an object holds.
pub fn held_by_entry(key: &str, value: &Value) -> usize {
    ENTRY_BYTES + text_bytes(key.len()) + held(value)
}

/// The bytes of memory that an object holds, without itself.
pub fn held_by_object(map: &Map<String, Value>) -> usize {
    let entries = map.iter().map(|(key, value)| held_by_entry(key, value));
    entries.sum::<usize>() + if map.is_empty() { 0 } else { 2 * BLOCK_BYTES }
}

/// Recurses as deep as the value nests, which whoever decodes it bounds.
fn held_outside(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text_bytes(text.len()),
        Value::Array(items) if items.is_empty() => 0,
        Value::Array(items) => BLOCK_BYTES + items.iter().map(held).sum::<usize>(),
        Value::Object(map) => held_by_object(map),
    }
}
