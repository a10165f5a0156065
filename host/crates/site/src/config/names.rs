//! The settings in a file by their names, which tell what a reload has changed. Values are not kept, because a file can
//! have tokens.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use serde::Serialize;
use toml::{Table, Value};

use sluice_kit::toml_text;

/// Settings that are told apart. If a file has more, the others count as one.
const NAMES_MAX: usize = 2_000;
/// A longer name is cut.
const NAME_CHARS_MAX: usize = 120;
/// Settings in deeper tables count as one.
const LEVELS_MAX: usize = 4;
/// The name of all settings beyond [`NAMES_MAX`].
const OTHERS: &str = "other settings";

/// What has happened to a setting, a page or a brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is another one.
    Changed,
    /// It is gone.
    Removed,
}

/// The names of the settings in a file, each with a number that changes with its value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingNames(Arc<BTreeMap<String, u64>>);

impl SettingNames {
    /// The settings in a text that was read without a mistake.
    pub(crate) fn of(text: &str) -> Self {
        let table: Table = toml_text::parse(text).unwrap_or_default();
        let mut names = BTreeMap::new();
        add_table(&mut names, "", &table, 0);
        Self(Arc::new(names))
    }

    /// What is different in `new`.
    pub fn changes<'a>(&'a self, new: &'a Self) -> Vec<(&'a str, Change)> {
        let gone = self.0.keys().filter(|name| !new.0.contains_key(*name));
        let gone = gone.map(|name| (name.as_str(), Change::Removed));
        let other = new.0.iter().filter_map(|(name, value)| match self.0.get(name) {
            None => Some((name.as_str(), Change::Added)),
            Some(old) => (old != value).then_some((name.as_str(), Change::Changed)),
        });
        gone.chain(other).collect()
    }
}

fn add_table(names: &mut BTreeMap<String, u64>, before: &str, table: &Table, level: usize) {
    for (key, value) in table {
        let name = if before.is_empty() { key.clone() } else { format!("{before}.{key}") };
        add(names, &name, value, level);
    }
}

fn add(names: &mut BTreeMap<String, u64>, name: &str, value: &Value, level: usize) {
    match value {
        Value::Table(table) if level < LEVELS_MAX && !table.is_empty() => {
            add_table(names, name, table, level + 1);
        }
        Value::Array(all) if level < LEVELS_MAX && all.iter().any(Value::is_table) => {
            for (at, one) in all.iter().enumerate() {
                let label = ["path", "name"].iter().find_map(|key| one.get(key)?.as_str());
                let label = label.map_or_else(|| (at + 1).to_string(), str::to_owned);
                add(names, &format!("{name}[{label}]"), one, level + 1);
            }
        }
        value => insert(names, name, value),
    }
}

fn insert(names: &mut BTreeMap<String, u64>, name: &str, value: &Value) {
    let mut hash = DefaultHasher::new();
    let short = match name.char_indices().nth(NAME_CHARS_MAX) {
        // What follows still tells one from the other by its value.
        Some((end, _)) => {
            name.hash(&mut hash);
            format!("{}…", name.get(..end).unwrap_or_default())
        }
        None => name.to_owned(),
    };
    value.to_string().hash(&mut hash);
    if names.len() < NAMES_MAX && !names.contains_key(&short) {
        names.insert(short, hash.finish());
        return;
    }
    name.hash(&mut hash);
    let others = names.entry(OTHERS.to_owned()).or_default();
    *others = others.wrapping_add(hash.finish());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(old: &str, new: &str) -> Vec<(String, Change)> {
        let (old, new) = (SettingNames::of(old), SettingNames::of(new));
        old.changes(&new).into_iter().map(|(name, change)| (name.to_owned(), change)).collect()
    }

    #[test]
    fn names_what_is_new_gone_and_other() {
        let old = "default = true\n[limits]\nfuel = 5\n[variables]\na = 1\n[[page]]\npath = '/cart'\nlimits.fuel = 1";
        let new = "[limits]\nfuel = 6\n[variables]\na = 1\nb = 2\n[[page]]\npath = '/cart'\nlimits.fuel = 2\n[[page]]\npath = '/new'";
        let expected = [
            ("default", Change::Removed),
            ("limits.fuel", Change::Changed),
            ("page[/cart].limits.fuel", Change::Changed),
            ("page[/new].path", Change::Added),
            ("variables.b", Change::Added),
        ];
        assert_eq!(changes(old, new), expected.map(|(name, change)| (name.to_owned(), change)));
        assert!(changes(old, old).is_empty());
        // The order of tables in a list with names does not matter.
        let pages = |paths: [&str; 2]| paths.map(|path| format!("[[page]]\npath = '{path}'\n")).concat();
        assert!(changes(&pages(["/a", "/b"]), &pages(["/b", "/a"])).is_empty());
    }

    #[test]
    fn large_files_have_a_bounded_number_of_names() {
        let many = |value: usize| -> String {
            let lines = (0..NAMES_MAX + 500)
                .map(|at| format!("k{at:05} = {}\n", if at == NAMES_MAX + 400 { value } else { 0 }));
            format!("[variables]\n{}", lines.collect::<String>())
        };
        assert!(SettingNames::of(&many(1)).0.len() <= NAMES_MAX + 1);
        assert_eq!(changes(&many(1), &many(2)), [(OTHERS.to_owned(), Change::Changed)]);
        let long = |end: &str| format!("[variables]\n{}{end} = 1\n", "x".repeat(500));
        let found = changes(&long("a"), &long("b"));
        assert!(found.len() == 1 && found[0].0.chars().count() == NAME_CHARS_MAX + 1, "{found:?}");
        assert!(changes("a = {b={c={d={e={f={g=1}}}}}}", "a = {b={c={d={e={f={g=2}}}}}}").len() == 1);
    }
}
