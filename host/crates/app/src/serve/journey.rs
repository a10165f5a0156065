//! What the steps of a page's journey share.

use std::sync::Arc;

use sluice_page::{Page, PageContent};
use sluice_site::Brand;

use super::matching::MatchedPage;
use crate::app::App;
use crate::load::Live;
use crate::observe::Observation;
use crate::request::PageRequest;

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
}

impl<'a> Journey<'a> {
    pub(super) fn brand(&self) -> &'a Arc<Brand> {
        &self.matched.brand
    }

    pub(super) fn page(&self) -> &'a Page {
        &self.matched.page
    }
}
