//! The limits of jobs.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::LimitOverrides;

/// `[limits.job]`: the limits of jobs that differ from those of pages. Jobs have the other limits of
/// their brand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JobLimits {
    /// Fuel of a job, in units. Defaults to 5,000,000,000.
    pub fuel: Option<u64>,
    /// Elapsed time of a job, in milliseconds. Defaults to 60,000.
    pub wall_ms_max: Option<u64>,
    /// Memory for JavaScript of a job, in bytes.
    pub heap_bytes_max: Option<u32>,
    /// Number of CRM calls of a job.
    pub crm_calls_max: Option<u32>,
    /// Number of HTTP calls of a job.
    pub http_calls_max: Option<u32>,
    /// Number of calls of `storage` of a job.
    pub storage_calls_max: Option<u32>,
    /// Number of jobs that a job can push.
    pub queue_pushes_max: Option<u32>,
}

impl JobLimits {
    /// The names of the limits that it has.
    pub const NAMES: [&str; 7] = [
        "fuel",
        "wall_ms_max",
        "heap_bytes_max",
        "crm_calls_max",
        "http_calls_max",
        "storage_calls_max",
        "queue_pushes_max",
    ];

    /// What applies if no settings file says otherwise.
    pub(crate) fn built_in() -> Self {
        Self { fuel: Some(5_000_000_000), wall_ms_max: Some(60_000), ..Self::default() }
    }

    /// The same as overrides of any limit.
    pub(crate) fn overrides(&self) -> LimitOverrides {
        LimitOverrides {
            fuel: self.fuel,
            wall_ms_max: self.wall_ms_max,
            heap_bytes_max: self.heap_bytes_max,
            crm_calls_max: self.crm_calls_max,
            http_calls_max: self.http_calls_max,
            storage_calls_max: self.storage_calls_max,
            queue_pushes_max: self.queue_pushes_max,
            ..LimitOverrides::default()
        }
    }
}
