//! What the service manager (systemd) is told, if it started the process and listens.

use std::time::Duration;

use sd_notify::NotifyState;

/// The server accepts requests. systemd starts what comes after it.
pub(crate) fn tell_ready() {
    tell(NotifyState::Ready);
}

/// The server finishes what is in progress.
pub(crate) fn tell_stopping() {
    tell(NotifyState::Stopping);
}

/// Tells systemd twice within each `WatchdogSec` that the server still runs, until it is dropped.
pub(crate) async fn feed_watchdog() {
    let mut microseconds = 0;
    if !sd_notify::watchdog_enabled(false, &mut microseconds) || microseconds == 0 {
        return;
    }
    loop {
        tell(NotifyState::Watchdog);
        tokio::time::sleep(Duration::from_micros(microseconds) / 2).await;
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(false, &[state]) {
        tracing::warn!(%error, "the service manager cannot be told how the server is");
    }
}
