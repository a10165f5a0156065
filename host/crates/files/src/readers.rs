//! Bounds how many visitors read files of a service at a time. Each of them has a connection to it, and a service
//! that hangs, or a visitor who reads slowly, keeps it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use sluice_kit::client_network;

/// How many visitors read at a time. A brand has at most half of them.
const READERS_MAX: usize = 128;
const BRAND_READERS_MAX: usize = READERS_MAX / 2;
/// How many of a brand's readers may be in one network of visitors.
const NETWORK_READERS_MAX: usize = BRAND_READERS_MAX / 2;

/// The readers of all brands.
#[derive(Default)]
pub(crate) struct Readers(Arc<Mutex<Places>>);

/// Places that are taken. What nobody takes has no entry.
#[derive(Default)]
struct Places {
    all: usize,
    brands: HashMap<String, HashMap<IpAddr, usize>>,
}

/// The place of one visitor, until this is dropped.
pub struct Reader {
    place: Option<Place>,
}

struct Place {
    places: Arc<Mutex<Places>>,
    brand: String,
    network: IpAddr,
}

impl Readers {
    /// A place for a visitor of `brand`, or `None` if all that the visitor may have are taken.
    pub(crate) fn enter(&self, brand: &str, visitor: Option<IpAddr>) -> Option<Reader> {
        let network = client_network(visitor);
        let mut places = self.0.lock();
        let of_brand = places.brands.get(brand);
        let in_brand = of_brand.map_or(0, |networks| networks.values().sum());
        let in_network = of_brand.and_then(|networks| networks.get(&network)).map_or(0, |count| *count);
        if places.all >= READERS_MAX || in_brand >= BRAND_READERS_MAX || in_network >= NETWORK_READERS_MAX {
            return None;
        }
        places.all += 1;
        *places.brands.entry(brand.to_owned()).or_default().entry(network).or_default() += 1;
        let place = Place { places: Arc::clone(&self.0), brand: brand.to_owned(), network };
        Some(Reader { place: Some(place) })
    }
}

impl Reader {
    /// A visitor who reads a file of this machine, and needs no place.
    pub(crate) fn without_place() -> Self {
        Self { place: None }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Some(Place { places, brand, network }) = self.place.take() else { return };
        let mut places = places.lock();
        places.all = places.all.saturating_sub(1);
        let Some(networks) = places.brands.get_mut(&brand) else { return };
        if let Some(count) = networks.get_mut(&network) {
            *count = count.saturating_sub(1);
        }
        networks.retain(|_, count| *count > 0);
        if networks.is_empty() {
            places.brands.remove(&brand);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// Takes all places that a brand has, from many addresses.
    fn fill(readers: &Readers, brand: &str) -> Vec<Reader> {
        (0..).map_while(|n| readers.enter(brand, Some(Ipv4Addr::from(n).into()))).collect()
    }

    #[test]
    fn one_brand_leaves_half_of_the_places_to_others() {
        let readers = Readers::default();
        let visitor = Some(Ipv4Addr::LOCALHOST.into());
        let first = fill(&readers, "a");
        assert_eq!(first.len(), BRAND_READERS_MAX);
        let second = fill(&readers, "b");
        assert_eq!(second.len(), BRAND_READERS_MAX);
        assert!(readers.enter("c", visitor).is_none());
        drop(first);
        assert!(readers.enter("a", visitor).is_some() && readers.enter("b", visitor).is_none());
        drop(second);
        assert!(readers.enter("b", visitor).is_some());
        assert!(readers.0.lock().brands.is_empty());
    }

    #[test]
    fn one_network_leaves_half_of_a_brands_places_to_others() {
        let readers = Readers::default();
        let visit = |brand: &str, address: &str| readers.enter(brand, Some(address.parse().unwrap()));
        let of = |n: usize| visit("a", &format!("2001:db8::{n:x}"));
        let taken: Vec<_> = (0..).map_while(of).collect();
        assert_eq!(taken.len(), NETWORK_READERS_MAX);
        assert!(visit("a", "2001:db8:0:1::1").is_some());
        assert!(visit("b", "2001:db8::1").is_some());
        drop(taken);
        assert!(of(1).is_some());
    }
}
