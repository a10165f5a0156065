//! What `sluice serve` shows visitors of a brand whose operator has set `behind_pages`: the sources of its pages,
//! and what their own runs used. It is far less than `sluice dev` shows: no values of variables, of the CRM or of
//! `storage`, no console lines and no reasons of failures, because these can be about other visitors, or secret.
//!
//! The address of a run is a random number that only the page of this run contains, so no visitor finds the run of
//! another one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use sluice_app::observe::{self, Event, RequestObserver};
use sluice_app::request::PageRequest;
use sluice_app::response::{FilePart, Reply};
use sluice_limits::Limits;
use sluice_sandbox::RunReport;
use sluice_site::config::OperatorBrand;
use sluice_site::{Brand, TEST_SUFFIX};
use sluice_telemetry::trace::Trace;

use crate::dev::inject;
use crate::dev::runs::{self, LastRuns, limits_as_json};
use crate::visit::session;
use crate::watch::milliseconds;

/// The path of the script that leads a page to its run.
pub const CLIENT_PATH: &str = "/.sluice/behind.js";
/// The script.
pub const CLIENT_JS: &str = include_str!("behind.js");

/// How many runs of a brand are kept.
const RUNS_MAX: usize = 256;
/// A larger description is kept without the session.
const RUN_BYTES_MAX: usize = 16 << 10;

/// The brands whose visitors see it, and the last runs.
pub struct Behind {
    brands: BTreeSet<String>,
    runs: LastRuns,
}

impl Behind {
    /// None if the operator has set it for no brand.
    pub fn of(brands: &BTreeMap<String, OperatorBrand>) -> Option<Arc<Self>> {
        let shown = brands.iter().filter(|(_, brand)| brand.behind_pages).map(|(id, _)| id.clone());
        let brands: BTreeSet<String> = shown.collect();
        for brand in &brands {
            tracing::warn!(
                brand,
                "behind_pages is set for this brand: everybody can read the sources of its pages"
            );
        }
        (!brands.is_empty()).then(|| Arc::new(Self { brands, runs: LastRuns::new(RUNS_MAX) }))
    }

    /// The observer that the host notifies about each request.
    pub fn observer(self: &Arc<Self>) -> Arc<dyn observe::Observer> {
        Arc::new(BehindObserver(Arc::clone(self)))
    }

    /// Whether pages of the brand show what is behind them.
    pub fn shows(&self, brand: &Brand) -> bool {
        self.brands.contains(&brand.id)
    }

    /// What a run of the brand used, as JSON, if it is one of the last runs.
    pub fn run(&self, brand: &Brand, id: &str) -> Option<Arc<str>> {
        self.shows(brand).then(|| self.runs.find(&brand.id, id))?
    }

    /// A page, module, layout or component of the brand, open for reading. Tests are none.
    pub fn source(&self, brand: &Brand, file: &str) -> Option<FilePart> {
        if !self.shows(brand) || !runs::is_source(file) || file.ends_with(TEST_SUFFIX) {
            return None;
        }
        let file = brand.dir.file(file).ok()?;
        let bytes = file.metadata().ok()?.len();
        Some(FilePart { file, start: 0, bytes })
    }
}

struct BehindObserver(Arc<Behind>);

struct BehindRequest {
    behind: Arc<Behind>,
    /// The request line. None if the brand is not shown.
    asked: Option<(&'static str, String)>,
    limits: Option<Limits>,
    described: Option<(String, Value)>,
}

impl observe::Observer for BehindObserver {
    fn begin(&self, request: &PageRequest, _trace: &Trace) -> Box<dyn RequestObserver> {
        Box::new(BehindRequest {
            behind: Arc::clone(&self.0),
            asked: Some((request.method.name(), request.raw_path.clone())),
            limits: None,
            described: None,
        })
    }
}

impl RequestObserver for BehindRequest {
    fn notice(&mut self, event: &Event<'_>) {
        match event {
            Event::BrandFound { brand } if !self.behind.shows(brand) => self.asked = None,
            Event::PageFound { page, .. } if self.asked.is_some() => self.limits = Some(page.limits.clone()),
            Event::RunEnded { brand, page, report, .. } if self.asked.is_some() => {
                self.described = Some((brand.id.clone(), describe(&page.file, report)));
            }
            _ => {}
        }
    }

    fn finish(&mut self, request: &PageRequest, reply: &mut Reply) {
        if !inject::is_shown(reply, request) {
            return;
        }
        let Some(run) = self.keep(reply) else { return };
        inject::inject_run(reply, CLIENT_PATH, &run);
        // Whoever gets the page from a cache would get the run of somebody else.
        reply.set_header("cache-control", "no-store".into());
    }
}

impl BehindRequest {
    /// Keeps what the run used. Returns its id, or none if no run was described.
    fn keep(&mut self, reply: &Reply) -> Option<String> {
        let (Some((brand, mut described)), Some((method, path)), Some(limits)) =
            (self.described.take(), self.asked.take(), self.limits.take())
        else {
            return None;
        };
        let Value::Object(keys) = &mut described else { return None };
        keys.insert("request".into(), json!({ "method": method, "address": path }));
        keys.insert("response".into(), json!({ "status": reply.status }));
        keys.insert("limits".into(), limits_as_json(&limits));
        if serde_json::to_string(keys).map_or(0, |text| text.len()) > RUN_BYTES_MAX {
            keys.insert("session".into(), Value::Null);
        }
        let text = described.to_string();
        self.behind.runs.add(brand, text)
    }
}

/// The keys of what `sluice dev` shows. What visitors do not see is null.
fn describe(page: &str, report: &RunReport) -> Value {
    json!({
        "run": {
            "page": page,
            "outcome": report.outcome.name(),
            "failure": null,
            "tier": report.tier.name(),
            "fuel": report.fuel,
            "memory_bytes": report.memory_bytes_peak,
            "wall_ms": milliseconds(report.wall),
            "host_ms": milliseconds(report.host_wall),
            "crm_calls": report.crm_calls,
        },
        "session": session(report.session.loaded()),
        "variables": null,
        "console": null,
        "crm": null,
        "storage": null,
        "http": null,
        "files": null,
        "warnings": [],
    })
}
