//! How long a call may take, and whether it waits for its turn meanwhile.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::call::Response;
use crate::error::CallError;

/// Whether a call waits for one of the calls that its brand may make at a time.
#[derive(Default)]
pub(crate) struct Turn(AtomicBool);

impl Turn {
    /// Waits for an admission.
    pub(crate) async fn wait<T>(&self, admission: impl Future<Output = T>) -> T {
        self.0.store(true, Ordering::Relaxed);
        let admitted = admission.await;
        self.0.store(false, Ordering::Relaxed);
        admitted
    }

    fn is_awaited(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Ends a call when its time is over: that of its quota, or less if the script says so.
pub(crate) async fn within(
    wall: Duration,
    timeout: Option<Duration>,
    host: String,
    turn: &Turn,
    call: impl Future<Output = Result<Response, CallError>>,
) -> Result<Response, CallError> {
    let own = timeout.filter(|own| *own < wall);
    let time = own.unwrap_or(wall);
    let ended = tokio::time::timeout(time, call).await;
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    ended.unwrap_or_else(|_| {
        Err(match own {
            _ if turn.is_awaited() => CallError::NoTurn { host, ms, is_own: own.is_some() },
            Some(_) => CallError::Aborted { host, ms },
            None => CallError::Wall { host, ms },
        })
    })
}
