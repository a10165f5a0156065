//! Making an answer: one request does, the others wait. Or the host does, while visitors get the old one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// The most requests of a brand that wait for answers, and of all brands. A client that leaves does not end the wait of
/// its request.
const WAITING: Bounds = Bounds { of_brand: 512, all: 2_048 };
/// The same for old answers that the host makes again. No connection bounds their number.
const REFRESHES: Bounds = Bounds { of_brand: 64, all: 256 };

#[derive(Clone, Copy)]
struct Bounds {
    of_brand: usize,
    all: usize,
}

/// Places of one kind, by brand.
pub(crate) struct Places {
    max: Bounds,
    /// The number of places that are taken, and of those of each brand.
    taken: Mutex<(usize, HashMap<String, usize>)>,
}

/// The place of a request that waits, or of an answer that is made again.
pub(crate) struct Place {
    all: Arc<Places>,
    brand: String,
}

impl Places {
    /// For requests that wait.
    pub(crate) fn for_waiting() -> Arc<Self> {
        Arc::new(Self { max: WAITING, taken: Mutex::default() })
    }

    /// For answers that are made again.
    pub(crate) fn for_refreshes() -> Arc<Self> {
        Arc::new(Self { max: REFRESHES, taken: Mutex::default() })
    }

    /// `None` if too many are taken already.
    pub(crate) fn enter(self: &Arc<Self>, brand: &str) -> Option<Place> {
        let mut taken = self.taken.lock();
        let (all, brands) = &mut *taken;
        let of_brand = brands.get(brand).copied().unwrap_or(0);
        if *all >= self.max.all || of_brand >= self.max.of_brand {
            return None;
        }
        *all += 1;
        brands.insert(brand.to_owned(), of_brand + 1);
        Some(Place { all: Arc::clone(self), brand: brand.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.all.taken.lock();
        let (all, brands) = &mut *taken;
        *all -= 1;
        match brands.get_mut(&self.brand) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(brands.remove(&self.brand)),
        }
    }
}

/// A fill that runs. The requests that wait for it are woken when it is dropped.
pub(crate) struct FillState {
    /// Differs from those of all other fills.
    pub(crate) number: u64,
    end: watch::Sender<()>,
}

impl FillState {
    pub(crate) fn new(number: u64) -> Self {
        Self { number, end: watch::Sender::new(()) }
    }

    pub(crate) fn wait(&self, place: Place) -> Waiting {
        Waiting { end: self.end.subscribe(), _place: place }
    }
}

/// Waits until another request has made the answer, or has failed to.
pub struct Waiting {
    end: watch::Receiver<()>,
    _place: Place,
}

impl Waiting {
    /// Waits. Then the caller has to look again.
    pub async fn until_over(mut self) {
        // Nothing is ever sent: the end is that the sender is dropped.
        while self.end.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_brand_leaves_places_to_others() {
        for places in [Places::for_waiting(), Places::for_refreshes()] {
            let max = places.max;
            let fill = |brand: &str| (0..).map_while(|_| places.enter(brand)).collect::<Vec<_>>();
            let first = fill("a");
            assert_eq!(first.len(), max.of_brand);
            let others: Vec<_> = ["b", "c", "d"].iter().flat_map(|brand| fill(brand)).collect();
            assert_eq!(first.len() + others.len(), max.all);
            assert!(places.enter("e").is_none());
            drop(first);
            assert!(places.enter("e").is_some() && places.enter("b").is_none());
            drop(others);
            assert!(places.taken.lock().1.is_empty());
        }
    }
}
