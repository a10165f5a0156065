//! Measures how long requests hold the thread of their worker. It counts processor time: on a busy
//! machine, other processes must not look like a defect.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sluice_kit::thread::cpu_time;
use sluice_telemetry::Telemetry;

/// Shorter times are not recorded.
const RECORDED_FROM: Duration = Duration::from_millis(1);

/// Runs `future`, and records every poll that holds the thread for long.
pub async fn measured<F: Future>(future: F, telemetry: Arc<Telemetry>) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        let began = cpu_time();
        let polled = future.as_mut().poll(context);
        let held = cpu_time().saturating_sub(began);
        if held >= RECORDED_FROM {
            telemetry.metrics.worker_stalled(held);
        }
        polled
    })
    .await
}
