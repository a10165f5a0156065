//! The parts of a declaration, after checking.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::FieldType;
use crate::Indexing;
use crate::size::json_bytes;

/// The declarations in a brand's `crm.toml`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrmSchema {
    /// Unique by slug.
    pub entities: Vec<EntitySpec>,
}

/// `[[entity]]`
#[derive(Clone, Debug, PartialEq)]
pub struct EntitySpec {
    /// A valid slug.
    pub slug: String,
    /// A name for people.
    pub name: String,
    /// Whether it may have pipelines.
    pub mode: EntityMode,
    /// Its further settings.
    pub settings: Settings,
    /// Unique by key.
    pub fields: Vec<FieldSpec>,
    /// Unique by slug. Empty in mode `data`.
    pub pipelines: Vec<PipelineSpec>,
}

/// Further settings of a field or an entity, by their names in `SETTINGS`. They are stored and shown, but
/// nothing follows from them.
pub type Settings = Map<String, Value>;

/// The names of the settings: in `crm.toml`, and in the other spelling that scripts may use.
pub(crate) const SETTINGS: [(&str, &str); 4] = [
    ("ui_editable", "uiEditable"),
    ("reporting_config", "reportingConfig"),
    ("validation_rules", "validationRules"),
    ("visible_to_team_ids", "visibleToTeamIds"),
];

impl FieldSpec {
    /// The index of a stored field.
    pub fn indexing(&self) -> Indexing {
        Indexing::None.declared(self.index, self.unique)
    }

    /// The bytes of `options` and `settings` as JSON. 0 if it has none.
    pub(crate) fn settings_bytes(&self) -> usize {
        let options = if has_content(&self.options) { json_bytes(&self.options) } else { 0 };
        options.saturating_add(settings_bytes(&self.settings))
    }
}

/// The bytes of settings as JSON. 0 if there are none.
pub(crate) fn settings_bytes(settings: &Settings) -> usize {
    settings.iter().map(|(name, value)| name.len().saturating_add(json_bytes(value))).sum()
}

fn has_content(options: &Value) -> bool {
    !matches!(options, Value::Array(items) if items.is_empty())
}

/// Whether an entity has pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityMode {
    /// It has pipelines, and entries can be in their stages.
    Crm,
    /// It has no pipelines.
    Data,
}

impl EntityMode {
    /// The name in `crm.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crm => "crm",
            Self::Data => "data",
        }
    }

    /// Returns the mode with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Crm, Self::Data].into_iter().find(|mode| mode.as_str() == name)
    }
}

/// `[[entity.field]]`. The console uses it; scripts may write any key.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldSpec {
    /// A valid field key.
    pub key: String,
    /// A name for people.
    pub label: String,
    /// How the console shows its values.
    pub kind: FieldType,
    /// Whether it has an index. `None` leaves that as it is.
    pub index: Option<bool>,
    /// Whether two entries can have the same value. `None` leaves that as it is.
    pub unique: Option<bool>,
    /// Choices, such as strings or `{value, label}`: any JSON.
    pub options: Value,
    /// Its further settings.
    pub settings: Settings,
}

/// `[[entity.pipeline]]`
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineSpec {
    /// A valid slug.
    pub slug: String,
    /// A name for people.
    pub name: String,
    /// Unique by slug, in order.
    pub stages: Vec<StageSpec>,
}

/// One of `stages`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageSpec {
    /// A valid slug.
    pub slug: String,
    /// A name for people.
    pub name: String,
    /// `#rgb`, `#rrggbb` or a colour's name.
    pub color: Option<String>,
    /// A word that the brand chose. It has the form of a slug.
    pub status: Option<String>,
}
