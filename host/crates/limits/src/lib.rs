//! Every limit of a run, with its default.
//!
//! The names are those in `[limits]` of `sluice.toml`, `brand.toml` and `[[page]]`. The
//! unit stands last if the rest of the name does not imply it. [`policy`] decides which value
//! applies to a page.

#![deny(unsafe_code)]

pub mod advice;
pub mod policy;

use serde::{Deserialize, Serialize};

/// One limit, without a page's value for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LimitKind {
    /// The name in settings files.
    pub name: &'static str,
    /// The unit of its value.
    pub unit: &'static str,
    /// The value if no settings file names the limit.
    pub default: u64,
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr, $unit:literal;)+) => {
        /// The limits of one page and its runs, after all settings files were applied.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $($(#[$doc])* pub $name: $type,)+
        }

        /// The `[limits]` of a brand or a page. A value here overrides the value of the level
        /// above.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct LimitOverrides {
            $($(#[$doc])* pub $name: Option<$type>,)+
        }

        /// The `[limits]` of `sluice.toml`, with `[limits.max]` inside.
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct SiteLimits {
            $($(#[$doc])* pub $name: Option<$type>,)+
            /// `[limits.max]`
            pub max: MaxLimits,
        }

        /// `[limits.max]`: the largest values that brands and pages may set, and the size
        /// of the pool.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct MaxLimits {
            $($(#[$doc])* pub $name: Option<$type>,)+
            /// Bytes of one sandbox, with the memory that the engine uses. Sizes the pool.
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
            /// Returns the value of the limit with this name, or `None` if there is no such limit.
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $(stringify!($name) => u64::try_from(self.$name).ok(),)+
                    _ => None,
                }
            }

            /// Sets the limit with this name. A value that is too large for the limit's type
            /// becomes the largest value of the type.
            fn set(&mut self, name: &str, value: u64) {
                match name {
                    $(stringify!($name) => self.$name = <$type>::try_from(value).unwrap_or(<$type>::MAX),)+
                    _ => {}
                }
            }
        }

        impl LimitOverrides {
            /// Returns the value that this table gives to the limit with this name.
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $(stringify!($name) => self.$name.and_then(|value| u64::try_from(value).ok()),)+
                    _ => None,
                }
            }
        }

        impl SiteLimits {
            /// Returns the values outside `[limits.max]`.
            fn own(&self) -> LimitOverrides {
                LimitOverrides { $($name: self.$name,)+ }
            }
        }

        impl MaxLimits {
            /// Returns the largest values that brands and pages may set.
            fn caps(&self) -> LimitOverrides {
                LimitOverrides { $($name: self.$name,)+ }
            }
        }
    };
}

limits! {
    /// wasmtime fuel of a run: what the script burns and what its host calls cost.
    fuel: u64 = 1_000_000_000, "units";
    /// What JavaScript may allocate in addition to the engine's own heap.
    heap_bytes_max: u32 = 8 << 20, "bytes";
    /// Wall clock of a run, host calls included.
    wall_ms_max: u64 = 30_000, "ms";
    /// Size of a request body that scripts can read.
    body_bytes_max: usize = 64 << 10, "bytes";
    /// Template variables that a run may set.
    variables_max: usize = 256, "keys";
    /// Size of all template variables together.
    variable_bytes_max: usize = 1 << 20, "bytes";
    /// Keys in a session.
    session_keys_max: usize = 128, "keys";
    /// Size of a session.
    session_bytes_max: usize = 64 << 10, "bytes";
    /// Handoff tokens that a run makes and takes.
    session_tokens_max: u32 = 20, "tokens";
    /// Cookies that a run may set or delete.
    cookies_max: usize = 20, "cookies";
    /// Size of one cookie.
    cookie_bytes_max: usize = 4 << 10, "bytes each";
    /// Headers that a run may set.
    headers_max: usize = 50, "headers";
    /// Size of all headers together.
    header_bytes_max: usize = 8 << 10, "bytes";
    /// Lines that a run may write to the console.
    console_lines_max: usize = 200, "lines";
    /// Size of all console lines together.
    console_bytes_max: usize = 64 << 10, "bytes";
    /// CRM calls of a run.
    crm_calls_max: u32 = 100, "calls";
    /// Size of the result of one CRM call.
    crm_result_bytes_max: usize = 1 << 20, "bytes each";
    /// Keys in one CRM entry.
    crm_entry_keys_max: u32 = 256, "keys";
    /// CRM entries of one reference in one entity.
    crm_reference_entries_max: u32 = 1_000, "entries";
    /// Size of all CRM data of a brand.
    crm_brand_bytes_max: u64 = 1 << 30, "bytes";
    /// Modules that one module may import.
    imports_max: usize = 10, "modules";
    /// How deep imports may nest.
    import_depth_max: usize = 8, "levels";
    /// wasmtime fuel of the compilation of a page. An author can write a page that is slow
    /// to compile.
    compile_fuel: u64 = 10_000_000_000, "units";
    /// Memory of the compilation of a page.
    compile_memory_bytes_max: usize = 64 << 20, "bytes";
    /// Wall clock of the compilation of a page.
    compile_wall_ms_max: u64 = 10_000, "ms";
}

/// The default of `[limits.max] memory`, in bytes.
pub const MEMORY_BYTES_MAX: usize = 64 << 20;
/// The default of `[limits.max] concurrent_runs`.
pub const CONCURRENT_RUNS_MAX: u32 = 128;

impl MaxLimits {
    /// The size of one sandbox in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.memory.unwrap_or(MEMORY_BYTES_MAX)
    }

    /// The number of sandboxes that run at the same time.
    pub fn concurrent_runs(&self) -> u32 {
        self.concurrent_runs.unwrap_or(CONCURRENT_RUNS_MAX)
    }
}

/// Formats a number with `_` between groups of three digits, such as `1_000_000`. TOML reads
/// this form.
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
