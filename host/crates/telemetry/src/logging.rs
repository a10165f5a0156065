//! The log on standard error: text in a terminal, otherwise JSON. If the environment says so,
//! records are also sent as OTLP, with the ids of their traces.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use sluice_kit::terminal::Style;

use super::Telemetry;
use super::floods::Floods;

/// The filter if `SLUICE_LOG` is not set.
pub const DEFAULT_FILTER: &str = "info,actix_server=warn";
/// The filter of `sluice dev` if `SLUICE_LOG` is not set. The modules that it turns off report what
/// the command prints in its own way.
pub const QUIET_FILTER: &str = "warn,sluice_runs::run_log=off,sluice_app::reload=off,sluice_site::load=off";
/// The records of the exporters are not sent, because sending them would produce more records.
const NOT_SENT: [&str; 7] = [
    "opentelemetry",
    "opentelemetry_sdk",
    "opentelemetry_otlp",
    "opentelemetry_http",
    "ureq",
    "ureq_proto",
    "rustls",
];

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
    let (filter, mistake) = filter(std::env::var("SLUICE_LOG").ok().as_deref(), default_filter);
    let floods = Floods::counting();
    let shown = filter.clone().and(floods.clone());
    let text = tracing_subscriber::fmt::layer().with_writer(sluice_kit::bar::stderr);
    let text = match format {
        Format::Text => {
            let colors = Style::of(&std::io::stderr()).has_colors;
            text.with_target(false).with_ansi(colors).with_filter(shown).boxed()
        }
        Format::Json => text.json().with_span_list(false).with_filter(shown).boxed(),
    };
    let sent = telemetry.and_then(Telemetry::logger_provider).map(|provider| {
        let filter = filter.with_targets(NOT_SENT.map(|target| (target, LevelFilter::OFF)));
        // Both logs drop the same records, and standard error counts them.
        OpenTelemetryTracingBridge::new(provider).with_filter(filter.and(Floods::silent()))
    });
    tracing_subscriber::registry().with(text).with(sent).init();
    if let Some(error) = mistake {
        tracing::warn!(%error, "SLUICE_LOG is not a valid filter, so the log has its usual records");
    }
    match floods.report() {
        Ok(()) => _ = FLOODS.set(floods),
        Err(error) => tracing::warn!(%error, "the log cannot say how many records it drops"),
    }
}

/// What is logged, and what is wrong with `wanted`. `EnvFilter` could do more, with a library for regular expressions
/// that nothing else in the program needs, and whose features tests and benches would change.
fn filter(wanted: Option<&str>, default_filter: &str) -> (Targets, Option<ParseError>) {
    let usual = || default_filter.parse().unwrap_or_default();
    match wanted.filter(|wanted| !wanted.is_empty()).map(str::parse) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (usual(), Some(error)),
        None => (usual(), None),
    }
}

/// Logs how many records were dropped in the last second. Call this before the process ends.
pub(super) fn report_dropped() {
    if let Some(floods) = FLOODS.get() {
        floods.report_now();
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn takes_levels_of_parts_of_the_program() {
        let (filter, mistake) = filter(Some("warn,sluice_store=debug"), DEFAULT_FILTER);
        assert!(mistake.is_none());
        assert!(filter.would_enable("sluice_store::pool", &Level::DEBUG));
        assert!(!filter.would_enable("sluice_app", &Level::INFO));
    }

    #[test]
    fn keeps_the_usual_records_if_the_filter_is_missing_or_not_valid() {
        for (wanted, is_valid) in [(None, true), (Some(""), true), (Some("info,sluice_app=loud"), false)] {
            let (filter, mistake) = filter(wanted, DEFAULT_FILTER);
            assert_eq!(mistake.is_none(), is_valid, "{wanted:?}");
            assert!(filter.would_enable("sluice_app", &Level::INFO), "{wanted:?}");
            assert!(!filter.would_enable("actix_server", &Level::INFO), "{wanted:?}");
        }
    }
}
