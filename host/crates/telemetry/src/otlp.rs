//! The exporters for OTLP. The standard `OTEL_*` variables say which signals are sent, where and
//! how. The exporters themselves read most of the variables.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{
    LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};

use super::TelemetryError;
use super::delivery::{CountedExporter, CountedProcessor, Queue};
use super::http_client::Client;

/// The default of `OTEL_EXPORTER_OTLP_TIMEOUT` in OpenTelemetry's specification.
const TIMEOUT_MS: u64 = 10_000;
/// The default of `OTEL_BSP_MAX_QUEUE_SIZE` and `OTEL_BLRP_MAX_QUEUE_SIZE` in the specification.
const QUEUE_MAX: usize = 2_048;

/// Makes exporters as the environment says.
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

    /// Whether a signal is sent: `TRACES`, `METRICS` or `LOGS`.
    fn is_on(&self, signal: &str) -> bool {
        let is = |name: &str, text: &str| {
            self.variable(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(text))
        };
        let has_endpoint = self.variable("OTEL_EXPORTER_OTLP_ENDPOINT").is_some()
            || self.variable(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")).is_some();
        has_endpoint && !is("OTEL_SDK_DISABLED", "true") && !is(&format!("OTEL_{signal}_EXPORTER"), "none")
    }

    fn client(&self, signal: &str) -> Result<Client, TelemetryError> {
        let own = match signal {
            "TRACES" => "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
            "METRICS" => "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
            _ => "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
        };
        let of_all = || ("OTEL_EXPORTER_OTLP_TIMEOUT", self.variable("OTEL_EXPORTER_OTLP_TIMEOUT"));
        let (name, timeout) = self.variable(own).map_or_else(of_all, |text| (own, Some(text)));
        let milliseconds = number(name, timeout, TIMEOUT_MS)?;
        Ok(Client::new(Duration::from_millis(milliseconds)))
    }

    /// The exporter of metrics, if they are sent.
    pub(super) fn metrics(&self) -> Result<Option<MetricExporter>, TelemetryError> {
        if !self.is_on("METRICS") {
            return Ok(None);
        }
        let exporter = MetricExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(self.client("METRICS")?)
            .build();
        exporter.map(Some).map_err(TelemetryError::Exporter)
    }

    /// The provider of traces, if they are sent. Spans go through `queue`.
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
            .map_err(TelemetryError::Exporter)?;
        let size = self.variable("OTEL_BSP_MAX_QUEUE_SIZE");
        queue.set_max(number("OTEL_BSP_MAX_QUEUE_SIZE", size, QUEUE_MAX)?);
        let batches = BatchSpanProcessor::builder(CountedExporter::new(exporter, queue)).build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(CountedProcessor::new(batches, queue))
            .with_resource(resource.clone());
        Ok(Some(provider.build()))
    }

    /// The provider of logs, if they are sent. Records go through `queue`.
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
            .map_err(TelemetryError::Exporter)?;
        let size = self.variable("OTEL_BLRP_MAX_QUEUE_SIZE");
        queue.set_max(number("OTEL_BLRP_MAX_QUEUE_SIZE", size, QUEUE_MAX)?);
        let batches = BatchLogProcessor::builder(CountedExporter::new(exporter, queue)).build();
        let provider = SdkLoggerProvider::builder()
            .with_log_processor(CountedProcessor::new(batches, queue))
            .with_resource(resource.clone());
        Ok(Some(provider.build()))
    }
}

/// The value of a variable, or `default` if it is not set.
fn number<T: std::str::FromStr>(
    variable: &'static str,
    text: Option<String>,
    default: T,
) -> Result<T, TelemetryError> {
    let Some(text) = text else { return Ok(default) };
    text.trim().parse().map_err(|_| TelemetryError::NotANumber { variable, text })
}

/// Describes this process. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` override the name of
/// the service.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_timeout_is_reported_under_the_name_of_its_variable() {
        for name in ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"] {
            let environment = |asked: &str| (asked == name).then(|| "5s".to_owned());
            let error = Otlp::new(&environment).client("TRACES").err().unwrap();
            assert_eq!(error.to_string(), format!("telemetry: {name}: `5s` is not a number"));
        }
    }
}
