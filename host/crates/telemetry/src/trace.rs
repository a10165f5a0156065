//! One request's trace: its id, which every log line of the request carries,
//! and, where traces are sent, its spans.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    SpanContext, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

use super::Telemetry;
use super::metrics::{Metrics, RequestLabels};

/// A request or a part of it. Clones are the same part. The default belongs to
/// no request and records nothing.
#[derive(Clone, Default)]
pub struct Trace {
    shared: Option<Arc<Shared>>,
    /// The span of this part; none where traces are not sent.
    span: Option<Context>,
}

struct Shared {
    telemetry: Arc<Telemetry>,
    id: TraceId,
    method: &'static str,
    began: Instant,
    /// The visitor's side takes part in the trace.
    came_with_parent: bool,
    found: OnceLock<Found>,
}

struct Found {
    brand: String,
    route: String,
}

/// What a visitor's request says about the trace it is part of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Incoming<'a> {
    pub traceparent: Option<&'a str>,
    pub tracestate: Option<&'a str>,
}

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.traceparent,
            "tracestate" => self.tracestate,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

impl Trace {
    /// Begins the trace of a request. `path` is without the query, which is never
    /// recorded.
    pub fn begin(
        telemetry: &Arc<Telemetry>,
        method: &'static str,
        path: &str,
        incoming: Incoming<'_>,
    ) -> Self {
        telemetry.metrics.request_began();
        let parent = incoming.traceparent.map(|_| {
            let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &incoming);
            context.span().span_context().clone()
        });
        let parent = parent.filter(SpanContext::is_valid);
        let span = telemetry.tracer.as_ref().map(|tracer| {
            let context = Context::new();
            let context = match &parent {
                Some(parent) => context.with_remote_span_context(parent.clone()),
                None => context,
            };
            let attributes =
                [KeyValue::new("http.request.method", method), KeyValue::new("url.path", path.to_owned())];
            let builder = tracer.span_builder(method).with_kind(SpanKind::Server).with_attributes(attributes);
            let span = tracer.build_with_context(builder, &context);
            context.with_span(span)
        });
        let id = match (&span, &parent) {
            (Some(span), _) => span.span().span_context().trace_id(),
            (None, Some(parent)) => parent.trace_id(),
            (None, None) => RandomIdGenerator::default().new_trace_id(),
        };
        let shared = Shared {
            telemetry: Arc::clone(telemetry),
            id,
            method,
            began: Instant::now(),
            came_with_parent: parent.is_some(),
            found: OnceLock::new(),
        };
        Self { shared: Some(Arc::new(shared)), span }
    }

    /// The trace's id as log lines show it; empty for a trace of no request.
    pub fn id(&self) -> String {
        self.shared.as_ref().map(|shared| shared.id.to_string()).unwrap_or_default()
    }

    /// What a task of this request must have around it, so that its log records
    /// name their span.
    pub fn context(&self) -> Option<Context> {
        self.span.clone()
    }

    pub fn metrics(&self) -> Option<&Metrics> {
        self.shared.as_ref().map(|shared| &shared.telemetry.metrics)
    }

    /// Notes which page answers.
    pub fn found(&self, brand: &str, route: &str) {
        if let Some(shared) = &self.shared {
            let found = Found { brand: brand.to_owned(), route: route.to_owned() };
            // A request is matched once; a second time changes nothing.
            let _ = shared.found.set(found);
        }
    }

    /// Notes that the request is turned away.
    pub fn refused(&self, reason: &'static str) {
        if let Some(shared) = &self.shared {
            let brand = shared.found.get().map_or("", |found| found.brand.as_str());
            shared.telemetry.metrics.request_refused(brand, reason);
        }
    }

    /// A part of this one.
    pub fn child(&self, name: &'static str) -> Self {
        self.child_of_kind(name, SpanKind::Internal)
    }

    fn child_of_kind(&self, name: &'static str, kind: SpanKind) -> Self {
        let span = self.span.as_ref().zip(self.tracer()).map(|(parent, tracer)| {
            let builder = tracer.span_builder(name).with_kind(kind);
            parent.with_span(tracer.build_with_context(builder, parent))
        });
        Self { shared: self.shared.clone(), span }
    }

    fn tracer(&self) -> Option<&opentelemetry_sdk::trace::SdkTracer> {
        self.shared.as_ref()?.telemetry.tracer.as_ref()
    }

    /// Adds attributes to this part; they are made only where they are recorded.
    pub fn note<const N: usize>(&self, attributes: impl FnOnce() -> [KeyValue; N]) {
        if let Some(span) = &self.span {
            span.span().set_attributes(attributes());
        }
    }

    /// Notes that this part failed. The text must hold nothing of a visitor's.
    pub fn failed(&self, what: impl Into<String>) {
        if let Some(span) = &self.span {
            span.span().set_status(Status::error(what.into()));
        }
    }

    /// Ends this part.
    pub fn end(&self) {
        if let Some(span) = &self.span {
            span.span().end();
        }
    }

    /// Runs `work` as a part of this one.
    pub async fn step<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        let step = self.child(name);
        let done = work.await;
        step.end();
        done
    }

    /// Runs `work`, which asks the database, as a part of this one. `is_fault` says
    /// which errors are the database's; others came before it was asked.
    pub async fn ask<T, E>(
        &self,
        name: &'static str,
        is_fault: impl Fn(&E) -> bool,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let Some(shared) = &self.shared else { return work.await };
        let step = self.child_of_kind(name, SpanKind::Client);
        let system = shared.telemetry.database_system();
        step.note(|| [KeyValue::new("db.system.name", system), KeyValue::new("db.operation.name", name)]);
        let began = Instant::now();
        let done = work.await;
        let has_failed = done.as_ref().is_err_and(is_fault);
        if done.is_ok() || has_failed {
            shared.telemetry.metrics.database_answered(system, name, !has_failed, began.elapsed());
        }
        if has_failed {
            step.failed("the database did not do it");
        }
        step.end();
        done
    }

    /// Ends the request, and gives the `traceparent` to answer with: where traces
    /// are sent, and to visitors who sent one.
    pub fn finish(&self, status: u16, is_https: bool) -> Option<String> {
        let shared = self.shared.as_ref()?;
        let (brand, route) =
            shared.found.get().map_or(("", ""), |found| (found.brand.as_str(), found.route.as_str()));
        let scheme = if is_https { "https" } else { "http" };
        let labels = RequestLabels { method: shared.method, scheme, status, brand, route };
        shared.telemetry.metrics.request_ended(labels, shared.began.elapsed());
        if let Some(span) = &self.span {
            let span = span.span();
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
            span.set_attribute(KeyValue::new("url.scheme", scheme));
            if !brand.is_empty() {
                span.update_name(format!("{} {route}", shared.method));
                span.set_attribute(KeyValue::new("http.route", route.to_owned()));
                span.set_attribute(KeyValue::new("sluice.brand", brand.to_owned()));
            }
            if status >= 500 {
                span.set_status(Status::error(""));
            }
            span.end();
            return Some(traceparent(span.span_context()));
        }
        shared.came_with_parent.then(|| {
            let own = RandomIdGenerator::default().new_span_id();
            traceparent(&SpanContext::new(shared.id, own, TraceFlags::NOT_SAMPLED, false, TraceState::NONE))
        })
    }
}

fn traceparent(context: &SpanContext) -> String {
    let flags = context.trace_flags() & TraceFlags::SAMPLED;
    format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id())
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trace({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn begin(traceparent: Option<&str>) -> Trace {
        let telemetry = Telemetry::start(|_| None).unwrap();
        Trace::begin(&telemetry, "GET", "/", Incoming { traceparent, tracestate: None })
    }

    #[test]
    fn a_visitor_s_trace_goes_on() {
        let trace = begin(Some(PARENT));
        assert_eq!(trace.id(), "0af7651916cd43dd8448eb211c80319c");
        let answer = trace.finish(200, false).unwrap();
        assert!(answer.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{answer}");
        assert!(!answer.contains("b7ad6b7169203331"), "the host has a span of its own");
    }

    #[test]
    fn a_trace_that_is_none_is_not_gone_on_with() {
        let mut ids = Vec::new();
        for bad in [None, Some(""), Some("00-zz-b7ad6b7169203331-01"), Some("00-0-0-0")] {
            let trace = begin(bad);
            assert_eq!(trace.id().len(), 32);
            assert_eq!(trace.finish(200, false), None);
            ids.push(trace.id());
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 4, "each request has its own");
    }
}
