//! The log on standard error: text in a terminal, otherwise JSON. If the environment says so,
//! records are also sent as OTLP, with the ids of their traces.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use sluice_kit::terminal::Style;

use super::Telemetry;
use super::floods::Floods;

/// The filter if `SLUICE_LOG` is not set.
pub const DEFAULT_FILTER: &str = "info,actix_server=warn";
/// The filter of `sluice dev` if `SLUICE_LOG` is not set. The modules that it turns off report what
/// the command prints in its own way.
pub const QUIET_FILTER: &str = "warn,sluice_runs::run_log=off,sluice_app::reload=off,sluice_site::load=off";
/// The records of the exporters are not sent, because sending them would produce more records.
const NOT_SENT: &str = "opentelemetry=off,opentelemetry_sdk=off,opentelemetry_otlp=off,\
                        opentelemetry_http=off,ureq=off,ureq_proto=off,rustls=off";

/// What counts the records that standard error does not get.
static FLOODS: OnceLock<Floods> = OnceLock::new();

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text for people.
    Text,
    /// One JSON object on each line.
    Json,
}

impl Format {
    /// Text if standard error is a terminal, otherwise JSON.
    pub fn of_stderr() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Starts logging. `default_filter` applies if `SLUICE_LOG` is not set or not valid. Call this once.
pub fn start(telemetry: Option<&Telemetry>, default_filter: &str, format: Format) {
    let filter = || EnvFilter::try_from_env("SLUICE_LOG").unwrap_or_else(|_| EnvFilter::new(default_filter));
    let floods = Floods::counting();
    let text = tracing_subscriber::fmt::layer().with_writer(sluice_kit::bar::stderr);
    let text = match format {
        Format::Text => {
            let colors = Style::of(&std::io::stderr()).has_colors;
            text.with_target(false).with_ansi(colors).with_filter(filter().and(floods.clone())).boxed()
        }
        Format::Json => text.json().with_span_list(false).with_filter(filter().and(floods.clone())).boxed(),
    };
    let sent = telemetry.and_then(Telemetry::logger_provider).map(|provider| {
        let directives = NOT_SENT.split(',').filter_map(|directive| directive.trim().parse().ok());
        let filter = directives.fold(filter(), EnvFilter::add_directive);
        // Both logs drop the same records, and standard error counts them.
        OpenTelemetryTracingBridge::new(provider).with_filter(filter.and(Floods::silent()))
    });
    tracing_subscriber::registry().with(text).with(sent).init();
    match floods.report() {
        Ok(()) => _ = FLOODS.set(floods),
        Err(error) => tracing::warn!(%error, "the log cannot say how many records it drops"),
    }
}

/// Logs how many records were dropped in the last second. Call this before the process ends.
pub(super) fn report_dropped() {
    if let Some(floods) = FLOODS.get() {
        floods.report_now();
    }
}
