//! Making an answer: one request does, the others wait.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// The most requests of a brand that wait for answers, and of all brands. A client that leaves does not end the wait of
/// its request.
const BRAND_WAITING_MAX: usize = 512;
const WAITING_MAX: usize = 2_048;

/// The requests that wait, by brand.
#[derive(Default)]
pub(crate) struct Waiters(Mutex<(usize, HashMap<String, usize>)>);

/// The place of a request that waits.
pub(crate) struct WaitingPlace {
    all: Arc<Waiters>,
    brand: String,
}

impl Waiters {
    /// `None` if too many wait already.
    pub(crate) fn enter(self: &Arc<Self>, brand: &str) -> Option<WaitingPlace> {
        let mut waiting = self.0.lock();
        let (all, brands) = &mut *waiting;
        let of_brand = brands.get(brand).copied().unwrap_or(0);
        if *all >= WAITING_MAX || of_brand >= BRAND_WAITING_MAX {
            return None;
        }
        *all += 1;
        brands.insert(brand.to_owned(), of_brand + 1);
        Some(WaitingPlace { all: Arc::clone(self), brand: brand.to_owned() })
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        let mut waiting = self.all.0.lock();
        let (all, brands) = &mut *waiting;
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

    pub(crate) fn wait(&self, place: WaitingPlace) -> Waiting {
        Waiting { end: self.end.subscribe(), _place: place }
    }
}

/// Waits until another request has made the answer, or has failed to.
pub struct Waiting {
    end: watch::Receiver<()>,
    _place: WaitingPlace,
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
        let waiters = Arc::new(Waiters::default());
        let fill = |brand: &str| (0..).map_while(|_| waiters.enter(brand)).collect::<Vec<_>>();
        let first = fill("a");
        assert_eq!(first.len(), BRAND_WAITING_MAX);
        let others: Vec<_> = ["b", "c", "d"].iter().flat_map(|brand| fill(brand)).collect();
        assert_eq!(first.len() + others.len(), WAITING_MAX);
        assert!(waiters.enter("e").is_none());
        drop(first);
        assert!(waiters.enter("e").is_some() && waiters.enter("b").is_none());
        drop(others);
        assert!(waiters.0.lock().1.is_empty());
    }
}
