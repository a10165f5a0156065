//! Brands that cannot be loaded or whose Hosts another brand has: what is served instead, so that the
//! other brands are not affected.

use std::sync::Arc;

use sluice_site::{Brand, Outage, Site, SiteError};

/// Why the files of a brand are not in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrandFault {
    /// The reason, for operators.
    pub reason: String,
    /// Whether the last good version is served. Otherwise visitors get status 503.
    pub is_served: bool,
}

/// A brand that claims Hosts of another one.
pub(crate) struct Clash {
    /// The id of the brand that does not get them.
    pub(crate) brand: String,
    pub(crate) error: SiteError,
    /// Whether its last good version is served.
    pub(crate) is_served: bool,
}

/// The brands without claims to the same Hosts. The operator's decisions come first, then brands whose
/// claims have not changed since they were loaded, then the others; each in alphabetical order. A brand
/// whose claims clash with those of an earlier one keeps its last good version or, without one, answers
/// 503 on the Hosts that it alone claims.
pub(crate) fn settle_hosts(mut brands: Vec<Arc<Brand>>, old: Option<&Site>) -> (Vec<Arc<Brand>>, Vec<Clash>) {
    let served = |brand: &Brand| old.and_then(|old| old.brands().find(|known| known.id == brand.id));
    brands.sort_by_key(|brand| {
        let is_unchanged = served(brand).is_some_and(|known| known.hosts == brand.hosts);
        (!brand.hosts.is_operators(), !is_unchanged, brand.id.clone())
    });
    let (mut settled, mut clashes) = (Vec::<Arc<Brand>>::new(), Vec::new());
    for brand in brands {
        let Some(error) = settled.iter().find_map(|first| brand.clash(first)) else {
            settled.push(brand);
            continue;
        };
        let known = served(&brand).filter(|known| known.outage.is_none());
        let known = known.filter(|known| settled.iter().all(|first| known.clash(first).is_none()));
        clashes.push(Clash { brand: brand.id.clone(), error, is_served: known.is_some() });
        let instead = match known {
            Some(known) => Arc::clone(known),
            None => Arc::new(out_of_service(&brand, &settled)),
        };
        settled.push(instead);
    }
    settled.sort_by(|a, b| a.id.cmp(&b.id));
    (settled, clashes)
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
