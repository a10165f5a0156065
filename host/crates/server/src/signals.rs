//! The signals that the server handles. None is missed once [`Signals::new`] has returned.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT stop the server; SIGHUP reloads the site.
pub(crate) struct Signals {
    pub(crate) stop: Stop,
    pub(crate) hangup: Signal,
}

/// The two signals that stop the server.
pub(crate) struct Stop {
    term: Signal,
    int: Signal,
}

/// How the server was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopRequest {
    /// SIGTERM, as service managers send it: load balancers have to notice first.
    Drain,
    /// SIGINT, as a person at the terminal sends it.
    Now,
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
    /// Waits for SIGTERM or SIGINT and returns which one came.
    pub(crate) async fn recv(&mut self) -> StopRequest {
        tokio::select! {
            _ = self.term.recv() => StopRequest::Drain,
            _ = self.int.recv() => StopRequest::Now,
        }
    }
}
