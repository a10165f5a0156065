//! The log: human text in a terminal, JSON elsewhere, on standard error; with
//! traces ids, and over OTLP where the environment says so.

use std::io::IsTerminal as _;

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use sluice_kit::terminal::Style;

use super::Telemetry;

/// What is logged unless `SLUICE_LOG` says otherwise.
pub const DEFAULT_FILTER: &str = "info,actix_server=warn";
/// Where a command prints what happens by itself.
pub const QUIET_FILTER: &str = "warn,sluice_runs::run_log=off,sluice_app::reload=off,sluice_site::load=off";
/// What sending does must not be sent: it would never end.
const NOT_SENT: &str = "opentelemetry=off,opentelemetry_sdk=off,opentelemetry_otlp=off,\
                        opentelemetry_http=off,ureq=off,ureq_proto=off,rustls=off";

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

impl Format {
    /// Text in a terminal, JSON elsewhere.
    pub fn of_stderr() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Starts logging; `unless_set` is the filter without a `SLUICE_LOG`. Call it once.
pub fn start(telemetry: Option<&Telemetry>, unless_set: &str, format: Format) {
    let filter = || EnvFilter::try_from_env("SLUICE_LOG").unwrap_or_else(|_| EnvFilter::new(unless_set));
    let text = tracing_subscriber::fmt::layer().with_writer(sluice_kit::terminal::stderr);
    let text = match format {
        Format::Text => {
            let colors = Style::of(&std::io::stderr()).has_colors;
            text.with_target(false).with_ansi(colors).with_filter(filter()).boxed()
        }
        Format::Json => text.json().with_span_list(false).with_filter(filter()).boxed(),
    };
    let sent = telemetry.and_then(Telemetry::logger_provider).map(|provider| {
        let directives = NOT_SENT.split(',').filter_map(|directive| directive.trim().parse().ok());
        let filter = directives.fold(filter(), EnvFilter::add_directive);
        OpenTelemetryTracingBridge::new(provider).with_filter(filter)
    });
    tracing_subscriber::registry().with(text).with(sent).init();
}
