//! The instruments. Their names and units follow OpenTelemetry's semantic conventions. Names that
//! the conventions do not have begin with `sluice.`.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};

use sluice_kit::page_stats::RunCost;

/// Upper bounds of durations in seconds, as the conventions recommend for HTTP.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Upper bounds in seconds for runs and database calls, which are shorter than requests.
const SHORT_SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];
/// Upper bounds in seconds of how long one poll held a worker's thread.
const STALL_SECONDS: [f64; 9] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// Upper bounds of the fuel of a run.
const FUEL: [f64; 11] = [1e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9, 1e10];
/// Upper bounds of the memory of a run.
const BYTES: [f64; 8] =
    [524_288.0, 1_048_576.0, 2_097_152.0, 4_194_304.0, 8_388_608.0, 16_777_216.0, 33_554_432.0, 67_108_864.0];

/// The labels of an answered request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestLabels<'a> {
    /// The request's method.
    pub(crate) method: &'static str,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    /// The status of the response.
    pub(crate) status: u16,
    /// The brand's id; empty if neither a page nor a file answered.
    pub(crate) brand: &'a str,
    /// The pattern of the page's path; empty if neither a page nor a file answered.
    pub(crate) route: &'a str,
}

/// How many sandboxes run and how many requests wait for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SandboxUsage {
    /// Sandboxes that may run at the same time.
    pub limit: usize,
    /// Sandboxes that run.
    pub running: usize,
    /// Requests that wait for a sandbox.
    pub waiting: usize,
    /// Requests that may wait for a sandbox.
    pub waiting_max: usize,
}

/// The memory of the process that is reserved, and the most that may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryUsage {
    /// Reserved bytes.
    pub reserved: usize,
    /// Bytes that may be reserved.
    pub limit: usize,
}

/// Whether a brand is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrandState {
    /// As its files are.
    Served,
    /// In its last good version, because its files cannot be loaded.
    Outdated,
    /// Not at all: its visitors get status 503.
    Unavailable,
}

/// Every instrument that requests touch.
#[derive(Debug)]
pub struct Metrics {
    request_duration: Histogram<f64>,
    requests_active: UpDownCounter<i64>,
    run_fuel: Histogram<u64>,
    run_memory: Histogram<u64>,
    run_duration: Histogram<f64>,
    run_host_duration: Histogram<f64>,
    run_cpu_wait: Histogram<f64>,
    runs: Counter<u64>,
    compiled_runs: Counter<u64>,
    sandbox_wait: Histogram<f64>,
    rejected: Counter<u64>,
    database: Histogram<f64>,
    http_client: Histogram<f64>,
    files: Histogram<f64>,
    sessions_not_saved: Counter<u64>,
    handshakes: Counter<u64>,
    worker_stall: Histogram<f64>,
    page_cache: Counter<u64>,
}

impl Metrics {
    pub(super) fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, what: &'static str, bounds: &[f64]| {
            let histogram = meter.f64_histogram(name).with_description(what).with_unit("s");
            histogram.with_boundaries(bounds.to_vec()).build()
        };
        let amounts = |name: &'static str, what: &'static str, unit: &'static str, bounds: &[f64]| {
            let histogram = meter.u64_histogram(name).with_description(what).with_unit(unit);
            histogram.with_boundaries(bounds.to_vec()).build()
        };
        let sessions_not_saved = meter
            .u64_counter("sluice.sessions.not_saved")
            .with_description("Requests answered 503 because their session could not be saved")
            .with_unit("{request}")
            .build();
        sessions_not_saved.add(0, &[]);
        let worker_stall = seconds(
            "sluice.worker.stall",
            "Processor time for which requests held a worker's thread without a pause, if more than 1 ms",
            &STALL_SECONDS,
        );
        // Alerts need the metric before the first stall.
        worker_stall.record(0.0, &[]);
        let handshakes = meter
            .u64_counter("sluice.tls.handshakes")
            .with_description("TLS handshakes of visitors, by outcome and protocol")
            .with_unit("{handshake}")
            .build();
        Self {
            handshakes,
            request_duration: seconds(
                "http.server.request.duration",
                "Duration of HTTP server requests",
                &SECONDS,
            ),
            requests_active: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_description("Requests that are being answered")
                .with_unit("{request}")
                .build(),
            run_fuel: amounts("sluice.run.fuel", "Fuel used by runs", "{fuel}", &FUEL),
            run_memory: amounts("sluice.run.memory", "Peak memory of runs", "By", &BYTES),
            run_duration: seconds("sluice.run.duration", "Duration of runs", &SHORT_SECONDS),
            run_host_duration: seconds(
                "sluice.run.host_call.duration",
                "Time of a run in calls that wait for the database",
                &SHORT_SECONDS,
            ),
            run_cpu_wait: seconds(
                "sluice.run.cpu_wait.duration",
                "Time in which a run was ready while other work took the processors",
                &SHORT_SECONDS,
            ),
            runs: meter
                .u64_counter("sluice.runs")
                .with_description("Runs, by outcome")
                .with_unit("{run}")
                .build(),
            compiled_runs: meter
                .u64_counter("sluice.runs.compiled")
                .with_description("Runs of scripts with functions that are compiled to WebAssembly")
                .with_unit("{run}")
                .build(),
            sandbox_wait: seconds(
                "sluice.sandbox.wait.duration",
                "How long requests waited for a sandbox",
                &SHORT_SECONDS,
            ),
            rejected: meter
                .u64_counter("sluice.requests.rejected")
                .with_description("Rejected requests, by reason")
                .with_unit("{request}")
                .build(),
            database: seconds(
                "db.client.operation.duration",
                "Duration of database client operations",
                &SHORT_SECONDS,
            ),
            http_client: seconds(
                "http.client.request.duration",
                "Duration of calls of scripts to other servers",
                &SECONDS,
            ),
            files: seconds(
                "sluice.files.call.duration",
                "Duration of calls of the store of files, by operation",
                &SECONDS,
            ),
            sessions_not_saved,
            worker_stall,
            page_cache: meter
                .u64_counter("sluice.page_cache.requests")
                .with_description("Requests for pages with `cache`, by result")
                .with_unit("{request}")
                .build(),
        }
    }

    /// Publishes how many sandboxes run and how many requests wait. `usage` is called when metrics
    /// are read.
    pub fn observe_sandboxes(
        meter: &Meter,
        usage: impl Fn() -> SandboxUsage + Clone + Send + Sync + 'static,
    ) {
        let gauge =
            |name: &'static str, what: &'static str, unit: &'static str, read: fn(SandboxUsage) -> usize| {
                let usage = usage.clone();
                meter
                    .u64_observable_gauge(name)
                    .with_description(what)
                    .with_unit(unit)
                    .with_callback(move |observer| observer.observe(read(usage()) as u64, &[]))
                    .build();
            };
        gauge("sluice.sandbox.limit", "Sandboxes that can run at the same time", "{sandbox}", |usage| {
            usage.limit
        });
        gauge("sluice.sandbox.running", "Running sandboxes", "{sandbox}", |usage| usage.running);
        gauge("sluice.sandbox.waiting", "Requests waiting for a sandbox", "{request}", |usage| usage.waiting);
        gauge("sluice.sandbox.waiting.limit", "Requests that can wait for a sandbox", "{request}", |usage| {
            usage.waiting_max
        });
    }

    /// Publishes how much of the memory of the process is reserved. `usage` is called when metrics
    /// are read.
    pub fn observe_memory(meter: &Meter, usage: impl Fn() -> MemoryUsage + Clone + Send + Sync + 'static) {
        let gauge = |name: &'static str, what: &'static str, read: fn(MemoryUsage) -> usize| {
            let usage = usage.clone();
            meter
                .u64_observable_gauge(name)
                .with_description(what)
                .with_unit("By")
                .with_callback(move |observer| observer.observe(read(usage()) as u64, &[]))
                .build();
        };
        gauge("sluice.memory.reserved", "Memory that is in use or that requests may use", |usage| {
            usage.reserved
        });
        gauge("sluice.memory.limit", "Memory that the process may use (server.memory_max)", |usage| {
            usage.limit
        });
    }

    /// Publishes when the certificates of host names expire, in seconds since 1970. `expiries` is called when
    /// metrics are read.
    pub fn observe_certificates(
        meter: &Meter,
        expiries: impl Fn() -> Vec<(String, i64)> + Send + Sync + 'static,
    ) {
        meter
            .i64_observable_gauge("sluice.tls.certificate.expiry")
            .with_description("When the certificate of a host name expires, as a Unix time")
            .with_unit("s")
            .with_callback(move |observer| {
                for (name, at_s) in expiries() {
                    observer.observe(at_s, &[KeyValue::new("server.address", name)]);
                }
            })
            .build();
    }

    /// Publishes how many host names have a certificate by ACME, and how many have none yet. `counts` is called
    /// when metrics are read.
    pub fn observe_acme(
        meter: &Meter,
        counts: impl Fn() -> [(&'static str, usize); 2] + Send + Sync + 'static,
    ) {
        meter
            .u64_observable_gauge("sluice.acme.names")
            .with_description("Host names that get certificates by ACME, by state")
            .with_unit("{name}")
            .with_callback(move |observer| {
                for (state, count) in counts() {
                    observer.observe(count as u64, &[KeyValue::new("state", state)]);
                }
            })
            .build();
    }

    /// Counts the attempts to get a certificate by ACME. Each outcome begins at 0, so that `increase()` sees the
    /// first attempt.
    pub fn acme_orders(
        meter: &Meter,
        outcomes: &[&'static str],
    ) -> impl Fn(&'static str) + Send + Sync + use<> {
        let orders = meter
            .u64_counter("sluice.acme.orders")
            .with_description("Attempts to get a certificate by ACME, by outcome")
            .with_unit("{order}")
            .build();
        for outcome in outcomes {
            orders.add(0, &[KeyValue::new("outcome", *outcome)]);
        }
        move |outcome| orders.add(1, &[KeyValue::new("outcome", outcome)])
    }

    /// Counts TLS handshakes of visitors. `protocol` is the one that client and host have agreed on.
    pub fn count_handshakes(&self, outcome: &'static str, protocol: &'static str, count: u64) {
        let attributes = [KeyValue::new("outcome", outcome), KeyValue::new("protocol", protocol)];
        self.handshakes.add(count, &attributes);
    }

    /// Publishes how many compiled pages are in memory. `loaded` is called when metrics are read.
    pub fn observe_pages(meter: &Meter, loaded: impl Fn() -> usize + Send + Sync + 'static) {
        meter
            .u64_observable_gauge("sluice.pages.loaded")
            .with_description("Compiled pages in memory")
            .with_unit("{page}")
            .with_callback(move |observer| observer.observe(loaded() as u64, &[]))
            .build();
    }

    /// Publishes which brands are not served as their files are. `states` is called when metrics are
    /// read.
    pub fn observe_brands(
        meter: &Meter,
        states: impl Fn() -> Option<Vec<(String, BrandState)>> + Clone + Send + Sync + 'static,
    ) {
        let gauge = |name: &'static str, what: &'static str, counted: BrandState| {
            let states = states.clone();
            meter
                .u64_observable_gauge(name)
                .with_description(what)
                .with_unit("{brand}")
                .with_callback(move |observer| {
                    for (brand, state) in states().unwrap_or_default() {
                        observer
                            .observe(u64::from(state == counted), &[KeyValue::new("sluice.brand", brand)]);
                    }
                })
                .build();
        };
        gauge(
            "sluice.brand.unavailable",
            "1 if the brand cannot be loaded and its visitors get 503",
            BrandState::Unavailable,
        );
        gauge(
            "sluice.brand.outdated",
            "1 if the brand's files cannot be loaded and its last good version is served",
            BrandState::Outdated,
        );
    }

    /// Publishes whether the database answers. `is_available` is called when metrics are read.
    pub fn observe_database(meter: &Meter, is_available: impl Fn() -> bool + Send + Sync + 'static) {
        meter
            .u64_observable_gauge("sluice.database.available")
            .with_description("1, or 0 while calls fail at once because the database does not answer")
            .with_callback(move |observer| observer.observe(u64::from(is_available()), &[]))
            .build();
    }

    /// Counts a request that is being answered.
    pub(crate) fn request_began(&self) {
        self.requests_active.add(1, &[]);
    }

    /// Records an answered request and how long it took.
    pub(crate) fn request_ended(&self, labels: RequestLabels<'_>, took: Duration) {
        self.requests_active.add(-1, &[]);
        let mut attributes = vec![
            KeyValue::new("http.request.method", labels.method),
            KeyValue::new("url.scheme", labels.scheme),
            KeyValue::new("http.response.status_code", i64::from(labels.status)),
        ];
        if !labels.brand.is_empty() {
            attributes.push(KeyValue::new("http.route", labels.route.to_owned()));
            attributes.push(KeyValue::new("sluice.brand", labels.brand.to_owned()));
        }
        self.request_duration.record(took.as_secs_f64(), &attributes);
    }

    /// Records the cost of a run whose request had waited for a sandbox for `waited`. The run was ready
    /// for `cpu_wait` while other work took the processors.
    pub fn run_ended(&self, brand: &str, cost: &RunCost, waited: Duration, cpu_wait: Duration) {
        let brand = [KeyValue::new("sluice.brand", brand.to_owned())];
        self.run_fuel.record(cost.fuel, &brand);
        self.run_memory.record(cost.memory_bytes, &brand);
        self.run_duration.record(Duration::from_micros(cost.wall_us).as_secs_f64(), &brand);
        self.run_host_duration.record(Duration::from_micros(cost.host_us).as_secs_f64(), &brand);
        self.run_cpu_wait.record(cpu_wait.as_secs_f64(), &brand);
        self.sandbox_wait.record(waited.as_secs_f64(), &[]);
    }

    /// Counts a run of a script with compiled functions.
    pub fn compiled_run_ended(&self, brand: &str) {
        self.compiled_runs.add(1, &[KeyValue::new("sluice.brand", brand.to_owned())]);
    }

    /// Counts a run by its outcome. Pages that do not compile count, too.
    pub fn run_outcome(&self, brand: &str, outcome: &'static str) {
        let attributes =
            [KeyValue::new("sluice.brand", brand.to_owned()), KeyValue::new("sluice.outcome", outcome)];
        self.runs.add(1, &attributes);
    }

    /// Counts a request for a page with `cache`. `reason` is why its answer is not kept.
    pub fn page_cache_used(&self, brand: &str, result: &'static str, reason: Option<&'static str>) {
        let mut attributes =
            vec![KeyValue::new("sluice.brand", brand.to_owned()), KeyValue::new("result", result)];
        attributes.extend(reason.map(|reason| KeyValue::new("reason", reason)));
        self.page_cache.add(1, &attributes);
    }

    /// Counts a request that gets status 503 because the database did not take its session. There
    /// is no label for the brand, so that the series begins at 0 and `increase()` sees the first one.
    pub fn session_not_saved(&self) {
        self.sessions_not_saved.add(1, &[]);
    }

    /// Records that a request held its worker's thread without a pause for this much processor time.
    pub fn worker_stalled(&self, held: Duration) {
        self.worker_stall.record(held.as_secs_f64(), &[]);
    }

    /// Counts a rejected request. The reason is `overload` or `rate`.
    pub(crate) fn request_rejected(&self, brand: &str, reason: &'static str) {
        let attributes = [KeyValue::new("sluice.brand", brand.to_owned()), KeyValue::new("reason", reason)];
        self.rejected.add(1, &attributes);
    }

    /// Records a call of a script to another server. There is no label for the server, because scripts
    /// choose it.
    pub fn http_called(&self, brand: &str, status: Option<u16>, took: Duration) {
        let mut attributes = vec![KeyValue::new("sluice.brand", brand.to_owned())];
        match status {
            // Not the status itself: the other server chooses it.
            Some(status) => attributes.push(KeyValue::new("sluice.status", format!("{}xx", status / 100))),
            None => attributes.push(KeyValue::new("error.type", "no_response")),
        }
        self.http_client.record(took.as_secs_f64(), &attributes);
    }

    /// Records a call of the store of files and how long it took.
    pub(crate) fn files_called(&self, operation: &'static str, ok: bool, took: Duration) {
        let mut attributes = vec![KeyValue::new("operation", operation)];
        if !ok {
            attributes.push(KeyValue::new("error.type", "unavailable"));
        }
        self.files.record(took.as_secs_f64(), &attributes);
    }

    /// Records a call of the database and how long it took.
    pub(crate) fn database_answered(
        &self,
        system: &'static str,
        operation: &'static str,
        ok: bool,
        took: Duration,
    ) {
        let mut attributes =
            vec![KeyValue::new("db.system.name", system), KeyValue::new("db.operation.name", operation)];
        if !ok {
            attributes.push(KeyValue::new("error.type", "unavailable"));
        }
        self.database.record(took.as_secs_f64(), &attributes);
    }
}
