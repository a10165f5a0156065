//! Values that scripts keep for their brand, under keys: `storage` is durable, `cache` may forget.
//!
//! ```text
//! arguments of a call ─ arguments.rs ─▶ Place, StoredValue ─ StorageStore ─▶ result
//! ```
//!
//! Calls on one key are linearizable across all hosts that share the database. A value that has expired
//! is absent at once, by the clock of the host, and is deleted later.

#![deny(unsafe_code)]

mod access;
mod arguments;
mod call;
mod error;
mod place;
mod store;
mod value;

pub use access::{Answer, StorageAccess};
pub use arguments::{LIST_OPTIONS, OPTIONS};
pub use call::Call;
pub use error::{Argument, KeyError, Mistake, Reached, StorageError};
pub use place::{Area, Key, Namespace, Place};
pub use store::{
    AddDone, Condition, Listed, ListedKey, Listing, Put, PutDone, Quota, StorageCaps, StorageStore,
};
pub use value::{StoredValue, overflows};

/// The longest key in `storage`, in characters (they are ASCII).
pub const KEY_CHARS_MAX: usize = 191;
/// The longest key in `cache`, in characters (they are ASCII).
pub const CACHE_KEY_CHARS_MAX: usize = 200;
/// The longest namespace, in characters (they are ASCII).
pub const NAMESPACE_CHARS_MAX: usize = 64;
/// The longest lifetime of a value in `storage`: a year, in seconds.
pub const TTL_SECONDS_MAX: f64 = 365.0 * 86_400.0;
/// The longest lifetime of a value in `cache`: a day, in seconds.
pub const CACHE_TTL_SECONDS_MAX: f64 = 86_400.0;
/// The lifetime of a value in `cache` if the script gives none, in seconds.
pub const CACHE_TTL_SECONDS: f64 = 3_600.0;
/// The keys that one `storage.list` returns if the script gives no limit.
pub const LIST_KEYS: u32 = 50;
/// The most keys that one `storage.list` returns.
pub const LIST_KEYS_MAX: u32 = 200;
/// The most bytes of values, as stored, that one `storage.list` returns. If there are more, `next` continues.
pub const LIST_BYTES_MAX: usize = 1 << 20;
/// What a stored value counts toward the brand's quota in addition to its key and its bytes.
pub const ROW_BYTES: usize = 64;
/// The bytes of all values that a brand can keep in `cache`.
pub const CACHE_BYTES_MAX: u64 = 1 << 30;
