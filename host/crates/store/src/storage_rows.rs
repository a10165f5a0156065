//! What both databases need to know about the rows of `storage` and `cache`.

use sluice_storage::{Area, Key, Place, ROW_BYTES, StoredValue};

/// A statement for the table of `area`. The text has `{t}` where the table's name belongs.
pub(crate) fn for_area(sql: &str, area: Area) -> String {
    sql.replace(
        "{t}",
        match area {
            Area::Storage => "storage",
            Area::Cache => "cache",
        },
    )
}

/// What a row counts toward the quota of its brand.
pub(crate) fn size(at: &Place, key: &Key, value: &StoredValue) -> i64 {
    let bytes = ROW_BYTES + at.namespace.as_str().len() + key.as_str().len() + value.size();
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The columns of a value: `value`, `digest` and `number`.
pub(crate) fn columns(value: &StoredValue) -> (&[u8], &[u8], Option<f64>) {
    match value {
        StoredValue::Number(number) => (&[], &[], Some(*number)),
        StoredValue::Other { bytes, digest } => (bytes, digest, None),
    }
}

/// The value of the columns `value`, `digest` and `number`.
pub(crate) fn value(bytes: Vec<u8>, digest: &[u8], number: Option<f64>) -> Option<StoredValue> {
    match number {
        Some(number) => Some(StoredValue::Number(number)),
        None => Some(StoredValue::Other { bytes, digest: digest.try_into().ok()? }),
    }
}

/// The keys that begin with a prefix are those from the prefix up to this text: it follows every character
/// that keys can have.
pub(crate) fn end_of_prefix(prefix: &Key) -> String {
    format!("{}~", prefix.as_str())
}
