//! Traces, metrics and logs at real receivers: an OTLP receiver that decodes what it gets, and
//! Debian's Prometheus.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::harness::otlp::OtlpReceiver;
use crate::harness::{Request, Server, ServerOptions, TestSite};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

fn site() -> TestSite {
    TestSite::with(&[
        ("crm.toml", "[[entity]]\nslug = \"leads\"\n"),
        (
            "pages/shop/{item}.html",
            "<script scope=\"backend\">
                session.setCustomer({ email: 'ann@example.com' });
                setCrmField({ slug: 'leads', fieldKey: 'item', value: 'x' });
                console.log('seen');
            </script><p>{{ route_params.item }}</p>",
        ),
        (
            "pages/fails.html",
            "<script scope=\"backend\">throw new Error(is_customer ? 'broken' : '')</script>",
        ),
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        AnyValue::StringValue(text) => text.clone(),
        AnyValue::IntValue(number) => number.to_string(),
        other => panic!("{key}: {other:?}"),
    })
}

#[test]
fn request_is_traced_with_its_steps() {
    let site = site();
    let receiver = OtlpReceiver::start();
    let server = ServerOptions::of(site.path())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint())
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .env("OTEL_BLRP_SCHEDULE_DELAY", "50")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .start();
    let answer = Request::get("/shop/hat?secret-query=1")
        .header("traceparent", &format!("00-{TRACE_ID}-b7ad6b7169203331-01"))
        .send(server.address);
    assert_eq!(answer.body.trim(), "<p>hat</p>");
    let spans_of = |trace: &str| {
        let mut spans = receiver.received().spans;
        spans.retain(|span| hex(&span.trace_id) == trace);
        spans
    };
    server.wait_until("the request's span arrives", || {
        spans_of(TRACE_ID).iter().any(|span| span.kind == SpanKind::Server as i32)
    });
    let spans = spans_of(TRACE_ID);
    let find = |name: &str| {
        let names = || spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>();
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {:?}", names()))
    };
    let request = find("GET /shop/{item}");
    assert_eq!(hex(&request.parent_span_id), "b7ad6b7169203331");
    assert_eq!(answer.header("traceparent").unwrap(), format!("00-{TRACE_ID}-{}-01", hex(&request.span_id)));
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/shop/{item}"),
        ("network.protocol.version", "1.1"),
        ("url.path", "/shop/hat"),
        ("url.scheme", "http"),
        ("sluice.brand", "demo"),
    ] {
        assert_eq!(attribute(request, key).as_deref(), Some(value), "{key}");
    }
    for name in ["run", "template", "session.save"] {
        assert_eq!(find(name).parent_span_id, request.span_id, "{name}");
    }
    let run = find("run");
    assert_eq!(attribute(run, "sluice.run.outcome").as_deref(), Some("ok"));
    let crm = find("setCrmField");
    assert_eq!((&crm.parent_span_id, crm.kind), (&run.span_id, SpanKind::Client as i32));
    assert_eq!(attribute(crm, "db.system.name").as_deref(), Some("sqlite"));

    server.wait_until("the log record arrives", || {
        receiver.received().logs.iter().any(|log| hex(&log.trace_id) == TRACE_ID)
    });
    let metrics = ["http.server.request.duration", "sluice.run.fuel", "db.client.operation.duration"];
    server.wait_until("metrics arrive", || {
        let received = receiver.received().metrics;
        metrics
            .iter()
            .all(|name| received.iter().any(|metric| metric.name == *name && !metric.unit.is_empty()))
    });

    // The visitor's second request sends the cookie, and the script asks for the session.
    let cookie = answer.session_cookie().unwrap();
    Request::get("/fails?secret-query=2").header("cookie", &cookie).send(server.address);
    server.wait_until("the failed run arrives", || {
        let spans = receiver.received().spans;
        spans.iter().any(|span| span.name == "session.load")
            && spans.iter().any(|span| attribute(span, "sluice.run.outcome").as_deref() == Some("error"))
    });
    let received = receiver.received();
    let resource = received.resources.first().unwrap();
    let has = |key: &str, text: &str| {
        resource.attributes.iter().any(|attribute| {
            attribute.key == key
                && attribute.value.as_ref().and_then(|value| value.value.clone())
                    == Some(AnyValue::StringValue(text.into()))
        })
    };
    assert!(has("service.name", "sluice") && has("deployment.environment.name", "test"), "{resource:?}");
    let raw = String::from_utf8_lossy(&received.raw);
    for secret in ["secret-query", &cookie, "ann@example.com"] {
        assert!(!raw.contains(secret), "{secret} was sent");
    }
}

#[test]
fn log_lines_name_the_trace_without_a_receiver() {
    let site = site();
    let server = Server::start(site.path());
    let answer = Request::get("/fails")
        .header("traceparent", &format!("00-{TRACE_ID}-b7ad6b7169203331-01"))
        .send(server.address);
    assert!(answer.header("traceparent").unwrap().starts_with(&format!("00-{TRACE_ID}-")));
    assert_eq!(server.get("localhost", "/fails").header("traceparent"), None);
    let entries = server.wait_log_entries(&[("brand", "demo"), ("outcome", "error")], 2);
    assert_eq!(entries[0]["span"]["trace_id"], TRACE_ID);
    assert_ne!(entries[1]["span"]["trace_id"], TRACE_ID);
    assert_eq!(entries[1]["span"]["trace_id"].as_str().unwrap().len(), 32);
}

#[test]
fn stalled_receiver_does_not_delay_requests() {
    let site = site();
    let receiver = OtlpReceiver::stalled();
    let mut server = ServerOptions::of(site.path())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint())
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "16")
        .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
        .env("OTEL_BLRP_MAX_QUEUE_SIZE", "16")
        .env("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "8")
        // Longer than the test: a request that waits for an export would never be answered.
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "600000")
        .start();
    for _ in 0..100 {
        assert_eq!(server.get("localhost", "/shop/hat").status, 200);
    }
    for signal in ["signal=\"traces\"", "signal=\"logs\""] {
        server.wait_for_metric("sluice_telemetry_items_total", &["result=\"dropped\"", signal], 50.0);
        let queued = server.metric("sluice_telemetry_queued", &[signal]);
        assert!((1.0..=16.0).contains(&queued), "{signal}: {queued}");
    }
    assert_eq!(server.metric("sluice_telemetry_items_total", &["result=\"sent\""]), 0.0);
    assert!(server.terminate().success());
}

#[test]
fn promtool_accepts_the_metrics() {
    let site = site();
    let server = Server::start(site.path());
    server.get("localhost", "/shop/hat");
    let text = Request::get("/metrics").send(server.admin_address).body;
    for name in ["http_server_request_duration_seconds_bucket", "sluice_run_fuel_bucket", "sluice_runs_total"]
    {
        assert!(text.contains(name), "{name} is not in\n{text}");
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts (Debian's prometheus; `make setup` installs it)");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// A Prometheus server. Dropping it stops it.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Killing fails if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn prometheus_scrapes_the_metrics_of_a_visit() {
    let site = site();
    let server = Server::start(site.path());
    for _ in 0..3 {
        server.get("localhost", "/shop/hat");
    }
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let text = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: sluice\n  static_configs:\n  - targets: ['{}']\n",
        server.admin_address
    );
    std::fs::write(&config, text).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let process = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus starts (`make setup` installs it)");
    let _prometheus = Prometheus(process);
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let query = "/api/v1/query?query=http_server_request_duration_seconds_count";
    let found = || {
        if std::net::TcpStream::connect(address).is_err() {
            return serde_json::Value::Null;
        }
        let answer = Request::get(query).send(address);
        let answer: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
        answer["data"]["result"][0].clone()
    };
    server.wait_until("Prometheus has the metric", || found()["value"][1] == "3");
    let labels = found()["metric"].clone();
    assert_eq!(labels["http_route"], "/shop/{item}");
    assert_eq!(labels["http_response_status_code"], "200");
    assert_eq!(labels["sluice_brand"], "demo");
}
