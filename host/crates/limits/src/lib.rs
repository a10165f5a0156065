//! Every limit of a run, with its default.
//!
//! The names are those in `[limits]` of `sluice.toml`, `brand.toml` and `[[page]]`. The
//! unit stands last if the rest of the name does not imply it. [`policy`] decides which value
//! applies to a page.

#![deny(unsafe_code)]

pub mod advice;
mod job;
pub mod policy;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use job::JobLimits;

/// One limit, without a page's value for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LimitKind {
    /// The name in settings files.
    pub name: &'static str,
    /// The unit of its value.
    pub unit: &'static str,
    /// The value if no settings file names the limit.
    pub default: u64,
    /// What it limits, in sentences. The first one can stand alone.
    #[serde(skip)]
    pub about: &'static str,
}

macro_rules! limits {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $default:expr, $unit:literal;)+) => {
        /// The limits of one page and its runs, after all settings files were applied.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $doc])* pub $name: $type,)+
        }

        /// Limits that override those of the level above: of the brand for a page, and of
        /// `sluice.toml` for a brand. A limit that is not set here has the value of that level.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct LimitOverrides {
            $($(#[doc = $doc])* pub $name: Option<$type>,)+
        }

        /// `[limits]` of `sluice.toml`, with `[limits.max]` in it.
        #[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct SiteLimits {
            $($(#[doc = $doc])* pub $name: Option<$type>,)+
            /// The highest values that brands and pages can set, and the size of the pool of
            /// sandboxes. A higher value in `brand.toml` is reduced to the maximum, and the log
            /// contains a warning.
            pub max: MaxLimits,
            /// The limits of jobs that differ from those of pages.
            pub job: JobLimits,
        }

        /// `[limits]` of `brand.toml`, with `[limits.job]` in it.
        #[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct BrandLimitsTable {
            $($(#[doc = $doc])* pub $name: Option<$type>,)+
            /// The limits of jobs of this brand that differ from those of pages.
            pub job: JobLimits,
        }

        /// `[limits.max]`: the highest values that brands and pages can set, and the size of the
        /// pool of sandboxes.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct MaxLimits {
            $(
                #[doc = concat!(
                    "The highest value of `", stringify!($name), "`, in ", $unit, ". Defaults to ten times ",
                    "the default of the limit, or to `[limits]` if that is higher."
                )]
                pub $name: Option<$type>,
            )+
            /// The memory of one sandbox, in bytes. A sandbox takes 8 MB for the engine and twice
            /// `heap_bytes_max`, so a higher `heap_bytes_max` than (`memory` − 8 MB) / 2 is reduced
            /// to that value. A change requires a restart.
            pub memory: Option<usize>,
            /// The number of sandboxes that run at the same time. Further requests wait. A change
            /// requires a restart.
            pub concurrent_runs: Option<u32>,
        }

        /// Every limit, in the order of the fields.
        pub const KINDS: &[LimitKind] = &[
            $(LimitKind {
                name: stringify!($name),
                unit: $unit,
                default: $default,
                about: concat!($($doc),*),
            },)+
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

        impl From<BrandLimitsTable> for BrandLimits {
            fn from(table: BrandLimitsTable) -> Self {
                Self { own: LimitOverrides { $($name: table.$name,)+ }, job: table.job }
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

/// `[limits]` of `brand.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BrandLimitsTable")]
pub struct BrandLimits {
    /// The limits of its pages.
    pub own: LimitOverrides,
    /// `[limits.job]`.
    pub job: JobLimits,
}

limits! {
    /// Fuel of a run, in units: how much work of the processor it can use. Each WebAssembly instruction
    /// of the script uses about one. A host call adds 10,000, and 10 for each byte that it passes. A run
    /// that exceeds it ends with the outcome `fuel`.
    fuel: u64 = 1_000_000_000, "units";
    /// Memory quota of a run, in bytes: what its script can allocate. An allocation beyond it throws `out of
    /// memory`. If the script continues, the run ends with the outcome `memory`.
    heap_bytes_max: u32 = 8 << 20, "bytes";
    /// Elapsed time of a run, in milliseconds, including the time in host calls. A run that exceeds
    /// it ends with the outcome `timeout`.
    wall_ms_max: u64 = 30_000, "ms";
    /// Size of a request body that the script gets, in bytes. For a larger body, `request.body` is
    /// `null`.
    body_bytes_max: usize = 64 << 10, "bytes";
    /// Number of parameters in the query of a request. A request with more gets status 400, and
    /// its script does not run.
    query_parameters_max: usize = 256, "parameters";
    /// Number of cookies in a request, the session cookie included. A request with more gets status
    /// 400, and its script does not run.
    request_cookies_max: usize = 64, "cookies";
    /// Number of values in a JSON body, nested ones included, or of fields in a form. A request
    /// with more gets status 400, and its script does not run.
    body_nodes_max: usize = 20_000, "values";
    /// Number of template variables that a run can set. Beyond it, `setVariable` returns `false`.
    variables_max: usize = 256, "keys";
    /// Size of all template variables of a run, in bytes. Beyond it, `setVariable` returns `false`.
    variable_bytes_max: usize = 1 << 20, "bytes";
    /// Fuel for rendering the template, in units: one for each byte that is copied or compared, 64
    /// for each expression, iteration and call. A page that needs more gets status 500.
    template_fuel: u64 = 500_000_000, "units";
    /// Number of keys in a session. Beyond it, `session.set` returns `false`.
    session_keys_max: usize = 128, "keys";
    /// Size of a session, in bytes. Beyond it, `session.set` and `session.setCustomer` return
    /// `false`.
    session_bytes_max: usize = 64 << 10, "bytes";
    /// Number of handoff tokens that a run can create and use. Beyond it, `session.getToken` returns
    /// `null` and `session.setFromToken` returns `false`.
    session_tokens_max: u32 = 20, "tokens";
    /// Number of cookies that a run can set and delete. Beyond it, `cookie.set` returns `false`.
    cookies_max: usize = 20, "cookies";
    /// Size of one cookie, in bytes: its name, value and path. Beyond it, `cookie.set` returns
    /// `false`.
    cookie_bytes_max: usize = 4 << 10, "bytes each";
    /// Number of response headers that a run can set. Beyond it, `setHeader` returns `false`.
    headers_max: usize = 50, "headers";
    /// Size of all response headers that a run sets, in bytes. Beyond it, `setHeader` returns
    /// `false`.
    header_bytes_max: usize = 8 << 10, "bytes";
    /// Number of console lines of a run. Further lines are dropped and counted.
    console_lines_max: usize = 200, "lines";
    /// Size of all console lines of a run, in bytes. Further lines are dropped and counted.
    console_bytes_max: usize = 64 << 10, "bytes";
    /// Number of CRM calls of a run. A further call throws a `RangeError`.
    crm_calls_max: u32 = 100, "calls";
    /// Size of the result of one CRM call, in bytes. A call with a larger result throws a
    /// `RangeError`.
    crm_result_bytes_max: usize = 1 << 20, "bytes each";
    /// Number of keys in one CRM entry. Beyond it, the call returns `false`.
    crm_entry_keys_max: u32 = 256, "keys";
    /// Number of entries of one reference in one CRM entity. Beyond it, the call returns `false`.
    crm_reference_entries_max: u32 = 1_000, "entries";
    /// Size of all CRM data of a brand, in bytes. Beyond it, the call returns `false`.
    crm_brand_bytes_max: u64 = 1 << 30, "bytes";
    /// Number of calls to other servers of a run. A further call throws a `RangeError`.
    http_calls_max: u32 = 5, "calls";
    /// Elapsed time of one call to another server, in milliseconds, with its redirects. A call that takes
    /// longer has no response.
    http_wall_ms_max: u64 = 10_000, "ms each";
    /// Size of the body that one call sends, in bytes. A call with a larger body throws a `RangeError`.
    http_request_bytes_max: usize = 1 << 20, "bytes each";
    /// Size of the response to one call, in bytes, decompressed. A call with a larger response throws a
    /// `RangeError`.
    http_response_bytes_max: usize = 1 << 20, "bytes each";
    /// Number of calls of `files` of a run. A further call throws a `RangeError`.
    files_calls_max: u32 = 20, "calls";
    /// Number of calls of `storage` of a run. A further call throws a `RangeError`.
    storage_calls_max: u32 = 50, "calls";
    /// Size of one value in `storage`, in bytes. A call with a larger value throws a `RangeError`.
    storage_value_bytes_max: usize = 64 << 10, "bytes each";
    /// Number of keys of a brand in `storage`. Beyond it, `storage.set` returns `false`, and other
    /// calls throw a `RangeError`.
    storage_keys_max: u64 = 100_000, "keys";
    /// Size of all values of a brand in `storage`, in bytes. Beyond it, `storage.set` returns
    /// `false`, and other calls throw a `RangeError`.
    storage_bytes_max: u64 = 1 << 30, "bytes";
    /// Number of calls of `cache` of a run. A further call throws a `RangeError`.
    cache_calls_max: u32 = 50, "calls";
    /// Size of one value in `cache`, in bytes. A call with a larger value throws a `RangeError`.
    cache_value_bytes_max: usize = 64 << 10, "bytes each";
    /// Number of keys of a brand in `cache`. Beyond it, the cache forgets those that expire first.
    cache_keys_max: u64 = 50_000, "keys";
    /// Number of calls of `queue` of a run. A further call throws a `RangeError`.
    queue_calls_max: u32 = 50, "calls";
    /// Number of jobs that a run can push. A further `queue.push` throws a `RangeError`.
    queue_pushes_max: u32 = 20, "jobs";
    /// Size of the payload of a job, in bytes. `queue.push` with a larger one throws a `RangeError`.
    queue_payload_bytes_max: usize = 64 << 10, "bytes each";
    /// Number of jobs of a brand that are not done, parked ones included. Beyond it, `queue.push` throws a
    /// `RangeError`.
    queue_jobs_max: u64 = 25_000, "jobs";
    /// Number of modules that one page or module can import. Beyond it, the page does not compile.
    imports_max: usize = 10, "modules";
    /// Depth to which imports can be nested, in levels. Beyond it, the page does not compile.
    import_depth_max: usize = 8, "levels";
    /// Fuel for compiling a page, in units. A page that needs more does not compile.
    compile_fuel: u64 = 10_000_000_000, "units";
    /// Memory for compiling a page, in bytes. A page that needs more does not compile.
    compile_memory_bytes_max: usize = 64 << 20, "bytes";
    /// Elapsed time for compiling a page, in milliseconds. A page that needs longer does not
    /// compile.
    compile_wall_ms_max: u64 = 10_000, "ms";
}

/// Without a value in `[limits.max]`, brands and pages can raise a limit to this many times its
/// default.
const DEFAULT_MAX_FACTOR: u64 = 10;

impl LimitKind {
    /// The highest value that brands and pages can set if no setting says otherwise.
    pub fn default_max(&self) -> u64 {
        self.default.saturating_mul(DEFAULT_MAX_FACTOR)
    }
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
