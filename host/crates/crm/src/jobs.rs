//! Durable jobs: CRM writes that were acknowledged but not applied yet, and the trait that a
//! database implements to keep them.
//!
//! A job waits in each line of its write, and runs when it is the first in all of them. One
//! transaction applies the write and marks the job as done.

use std::sync::Arc;

use sluice_kit::{BoxFuture, StoreError};

use crate::{CrmCaps, CrmFault, CrmWrite};

/// Returns the quotas in force for a brand.
pub type CapsOfBrand = Arc<dyn Fn(&str) -> CrmCaps + Send + Sync>;

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It is to be applied.
    Waiting,
    /// It failed and waits for an operator. Other jobs do not wait for it.
    Parked,
    /// It was applied.
    Done,
}

impl JobState {
    /// The name that is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Done => "done",
        }
    }

    /// Returns the state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Parked, Self::Done].into_iter().find(|state| state.as_str() == name)
    }
}

/// A job, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// A later job has a greater id.
    pub id: i64,
    /// The brand's id.
    pub brand: String,
    /// The write without its values, such as `setCrmField leads customer/7`.
    pub what: String,
    /// Its state.
    pub state: JobState,
    /// An operator retried it after it was parked, so that it is applied after later jobs.
    pub is_late: bool,
    /// The number of tries that failed since it was made or retried.
    pub tries: u32,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds. A waiting job is not tried before.
    pub due_at: i64,
    /// Unix milliseconds at which it was applied or parked.
    pub ended_at: Option<i64>,
}

impl Job {
    /// Its id and its call, without the reference, for a line of a log: `17 setCrmField leads`. Long names are cut.
    pub fn brief(&self) -> String {
        let call: Vec<&str> = self.what.split(' ').take(2).collect();
        let call: String = call.join(" ").chars().take(60).collect();
        format!("{} {call}", self.id)
    }
}

/// Selects jobs for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobChoice {
    /// The job with this id, of any brand, if it is waiting or parked.
    One(i64),
    /// All parked jobs.
    Parked {
        /// Only those of this brand.
        brand: Option<String>,
    },
}

/// The number of jobs that are not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Waiting jobs.
    pub waiting: u64,
    /// Parked jobs.
    pub parked: u64,
    /// When the oldest waiting job was made, in Unix milliseconds.
    pub oldest_waiting_at: Option<i64>,
}

/// One try of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRun {
    /// The job's id.
    pub id: i64,
    /// The brand's id.
    pub brand: String,
    /// The write without its values; see [`Job::what`].
    pub what: String,
    /// How the try ended.
    pub end: JobEnd,
}

/// How one try of a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// The write was applied.
    Done,
    /// The try failed, and the job will be retried.
    Retry {
        /// Why the try failed.
        error: String,
        /// Unix milliseconds. The job is not retried before.
        due_at: i64,
    },
    /// The try failed, and the job waits for an operator.
    Parked {
        /// Why the try failed.
        error: String,
    },
}

/// A job is parked after this many failed tries.
pub const JOB_TRIES_MAX: u32 = 10;
/// The wait after the first failed try. Each further wait is twice as long, so that ten
/// tries take about an hour.
const FIRST_WAIT_MS: i64 = 7_000;
/// The longest of these waits. A job that seems to be due later than that was scheduled before the clock
/// was set back, and is due now.
pub const RETRY_WAIT_MS_MAX: i64 = FIRST_WAIT_MS << (JOB_TRIES_MAX - 2);

impl JobEnd {
    /// Decides whether a job is retried or parked after a try failed. `tries` is the number of
    /// failed tries, this one included. A job that the database refused is parked at once: it
    /// would be refused again, and meanwhile hold up its line.
    pub fn of_failure(fault: &CrmFault, tries: u32, now_ms: i64) -> Self {
        let error = fault.to_string();
        match fault {
            CrmFault::Store(StoreError::Unavailable(_) | StoreError::Failed(_)) if tries < JOB_TRIES_MAX => {
                let wait = FIRST_WAIT_MS << tries.saturating_sub(1).min(JOB_TRIES_MAX);
                Self::Retry { error, due_at: now_ms.saturating_add(wait) }
            }
            _ => Self::Parked { error },
        }
    }
}

/// The jobs of all brands.
pub trait JobStore: Send + Sync {
    /// Checks a write that is to become a job. Rejects it for the same reasons as
    /// [`write_crm`](super::CrmStore::write_crm), except those that waiting jobs in its lines
    /// could remove; see [`CrmFault::may_pass`]. Until it is done, a job counts for the brand's
    /// bytes. `queued_bytes` are those of all jobs that the run is going to make. Writes nothing.
    fn check_job(
        &self,
        brand: &str,
        write: &CrmWrite,
        queued_bytes: u64,
        caps: CrmCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<(), CrmFault>>;

    /// Tries at most `jobs_max` jobs that are due and first in their lines, in the order in
    /// which they were made. One transaction applies a write and marks its job, so that it is
    /// applied exactly once even if a host crashes. An empty result means that no job is due.
    fn run_jobs(
        &self,
        caps: CapsOfBrand,
        jobs_max: u32,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Vec<JobRun>, StoreError>>;

    /// Lists at most `jobs_max` jobs of a brand and a state, the oldest first. `None` stands for
    /// every brand or state.
    fn list_jobs(
        &self,
        brand: Option<&str>,
        state: Option<JobState>,
        jobs_max: u32,
    ) -> BoxFuture<'_, Result<Vec<Job>, StoreError>>;

    /// Counts the jobs that are not done.
    fn count_jobs(&self) -> BoxFuture<'_, Result<JobCounts, StoreError>>;

    /// The brands that have parked jobs, at most `brands_max`, and how many: the most first.
    fn count_parked_jobs(&self, brands_max: u32) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>>;

    /// Makes jobs due at once and resets their failed tries. Returns how many.
    fn retry_jobs(&self, which: JobChoice, now_ms: i64) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Deletes jobs that are not done. Their writes are lost. Returns how many.
    fn drop_jobs(&self, which: JobChoice) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Deletes at most `rows_max` jobs that were done before a time, and returns how many. A
    /// number below `rows_max` means that there are no more.
    fn delete_finished_jobs(&self, before_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>>;
}

#[cfg(test)]
mod tests {
    use sluice_kit::{BadRow, StoreFault};

    use super::*;
    use crate::Refusal;

    #[test]
    fn ten_tries_take_about_an_hour() {
        let fault = CrmFault::Store(StoreError::Failed(StoreFault::WritePanicked));
        let mut now = 0;
        for tries in 1..JOB_TRIES_MAX {
            let JobEnd::Retry { due_at, error } = JobEnd::of_failure(&fault, tries, now) else {
                panic!("parked after {tries}");
            };
            assert!(due_at > now && error.contains("panicked"));
            now = due_at;
        }
        assert!((50 * 60_000..70 * 60_000).contains(&now), "{now}");
        assert!(matches!(JobEnd::of_failure(&fault, JOB_TRIES_MAX, now), JobEnd::Parked { .. }));
    }

    #[test]
    fn refused_jobs_are_parked_at_once() {
        for fault in [
            CrmFault::Refused(Refusal::NoEntry),
            CrmFault::Cap(crate::CapReached::BrandBytes),
            CrmFault::UnknownSlug("leads".to_owned()),
            CrmFault::Store(StoreError::Corrupt { what: "job", why: BadRow::Missing }),
        ] {
            let JobEnd::Parked { error } = JobEnd::of_failure(&fault, 1, 0) else { panic!("{fault}") };
            assert_eq!(error, fault.to_string());
        }
    }
}
