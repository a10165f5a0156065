//! Which signals are sent as OTLP, where to, and how: the standard `OTEL_*`
//! variables, most of which the exporters read themselves.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig as _,
    WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};

use super::TelemetryError;
use super::delivery::{CountedExporter, CountedProcessor, Queue};
use super::http_client::Client;

/// The variables' defaults, as the specification gives them.
const TIMEOUT_MS: u64 = 10_000;
const QUEUE_MAX: usize = 2_048;

pub(super) struct Otlp<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Otlp<'a> {
    pub(super) fn new(environment: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { environment }
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    /// Whether `TRACES`, `METRICS` or `LOGS` are sent.
    fn is_on(&self, signal: &str) -> bool {
        let is = |name: &str, text: &str| {
            self.variable(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(text))
        };
        let has_endpoint = self.variable("OTEL_EXPORTER_OTLP_ENDPOINT").is_some()
            || self.variable(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")).is_some();
        has_endpoint && !is("OTEL_SDK_DISABLED", "true") && !is(&format!("OTEL_{signal}_EXPORTER"), "none")
    }

    fn client(&self, signal: &str) -> Result<Client, TelemetryError> {
        let own = self.variable(&format!("OTEL_EXPORTER_OTLP_{signal}_TIMEOUT"));
        let timeout = own.or_else(|| self.variable("OTEL_EXPORTER_OTLP_TIMEOUT"));
        let milliseconds = number("OTEL_EXPORTER_OTLP_TIMEOUT", timeout, TIMEOUT_MS)?;
        Ok(Client::new(Duration::from_millis(milliseconds)))
    }

    pub(super) fn metrics(&self) -> Result<Option<MetricExporter>, TelemetryError> {
        if !self.is_on("METRICS") {
            return Ok(None);
        }
        let exporter = MetricExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(self.client("METRICS")?)
            .build();
        exporter.map(Some).map_err(unusable)
    }

    pub(super) fn traces(
        &self,
        queue: &Queue,
        resource: &Resource,
    ) -> Result<Option<SdkTracerProvider>, TelemetryError> {
        if !self.is_on("TRACES") {
            return Ok(None);
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(self.client("TRACES")?)
            .build()
            .map_err(unusable)?;
        let size = self.variable("OTEL_BSP_MAX_QUEUE_SIZE");
        queue.bound(number("OTEL_BSP_MAX_QUEUE_SIZE", size, QUEUE_MAX)?);
        let batches = BatchSpanProcessor::builder(CountedExporter::new(exporter, queue)).build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(CountedProcessor::new(batches, queue))
            .with_resource(resource.clone());
        Ok(Some(provider.build()))
    }

    pub(super) fn logs(
        &self,
        queue: &Queue,
        resource: &Resource,
    ) -> Result<Option<SdkLoggerProvider>, TelemetryError> {
        if !self.is_on("LOGS") {
            return Ok(None);
        }
        let exporter = LogExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(self.client("LOGS")?)
            .build()
            .map_err(unusable)?;
        let size = self.variable("OTEL_BLRP_MAX_QUEUE_SIZE");
        queue.bound(number("OTEL_BLRP_MAX_QUEUE_SIZE", size, QUEUE_MAX)?);
        let batches = BatchLogProcessor::builder(CountedExporter::new(exporter, queue)).build();
        let provider = SdkLoggerProvider::builder()
            .with_log_processor(CountedProcessor::new(batches, queue))
            .with_resource(resource.clone());
        Ok(Some(provider.build()))
    }
}

fn unusable(error: ExporterBuildError) -> TelemetryError {
    TelemetryError::Setup(format!("the OTEL_EXPORTER_OTLP_* variables cannot be used: {error}"))
}

fn number<T: std::str::FromStr>(name: &str, text: Option<String>, default: T) -> Result<T, TelemetryError> {
    let Some(text) = text else { return Ok(default) };
    text.trim().parse().map_err(|_| TelemetryError::Setup(format!("{name}: `{text}` is not a number")))
}

/// Who tells: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win.
pub(super) fn resource(environment: &impl Fn(&str) -> Option<String>) -> Resource {
    let named = environment("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty())
        || environment("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|list| list.contains("service.name="));
    let mut builder =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if !named {
        builder = builder.with_service_name("sluice");
    }
    builder.build()
}
