//! The jobs that one run has pushed. They are stored when the run ends, together with the rest of what it
//! changes, or not at all.

use crate::{JobId, NewJob};

/// What a job takes in memory besides its texts and its payload.
const JOB_BYTES: usize = 256;

/// The jobs that one run has pushed, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushes {
    jobs: Vec<NewJob>,
    /// How many jobs the run has pushed, those that it replaced or cancelled included.
    pub(crate) pushed: u32,
    /// How many jobs the brand had room for at the first push.
    pub(crate) room: Option<u64>,
}

impl Pushes {
    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The number of jobs.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// The jobs, in the order in which they were pushed.
    pub fn into_jobs(self) -> Vec<NewJob> {
        self.jobs
    }

    /// Whether the run has pushed this job.
    pub(crate) fn has(&self, id: &JobId) -> Option<&NewJob> {
        self.jobs.iter().find(|job| job.id == *id)
    }

    /// Adds a job. It replaces one with the same key.
    pub(crate) fn add(&mut self, job: NewJob) {
        if job.key.is_some() {
            self.jobs.retain(|other| other.key != job.key);
        }
        self.jobs.push(job);
        self.pushed += 1;
    }

    /// Removes the jobs with a tag. Returns how many.
    pub(crate) fn cancel(&mut self, tag: &str) -> usize {
        let before = self.jobs.len();
        self.jobs.retain(|job| job.tag.as_deref() != Some(tag));
        before - self.jobs.len()
    }

    /// The bytes that the jobs take in memory.
    pub fn held_bytes(&self) -> usize {
        self.jobs.iter().map(held_bytes).sum()
    }
}

fn held_bytes(job: &NewJob) -> usize {
    let texts = [Some(&job.module), Some(&job.function), job.tag.as_ref(), job.key.as_ref()];
    JOB_BYTES + job.payload.len() + texts.into_iter().flatten().map(String::len).sum::<usize>()
}
