//! What a reload has changed in the site.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use sluice_page::Page;
use sluice_site::config::{Change, SettingNames};
use sluice_site::{Brand, Site};

/// What a reload can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SitePart {
    /// A folder in `brands/`.
    Brand,
    /// A page, with the layouts and components in it.
    Page,
    /// A setting in `sluice.toml` or `brand.toml`.
    Setting,
    /// The `crm.toml` of a brand.
    Crm,
}

/// A change that a reload has brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SiteChange {
    /// The id of the brand. `None` for a setting in `sluice.toml`.
    pub brand: Option<String>,
    /// What it is.
    pub part: SitePart,
    /// The file of a page, the name of a setting, or the id of a brand.
    pub name: String,
    /// What has happened to it.
    pub change: Change,
}

/// What is different in a site that was loaded again, at most `most` changes, and how many there are in all.
pub(crate) fn between(
    (old, old_settings): (&Site, &SettingNames),
    (new, new_settings): (&Site, &SettingNames),
    most: usize,
) -> (Vec<SiteChange>, usize) {
    let mut found = Found { most, ..Found::default() };
    for (name, change) in old_settings.changes(new_settings) {
        found.add(None, SitePart::Setting, name, change);
    }
    let by_id = |site: &Site| -> BTreeMap<String, Arc<Brand>> {
        site.brands().map(|brand| (brand.id.clone(), Arc::clone(brand))).collect()
    };
    let (old, new) = (by_id(old), by_id(new));
    for id in old.keys().filter(|id| !new.contains_key(*id)) {
        found.add(Some(id), SitePart::Brand, id, Change::Removed);
    }
    for (id, brand) in &new {
        match old.get(id) {
            None => found.add(Some(id), SitePart::Brand, id, Change::Added),
            Some(before) if !Arc::ptr_eq(before, brand) => found.add_brand(before, brand),
            Some(_) => {}
        }
    }
    (found.changes, found.all)
}

#[derive(Default)]
struct Found {
    changes: Vec<SiteChange>,
    all: usize,
    most: usize,
}

impl Found {
    fn add(&mut self, brand: Option<&str>, part: SitePart, name: &str, change: Change) {
        self.all += 1;
        if self.changes.len() < self.most {
            let (brand, name) = (brand.map(str::to_owned), name.to_owned());
            self.changes.push(SiteChange { brand, part, name, change });
        }
    }

    fn add_brand(&mut self, old: &Brand, new: &Brand) {
        let id = Some(new.id.as_str());
        let pages = |brand: &Brand| -> BTreeMap<String, Arc<Page>> {
            brand.pages.pages().map(|page| (page.file.clone(), Arc::clone(page))).collect()
        };
        let (before, after) = (pages(old), pages(new));
        for file in before.keys().filter(|file| !after.contains_key(*file)) {
            self.add(id, SitePart::Page, file, Change::Removed);
        }
        for (file, page) in &after {
            match before.get(file) {
                None => self.add(id, SitePart::Page, file, Change::Added),
                Some(known) if known.content.key != page.content.key => {
                    self.add(id, SitePart::Page, file, Change::Changed);
                }
                Some(_) => {}
            }
        }
        for (name, change) in old.settings.changes(&new.settings) {
            self.add(id, SitePart::Setting, name, change);
        }
        if old.crm_toml != new.crm_toml {
            let change = match (old.crm_toml.is_empty(), new.crm_toml.is_empty()) {
                (true, _) => Change::Added,
                (_, true) => Change::Removed,
                _ => Change::Changed,
            };
            self.add(id, SitePart::Crm, "crm.toml", change);
        }
    }
}
