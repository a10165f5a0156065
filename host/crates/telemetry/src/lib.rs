//! The host's traces, metrics and logs, in the terms of OpenTelemetry.
//!
//! Metrics are always counted, and `/metrics` shows them. With `OTEL_EXPORTER_OTLP_ENDPOINT`,
//! metrics, traces and logs are also sent as OTLP. Threads behind bounded queues send them. Spans
//! and log records that cannot be delivered are dropped and counted.

#![deny(unsafe_code)]

mod delivery;
mod floods;
mod http_client;
pub mod logging;
pub mod metrics;
mod otlp;
pub mod process;
pub mod trace;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use prometheus::TextEncoder;

use delivery::Delivery;
use metrics::Metrics;

/// The name of the instrumentation scope.
const SCOPE: &str = "sluice";
/// How long sending the queued items may take when the process ends.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// Why telemetry cannot be set up or read.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A variable that must be a number is not one.
    #[error("telemetry: {variable}: `{text}` is not a number")]
    NotANumber {
        /// The variable's name.
        variable: &'static str,
        /// Its value.
        text: String,
    },
    /// An exporter cannot be made from its variables.
    #[error("telemetry: the OTEL_EXPORTER_OTLP_* variables cannot be used: {0}")]
    Exporter(ExporterBuildError),
    /// The Prometheus exporter cannot be made.
    #[error("telemetry: {0}")]
    Prometheus(OTelSdkError),
    /// A metric cannot be written in Prometheus' text format.
    #[error("telemetry: {0}")]
    Encode(prometheus::Error),
}

/// The process's telemetry. It lives as long as the process.
pub struct Telemetry {
    /// The instruments that requests use.
    pub metrics: Metrics,
    tracer: Option<SdkTracer>,
    database_system: OnceLock<&'static str>,
    registry: prometheus::Registry,
    meters: SdkMeterProvider,
    traces: Option<SdkTracerProvider>,
    logs: Option<SdkLoggerProvider>,
}

impl Telemetry {
    /// Sets up telemetry as the environment's `OTEL_*` variables say. `environment` returns the
    /// value of a variable.
    ///
    /// # Errors
    /// A variable is not valid.
    pub fn start(environment: impl Fn(&str) -> Option<String>) -> Result<Arc<Self>, TelemetryError> {
        let registry = prometheus::Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .build()
            .map_err(TelemetryError::Prometheus)?;
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

    /// The kind of database that the host uses.
    fn database_system(&self) -> &'static str {
        self.database_system.get().copied().unwrap_or("sqlite")
    }

    /// Sets the kind of database that the host uses: `sqlite` or `postgresql`.
    pub fn set_database_system(&self, system: &'static str) {
        // This is set once, at the start.
        let _ = self.database_system.set(system);
    }

    /// The meter for instruments that are made later.
    pub fn meter(&self) -> opentelemetry::metrics::Meter {
        self.meters.meter(SCOPE)
    }

    /// The provider that sends log records, if they are sent as OTLP.
    pub(crate) fn logger_provider(&self) -> Option<&SdkLoggerProvider> {
        self.logs.as_ref()
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// A metric cannot be written as text, which is a defect of this program.
    pub fn prometheus_text(&self) -> Result<String, TelemetryError> {
        let families = self.registry.gather();
        TextEncoder::new().encode_to_string(&families).map_err(TelemetryError::Encode)
    }

    /// Sends the queued items. Blocks, for a bounded time.
    pub fn shut_down(&self) {
        logging::report_dropped();
        let report = |result: OTelSdkResult| {
            if let Err(error) = result {
                tracing::warn!(%error, "some telemetry was not delivered");
            }
        };
        // In parallel, because a receiver that hangs would delay all of them.
        std::thread::scope(|scope| {
            if let Some(traces) = &self.traces {
                scope.spawn(|| report(traces.shutdown_with_timeout(SHUTDOWN_MAX)));
            }
            if let Some(logs) = &self.logs {
                scope.spawn(|| report(logs.shutdown_with_timeout(SHUTDOWN_MAX)));
            }
            report(self.meters.shutdown_with_timeout(SHUTDOWN_MAX));
        });
    }
}
