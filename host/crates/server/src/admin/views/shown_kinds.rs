//! Which kinds of failures the lists show, and how many there are of each sort.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use sluice_limits::grouped;

/// Which kinds are listed: `?show=muted`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Show {
    /// Those that are neither resolved nor muted, and those that have come back.
    #[default]
    Open,
    Resolved,
    Muted,
    All,
}

/// The choices, for links: the value in the address, and what a link says.
const CHOICES: [(Show, &str); 4] =
    [(Show::Open, "open"), (Show::Resolved, "resolved"), (Show::Muted, "muted"), (Show::All, "all")];

impl Show {
    /// The value in the address, unless it is the default one.
    pub(crate) fn asked(self) -> Option<&'static str> {
        CHOICES.into_iter().find(|(show, _)| *show == self && *show != Self::Open).map(|(_, value)| value)
    }
}

/// What is the matter with a kind, at the end of the time that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// No mark, or one that has ended.
    Open,
    /// It was resolved, and has failed since.
    CameBack,
    Resolved,
    Muted,
}

impl Place {
    pub(super) fn is_in(self, show: Show) -> bool {
        match show {
            Show::All => true,
            Show::Open => matches!(self, Self::Open | Self::CameBack),
            Show::Resolved => self == Self::Resolved,
            Show::Muted => self == Self::Muted,
        }
    }
}

/// How many kinds of the time there are of each sort.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Counts {
    pub(crate) open: usize,
    pub(crate) resolved: usize,
    pub(crate) muted: usize,
    /// The failures of the resolved kinds.
    pub(crate) resolved_failures: u64,
    /// The failures of the muted kinds.
    pub(crate) muted_failures: u64,
}

impl Counts {
    fn add(&mut self, place: Place, failures: u64) {
        match place {
            Place::Open | Place::CameBack => self.open += 1,
            Place::Resolved => {
                self.resolved += 1;
                self.resolved_failures += failures;
            }
            Place::Muted => {
                self.muted += 1;
                self.muted_failures += failures;
            }
        }
    }

    /// What a number of failures is to say about those that a list leaves out: `57 of 2 muted kinds and 3 of 1 resolved
    /// kind`. None if no kind is resolved or muted.
    pub(crate) fn hidden(self) -> Option<String> {
        let part = |failures: u64, kinds: usize, name: &str| {
            let noun = if kinds == 1 { "kind" } else { "kinds" };
            (kinds > 0).then(|| format!("{} of {kinds} {name} {noun}", grouped(failures)))
        };
        let muted = part(self.muted_failures, self.muted, "muted");
        let resolved = part(self.resolved_failures, self.resolved, "resolved");
        let parts: Vec<String> = muted.into_iter().chain(resolved).collect();
        (!parts.is_empty()).then(|| parts.join(" and "))
    }

    fn of(self, show: Show) -> usize {
        match show {
            Show::Open => self.open,
            Show::Resolved => self.resolved,
            Show::Muted => self.muted,
            Show::All => self.open + self.resolved + self.muted,
        }
    }
}

/// The kinds of a time.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    /// Those with a mark: brand and id.
    pub(super) marked: HashSet<(String, String)>,
    /// How many failures are of resolved or muted kinds, by brand and page.
    pub(crate) hidden: HashMap<(String, String), u64>,
}

impl Tally {
    pub(super) fn add(&mut self, (brand, page): (&str, &str), place: Place, failures: u64) {
        self.counts.add(place, failures);
        if matches!(place, Place::Resolved | Place::Muted) {
            *self.hidden.entry((brand.to_owned(), page.to_owned())).or_default() += failures;
        }
    }
}

/// A link that chooses which kinds are listed.
#[derive(Debug, Serialize)]
pub(crate) struct ShowLink {
    value: &'static str,
    count: usize,
    is_chosen: bool,
}

/// The links, if there is something to choose.
pub(crate) fn links(show: Show, counts: Counts) -> Vec<ShowLink> {
    if show == Show::Open && counts.of(Show::All) == counts.open {
        return Vec::new();
    }
    let link = |(value, name)| ShowLink { value: name, count: counts.of(value), is_chosen: value == show };
    CHOICES.map(link).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_what_the_list_leaves_out() {
        let mut tally = Tally::default();
        let said = |tally: &Tally| tally.counts.hidden().unwrap_or_default();
        tally.add(("shop", "pages/a.html"), Place::Open, 1_000);
        assert_eq!(said(&tally), "");
        tally.add(("shop", "pages/a.html"), Place::Muted, 50);
        tally.add(("shop", "pages/b.html"), Place::Muted, 2_007);
        assert_eq!(said(&tally), "2_057 of 2 muted kinds");
        tally.add(("shop", "pages/a.html"), Place::Resolved, 3);
        tally.add(("shop", "pages/a.html"), Place::CameBack, 9);
        assert_eq!(said(&tally), "2_057 of 2 muted kinds and 3 of 1 resolved kind");
        let of = |page: &str| tally.hidden[&("shop".to_owned(), page.to_owned())];
        assert_eq!((of("pages/a.html"), of("pages/b.html")), (53, 2_007));
    }
}
