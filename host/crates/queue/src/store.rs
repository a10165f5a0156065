//! The trait that a database implements to keep jobs.

use sluice_kit::{BoxFuture, StoreError};

use crate::{Claim, ClaimedJob, Ending, JobId, NewJob, QueueCounts, QueuedJob, State};

/// The part of a run's changes that concerns jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueCommit {
    /// The jobs that the run pushed. One with a key replaces the pending job with that key.
    pub jobs: Vec<NewJob>,
    /// The most jobs of the brand that are not done. The whole commit fails if there are more.
    pub jobs_max: u64,
    /// The job that was run, which is done now. The whole commit fails if the claim is not valid any more.
    pub done: Option<Claim>,
}

impl QueueCommit {
    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.done.is_none()
    }
}

/// What a script learns about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: State,
    /// The tries so far.
    pub attempts: u32,
    /// Unix milliseconds: when it was first due.
    pub scheduled_for: i64,
}

/// Selects jobs for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueChoice {
    /// The job with this id, of any brand, if it is pending or parked.
    One(JobId),
    /// All parked jobs.
    Parked {
        /// Only those of this brand.
        brand: Option<String>,
    },
    /// All pending and parked jobs of a brand.
    All {
        /// The brand's id.
        brand: String,
    },
}

/// The jobs of all brands.
pub trait QueueStore: Send + Sync {
    /// How many jobs of a brand are not done, counted up to `count_max`.
    fn queued_jobs_of(&self, brand: &str, count_max: u64) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Stores a job of a brand, unless the brand already has `jobs_max` jobs that are not done. Returns whether
    /// it is stored.
    fn add_queued(
        &self,
        brand: &str,
        job: NewJob,
        jobs_max: u64,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Removes the pending jobs of a brand with this tag. Returns how many.
    fn cancel_queued(&self, brand: &str, tag: &str) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Looks up a job of a brand.
    fn queued_status(&self, brand: &str, id: &JobId) -> BoxFuture<'_, Result<Option<Status>, StoreError>>;

    /// The brands that have a job to run now, in the order of their names.
    fn due_brands(&self, now_ms: i64) -> BoxFuture<'_, Result<Vec<String>, StoreError>>;

    /// Claims the job of a brand that has been due the longest. No other call claims it until `until_ms`.
    fn claim_queued(
        &self,
        brand: &str,
        now_ms: i64,
        until_ms: i64,
    ) -> BoxFuture<'_, Result<Option<ClaimedJob>, StoreError>>;

    /// Prolongs claims that are still valid.
    fn renew_claims(&self, claims: Vec<Claim>, until_ms: i64) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Ends a claim whose job is not done. A job to be tried again whose key another pending job has is
    /// removed. Returns whether the claim was still valid.
    fn end_claim(&self, claim: Claim, ending: Ending, now_ms: i64)
    -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Lists at most `jobs_max` jobs of a brand and a state: pending and running jobs in the order in which they
    /// are due, others in that in which they were made. `None` stands for every brand or state.
    fn list_queued(
        &self,
        brand: Option<&str>,
        state: Option<State>,
        jobs_max: u32,
    ) -> BoxFuture<'_, Result<Vec<QueuedJob>, StoreError>>;

    /// Looks up a job of any brand.
    fn find_queued(&self, id: &JobId) -> BoxFuture<'_, Result<Option<QueuedJob>, StoreError>>;

    /// The payload of a job of any brand, as MessagePack.
    fn queued_payload(&self, id: &JobId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;

    /// Counts the jobs that are not done.
    fn count_queued(&self, now_ms: i64) -> BoxFuture<'_, Result<QueueCounts, StoreError>>;

    /// The brands that have parked jobs, at most `brands_max`, and how many: the most first.
    fn count_parked_queued(&self, brands_max: u32) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>>;

    /// Makes jobs due at once and forgets their tries. A parked job whose key a later job has stays parked.
    /// Returns how many.
    fn retry_queued(&self, which: QueueChoice, now_ms: i64) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Deletes jobs that are pending or parked. Returns how many.
    fn drop_queued(&self, which: QueueChoice) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Deletes at most `rows_max` jobs that were done before a time, and returns how many. A number below
    /// `rows_max` means that there are no more.
    fn delete_finished_queued(&self, before_ms: i64, rows_max: u32)
    -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Deletes at most `rows_max` jobs that are done, of brands that have more than `kept_max` of them: those that
    /// were made first. Returns how many, as above.
    fn delete_excess_queued(&self, kept_max: u32, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>>;
}
