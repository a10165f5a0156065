//! Says in the log when a database that failed answers again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shorter failures are not worth a line: each failed call has one of its own.
const OUTAGE_MIN: Duration = Duration::from_secs(1);

/// Since when the calls of a database fail. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    /// What answers again, for the log.
    what: &'static str,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_failing: AtomicBool,
    since: Mutex<Option<Instant>>,
}

impl Health {
    pub(crate) fn of(what: &'static str) -> Self {
        Self { what, shared: Arc::default() }
    }

    /// Notes how a call of the database ended.
    pub(crate) fn note(&self, has_failed: bool) {
        if let Some(outage) = self.outage(has_failed, Instant::now()) {
            let seconds = outage.as_secs();
            tracing::info!(seconds, "{} again after {seconds} s", self.what);
        }
    }

    /// The length of the outage that this call ends.
    fn outage(&self, has_failed: bool, now: Instant) -> Option<Duration> {
        // Nearly every call succeeds after one that succeeded.
        if !has_failed && !self.shared.is_failing.load(Ordering::Acquire) {
            return None;
        }
        let mut since = self.shared.since.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.is_failing.store(has_failed, Ordering::Release);
        if has_failed {
            since.get_or_insert(now);
            return None;
        }
        let outage = now.saturating_duration_since(since.take()?);
        (outage >= OUTAGE_MIN).then_some(outage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_answer_after_an_outage_ends_it() {
        let health = Health::of("it answers");
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(health.outage(false, at(0)), None);
        assert_eq!(health.outage(true, at(1_000)), None);
        assert_eq!(health.outage(true, at(5_000)), None);
        assert_eq!(health.outage(false, at(8_000)), Some(Duration::from_secs(7)));
        assert_eq!(health.outage(false, at(9_000)), None, "it is said once");
        assert_eq!(health.outage(true, at(10_000)), None);
        assert_eq!(health.outage(false, at(10_500)), None, "a single failure is no outage");
    }
}
