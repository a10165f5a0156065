//! Brands that cannot be loaded or whose Hosts another brand has: what is served instead, so that the
//! other brands are not affected.

use std::sync::Arc;

use sluice_site::hosts::{HostClash, Hosts};
use sluice_site::{Brand, Outage, Site, SiteError};

use crate::served_hosts::ServedHosts;

/// Why the files of a brand are not in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrandFault {
    /// The reason, for operators.
    pub reason: String,
    /// Whether the last good version is served. Otherwise visitors get status 503.
    pub is_served: bool,
    /// Whether the files are in use, except for Hosts that another brand claims, too.
    pub is_contested: bool,
}

/// A brand that claims Hosts of another one.
pub(crate) struct Clash {
    /// The id of the brand that does not get them.
    pub(crate) brand: String,
    pub(crate) error: SiteError,
    pub(crate) instead: Instead,
}

/// What is served of a brand that does not get the Hosts that it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instead {
    /// The brand on its other Hosts. Nobody gets those that several brands claim.
    OtherHosts,
    /// Its last good version.
    LastGood,
    /// Status 503.
    Nothing,
}

/// The brands without claims to the same Hosts. The operator's decisions come first, then what a brand
/// serves already. A brand that claims something of either keeps its last good version or, without one,
/// answers 503 on the Hosts that it alone claims. Nobody serves what several brands claim and none of them
/// has served: whoever may write one `brand.toml` could otherwise take the Hosts of others. At a start, what
/// brands served before counts (`remembered`).
pub(crate) fn settle_hosts(
    mut brands: Vec<Arc<Brand>>,
    old: Option<&Site>,
    remembered: &ServedHosts,
) -> (Vec<Arc<Brand>>, Vec<Clash>) {
    let served = |brand: &Brand| old.and_then(|old| old.brands().find(|known| known.id == brand.id));
    let has = |brand: &Brand, claim: &HostClash| {
        let hosts = match old {
            Some(_) => served(brand).map(|known| &known.hosts),
            None => remembered.of(&brand.id),
        };
        hosts.is_some_and(|hosts| hosts.serve(claim))
    };
    brands.sort_by(|a, b| a.id.cmp(&b.id));
    let mut clashes = Vec::new();
    let (mut in_time, mut late) = (Vec::new(), Vec::new());
    for brand in &brands {
        let is_theirs = |other: &Brand, claim: &HostClash| {
            matches!(claim, HostClash::Operators(..)) || has(other, claim) && !has(brand, claim)
        };
        match first_shared(brand, &brands, is_theirs) {
            Some(error) => late.push((Arc::clone(brand), error)),
            None => in_time.push(Arc::clone(brand)),
        }
    }
    let mut settled: Vec<Arc<Brand>> = Vec::new();
    for brand in &in_time {
        let others = in_time.iter().filter(|other| other.id != brand.id);
        let shared = others.flat_map(|other| brand.clashes(other).map(move |claim| (other, claim)));
        // If only one of two has it, that is this brand: the other one would be late.
        let contested: Vec<_> =
            shared.filter(|(other, claim)| has(other, claim) == has(brand, claim)).collect();
        let claims: Vec<HostClash> = contested.iter().map(|(_, claim)| claim.clone()).collect();
        if let Some((other, claim)) = contested.into_iter().next() {
            let (error, instead) = (brand.both_claim(other, claim), Instead::OtherHosts);
            clashes.push(Clash { brand: brand.id.clone(), error, instead });
        }
        settled.push(with_hosts(brand, brand.hosts.contested(&claims)));
    }
    for (brand, error) in late {
        let known = served(&brand).filter(|known| known.outage.is_none());
        let known = known.filter(|known| settled.iter().all(|first| known.clashes(first).next().is_none()));
        let (brand_id, instead) =
            (brand.id.clone(), if known.is_some() { Instead::LastGood } else { Instead::Nothing });
        settled.push(known.map_or_else(|| Arc::new(out_of_service(&brand, &settled)), Arc::clone));
        clashes.push(Clash { brand: brand_id, error, instead });
    }
    settled.sort_by(|a, b| a.id.cmp(&b.id));
    (settled, clashes)
}

/// The error of the first claim that `brand` shares with another one and that `counts`.
fn first_shared(
    brand: &Brand,
    brands: &[Arc<Brand>],
    counts: impl Fn(&Brand, &HostClash) -> bool,
) -> Option<SiteError> {
    brands.iter().filter(|other| other.id != brand.id).find_map(|other| {
        let claim = brand.clashes(other).find(|claim| counts(other, claim))?;
        Some(brand.both_claim(other, claim))
    })
}

fn with_hosts(brand: &Arc<Brand>, hosts: Hosts) -> Arc<Brand> {
    if hosts == brand.hosts {
        return Arc::clone(brand);
    }
    let mut brand = Brand::clone(brand);
    brand.hosts = hosts;
    Arc::new(brand)
}

/// `brand` with status 503, on the Hosts that nobody else has.
fn out_of_service(brand: &Brand, others: &[Arc<Brand>]) -> Brand {
    let mut brand = brand.clone();
    for first in others {
        brand.hosts = brand.hosts.without(&first.hosts, &first.id);
    }
    brand.outage.get_or_insert_with(Outage::default);
    brand
}
