//! The files of `deploy/` fit the program and its documents.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::otlp::OtlpReceiver;
use crate::harness::{Request, Server, ServerOptions, TestSite};
use crate::https::Authority;

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap()
}

#[test]
fn promtool_accepts_the_alerts() {
    let output = Command::new("promtool")
        .args(["check", "rules", "--lint-fatal"])
        .arg(file("deploy/prometheus/sluice.rules.yml"))
        .output()
        .expect("promtool starts (`make setup` installs it)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn runbook_has_a_section_for_every_alert() {
    let rules = read("deploy/prometheus/sluice.rules.yml");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let runbook = read("docs/runbook.md");
    let sections: Vec<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(alerts, sections);
    for alert in alerts {
        assert!(rules.contains(&format!("runbook: docs/runbook.md#{}\n", alert.to_lowercase())), "{alert}");
    }
}

/// The names of the host's metrics in a text.
fn metric_names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c| !is_part(c));
    let families = ["http_server_", "http_client_", "sluice_", "db_client_", "process_"];
    let labels = ["sluice_brand", "sluice_outcome", "sluice_status"];
    let names = words.filter(|word| families.iter().any(|family| word.starts_with(family)));
    names.filter(|word| !labels.contains(word)).map(str::to_owned).collect()
}

#[test]
fn alerts_and_dashboard_use_existing_metrics() {
    let site = TestSite::with(&[
        ("crm.toml", "[[entity]]\nslug = \"leads\"\n"),
        (
            "pages/index.html",
            "<script scope=\"backend\">getCrmField({ slug: 'leads', fieldKey: 'a', referenceId: '1' }); session.set('a', 1); http.get('http://127.0.0.9:9/'); files.list()</script>",
        ),
        ("pages/rated.html", "rated"),
    ]);
    let brand = "default = true\n[http]\nallow = [\"127.0.0.9:9\"]\n[[page]]\npath = \"/rated\"\nrate = \"1/d\"\ncache = { ttl = \"1m\" }\n\
         [[schedule]]\nname = \"yearly\"\ncron = \"@yearly\"\nmodule = \"none\"\n";
    site.write("brands/demo/brand.toml", brand);
    let receiver = OtlpReceiver::start();
    let server = ServerOptions::of(site.path())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint())
        .env("SLUICE_HTTP__PRIVATE_NETWORKS", "[\"127.0.0.9/32\"]")
        .start();
    for path in ["/", "/rated", "/rated"] {
        server.get("localhost", path);
    }
    let authority = Authority::new();
    authority.issue("demo", &["shop.test"], 1);
    let secure = authority.options(&site).env("SLUICE_ACME__ENABLED", "true").start();
    let metrics = |server: &Server| Request::get("/metrics").send(server.admin_address).body;
    // Nobody has to ask for it, but the schedules are counted in the background.
    server.wait_until("schedules are counted", || metrics(&server).contains("sluice_schedules_troubled"));
    let there = metric_names(&(metrics(&server) + &metrics(&secure)));
    let rules: String = read("deploy/prometheus/sluice.rules.yml")
        .lines()
        .filter(|line| !line.contains("summary:") && !line.contains("runbook:"))
        .map(|line| format!("{line}\n"))
        .collect();
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/sluice.json")).unwrap();
    for asked in metric_names(&rules).union(&metric_names(&dashboard.to_string())) {
        assert!(there.contains(asked), "{asked} is not in {there:?}");
    }
}
