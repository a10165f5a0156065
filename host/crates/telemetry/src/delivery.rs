//! Counts spans and log records: how many are queued, sent, dropped because the queue was full, or
//! failed to be sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::logs::Severity;
use opentelemetry::metrics::Meter;
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

/// The queues of all signals.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    pub(super) spans: Queue,
    pub(super) logs: Queue,
}

/// The counts of one signal's queue. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    max: AtomicUsize,
    waiting: AtomicUsize,
    sent: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

impl Delivery {
    /// Publishes the counts as metrics.
    pub(super) fn observe(&self, meter: &Meter) {
        let queues = [("traces", self.spans.clone()), ("logs", self.logs.clone())];
        let waiting = queues.clone();
        meter
            .u64_observable_gauge("sluice.telemetry.queued")
            .with_description("Spans and log records waiting to be sent")
            .with_unit("{item}")
            .with_callback(move |observer| {
                for (signal, Queue(counts)) in &waiting {
                    let count = counts.waiting.load(Ordering::Relaxed);
                    observer.observe(count as u64, &[KeyValue::new("signal", *signal)]);
                }
            })
            .build();
        meter
            .u64_observable_counter("sluice.telemetry.items")
            .with_description("Spans and log records, by result")
            .with_unit("{item}")
            .with_callback(move |observer| {
                for (signal, Queue(counts)) in &queues {
                    for (result, count) in
                        [("sent", &counts.sent), ("dropped", &counts.dropped), ("failed", &counts.failed)]
                    {
                        let labels = [KeyValue::new("signal", *signal), KeyValue::new("result", result)];
                        observer.observe(count.load(Ordering::Relaxed), &labels);
                    }
                }
            })
            .build();
    }
}

impl Queue {
    /// Bounds the queue to `max` items.
    pub(super) fn set_max(&self, max: usize) {
        self.0.max.store(max, Ordering::Relaxed);
    }

    /// Reserves a place in the queue. If the queue is full, counts a dropped item and returns false.
    fn enter(&self) -> bool {
        let counts = &self.0;
        if counts.waiting.fetch_add(1, Ordering::Relaxed) < counts.max.load(Ordering::Relaxed) {
            return true;
        }
        counts.waiting.fetch_sub(1, Ordering::Relaxed);
        counts.dropped.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Counts items that have left the queue.
    fn leave(&self, count: usize, result: &OTelSdkResult) {
        let end = if result.is_ok() { &self.0.sent } else { &self.0.failed };
        end.fetch_add(count as u64, Ordering::Relaxed);
        self.0.waiting.fetch_sub(count, Ordering::Relaxed);
    }
}

/// Stands before the SDK's batch processor, and drops items for which the queue has no place.
#[derive(Debug)]
pub(super) struct CountedProcessor<P> {
    next: P,
    queue: Queue,
}

/// Stands behind the batch processor, and frees the places of the items that are sent.
#[derive(Debug)]
pub(super) struct CountedExporter<E> {
    next: E,
    queue: Queue,
}

impl<P> CountedProcessor<P> {
    pub(super) fn new(next: P, queue: &Queue) -> Self {
        Self { next, queue: queue.clone() }
    }
}

impl<E> CountedExporter<E> {
    pub(super) fn new(next: E, queue: &Queue) -> Self {
        Self { next, queue: queue.clone() }
    }
}

impl<P: SpanProcessor> SpanProcessor for CountedProcessor<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.queue.enter() {
            self.next.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

impl<E: SpanExporter> SpanExporter for CountedExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.next.export(batch).await;
        self.queue.leave(count, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

impl<P: LogProcessor> LogProcessor for CountedProcessor<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.queue.enter() {
            self.next.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.next.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for CountedExporter<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let count = batch.iter().count();
        let result = self.next.export(batch).await;
        self.queue.leave(count, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.next.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}
