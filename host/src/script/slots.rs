//! Admission: so many sandboxes run, so many requests wait, the rest are told
//! to come back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Requests that may wait for a sandbox.
const WAITING_MAX: usize = 1_024;
const WAIT_MAX: Duration = Duration::from_secs(30);

pub struct Slots {
    free: Semaphore,
    waiting: AtomicUsize,
}

impl Slots {
    pub fn new(count: usize) -> Self {
        Self { free: Semaphore::new(count), waiting: AtomicUsize::new(0) }
    }

    /// A place for one run; none when the line is full or waiting took too long.
    pub async fn take(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(slot) = self.free.try_acquire() {
            return Some(slot);
        }
        let _place = Place::in_line(&self.waiting)?;
        tokio::time::timeout(WAIT_MAX, self.free.acquire()).await.ok()?.ok()
    }
}

/// A place in the line, given back however the wait ends.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn in_line(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_given_back() {
        let slots = Slots::new(1);
        let first = slots.take().await;
        assert!(first.is_some());
        let waiting = slots.take();
        drop(first);
        assert!(waiting.await.is_some());
        assert_eq!(slots.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn the_line_is_bounded() {
        let slots = Slots::new(1);
        let _running = slots.take().await;
        slots.waiting.store(WAITING_MAX, Ordering::Relaxed);
        assert!(slots.take().await.is_none());
        assert_eq!(slots.waiting.load(Ordering::Relaxed), WAITING_MAX);
    }
}
