//! The signals that the server handles. None is missed once [`Signals::new`] has returned.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT stop the server; SIGHUP reloads the site.
pub(crate) struct Signals {
    pub(crate) stop: Stop,
    pub(crate) hangup: Signal,
}

/// SIGTERM and SIGINT.
pub(crate) struct Stop {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// Starts to watch for the signals.
    ///
    /// # Errors
    /// The system does not deliver them.
    pub(crate) fn new() -> io::Result<Self> {
        let stop = Stop { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? };
        Ok(Self { stop, hangup: signal(SignalKind::hangup())? })
    }
}

impl Stop {
    /// Waits for SIGTERM or SIGINT.
    pub(crate) async fn recv(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
