//! The signals that a server answers. None is missed from when they are watched.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT stop, SIGHUP reloads.
pub struct Signals {
    pub stop: Stop,
    pub hangup: Signal,
}

/// The two signals that stop the server.
pub struct Stop {
    term: Signal,
    int: Signal,
}

/// How the server was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopRequest {
    /// SIGTERM, as service managers send it: load balancers have to notice first.
    Drain,
    /// SIGINT, as a person at the terminal sends it.
    Now,
}

impl Signals {
    /// Begins to watch.
    ///
    /// # Errors
    /// The system does not let it.
    pub fn new() -> io::Result<Self> {
        let stop = Stop { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? };
        Ok(Self { stop, hangup: signal(SignalKind::hangup())? })
    }
}

impl Stop {
    /// Waits for one of them.
    pub async fn recv(&mut self) -> StopRequest {
        tokio::select! {
            _ = self.term.recv() => StopRequest::Drain,
            _ = self.int.recv() => StopRequest::Now,
        }
    }
}
