//! The writes that one run queues with `async: true`. They are stored as jobs together with the
//! rest of what the run changes, or not at all.

use std::io;

use crate::{CrmFault, CrmWrite, Line, Reference, Slug};

/// The bytes of the writes that one run may queue. The host keeps them in memory until the run
/// ends.
pub const QUEUED_BYTES_MAX: u64 = 4 << 20;

/// The writes that one run has queued, in order; and what the run owes for its searches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueuedWrites {
    writes: Vec<CrmWrite>,
    bytes: u64,
    examined: u32,
}

impl QueuedWrites {
    /// Notes how many rows a search has examined.
    pub(crate) fn note_examined(&mut self, rows: u32) {
        self.examined = self.examined.saturating_add(rows);
    }

    /// The rows that searches have examined since this was asked last. The run pays for them.
    pub fn take_examined(&mut self) -> u32 {
        std::mem::take(&mut self.examined)
    }

    /// Whether the run has queued nothing.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The number of writes.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// The writes, in the order in which they were queued.
    pub fn into_writes(self) -> Vec<CrmWrite> {
        self.writes
    }

    /// The bytes of all jobs if `write` is queued, too. `None` if they would be too many.
    pub(crate) fn bytes_with(&self, write: &CrmWrite) -> Option<u64> {
        let bytes = self.bytes.saturating_add(stored_bytes(write));
        Some(bytes).filter(|bytes| *bytes <= QUEUED_BYTES_MAX)
    }

    /// Whether a write that the run queued earlier could remove the reason for `fault`.
    pub(crate) fn may_remove(&self, fault: &CrmFault, write: &CrmWrite) -> bool {
        let lines = write.lines();
        fault.may_pass() && self.lines().any(|line| lines.contains(&line))
    }

    /// Queues a write.
    pub(crate) fn add(&mut self, write: CrmWrite) {
        self.bytes = self.bytes.saturating_add(stored_bytes(&write));
        self.writes.push(write);
    }

    /// Lets queued writes to `from` follow a login: what they write will be given to `to`.
    pub(crate) fn follow(&mut self, from: &Reference, to: &Reference) {
        let mut slugs: Vec<Slug> =
            self.lines().filter(|line| line.reference == *from).map(|line| line.slug).collect();
        slugs.sort_unstable();
        slugs.dedup();
        for slug in slugs {
            self.add(CrmWrite::Reassign { slug, from: from.clone(), to: to.clone() });
        }
    }

    fn lines(&self) -> impl Iterator<Item = Line> {
        self.writes.iter().flat_map(CrmWrite::lines)
    }
}

/// The bytes that a job of this write takes in the database.
fn stored_bytes(write: &CrmWrite) -> u64 {
    let mut count = Count(0);
    // Counting cannot fail. A write that cannot be encoded is rejected when it is stored.
    let _ = rmp_serde::encode::write_named(&mut count, write);
    count.0
}

/// A writer that only counts.
struct Count(u64);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
