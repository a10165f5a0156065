//! The log: human text in a terminal, JSON elsewhere, on standard error; with
//! traces ids, and over OTLP where the environment says so.

use std::io::IsTerminal as _;

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::Telemetry;

/// What is logged unless `SLUICE_LOG` says otherwise.
pub const DEFAULT_FILTER: &str = "info,actix_server=warn";
/// What sending does must not be sent: it would never end.
const NOT_SENT: &str = "opentelemetry=off,opentelemetry_sdk=off,opentelemetry_otlp=off,\
                        opentelemetry_http=off,ureq=off,ureq_proto=off,rustls=off";

/// Starts logging. Call it once.
pub fn start(telemetry: Option<&Telemetry>, default_filter: &str) {
    let filter = || EnvFilter::try_from_env("SLUICE_LOG").unwrap_or_else(|_| EnvFilter::new(default_filter));
    let text = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let text = if std::io::stderr().is_terminal() {
        text.with_target(false).with_filter(filter()).boxed()
    } else {
        text.json().with_span_list(false).with_filter(filter()).boxed()
    };
    let sent = telemetry.and_then(Telemetry::logger_provider).map(|provider| {
        let directives = NOT_SENT.split(',').filter_map(|directive| directive.trim().parse().ok());
        let filter = directives.fold(filter(), EnvFilter::add_directive);
        OpenTelemetryTracingBridge::new(provider).with_filter(filter)
    });
    tracing_subscriber::registry().with(text).with(sent).init();
}
