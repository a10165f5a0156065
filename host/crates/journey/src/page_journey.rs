//! What the steps of a page's journey share.

use std::sync::Arc;

use sluice_app::app::App;
use sluice_app::load::Live;
use sluice_app::observe::Observation;
use sluice_app::request::PageRequest;
use sluice_page::{Page, PageContent};
use sluice_sandbox::memory::Reserved;
use sluice_site::Brand;

use super::matching::MatchedPage;

/// A request on its way through a page.
pub(super) struct Journey<'a> {
    pub(super) app: &'a App,
    /// The state of the site with which the request started. A reload does not change it.
    pub(super) live: &'a Live,
    pub(super) matched: &'a MatchedPage,
    pub(super) content: &'a Arc<PageContent>,
    /// What the visitor sent.
    pub(super) request: &'a mut PageRequest,
    /// The observers of the request.
    pub(super) observation: &'a mut Observation,
    /// The memory that is reserved for the run and for rendering the page.
    pub(super) memory: Option<Reserved>,
}

impl<'a> Journey<'a> {
    pub(super) fn brand(&self) -> &'a Arc<Brand> {
        &self.matched.brand
    }

    pub(super) fn page(&self) -> &'a Page {
        &self.matched.page
    }
}
