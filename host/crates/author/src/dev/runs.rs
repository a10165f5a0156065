//! The last runs of pages, so that a page in the browser can show what is behind it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use sluice_app::request::Method;
use sluice_limits::Limits;

use crate::visit::Visit;
use crate::watch::Seen;

/// How many runs of a brand are kept.
pub(super) const RUNS_MAX: usize = 32;
/// A larger description is kept without the values that make it large.
const RUN_BYTES_MAX: usize = 512 << 10;

/// The folders of a brand whose files a page can read under `sluice dev`.
const SOURCES: [&str; 4] = ["pages/", "modules/", "layouts/", "components/"];

/// The last runs.
pub(crate) struct LastRuns {
    runs_max: usize,
    /// The newest is the last.
    kept: Mutex<VecDeque<Kept>>,
}

struct Kept {
    id: String,
    brand: String,
    described: Arc<str>,
}

/// A request for a page, and the page's answer.
pub(super) struct Asked<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) status: u16,
    pub(super) limits: &'a Limits,
}

impl LastRuns {
    /// Keeps so many runs of each brand.
    pub(crate) fn new(runs_max: usize) -> Self {
        Self { runs_max, kept: Mutex::default() }
    }

    /// Keeps what a run did. Returns its id, or none if no page ran.
    pub(super) fn keep(&self, asked: &Asked<'_>, seen: Seen) -> Option<String> {
        let brand = seen.page.as_ref()?.brand.clone();
        self.add(brand, describe(asked, seen))
    }

    /// Keeps the description of a run, under a random id that nobody can guess.
    pub(crate) fn add(&self, brand: String, described: String) -> Option<String> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        let id = sluice_kit::hex::hex(&bytes);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // A brand with many visitors does not push out the runs of another one.
        let mut of_brand = kept.iter().enumerate().filter(|(_, one)| one.brand == brand).map(|(at, _)| at);
        let oldest = of_brand.next();
        if oldest.is_some() && of_brand.count().saturating_add(1) >= self.runs_max {
            oldest.and_then(|at| kept.remove(at));
        }
        kept.push_back(Kept { id: id.clone(), brand, described: described.into() });
        Some(id)
    }

    /// The description of a run of this brand, as JSON.
    pub(crate) fn find(&self, brand: &str, id: &str) -> Option<Arc<str>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|one| one.id == id && one.brand == brand)?;
        Some(Arc::clone(&found.described))
    }
}

/// The keys of `sluice run --json`, without the response's headers and body, and with the quotas.
fn describe(asked: &Asked<'_>, seen: Seen) -> String {
    let mut described = Visit::of(seen).did();
    let Value::Object(keys) = &mut described else { return String::new() };
    keys.insert("request".into(), json!({"method": asked.method.name(), "address": asked.path}));
    keys.insert("response".into(), json!({"status": asked.status}));
    keys.insert("limits".into(), limits_as_json(asked.limits));
    let text = serde_json::to_string(keys).unwrap_or_default();
    if text.len() <= RUN_BYTES_MAX {
        return text;
    }
    for key in ["variables", "session", "console", "crm", "storage", "queue", "files"] {
        keys.insert(key.into(), Value::Null);
    }
    let warning = "The run used more data than can be shown here; use `sluice run`.";
    keys.insert("warnings".into(), json!([warning]));
    described.to_string()
}

/// The quotas that a page can show beside what its run used.
pub(crate) fn limits_as_json(limits: &Limits) -> Value {
    let Limits { fuel, template_fuel, heap_bytes_max, wall_ms_max, crm_calls_max, .. } = limits;
    let Limits { http_calls_max, storage_calls_max, cache_calls_max, files_calls_max, .. } = limits;
    let Limits { queue_calls_max, .. } = limits;
    json!({
        "fuel": fuel,
        "template_fuel": template_fuel,
        "heap_bytes_max": heap_bytes_max,
        "wall_ms_max": wall_ms_max,
        "crm_calls_max": crm_calls_max,
        "http_calls_max": http_calls_max,
        "storage_calls_max": storage_calls_max,
        "cache_calls_max": cache_calls_max,
        "files_calls_max": files_calls_max,
        "queue_calls_max": queue_calls_max,
    })
}

/// Whether a page may read this file of its brand: a page, module, layout or component.
pub(crate) fn is_source(file: &str) -> bool {
    let is_plain = file.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
    let is_script = file.ends_with(".html") || file.ends_with(".js");
    is_plain && is_script && SOURCES.iter().any(|folder| file.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_make_pages_are_sources() {
        for file in ["pages/index.html", "pages/a/{b}.html", "modules/cart.js", "components/a.html"] {
            assert!(is_source(file), "{file}");
        }
        for file in [
            "brand.toml",
            "crm.toml",
            "pages/../brand.toml",
            "modules/../../other/pages/index.html",
            "pages/.hidden.html",
            "pages//index.html",
            "/pages/index.html",
            "pages/notes.txt",
            "public/app.js",
            "",
        ] {
            assert!(!is_source(file), "{file}");
        }
    }
}
