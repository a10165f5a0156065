//! A request whose answer may be kept for other visitors.

use std::sync::Arc;

use sluice_app::page_cache::Answer;
use sluice_page::page_cache::template_dependence;
use sluice_page_cache::{CacheRules, Dependence, Fill};
use sluice_sandbox::sharing::Sharing;
use sluice_template::Template;

/// The duty to make an answer, and what speaks against keeping it.
pub(super) struct Filling {
    /// `None` if the answer is not kept in any case, and only what speaks against it is noted.
    pub(super) fill: Option<Fill<Answer>>,
    pub(super) filler: Filler,
    pub(super) rules: Arc<CacheRules>,
    /// Why the answer is not kept.
    pub(super) dependence: Option<Dependence>,
}

/// Who makes the answer.
#[derive(Clone, Copy)]
pub(super) enum Filler {
    /// The request of a visitor, who gets it.
    Visitor,
    /// The host, while visitors get the old answer.
    Refresh,
}

impl Filling {
    pub(super) fn new(fill: Option<Fill<Answer>>, filler: Filler, rules: Arc<CacheRules>) -> Self {
        Self { fill, filler, rules, dependence: None }
    }

    /// Notes that the answer depends on the visitor, or has failed. The first reason counts.
    pub(super) fn depends_on(&mut self, dependence: Dependence) {
        self.dependence.get_or_insert(dependence);
    }

    /// Notes what the template reads.
    pub(super) fn renders(&mut self, template: &Template) {
        if let Some(dependence) = template_dependence(template, &self.rules) {
            self.depends_on(dependence);
        }
    }

    /// What the sandbox of the run has to know.
    pub(super) fn sharing(&self) -> Sharing {
        Sharing::within(&self.rules)
    }
}
