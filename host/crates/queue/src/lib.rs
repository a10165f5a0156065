//! Jobs: functions of a brand's modules that run later, in a sandbox and without a visitor.
//!
//! ```text
//! queue.push ─ arguments.rs ─▶ NewJob ─ Pushes ─▶ end of the run ─ QueueStore ─▶ claimed by a host ─▶ run
//! ```
//!
//! A run keeps what it pushes until it ends. The jobs are then stored in the transaction of its other queued
//! writes. A host claims a job for a short time and prolongs the claim while the job runs, so another host
//! takes over the jobs of a host that crashed. A job therefore runs at least once.
//!
//! A schedule makes a job at each of its ticks; see [`schedule`] and [`ScheduleStore`].

#![deny(unsafe_code)]

mod access;
mod arguments;
mod call;
mod error;
mod job;
mod pushes;
pub mod schedule;
mod store;
mod tick;

pub use access::{QueueAccess, QueueCaps, TargetFault, Targets};
pub use arguments::{PUSH_OPTIONS, is_name};
pub use call::Call;
pub use error::{Mistake, QueueError, Reached};
pub use job::{
    Claim, ClaimedJob, Ending, JobId, NewJob, PAYLOAD_HEAD_MAX, QueueCounts, QueuedJob, State, TRIES_MAX,
};
pub use pushes::Pushes;
pub use store::{QueueChoice, QueueCommit, QueueStore, Status};
pub use tick::{LastJob, ScheduleState, ScheduleStore, Tick, TickStart};

/// The longest delay of a job: 30 days, in seconds.
pub const DELAY_SECONDS_MAX: f64 = 30.0 * 86_400.0;
/// The longest name of a module or function, and the longest tag and key, in characters.
pub const NAME_CHARS_MAX: usize = 191;
