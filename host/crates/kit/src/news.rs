//! Counts by brand and name, of which those that have changed are stored again. `page_stats` and `host_stats` keep
//! them here, and `runs` stores them every second. That costs as much as what has changed, however many names there
//! are, because runs that end wait meanwhile.

use std::collections::HashMap;

/// What is counted for a name of a brand.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<T> {
    /// The brand's id.
    pub brand: String,
    /// The name within the brand.
    pub name: String,
    /// All that was counted so far.
    pub value: T,
}

/// Values by brand and name.
#[derive(Debug)]
pub(crate) struct Table<T> {
    brands: HashMap<String, HashMap<String, Counted<T>>>,
    len: usize,
    /// The brands and names that have changed, each once.
    changed: Vec<(String, String)>,
}

#[derive(Debug, Default)]
struct Counted<T> {
    value: T,
    has_changed: bool,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { brands: HashMap::new(), len: 0, changed: Vec::new() }
    }
}

impl<T: Clone + Default> Table<T> {
    /// The number of names of all brands.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The number of a brand's names.
    pub(crate) fn len_of(&self, brand: &str) -> usize {
        self.brands.get(brand).map_or(0, HashMap::len)
    }

    /// Whether something is counted for a name.
    pub(crate) fn contains(&self, brand: &str, name: &str) -> bool {
        self.brands.get(brand).is_some_and(|names| names.contains_key(name))
    }

    /// Changes the value of a name, which is new if there is none.
    pub(crate) fn change(&mut self, brand: &str, name: &str, change: impl FnOnce(&mut T)) {
        if !self.contains(brand, name) {
            self.len += 1;
            self.brands.entry(brand.to_owned()).or_default().insert(name.to_owned(), Counted::default());
        }
        let Some(counted) = self.brands.get_mut(brand).and_then(|names| names.get_mut(name)) else { return };
        change(&mut counted.value);
        if !std::mem::replace(&mut counted.has_changed, true) {
            self.changed.push((brand.to_owned(), name.to_owned()));
        }
    }

    /// Whether something has changed since the last [`Table::take_changed`].
    pub(crate) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What has changed since the last call. Each row has all that was counted, not only what is new.
    pub(crate) fn take_changed(&mut self) -> Vec<Row<T>> {
        let mut rows = Vec::with_capacity(self.changed.len());
        for (brand, name) in std::mem::take(&mut self.changed) {
            let counted = self.brands.get_mut(&brand).and_then(|names| names.get_mut(&name));
            if let Some(counted) = counted {
                counted.has_changed = false;
                let value = counted.value.clone();
                rows.push(Row { brand, name, value });
            }
        }
        rows
    }

    /// Counts rows that were taken, and could not be stored, as changed. What was counted since stays.
    pub(crate) fn put_back(&mut self, rows: Vec<Row<T>>) {
        for Row { brand, name, value } in rows {
            let is_known = self.contains(&brand, &name);
            self.change(&brand, &name, |known| {
                if !is_known {
                    *known = value;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, value: u64) -> Row<u64> {
        Row { brand: "a".to_owned(), name: name.to_owned(), value }
    }

    #[test]
    fn only_what_has_changed_is_taken() {
        let mut table = Table::<u64>::default();
        for name in ["x", "y", "x"] {
            table.change("a", name, |value| *value += 1);
        }
        assert_eq!(table.take_changed(), [row("x", 2), row("y", 1)]);
        assert!(!table.has_changed() && table.take_changed().is_empty());
        table.change("a", "y", |value| *value += 1);
        assert_eq!(table.take_changed(), [row("y", 2)]);
        assert_eq!((table.len(), table.len_of("a"), table.len_of("b")), (2, 2, 0));
    }

    #[test]
    fn what_could_not_be_stored_is_taken_again_with_what_was_counted_since() {
        let mut table = Table::<u64>::default();
        for name in ["x", "y"] {
            table.change("a", name, |value| *value += 1);
        }
        let taken = table.take_changed();
        table.change("a", "x", |value| *value += 1);
        table.put_back(taken.clone());
        assert_eq!(table.take_changed(), [row("x", 2), row("y", 1)]);
        // A table that has forgotten them takes their values.
        let mut other = Table::default();
        other.put_back(taken);
        assert_eq!(other.take_changed(), [row("x", 1), row("y", 1)]);
    }
}
