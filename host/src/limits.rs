//! Every quota and cap of a run, in one place, with its default.
//!
//! The names are those of `[limits]` in `sluice.toml`, `brand.toml` and
//! `[[page]]`; the unit stands last where the name does not imply it.

use serde::Deserialize;

/// The quotas of one run, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// wasmtime fuel; host calls add to what the script burns.
    pub fuel: u64,
    /// What JavaScript may allocate beyond the engine's own heap.
    pub heap_bytes_max: u32,
    /// Wall clock of a run, host calls included.
    pub wall_ms_max: u64,
    pub body_bytes_max: usize,
    pub variables_max: usize,
    pub variable_bytes_max: usize,
    pub session_keys_max: usize,
    pub session_bytes_max: usize,
    pub cookies_max: usize,
    pub cookie_bytes_max: usize,
    pub headers_max: usize,
    pub header_bytes_max: usize,
    pub console_lines_max: usize,
    pub console_bytes_max: usize,
    pub crm_calls_max: u32,
    pub crm_result_bytes_max: usize,
    pub crm_keys_an_entry_max: u32,
    pub crm_entries_a_reference_max: u32,
    /// Of all CRM data of a brand.
    pub crm_brand_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 1_000_000_000,
            heap_bytes_max: 8 << 20,
            wall_ms_max: 30_000,
            body_bytes_max: 64 << 10,
            variables_max: 256,
            variable_bytes_max: 1 << 20,
            session_keys_max: 128,
            session_bytes_max: 64 << 10,
            cookies_max: 20,
            cookie_bytes_max: 4 << 10,
            headers_max: 50,
            header_bytes_max: 8 << 10,
            console_lines_max: 200,
            console_bytes_max: 64 << 10,
            crm_calls_max: 100,
            crm_result_bytes_max: 1 << 20,
            crm_keys_an_entry_max: 256,
            crm_entries_a_reference_max: 1_000,
            crm_brand_bytes_max: 1 << 30,
        }
    }
}

/// A `[limits]` table: what it names overrides what stands above it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitOverrides {
    pub fuel: Option<u64>,
    pub heap_bytes_max: Option<u32>,
    pub wall_ms_max: Option<u64>,
    pub body_bytes_max: Option<usize>,
    pub variables_max: Option<usize>,
    pub variable_bytes_max: Option<usize>,
    pub session_keys_max: Option<usize>,
    pub session_bytes_max: Option<usize>,
    pub cookies_max: Option<usize>,
    pub cookie_bytes_max: Option<usize>,
    pub headers_max: Option<usize>,
    pub header_bytes_max: Option<usize>,
    pub console_lines_max: Option<usize>,
    pub console_bytes_max: Option<usize>,
    pub crm_calls_max: Option<u32>,
    pub crm_result_bytes_max: Option<usize>,
    pub crm_keys_an_entry_max: Option<u32>,
    pub crm_entries_a_reference_max: Option<u32>,
    pub crm_brand_bytes_max: Option<u64>,
}

impl Limits {
    /// These limits with `overrides` on top.
    #[must_use]
    pub fn with(&self, overrides: &LimitOverrides) -> Self {
        macro_rules! pick {
            ($($name:ident),+ $(,)?) => {
                Self { $($name: overrides.$name.unwrap_or(self.$name)),+ }
            };
        }
        pick!(
            fuel,
            heap_bytes_max,
            wall_ms_max,
            body_bytes_max,
            variables_max,
            variable_bytes_max,
            session_keys_max,
            session_bytes_max,
            cookies_max,
            cookie_bytes_max,
            headers_max,
            header_bytes_max,
            console_lines_max,
            console_bytes_max,
            crm_calls_max,
            crm_result_bytes_max,
            crm_keys_an_entry_max,
            crm_entries_a_reference_max,
            crm_brand_bytes_max,
        )
    }
}

/// What compiling a page may cost.
pub struct CompileLimits {
    pub fuel: u64,
    pub memory_bytes_max: usize,
    pub heap_bytes_max: u32,
    pub wall_ms_max: u64,
}

/// Compilation is the author's doing too: a page can be written to be slow to
/// compile.
pub const COMPILE: CompileLimits = CompileLimits {
    fuel: 10_000_000_000,
    memory_bytes_max: 64 << 20,
    heap_bytes_max: 48 << 20,
    wall_ms_max: 10_000,
};
