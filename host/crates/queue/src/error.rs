//! Why a call failed, in types. The text is made where it is shown.

use sluice_kit::StoreError;
use sluice_storage::Argument;

use crate::{Call, TargetFault};

/// Why a call failed. Messages are for the author and start with the call's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The script gets a `TypeError` with this message.
    #[error("{}: {mistake}", call.name())]
    Type {
        /// The call.
        call: Call,
        /// What is wrong with its arguments.
        mistake: Mistake,
    },
    /// The script gets a `RangeError` with this message.
    #[error("{}: {reached}", call.name())]
    Range {
        /// The call.
        call: Call,
        /// What was exceeded.
        reached: Reached,
    },
    /// The script gets an `Error` without details, which are for the operator.
    #[error(transparent)]
    Store(StoreError),
}

/// What is wrong with the arguments of a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// A text is missing, or too long.
    #[error("the {what} must be text of 1 to 191 characters without control characters, got {given}")]
    Text {
        /// `module`, `tag`, …
        what: &'static str,
        /// What was given.
        given: Argument,
    },
    /// The options are not an object.
    #[error("the options must be an object such as {{ delay: 3600 }}, got {0}")]
    NoOptions(Argument),
    /// There is no such option.
    #[error("there is no option {given}; {help}")]
    NoSuchOption {
        /// What was given.
        given: Argument,
        /// What the script probably meant, or the options that there are.
        help: String,
    },
    /// `delay` is no delay.
    #[error("the delay must be a whole number of seconds from 0 to 2,592,000 (30 days), got {0}")]
    Delay(Argument),
    /// `at` is no time.
    #[error(
        "at must be a time such as \"2026-07-01T09:00:00Z\", a Date or a number of milliseconds, at most 30 days \
         from now, got {0}"
    )]
    At(Argument),
    /// The script says twice when the job runs.
    #[error("delay and at cannot both be set")]
    DelayAndAt,
    /// The module or the function does not exist.
    #[error(transparent)]
    Target(#[from] TargetFault),
}

/// What a call has exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reached {
    /// `queue_pushes_max`
    #[error("a run may push {pushes_max} jobs (queue_pushes_max)")]
    Pushes {
        /// The quota.
        pushes_max: u32,
    },
    /// `queue_payload_bytes_max`
    #[error("the payload has {bytes} bytes as MessagePack; queue_payload_bytes_max is {bytes_max}")]
    PayloadBytes {
        /// Its size.
        bytes: usize,
        /// The quota.
        bytes_max: usize,
    },
    /// `queue_jobs_max`
    #[error("the brand has {jobs_max} jobs that are not done, which is the limit (queue_jobs_max)")]
    Jobs {
        /// The quota.
        jobs_max: u64,
    },
}
