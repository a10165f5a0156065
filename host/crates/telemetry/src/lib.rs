//! What the host tells about itself: traces, metrics and logs, in the terms of
//! OpenTelemetry.
//!
//! Metrics are always counted; `/metrics` shows them. With
//! `OTEL_EXPORTER_OTLP_ENDPOINT` they are sent as OTLP, too, and so are traces
//! and logs. Sending happens on threads of its own behind bounded queues: what
//! cannot be delivered is dropped and counted.

#![deny(unsafe_code)]

mod delivery;
mod http_client;
pub mod logging;
pub mod metrics;
mod otlp;
mod process;
pub mod trace;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use prometheus::{Encoder as _, TextEncoder};

use delivery::Delivery;
use metrics::Metrics;

/// Name of the instrumentation scope.
const SCOPE: &str = "sluice";
/// What is still queued may take this long to be sent when the process ends.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("telemetry: {0}")]
    Setup(String),
}

/// Lives as long as the process.
pub struct Telemetry {
    pub metrics: Metrics,
    tracer: Option<SdkTracer>,
    database_system: OnceLock<&'static str>,
    registry: prometheus::Registry,
    meters: SdkMeterProvider,
    traces: Option<SdkTracerProvider>,
    logs: Option<SdkLoggerProvider>,
}

impl Telemetry {
    /// Sets up what the environment's `OTEL_*` variables ask for.
    ///
    /// # Errors
    /// A variable that cannot be used.
    pub fn start(environment: impl Fn(&str) -> Option<String>) -> Result<Arc<Self>, TelemetryError> {
        let setup = |error: &dyn std::fmt::Display| TelemetryError::Setup(error.to_string());
        let registry = prometheus::Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .build()
            .map_err(|error| setup(&error))?;
        let resource = otlp::resource(&environment);
        let mut meters = SdkMeterProvider::builder().with_reader(reader).with_resource(resource.clone());
        let delivery = Delivery::default();
        let otlp = otlp::Otlp::new(&environment);
        if let Some(exporter) = otlp.metrics()? {
            meters = meters.with_periodic_exporter(exporter);
        }
        let traces = otlp.traces(&delivery.spans, &resource)?;
        let logs = otlp.logs(&delivery.logs, &resource)?;
        let meters = meters.build();
        let meter = meters.meter(SCOPE);
        let metrics = Metrics::new(&meter);
        delivery.observe(&meter);
        process::observe(&meter);
        let tracer = traces.as_ref().map(|traces| traces.tracer(SCOPE));
        Ok(Arc::new(Self {
            metrics,
            tracer,
            database_system: OnceLock::new(),
            registry,
            meters,
            traces,
            logs,
        }))
    }

    /// Which database the host asks.
    fn database_system(&self) -> &'static str {
        self.database_system.get().copied().unwrap_or("sqlite")
    }

    /// Notes which database the host asks: `sqlite` or `postgresql`.
    pub fn asks_database(&self, system: &'static str) {
        // Said once, at the start.
        let _ = self.database_system.set(system);
    }

    /// For instruments of parts that are made later.
    pub fn meter(&self) -> opentelemetry::metrics::Meter {
        self.meters.meter(SCOPE)
    }

    /// Where log records go besides standard error.
    pub fn logger_provider(&self) -> Option<&SdkLoggerProvider> {
        self.logs.as_ref()
    }

    /// All metrics in Prometheus' text form.
    ///
    /// # Errors
    /// A metric that has no text form: a defect of this program.
    pub fn prometheus_text(&self) -> Result<String, TelemetryError> {
        let families = self.registry.gather();
        let mut text = Vec::new();
        let written = TextEncoder::new().encode(&families, &mut text);
        written.map_err(|error| TelemetryError::Setup(error.to_string()))?;
        String::from_utf8(text).map_err(|error| TelemetryError::Setup(error.to_string()))
    }

    /// Sends what is still queued, for a bounded time. Blocks.
    pub fn shut_down(&self) {
        let tell = |end: OTelSdkResult| {
            if let Err(error) = end {
                tracing::warn!(%error, "telemetry was not all delivered");
            }
        };
        // At the same time: a receiver that stalls stalls all of them.
        std::thread::scope(|scope| {
            if let Some(traces) = &self.traces {
                scope.spawn(|| tell(traces.shutdown_with_timeout(SHUTDOWN_MAX)));
            }
            if let Some(logs) = &self.logs {
                scope.spawn(|| tell(logs.shutdown_with_timeout(SHUTDOWN_MAX)));
            }
            tell(self.meters.shutdown_with_timeout(SHUTDOWN_MAX));
        });
    }
}
