//! Durable jobs: CRM writes that were acknowledged and are still to be applied.
//!
//! A job waits in each of its write's lines and runs once it is the first in all of
//! them. Applying the write and marking the job is one transaction.

use std::sync::Arc;

use sluice_kit::{BoxFuture, StoreError};

use crate::{CrmCaps, CrmFault, CrmWrite};

/// The quotas in force for a brand.
pub type CapsOfBrand = Arc<dyn Fn(&str) -> CrmCaps + Send + Sync>;

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// To be applied.
    Waiting,
    /// Not applied; holds nothing back and waits for an operator.
    Parked,
    /// Applied.
    Done,
}

impl JobState {
    /// As it is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Done => "done",
        }
    }

    /// The state that is written so.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Parked, Self::Done].into_iter().find(|state| state.as_str() == name)
    }
}

/// A job as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Ascends in the order in which jobs were made.
    pub id: i64,
    /// The brand's id.
    pub brand: String,
    /// `setCrmField leads customer/7`; never a value.
    pub what: String,
    /// Where it is.
    pub state: JobState,
    /// An operator had it tried again after it was parked: it comes late.
    pub is_late: bool,
    /// Tries that failed since it was made or retried.
    pub tries: u32,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds; while it waits, not tried before.
    pub due_at: i64,
    /// Unix milliseconds at which it was applied or parked.
    pub ended_at: Option<i64>,
}

/// Which jobs an operator means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobChoice {
    /// One of any brand, waiting or parked.
    One(i64),
    /// All parked ones, of one brand or of all.
    Parked {
        /// A brand's id.
        brand: Option<String>,
    },
}

/// Jobs that are not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// To be applied.
    pub waiting: u64,
    /// Waiting for an operator.
    pub parked: u64,
    /// When the oldest waiting job was made, in unix milliseconds.
    pub oldest_waiting_at: Option<i64>,
}

/// What became of a job in one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRun {
    /// The job.
    pub id: i64,
    /// The brand's id.
    pub brand: String,
    /// As in [`Job`].
    pub what: String,
    /// How it ended.
    pub end: JobEnd,
}

/// How one try of a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// Applied.
    Done,
    /// It failed and is tried again.
    Retry {
        /// Why.
        error: String,
        /// Unix milliseconds; not before.
        due_at: i64,
    },
    /// It waits for an operator.
    Parked {
        /// Why.
        error: String,
    },
}

/// Tries after which a job is parked.
pub const JOB_TRIES_MAX: u32 = 10;
/// Wait after the first failed try; each further wait is twice as long, so that ten
/// tries take about an hour.
const FIRST_WAIT_MS: i64 = 7_000;

impl JobEnd {
    /// What is to become of a job of which a try failed. `tries` are those that failed,
    /// this one included. What the database answered with a refusal stays refused
    /// however often it is tried, and would hold up its line for nothing.
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

/// Jobs of all brands.
pub trait JobStore: Send + Sync {
    /// Stores `write` as a job and gives its id. Refused like
    /// [`write_crm`](super::CrmStore::write_crm) would refuse it now; where other jobs
    /// wait in its lines, only for what those cannot change. Until it is done, a job
    /// counts against the brand's bytes.
    fn queue_crm(
        &self,
        brand: &str,
        write: CrmWrite,
        caps: CrmCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<i64, CrmFault>>;

    /// Tries at most `jobs_max` jobs that are due and first in their lines, in the
    /// order they were made. Each is applied and marked in one transaction, so that
    /// it is applied once however often a host dies. None: nothing is due.
    fn run_jobs(
        &self,
        caps: CapsOfBrand,
        jobs_max: u32,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Vec<JobRun>, StoreError>>;

    /// At most `jobs_max` jobs of a state and brand (`None`: of any), the oldest first.
    fn list_jobs(
        &self,
        brand: Option<&str>,
        state: Option<JobState>,
        jobs_max: u32,
    ) -> BoxFuture<'_, Result<Vec<Job>, StoreError>>;

    /// How many there are.
    fn count_jobs(&self) -> BoxFuture<'_, Result<JobCounts, StoreError>>;

    /// Has jobs tried again at once, with all their tries ahead of them. Says how many.
    fn retry_jobs(&self, which: JobChoice, now_ms: i64) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Forgets jobs that are not done; what they would have written is lost. Says how
    /// many.
    fn drop_jobs(&self, which: JobChoice) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Deletes at most `rows_max` jobs that were done before a time, and says how many.
    /// Fewer than `rows_max`: there are no more.
    fn delete_finished_jobs(&self, before_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Refusal;

    #[test]
    fn ten_tries_take_about_an_hour() {
        let fault = CrmFault::Store(StoreError::Failed("broken".to_owned()));
        let mut now = 0;
        for tries in 1..JOB_TRIES_MAX {
            let JobEnd::Retry { due_at, error } = JobEnd::of_failure(&fault, tries, now) else {
                panic!("parked after {tries}");
            };
            assert!(due_at > now && error.contains("broken"));
            now = due_at;
        }
        assert!((50 * 60_000..70 * 60_000).contains(&now), "{now}");
        assert!(matches!(JobEnd::of_failure(&fault, JOB_TRIES_MAX, now), JobEnd::Parked { .. }));
    }

    #[test]
    fn what_is_refused_is_parked_at_once() {
        for fault in [
            CrmFault::Refused(Refusal::NoEntry),
            CrmFault::Cap(crate::CapReached::BrandBytes),
            CrmFault::UnknownSlug("leads".to_owned()),
            CrmFault::Store(StoreError::Corrupt { what: "job", why: "cut short".to_owned() }),
        ] {
            let JobEnd::Parked { error } = JobEnd::of_failure(&fault, 1, 0) else { panic!("{fault}") };
            assert_eq!(error, fault.to_string());
        }
    }
}
