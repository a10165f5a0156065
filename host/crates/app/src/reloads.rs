//! What concurrent reloads share: the newest version of each brand, and the order in which they go
//! live.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use sluice_site::Brand;
use sluice_site::config::SiteConfig;

use crate::faults::BrandFault;
use crate::load::{Faults, Live, LoadContext, LoadError, Loaded, ReloadReport, build};

/// Each brand that is being loaded holds a thread of the runtime while its pages compile, and the
/// runtime can replace a few hundred.
const LOADS_MAX: usize = 64;

/// What concurrent reloads share.
pub(crate) struct Reloads {
    /// How many brands are loaded at the same time.
    places: Semaphore,
    /// Each brand is loaded by one reload at a time.
    gates: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    state: Mutex<State>,
}

impl Default for Reloads {
    fn default() -> Self {
        Self { places: Semaphore::new(LOADS_MAX), gates: Mutex::default(), state: Mutex::default() }
    }
}

#[derive(Default)]
struct State {
    /// The reloads that have not ended.
    running: usize,
    /// The brands that the newest reload found, and its settings.
    ids: Vec<String>,
    config: Option<Arc<SiteConfig>>,
    /// The newest version of each brand that was loaded since no reload was running, and why its
    /// files are not in use.
    loaded: HashMap<String, (Arc<Brand>, Option<BrandFault>)>,
}

/// A reload that has not ended.
pub(crate) struct Running<'a>(&'a Reloads);

impl Reloads {
    /// Begins a reload. The last one that begins decides about brands and settings.
    pub(crate) fn begin(&self, ids: &[String], config: &Arc<SiteConfig>) -> Running<'_> {
        let mut state = self.state.lock();
        state.running += 1;
        state.ids = ids.to_vec();
        state.config = Some(Arc::clone(config));
        Running(self)
    }

    /// Locked while the brand is being loaded.
    pub(crate) fn gate(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.gates.lock().entry(id.to_owned()).or_default())
    }

    /// Waits until another brand may be loaded.
    pub(crate) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // Cannot fail: the semaphore is never closed.
        self.places.acquire().await.ok()
    }

    /// The newest version of a brand, which may not be served yet.
    pub(crate) fn newest(&self, live: &Live, id: &str) -> Option<Arc<Brand>> {
        let loaded = self.state.lock().loaded.get(id).map(|(brand, _)| Arc::clone(brand));
        loaded.or_else(|| live.site.brands().find(|brand| brand.id == id).cloned())
    }

    /// Keeps a brand that was loaded for the next commits.
    pub(crate) fn keep(&self, loaded: &Loaded) {
        let newest = (Arc::clone(&loaded.brand), loaded.fault());
        self.state.lock().loaded.insert(loaded.brand.id.clone(), newest);
    }

    /// Serves the newest version of each brand from now on. `live` returns what is served, and `go_live`
    /// replaces it.
    ///
    /// # Errors
    /// There is nothing to serve. Everything is served as before.
    pub(crate) fn commit(
        &self,
        context: &LoadContext<'_>,
        report: &mut ReloadReport,
        live: impl Fn() -> Arc<Live>,
        go_live: impl FnOnce(Live),
    ) -> Result<Arc<Live>, LoadError> {
        // The lock keeps another reload from serving an older state after this one.
        let state = self.state.lock();
        let Some(config) = &state.config else { return Ok(live()) };
        let old = live();
        let served: HashMap<&str, &Arc<Brand>> =
            old.site.brands().map(|brand| (brand.id.as_str(), brand)).collect();
        let (mut brands, mut faults) = (Vec::new(), Faults::new());
        for id in &state.ids {
            let (brand, fault) = match (state.loaded.get(id), served.get(id.as_str())) {
                (Some((brand, fault)), _) => (brand, fault.as_ref()),
                (None, Some(brand)) => (*brand, old.faults.get(id)),
                (None, None) => continue,
            };
            brands.push(Arc::clone(brand));
            faults.extend(fault.map(|fault| (id.clone(), fault.clone())));
        }
        go_live(build(context, config, brands, faults, Some(&old), report)?);
        Ok(live())
    }
}

impl Running<'_> {
    /// Whether no other reload is running.
    pub(crate) fn is_last(&self) -> bool {
        self.0.state.lock().running == 1
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.running -= 1;
        if state.running == 0 {
            state.loaded.clear();
        }
    }
}
