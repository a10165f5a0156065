//! One request's trace: its id, which is in every log line of the request, and its spans, if
//! traces are sent.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    SpanContext, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

use sluice_text::bounded::bounded;

use super::Telemetry;
use super::metrics::{Metrics, RequestLabels};

/// What a step calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Callee {
    Database,
    Files,
}

/// A request or a step of it. Clones refer to the same step. The default belongs to no request
/// and records nothing.
#[derive(Clone, Default)]
pub struct Trace {
    shared: Option<Arc<Shared>>,
    /// The span of this step, or `None` if traces are not sent.
    span: Option<Context>,
}

struct Shared {
    telemetry: Arc<Telemetry>,
    id: TraceId,
    method: &'static str,
    began: Instant,
    /// True if the client sent a valid `traceparent`.
    has_parent: bool,
    page: OnceLock<MatchedPage>,
}

struct MatchedPage {
    brand: String,
    route: String,
}

/// The most bytes of a path in a trace.
const PATH_BYTES_MAX: usize = 2 << 10;
/// The most bytes of a `tracestate` that is continued, as the specification requires. A longer one
/// would be sent with every span.
const TRACESTATE_BYTES_MAX: usize = 512;

/// The headers of a request that name the trace to which it belongs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Incoming<'a> {
    /// The header `traceparent`.
    pub traceparent: Option<&'a str>,
    /// The header `tracestate`.
    pub tracestate: Option<&'a str>,
}

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.traceparent,
            "tracestate" => self.tracestate.filter(|state| state.len() <= TRACESTATE_BYTES_MAX),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

impl Trace {
    /// Begins the trace of a request. `path` must not contain the query, which is never recorded.
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
            let path = bounded(path, PATH_BYTES_MAX).into_owned();
            let attributes = [KeyValue::new("http.request.method", method), KeyValue::new("url.path", path)];
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
            has_parent: parent.is_some(),
            page: OnceLock::new(),
        };
        Self { shared: Some(Arc::new(shared)), span }
    }

    /// Begins the trace of a job, which is not part of a request.
    pub fn begin_job(telemetry: &Arc<Telemetry>, brand: &str, what: &str) -> Self {
        let span = telemetry.tracer.as_ref().map(|tracer| {
            let attributes = [
                KeyValue::new("sluice.brand", brand.to_owned()),
                KeyValue::new("sluice.job", bounded(what, PATH_BYTES_MAX).into_owned()),
            ];
            let builder =
                tracer.span_builder("job").with_kind(SpanKind::Consumer).with_attributes(attributes);
            Context::new().with_span(tracer.build_with_context(builder, &Context::new()))
        });
        let id = match &span {
            Some(span) => span.span().span_context().trace_id(),
            None => RandomIdGenerator::default().new_trace_id(),
        };
        let shared = Shared {
            telemetry: Arc::clone(telemetry),
            id,
            method: "JOB",
            began: Instant::now(),
            has_parent: false,
            page: OnceLock::new(),
        };
        Self { shared: Some(Arc::new(shared)), span }
    }

    /// The trace's id as 32 hexadecimal digits, or an empty text if there is no request.
    pub fn id(&self) -> String {
        self.shared.as_ref().map(|shared| shared.id.to_string()).unwrap_or_default()
    }

    /// The context in which a task of this request must run, so that its log records name their
    /// span.
    pub fn context(&self) -> Option<Context> {
        self.span.clone()
    }

    /// A future whose log records name the span of this step, on whichever thread it runs.
    pub fn with_context<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let context = self.context().unwrap_or_default();
        opentelemetry::trace::FutureExt::with_context(future, context)
    }

    /// The instruments of the process, or `None` if there is no request.
    pub fn metrics(&self) -> Option<&Metrics> {
        self.shared.as_ref().map(|shared| &shared.telemetry.metrics)
    }

    /// Records which page answers.
    pub fn page_matched(&self, brand: &str, route: &str) {
        if let Some(shared) = &self.shared {
            let page = MatchedPage { brand: brand.to_owned(), route: route.to_owned() };
            // A request is matched once. A second call changes nothing.
            let _ = shared.page.set(page);
        }
    }

    /// Records that the request is rejected, because of `overload` or `rate`.
    pub fn rejected(&self, reason: &'static str) {
        if let Some(shared) = &self.shared {
            let brand = shared.page.get().map_or("", |page| page.brand.as_str());
            shared.telemetry.metrics.request_rejected(brand, reason);
        }
    }

    /// Records the version of HTTP that the client uses.
    pub fn uses_version(&self, version: &'static str) {
        self.note(|| [KeyValue::new("network.protocol.version", version)]);
    }

    /// Begins a step within this one.
    pub fn child(&self, name: &'static str) -> Self {
        self.child_of_kind(name, SpanKind::Internal)
    }

    /// Begins a step that calls another server.
    pub fn client_step(&self, name: &'static str) -> Self {
        self.child_of_kind(name, SpanKind::Client)
    }

    /// Records which server a step has called, and its status if it answered.
    pub fn http_called(&self, method: &'static str, host: &str, status: Option<u16>) {
        self.note(|| {
            [
                KeyValue::new("http.request.method", method),
                KeyValue::new("server.address", host.to_owned()),
                KeyValue::new("http.response.status_code", i64::from(status.unwrap_or(0))),
            ]
        });
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

    /// Adds attributes to this step. The closure is only called if traces are sent.
    pub fn note<const N: usize>(&self, attributes: impl FnOnce() -> [KeyValue; N]) {
        if let Some(span) = &self.span {
            span.span().set_attributes(attributes());
        }
    }

    /// Records that this step failed. The text must not contain data of a visitor.
    pub fn failed(&self, what: impl Into<String>) {
        if let Some(span) = &self.span {
            span.span().set_status(Status::error(what.into()));
        }
    }

    /// Ends this step.
    pub fn end(&self) {
        if let Some(span) = &self.span {
            span.span().end();
        }
    }

    /// Runs `work` as a step within this one.
    pub async fn step<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        let step = self.child(name);
        let done = work.await;
        step.end();
        done
    }

    /// Runs `work`, which calls the database, as a step within this one. `is_fault` tells whether
    /// an error is one of the database. After other errors the database was not called.
    pub async fn ask<T, E>(
        &self,
        name: &'static str,
        is_fault: impl Fn(&E) -> bool,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.call(Callee::Database, name, is_fault, work).await
    }

    /// Runs `work`, which calls the store of files, as a step within this one. `is_fault` tells whether an error is
    /// one of the store. After other errors the store was not called.
    pub async fn ask_files<T, E>(
        &self,
        name: &'static str,
        is_fault: impl Fn(&E) -> bool,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.call(Callee::Files, name, is_fault, work).await
    }

    async fn call<T, E>(
        &self,
        callee: Callee,
        name: &'static str,
        is_fault: impl Fn(&E) -> bool,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let Some(shared) = &self.shared else { return work.await };
        let telemetry = &shared.telemetry;
        let (step, system) = (self.client_step(name), telemetry.database_system());
        if callee == Callee::Database {
            step.note(|| [KeyValue::new("db.system.name", system), KeyValue::new("db.operation.name", name)]);
        }
        let began = Instant::now();
        let done = work.await;
        let has_failed = done.as_ref().is_err_and(is_fault);
        if done.is_ok() || has_failed {
            let (is_ok, took) = (!has_failed, began.elapsed());
            match callee {
                Callee::Database => telemetry.metrics.database_answered(system, name, is_ok, took),
                Callee::Files => telemetry.metrics.files_called(name, is_ok, took),
            }
        }
        if has_failed {
            step.failed(match callee {
                Callee::Database => "the database call failed",
                Callee::Files => "the store of files failed",
            });
        }
        step.end();
        done
    }

    /// Ends the request. Returns the `traceparent` for the response if traces are sent or if the
    /// client sent one.
    pub fn finish(&self, status: u16, is_https: bool) -> Option<String> {
        let shared = self.shared.as_ref()?;
        let (brand, route) =
            shared.page.get().map_or(("", ""), |page| (page.brand.as_str(), page.route.as_str()));
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
        shared.has_parent.then(|| {
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
    fn continues_the_trace_of_the_client() {
        let trace = begin(Some(PARENT));
        assert_eq!(trace.id(), "0af7651916cd43dd8448eb211c80319c");
        let answer = trace.finish(200, false).unwrap();
        assert!(answer.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{answer}");
        assert!(!answer.contains("b7ad6b7169203331"), "the host must use a span id of its own");
    }

    #[test]
    fn ignores_an_invalid_traceparent() {
        let mut ids = Vec::new();
        for bad in [None, Some(""), Some("00-zz-b7ad6b7169203331-01"), Some("00-0-0-0")] {
            let trace = begin(bad);
            assert_eq!(trace.id().len(), 32);
            assert_eq!(trace.finish(200, false), None);
            ids.push(trace.id());
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 4, "each request must have an id of its own");
    }
}
