//! The columns of a table of entries: those that an operator chooses, or those that say something.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::error::AdminError;
use crate::admin::templates::{encode_query, text};
use crate::admin::views::crm::{EntityView, EntryView, FieldView};
use crate::admin::views::crm_sorted::Sort;

/// Columns for values in a table of entries that nobody has chosen.
const COLUMNS_MAX: usize = 16;
/// Columns that can be chosen.
const CHOSEN_MAX: usize = 32;

/// `?columns=name,size`: the fields whose columns an operator has chosen.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chosen {
    columns: String,
}

impl Chosen {
    /// The choice that the form with the check boxes sends: `column=name&column=size`.
    pub(super) fn of_form(pairs: &[(String, String)]) -> Option<Self> {
        let keys = pairs.iter().filter(|(name, _)| name == "column").map(|(_, key)| key.as_str());
        let is_form = pairs.iter().any(|(name, _)| name == "choose");
        is_form.then(|| Self { columns: keys.collect::<Vec<_>>().join(",") })
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.columns.split(',').filter(|key| !key.is_empty())
    }

    /// The part of an address: `columns=name,size`. Empty if nothing is chosen.
    pub(super) fn query(&self) -> String {
        let keys: Vec<String> = self.keys().map(encode_query).collect();
        if keys.is_empty() { String::new() } else { format!("columns={}", keys.join(",")) }
    }

    /// What a form keeps. Null if nothing is chosen.
    pub(super) fn kept(&self) -> Option<&str> {
        Some(self.columns.as_str()).filter(|columns| !columns.is_empty())
    }

    /// The check boxes: the declared fields.
    pub(super) fn boxes(&self, entity: &EntityView, shown: &[Column]) -> Vec<Value> {
        let is_shown = |key: &str| shown.iter().any(|column| column.key == key);
        let fields = entity.fields.iter();
        fields
            .map(|field| json!({ "key": field.key, "label": field.label, "is_chosen": is_shown(&field.key) }))
            .collect()
    }

    /// The columns of a table of these entries.
    ///
    /// # Errors
    /// A chosen field is not declared, or too many are chosen.
    pub(super) fn columns(
        &self,
        entity: &EntityView,
        entries: &[EntryView],
    ) -> Result<Vec<Column>, AdminError> {
        let mut columns: Vec<Column> = Vec::new();
        for key in self.keys() {
            let unknown = || AdminError::InvalidRequest(format!("{} has no field {key:?}", entity.slug));
            let field = entity.fields.iter().find(|field| field.key == key).ok_or_else(unknown)?;
            if columns.iter().all(|known| known.key != key) {
                columns.push(Column::of(field));
            }
        }
        if columns.len() > CHOSEN_MAX {
            let said = format!("at most {CHOSEN_MAX} columns can be chosen");
            return Err(AdminError::InvalidRequest(said));
        }
        Ok(if columns.is_empty() { those_with_values(entity, entries) } else { columns })
    }
}

/// A column of a table: a declared field, or a key that some entries have.
pub(super) struct Column {
    key: String,
    pub(super) label: String,
    is_number: bool,
    pub(super) is_indexed: bool,
}

impl Column {
    fn of(field: &FieldView) -> Self {
        let is_number = matches!(field.kind, "number" | "integer" | "decimal" | "currency");
        Self { key: field.key.clone(), label: field.label.clone(), is_number, is_indexed: field.is_indexed }
    }

    pub(super) fn head(&self, sort: &Sort) -> Value {
        let link = self.is_indexed.then(|| sort.link(&self.key));
        json!({ "label": self.label, "is_number": self.is_number, "sort": link })
    }

    pub(super) fn text(&self, entry: &EntryView) -> String {
        entry.values.get(&self.key).map(text).unwrap_or_default()
    }
}

/// The declared fields first, then the other keys of the entries. A field that none of them has is left out.
pub(super) fn those_with_values(entity: &EntityView, entries: &[EntryView]) -> Vec<Column> {
    let has_values = |key: &str| {
        entries
            .iter()
            .any(|entry| entry.values.get(key).is_some_and(|value| !value.is_null() && *value != json!("")))
    };
    let mut columns: Vec<Column> = entity.fields.iter().map(Column::of).collect();
    for key in entries.iter().flat_map(|entry| entry.values.keys()) {
        if !columns.iter().any(|known| known.key == *key) {
            columns.push(Column {
                key: key.clone(),
                label: key.clone(),
                is_number: false,
                is_indexed: false,
            });
        }
    }
    columns.retain(|column| has_values(&column.key));
    columns.truncate(COLUMNS_MAX);
    columns
}

pub(super) fn cells(columns: &[Column], entry: &EntryView) -> Vec<Value> {
    let cell = |column: &Column| json!({ "label": column.label, "text": column.text(entry), "is_number": column.is_number });
    columns.iter().map(cell).collect()
}
