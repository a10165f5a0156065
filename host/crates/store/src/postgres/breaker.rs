//! Lets calls fail at once while the server does not answer.
//!
//! A call that waits for long makes the host probe the server on a connection of its own. Only if
//! the probe fails does the breaker open, so that a call which waits for a lock does not fail the
//! others. The probe is repeated until the server answers, and that closes the breaker.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use sluice_kit::{Cause, NoAnswer, StoreError};

/// The server does not answer.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    why: Cause,
}

impl Outage {
    /// The error of calls that fail at once.
    fn error(&self) -> StoreError {
        StoreError::Unavailable(NoAnswer::Outage(self.why.clone()))
    }
}

/// Whether calls may use the server.
#[derive(Debug)]
pub(super) struct Breaker {
    outage: watch::Sender<Option<Outage>>,
    is_probing: AtomicBool,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self { outage: watch::Sender::new(None), is_probing: AtomicBool::new(false) }
    }

    /// Fails while the breaker is open.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.outage.borrow().as_ref() {
            Some(outage) => Err(outage.error()),
            None => Ok(()),
        }
    }

    /// Why calls fail at once, if they do.
    pub(super) fn why(&self) -> Option<String> {
        self.outage.borrow().as_ref().map(|outage| outage.why.to_string())
    }

    /// Waits until the breaker opens. Returns the error of the calls that wait for the server.
    pub(super) async fn opened(&self) -> StoreError {
        let mut outage = self.outage.subscribe();
        let opened = outage.wait_for(Option::is_some).await;
        // The sender exists as long as the breaker.
        let error = opened.ok().and_then(|outage| outage.as_ref().map(Outage::error));
        error.unwrap_or(StoreError::Unavailable(NoAnswer::Closed))
    }

    /// Opens the breaker. Returns false if it was open already.
    pub(super) fn open(&self, why: Cause) -> bool {
        self.outage.send_if_modified(|outage| match outage {
            Some(outage) => {
                outage.why = why;
                false
            }
            None => {
                tracing::error!("the database does not answer ({why}); calls fail at once until it does");
                *outage = Some(Outage { why });
                true
            }
        })
    }

    /// Lets calls use the server again.
    pub(super) fn close(&self) {
        self.outage.send_if_modified(|outage| outage.take().is_some());
    }

    /// Returns true if no probe is running. The caller then begins one.
    pub(super) fn begin_probe(&self) -> bool {
        !self.is_probing.swap(true, Ordering::SeqCst)
    }

    /// Lets another probe begin.
    pub(super) fn end_probe(&self) {
        self.is_probing.store(false, Ordering::SeqCst);
    }
}
