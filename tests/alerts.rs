//! Each alert of `deploy/prometheus/sluice.rules.yml` fires when it should, not earlier, and not otherwise: Prometheus
//! itself evaluates the rules over series with the names and labels that the host exports
//! (`deploy::alerts_and_dashboard_use_existing_metrics`).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// An alert, and series in the notation of promtool: one sample for each minute.
struct Case {
    alert: &'static str,
    fires: &'static [(&'static str, &'static str)],
    quiet: &'static [(&'static str, &'static str)],
    /// When it does not fire yet, and when it fires, in minutes.
    minutes: (u32, u32),
    labels: &'static str,
    summary: &'static str,
}

const REQUESTS_500: &str = r#"http_server_request_duration_seconds_count{instance="a", sluice_brand="demo", http_response_status_code="500"}"#;
const REQUESTS_200: &str = r#"http_server_request_duration_seconds_count{instance="a", sluice_brand="demo", http_response_status_code="200"}"#;
const SLOW: &str = r#"http_server_request_duration_seconds_bucket{instance="a", le="+Inf"}"#;
const SLOW_4: &str = r#"http_server_request_duration_seconds_bucket{instance="a", le="4"}"#;
const SLOW_1: &str = r#"http_server_request_duration_seconds_bucket{instance="a", le="1"}"#;
const OVERLOAD: &str = r#"sluice_requests_rejected_total{instance="a", reason="overload"}"#;
const RATE_LIMIT: &str = r#"sluice_requests_rejected_total{instance="a", reason="rate"}"#;
const WAITING: &str = r#"sluice_sandbox_waiting{instance="a"}"#;
const RESERVED: &str = r#"sluice_memory_reserved_bytes{instance="a"}"#;
const LIMIT: &str = r#"sluice_memory_limit_bytes{instance="a"}"#;
const STALLS: &str = r#"sluice_worker_stall_seconds_count{instance="a"}"#;
const SHORT_STALLS: &str = r#"sluice_worker_stall_seconds_bucket{instance="a", le="0.01"}"#;
const RUNS_OK: &str = r#"sluice_runs_total{instance="a", sluice_brand="demo", sluice_outcome="ok"}"#;
const RUNS_ERROR: &str = r#"sluice_runs_total{instance="a", sluice_brand="demo", sluice_outcome="error"}"#;
const RUNS_FUEL: &str = r#"sluice_runs_total{instance="a", sluice_brand="demo", sluice_outcome="fuel"}"#;
const RUNS_HOST: &str = r#"sluice_runs_total{instance="a", sluice_brand="demo", sluice_outcome="host"}"#;
const HANDSHAKES: &str = r#"sluice_tls_handshakes_total{instance="a", outcome="completed"}"#;
const HANDSHAKES_FAILED: &str = r#"sluice_tls_handshakes_total{instance="a", outcome="failed"}"#;
const ORDERS: &str = r#"sluice_acme_orders_total{instance="a", outcome="unavailable"}"#;
const ISSUED: &str = r#"sluice_acme_orders_total{instance="a", outcome="issued"}"#;

const CASES: &[Case] = &[
    Case {
        alert: "SluiceDown",
        fires: &[(r#"up{job="sluice", instance="a"}"#, "1 0x20")],
        quiet: &[(r#"up{job="sluice", instance="a"}"#, "1x20")],
        minutes: (2, 3),
        labels: "severity: page, job: sluice, instance: a",
        summary: "a does not answer",
    },
    Case {
        alert: "SluiceServerErrors",
        fires: &[(REQUESTS_500, "0+6x20"), (REQUESTS_200, "0+54x20")],
        quiet: &[(REQUESTS_500, "0+2x20"), (REQUESTS_200, "0+98x20")],
        minutes: (5, 6),
        labels: "severity: page, instance: a, sluice_brand: demo",
        summary: "10% of the requests to brand demo get a 5xx response",
    },
    Case {
        alert: "SluiceBrandUnavailable",
        fires: &[(r#"sluice_brand_unavailable{instance="a", sluice_brand="demo"}"#, "0 1x20")],
        quiet: &[(r#"sluice_brand_unavailable{instance="a", sluice_brand="demo"}"#, "0x20")],
        minutes: (1, 2),
        labels: "severity: page, instance: a, sluice_brand: demo",
        summary: "brand demo cannot be loaded on a: its visitors get 503",
    },
    Case {
        alert: "SluiceBrandOutdated",
        fires: &[(r#"sluice_brand_outdated{instance="a", sluice_brand="demo"}"#, "0 1x20")],
        quiet: &[(r#"sluice_brand_outdated{instance="a", sluice_brand="demo"}"#, "0x20")],
        minutes: (15, 16),
        labels: "severity: ticket, instance: a, sluice_brand: demo",
        summary: "the files of brand demo are not in use as they are on a: an earlier version is served, or another \
                  brand claims the same hosts",
    },
    Case {
        alert: "SluiceSlow",
        fires: &[(SLOW, "0+100x20"), (SLOW_4, "0+100x20"), (SLOW_1, "0+90x20")],
        quiet: &[(SLOW, "0+1000x20"), (SLOW_4, "0+1000x20"), (SLOW_1, "0+999x20")],
        minutes: (10, 11),
        labels: "severity: ticket, instance: a",
        summary: "one request in a hundred takes longer than 3.7s on a",
    },
    Case {
        alert: "SluiceOverloaded",
        fires: &[(OVERLOAD, "0+60x20")],
        quiet: &[(OVERLOAD, "7x20"), (RATE_LIMIT, "0+60x20")],
        minutes: (5, 6),
        labels: "severity: page, instance: a",
        summary: "a rejects 1 requests per second",
    },
    Case {
        alert: "SluiceSandboxesFull",
        fires: &[(WAITING, "0 3x20")],
        quiet: &[(WAITING, "0 3 3 0 3 3 3 0 3x20")],
        minutes: (5, 6),
        labels: "severity: ticket, instance: a",
        summary: "3 requests wait for a sandbox of a",
    },
    Case {
        alert: "SluiceMemoryFull",
        fires: &[(RESERVED, "1020x20"), (LIMIT, "1024x20"), (WAITING, "0 3x20")],
        quiet: &[(RESERVED, "1020x20"), (LIMIT, "1024x20"), (WAITING, "0x20")],
        minutes: (5, 6),
        labels: "severity: ticket, instance: a",
        summary: "requests to a wait for memory: 1020B are reserved",
    },
    Case {
        alert: "SluiceWorkersStall",
        fires: &[(STALLS, "1x5 3x20"), (SHORT_STALLS, "1x5 1x20")],
        quiet: &[(STALLS, "1x5 3x20"), (SHORT_STALLS, "1x5 3x20")],
        minutes: (5, 10),
        labels: "severity: ticket, instance: a",
        summary: "2 requests held a worker of a for over 10 ms",
    },
    Case {
        alert: "SluiceRunsFail",
        fires: &[(RUNS_OK, "0+80x30"), (RUNS_ERROR, "0+20x30")],
        quiet: &[(RUNS_OK, "0+95x30"), (RUNS_ERROR, "0+5x30")],
        minutes: (15, 16),
        labels: "severity: ticket, sluice_brand: demo",
        summary: "20% of the runs of brand demo fail",
    },
    Case {
        alert: "SluiceRunsMeetQuotas",
        fires: &[(RUNS_FUEL, "0+6x30")],
        quiet: &[(RUNS_FUEL, "1x30"), (RUNS_ERROR, "0+6x30")],
        minutes: (15, 17),
        labels: "severity: ticket, sluice_brand: demo, sluice_outcome: fuel",
        summary: "runs of brand demo exceed their quota (fuel)",
    },
    Case {
        alert: "SluiceHostFailures",
        fires: &[(RUNS_HOST, "0+1x30")],
        quiet: &[(RUNS_ERROR, "0+60x30")],
        minutes: (5, 6),
        labels: "severity: page, instance: a",
        summary: "the host fails runs on a; the scripts are not the cause",
    },
    Case {
        alert: "SluiceSessionsNotSaved",
        fires: &[(r#"sluice_sessions_not_saved_total{instance="a"}"#, "0 0 1x20")],
        quiet: &[(r#"sluice_sessions_not_saved_total{instance="a"}"#, "1x20")],
        minutes: (2, 3),
        labels: "severity: page, instance: a",
        summary: "visitors get 503 from a because their session cannot be saved",
    },
    Case {
        alert: "SluiceDatabaseHangs",
        fires: &[(r#"sluice_database_available{instance="a"}"#, "1 0x20")],
        quiet: &[(r#"sluice_database_available{instance="a"}"#, "1x20")],
        minutes: (1, 2),
        labels: "severity: page, instance: a",
        summary: "the database does not answer a; all its calls fail at once",
    },
    Case {
        alert: "SluiceDatabaseFails",
        fires: &[(
            r#"db_client_operation_duration_seconds_count{instance="a", db_operation_name="commit", error_type="failed"}"#,
            "0+1x20",
        )],
        quiet: &[(
            r#"db_client_operation_duration_seconds_count{instance="a", db_operation_name="commit", error_type=""}"#,
            "0+1x20",
        )],
        minutes: (2, 3),
        labels: "severity: page, instance: a, db_operation_name: commit",
        summary: "commit fails on a",
    },
    Case {
        alert: "SluiceJobsLate",
        fires: &[(r#"sluice_jobs_lag_seconds{instance="a"}"#, "0 360x20")],
        quiet: &[(r#"sluice_jobs_lag_seconds{instance="a"}"#, "0 240x20")],
        minutes: (5, 6),
        labels: "severity: ticket",
        summary: "a background write has been waiting for 6m 0s",
    },
    Case {
        alert: "SluiceJobsParked",
        fires: &[(r#"sluice_jobs{instance="a", state="parked"}"#, "0 2x20")],
        quiet: &[
            (r#"sluice_jobs{instance="a", state="parked"}"#, "0x20"),
            (r#"sluice_jobs{instance="a", state="due"}"#, "9x20"),
        ],
        minutes: (0, 1),
        labels: "severity: ticket",
        summary: "2 background writes failed and wait for an operator",
    },
    Case {
        alert: "SluiceQueueLate",
        fires: &[(r#"sluice_queue_lag_seconds{instance="a"}"#, "0 360x20")],
        quiet: &[(r#"sluice_queue_lag_seconds{instance="a"}"#, "0 240x20")],
        minutes: (5, 6),
        labels: "severity: ticket",
        summary: "a job of a script has been due for 6m 0s",
    },
    Case {
        alert: "SluiceQueueParked",
        fires: &[(r#"sluice_queue_jobs{instance="a", state="parked"}"#, "0 2x20")],
        quiet: &[(r#"sluice_queue_jobs{instance="a", state="due"}"#, "9x20")],
        minutes: (0, 1),
        labels: "severity: ticket",
        summary: "2 jobs of scripts failed and wait for an operator",
    },
    Case {
        alert: "SluiceQueuePushesRefused",
        fires: &[(r#"sluice_queue_pushes_refused_total{instance="a"}"#, "0+1x20")],
        quiet: &[(r#"sluice_queue_pushes_refused_total{instance="a"}"#, "5x20")],
        minutes: (5, 6),
        labels: "severity: ticket, instance: a",
        summary: "scripts on a cannot push jobs, because their brand has too many",
    },
    Case {
        alert: "SluiceScheduleParked",
        fires: &[(
            r#"sluice_schedules_troubled{instance="a", sluice_brand="demo", state="parked"}"#,
            "0 2x20",
        )],
        quiet: &[(r#"sluice_schedules_troubled{instance="a", sluice_brand="demo", state="late"}"#, "2x20")],
        minutes: (0, 1),
        labels: "severity: ticket, sluice_brand: demo",
        summary: "the last job of 2 schedules of demo failed",
    },
    Case {
        alert: "SluiceScheduleLate",
        fires: &[(r#"sluice_schedules_troubled{instance="a", sluice_brand="demo", state="late"}"#, "0 2x20")],
        quiet: &[(r#"sluice_schedules_troubled{instance="a", sluice_brand="demo", state="parked"}"#, "2x20")],
        minutes: (2, 3),
        labels: "severity: ticket, sluice_brand: demo",
        summary: "no host has started 2 schedules of demo",
    },
    Case {
        alert: "SluiceCrmWritesRefused",
        fires: &[(r#"sluice_crm_writes_refused_total{instance="a"}"#, "0+1x20")],
        quiet: &[(r#"sluice_crm_writes_refused_total{instance="a"}"#, "5x20")],
        minutes: (5, 6),
        labels: "severity: ticket, instance: a",
        summary: "limits refuse CRM writes on a; visitors' data are not stored",
    },
    Case {
        alert: "SluiceExecutionLogLosesRuns",
        fires: &[(r#"sluice_execution_log_runs_total{instance="a", result="dropped"}"#, "0+1x20")],
        quiet: &[(r#"sluice_execution_log_runs_total{instance="a", result="stored"}"#, "0+1x20")],
        minutes: (5, 6),
        labels: "severity: ticket, instance: a",
        summary: "runs are missing from the execution log of a",
    },
    Case {
        alert: "SluiceTelemetryLost",
        fires: &[(
            r#"sluice_telemetry_items_total{instance="a", signal="traces", result="failed"}"#,
            "0+1x20",
        )],
        quiet: &[(r#"sluice_telemetry_items_total{instance="a", signal="traces", result="sent"}"#, "0+1x20")],
        minutes: (10, 11),
        labels: "severity: ticket, instance: a, signal: traces",
        summary: "traces of a do not reach the OTLP receiver",
    },
    Case {
        alert: "SluiceFilesFail",
        fires: &[(
            r#"sluice_files_call_duration_seconds_count{instance="a", operation="save", error_type="failed"}"#,
            "0+1x20",
        )],
        quiet: &[(
            r#"sluice_files_call_duration_seconds_count{instance="a", operation="save", error_type=""}"#,
            "0+1x20",
        )],
        minutes: (5, 6),
        labels: "severity: ticket, instance: a, operation: save",
        summary: "save fails on a",
    },
    Case {
        alert: "SluiceCertificateExpires",
        // In a little less and in a little more than 7 days; the time of promtool begins with 0.
        fires: &[(
            r#"sluice_tls_certificate_expiry_seconds{instance="a", server_address="shop.test"}"#,
            "604000x30",
        )],
        quiet: &[(
            r#"sluice_tls_certificate_expiry_seconds{instance="a", server_address="shop.test"}"#,
            "606800x30",
        )],
        minutes: (14, 15),
        labels: "severity: page, instance: a, server_address: shop.test",
        summary: "the certificate of shop.test on a expires in 6d 23h 31m 40s",
    },
    Case {
        alert: "SluiceCertificateMissing",
        fires: &[(r#"sluice_acme_names{instance="a", state="missing"}"#, "0 2x90")],
        quiet: &[(r#"sluice_acme_names{instance="a", state="valid"}"#, "2x90")],
        minutes: (60, 61),
        labels: "severity: ticket, instance: a",
        summary: "2 names on a have no certificate yet",
    },
    Case {
        alert: "SluiceCertificateOrdersFail",
        fires: &[(ORDERS, "0x10 1x60 2x60 4x240")],
        quiet: &[(ORDERS, "0x10 1x360"), (ISSUED, "0+1x370")],
        minutes: (70, 200),
        labels: "severity: ticket, instance: a, outcome: unavailable",
        summary: "4 orders of certificates ended as unavailable on a in 6 hours",
    },
    Case {
        alert: "SluiceHandshakesFail",
        fires: &[(HANDSHAKES, "0+10x60"), (HANDSHAKES_FAILED, "0+20x60")],
        // One visitor with a wrong clock while nobody else comes is not an outage.
        quiet: &[(HANDSHAKES, "3x60"), (HANDSHAKES_FAILED, "0+1x60")],
        minutes: (30, 45),
        labels: "severity: ticket, instance: a",
        summary: "more TLS handshakes fail than succeed on a",
    },
    Case {
        alert: "SluiceRestarts",
        fires: &[(r#"process_uptime_seconds{instance="a"}"#, "0 60 0 60 0 60 0 60x20")],
        quiet: &[(r#"process_uptime_seconds{instance="a"}"#, "0 60 0+60x20")],
        minutes: (4, 8),
        labels: "severity: ticket, instance: a",
        summary: "a has restarted 3 times in half an hour",
    },
];

fn series(out: &mut String, series: &[(&str, &str)]) {
    for (name, values) in series {
        writeln!(out, "      - {{ series: '{name}', values: '{values}' }}").unwrap();
    }
}

/// The tests in the form that promtool reads.
fn as_yaml(rules: &Path) -> String {
    let mut out =
        format!("rule_files: [{:?}]\nevaluation_interval: 1m\ntests:\n", rules.display().to_string());
    for case in CASES {
        let Case { alert, minutes: (before, at), labels, summary, .. } = case;
        writeln!(out, "  - interval: 1m\n    name: {alert} fires\n    input_series:").unwrap();
        series(&mut out, case.fires);
        writeln!(out, "    alert_rule_test:").unwrap();
        writeln!(out, "      - {{ alertname: {alert}, eval_time: {before}m }}").unwrap();
        writeln!(out, "      - alertname: {alert}\n        eval_time: {at}m\n        exp_alerts:").unwrap();
        writeln!(out, "          - exp_labels: {{ {labels} }}\n            exp_annotations:").unwrap();
        writeln!(out, "              summary: {summary:?}").unwrap();
        writeln!(out, "              runbook: docs/runbook.md#{}", alert.to_lowercase()).unwrap();
        writeln!(out, "  - interval: 1m\n    name: {alert} does not fire\n    input_series:").unwrap();
        series(&mut out, case.quiet);
        writeln!(out, "    alert_rule_test:").unwrap();
        for minute in [*at, at + 5] {
            writeln!(out, "      - {{ alertname: {alert}, eval_time: {minute}m }}").unwrap();
        }
    }
    out
}

#[test]
fn alerts_fire_when_they_should_and_not_otherwise() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/sluice.rules.yml");
    let text = std::fs::read_to_string(&rules).unwrap();
    let alerts: BTreeSet<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(CASES.iter().map(|case| case.alert).collect::<BTreeSet<_>>(), alerts, "each alert has a case");
    let folder = tempfile::tempdir().unwrap();
    let tests = folder.path().join("tests.yml");
    std::fs::write(&tests, as_yaml(&rules.canonicalize().unwrap())).unwrap();
    let output = Command::new("promtool").args(["test", "rules"]).arg(&tests).output();
    let output = output.expect("promtool starts (`make setup` installs it)");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
