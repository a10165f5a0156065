//! Bounds how many visitors read files of a service at a time. Each of them has a connection to it, and a service
//! that hangs keeps them waiting.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many visitors read at a time. A brand has at most half of them.
const READERS_MAX: usize = 128;

/// The readers of all brands.
pub(crate) struct Readers {
    all: Arc<Semaphore>,
    brands: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The place of one visitor, until this is dropped.
pub struct Reader {
    _places: Option<[OwnedSemaphorePermit; 2]>,
}

impl Readers {
    pub(crate) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(READERS_MAX)), brands: Mutex::default() }
    }

    /// A place, or `None` if all are taken.
    pub(crate) fn enter(&self, brand: &str) -> Option<Reader> {
        let mut brands = self.brands.lock();
        let of_brand =
            brands.entry(brand.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(READERS_MAX / 2)));
        let of_brand = Arc::clone(of_brand).try_acquire_owned().ok()?;
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Reader { _places: Some([of_brand, of_all]) })
    }
}

impl Reader {
    /// A visitor who reads a file of this machine, and needs no place.
    pub(crate) fn without_place() -> Self {
        Self { _places: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_brand_leaves_half_of_the_places_to_others() {
        let readers = Readers::new();
        let first: Vec<_> = (0..READERS_MAX / 2).map(|_| readers.enter("a").unwrap()).collect();
        assert!(readers.enter("a").is_none());
        let second: Vec<_> = (0..READERS_MAX / 2).map(|_| readers.enter("b").unwrap()).collect();
        assert!(readers.enter("c").is_none());
        drop(first);
        assert!(readers.enter("a").is_some() && readers.enter("b").is_none());
        drop(second);
        assert!(readers.enter("b").is_some());
    }
}
