//! The process's memory and processor time, from `/proc`.

use std::time::Instant;

use opentelemetry::metrics::Meter;

/// The unit of times in `/proc`, which does not depend on the kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: usize = 4_096;

/// Publishes the metrics of the process.
pub(super) fn observe(meter: &Meter) {
    let started = Instant::now();
    meter
        .f64_observable_gauge("process.uptime")
        .with_description("Time since the process started")
        .with_unit("s")
        .with_callback(move |observer| observer.observe(started.elapsed().as_secs_f64(), &[]))
        .build();
    meter
        .u64_observable_gauge("process.memory.usage")
        .with_description("Resident memory of the process")
        .with_unit("By")
        .with_callback(|observer| {
            if let Some(bytes) = resident_bytes() {
                observer.observe(bytes as u64, &[]);
            }
        })
        .build();
    meter
        .f64_observable_counter("process.cpu.time")
        .with_description("Processor time that the process has used")
        .with_unit("s")
        .with_callback(|observer| {
            if let Some(seconds) = cpu_seconds() {
                observer.observe(seconds, &[]);
            }
        })
        .build();
}

/// The resident memory of the process.
pub fn resident_bytes() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split_whitespace().nth(1)?.parse::<usize>().ok()?.checked_mul(PAGE_BYTES)
}

/// The processor time that the process has used, in seconds.
///
/// User and system time are the 12th and 13th field after the name, which may contain spaces.
pub fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}
