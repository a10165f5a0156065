//! The entities of which this process knows that they exist.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::Slug;

/// The slugs that were found in a database. Entities are never deleted, so a slug that was found once
/// need not be looked up again. Another process may create entities at any time, so a slug that is not
/// here may exist.
#[derive(Debug, Default)]
pub struct KnownSlugs {
    of_brand: Mutex<HashMap<String, HashSet<String>>>,
}

impl KnownSlugs {
    /// Whether `brand` is known to have this entity.
    pub(crate) fn has(&self, brand: &str, slug: &Slug) -> bool {
        let of_brand = self.of_brand.lock().unwrap_or_else(PoisonError::into_inner);
        of_brand.get(brand).is_some_and(|slugs| slugs.contains(slug.as_str()))
    }

    /// Notes slugs that the database has.
    pub(crate) fn add(&self, brand: &str, slugs: &[String]) {
        let mut of_brand = self.of_brand.lock().unwrap_or_else(PoisonError::into_inner);
        of_brand.entry(brand.to_owned()).or_default().extend(slugs.iter().cloned());
    }
}
