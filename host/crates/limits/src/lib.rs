//! Every quota and cap of a run, in one place, with its default.
//!
//! The names are those of `[limits]` in `sluice.toml`, `brand.toml` and
//! `[[page]]`; the unit stands last where the name does not imply it.
//! [`policy`] says which of them holds for a page.

#![deny(unsafe_code)]

pub mod advice;
pub mod policy;

use serde::{Deserialize, Serialize};

/// One limit: what it is called and counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LimitKind {
    pub name: &'static str,
    pub unit: &'static str,
    pub default: u64,
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr, $unit:literal;)+) => {
        /// The quotas of one page and its runs, resolved.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $($(#[$doc])* pub $name: $type,)+
        }

        /// A `[limits]` table: what it names overrides what stands above it.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct LimitOverrides {
            $(pub $name: Option<$type>,)+
        }

        /// `[limits]` of `sluice.toml`, with `[limits.max]` in it.
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct SiteLimits {
            $(pub $name: Option<$type>,)+
            pub max: MaxLimits,
        }

        /// `[limits.max]`: what brands and pages may ask for at most, and the size
        /// of the pool.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct MaxLimits {
            $(pub $name: Option<$type>,)+
            /// Bytes of one sandbox, the engine's share included. Sizes the pool.
            pub memory: Option<usize>,
            /// Sandboxes that run at the same time. Sizes the pool.
            pub concurrent_runs: Option<u32>,
        }

        /// Every limit, in the order of the fields.
        pub const KINDS: &[LimitKind] = &[
            $(LimitKind { name: stringify!($name), unit: $unit, default: $default },)+
        ];

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// The value of the limit of that name; none where there is no such limit.
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $(stringify!($name) => u64::try_from(self.$name).ok(),)+
                    _ => None,
                }
            }

            /// Sets the limit of that name; a value that its type cannot hold becomes
            /// the largest that it can.
            fn set(&mut self, name: &str, value: u64) {
                match name {
                    $(stringify!($name) => self.$name = <$type>::try_from(value).unwrap_or(<$type>::MAX),)+
                    _ => {}
                }
            }
        }

        impl LimitOverrides {
            /// The value that this table gives the limit of that name.
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $(stringify!($name) => self.$name.and_then(|value| u64::try_from(value).ok()),)+
                    _ => None,
                }
            }
        }

        impl SiteLimits {
            /// Without `[limits.max]`.
            pub fn own(&self) -> LimitOverrides {
                LimitOverrides { $($name: self.$name,)+ }
            }
        }

        impl MaxLimits {
            /// What brands and pages may ask for.
            pub fn caps(&self) -> LimitOverrides {
                LimitOverrides { $($name: self.$name,)+ }
            }
        }
    };
}

limits! {
    /// wasmtime fuel; host calls add to what the script burns.
    fuel: u64 = 1_000_000_000, "units";
    /// What JavaScript may allocate beyond the engine's own heap.
    heap_bytes_max: u32 = 8 << 20, "bytes";
    /// Wall clock of a run, host calls included.
    wall_ms_max: u64 = 30_000, "ms";
    body_bytes_max: usize = 64 << 10, "bytes";
    variables_max: usize = 256, "keys";
    variable_bytes_max: usize = 1 << 20, "bytes";
    session_keys_max: usize = 128, "keys";
    session_bytes_max: usize = 64 << 10, "bytes";
    /// Handoff tokens that a run makes and takes.
    session_tokens_max: u32 = 20, "tokens";
    cookies_max: usize = 20, "cookies";
    cookie_bytes_max: usize = 4 << 10, "bytes each";
    headers_max: usize = 50, "headers";
    header_bytes_max: usize = 8 << 10, "bytes";
    console_lines_max: usize = 200, "lines";
    console_bytes_max: usize = 64 << 10, "bytes";
    crm_calls_max: u32 = 100, "calls";
    crm_result_bytes_max: usize = 1 << 20, "bytes each";
    crm_entry_keys_max: u32 = 256, "keys";
    crm_reference_entries_max: u32 = 1_000, "entries";
    crm_brand_bytes_max: u64 = 1 << 30, "bytes";
    /// Modules that one module may import.
    imports_max: usize = 10, "modules";
    /// Imports may be nested this deep.
    import_depth_max: usize = 8, "levels";
    /// Compilation is the author's doing too: a page can be written to be slow to
    /// compile.
    compile_fuel: u64 = 10_000_000_000, "units";
    compile_memory_bytes_max: usize = 64 << 20, "bytes";
    compile_wall_ms_max: u64 = 10_000, "ms";
}

/// Bytes of one sandbox, unless `[limits.max] memory` says otherwise.
pub const MEMORY_BYTES_MAX: usize = 64 << 20;
/// Sandboxes at the same time, unless `[limits.max] concurrent_runs` says otherwise.
pub const CONCURRENT_RUNS_MAX: u32 = 128;

impl MaxLimits {
    /// Bytes of one sandbox.
    pub fn memory_bytes(&self) -> usize {
        self.memory.unwrap_or(MEMORY_BYTES_MAX)
    }

    /// Sandboxes that run at the same time.
    pub fn concurrent_runs(&self) -> u32 {
        self.concurrent_runs.unwrap_or(CONCURRENT_RUNS_MAX)
    }
}

/// `1_000_000`, as TOML reads it.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}
