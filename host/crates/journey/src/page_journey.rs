//! What the steps of a page's journey share.

use std::sync::Arc;

use sluice_app::app::App;
use sluice_app::load::Live;
use sluice_app::observe::Observation;
use sluice_app::request::PageRequest;
use sluice_page::{Page, PageContent, PageScript};
use sluice_page_cache::Dependence;
use sluice_sandbox::memory::Reserved;
use sluice_sandbox::slots::{RunKind, Slot};
use sluice_site::Brand;
use sluice_template::Template;

use super::filling::Filling;
use super::matching::MatchedPage;

/// A request on its way through a page.
pub(super) struct Journey<'a> {
    pub(super) app: &'a Arc<App>,
    /// The state of the site with which the request started. A reload does not change it.
    pub(super) live: &'a Arc<Live>,
    pub(super) matched: &'a MatchedPage,
    pub(super) content: &'a Arc<PageContent>,
    /// What the visitor sent.
    pub(super) request: &'a mut PageRequest,
    /// The observers of the request.
    pub(super) observation: &'a mut Observation,
    /// The memory that is reserved for the run and for rendering the page.
    pub(super) memory: Option<Reserved>,
    /// The memory that the visitor's files take besides the disk.
    pub(super) files_memory: Option<Reserved>,
    /// The place among the running sandboxes, while the request may wait for the database and has no
    /// sandbox. It counts toward the database's share.
    pub(super) place: Option<Slot>,
    /// If the answer of the page may be kept for other visitors.
    pub(super) filling: Option<Filling>,
}

impl<'a> Journey<'a> {
    pub(super) fn brand(&self) -> &'a Arc<Brand> {
        &self.matched.brand
    }

    pub(super) fn page(&self) -> &'a Page {
        &self.matched.page
    }

    /// Notes that the answer depends on the visitor, or has failed.
    pub(super) fn depends_on(&mut self, dependence: Dependence) {
        if let Some(filling) = &mut self.filling {
            filling.depends_on(dependence);
        }
    }

    /// Whether the template of the page calls the CRM.
    pub(super) fn renders_with_crm(&self) -> bool {
        self.content.template.as_ref().is_ok_and(Template::asks_crm)
    }

    /// What the request waits for in its place among the running sandboxes. `None` if it needs no place.
    pub(super) fn run_kind(&self) -> Option<RunKind> {
        let of_script = match &self.content.script {
            PageScript::Ready { script, .. } => Some(script.run_kind()),
            PageScript::None | PageScript::Broken(_) => None,
        };
        match self.renders_with_crm() {
            true => Some(RunKind { database: true, ..of_script.unwrap_or_default() }),
            false => of_script,
        }
    }
}
