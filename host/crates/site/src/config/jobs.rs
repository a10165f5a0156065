//! `[jobs]` of `sluice.toml`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{DurationText, duration, write_duration};

/// `[jobs]` of `sluice.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JobsConfig {
    /// The number of jobs of scripts that this host runs at the same time. A brand gets a further one only
    /// while it runs fewer than are free. Jobs take at most a quarter of the sandboxes. 0 leaves all jobs to other hosts.
    pub runs_max: usize,
    /// How long a job that failed waits until it is tried again. The second wait is four times as long;
    /// after the third try, the job is parked.
    #[serde(deserialize_with = "duration", serialize_with = "write_duration")]
    #[schemars(with = "DurationText")]
    pub retry_wait: Duration,
    /// How long after a host has crashed other hosts take over its jobs.
    #[serde(deserialize_with = "duration", serialize_with = "write_duration")]
    #[schemars(with = "DurationText")]
    pub takeover: Duration,
    /// How long a host that stops waits for its jobs. It then gives them to other hosts, or to itself after
    /// the restart.
    #[serde(deserialize_with = "duration", serialize_with = "write_duration")]
    #[schemars(with = "DurationText")]
    pub stop_wait: Duration,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            runs_max: 16,
            retry_wait: Duration::from_secs(30),
            takeover: Duration::from_secs(30),
            stop_wait: Duration::from_secs(10),
        }
    }
}
