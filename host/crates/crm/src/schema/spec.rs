//! What can be declared, after checking.

use serde::Deserialize;
use serde_json::Value;

use super::FieldType;

/// All that a brand's `crm.toml` declares.
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
    /// For people.
    pub name: String,
    /// Whether it may have pipelines.
    pub mode: EntityMode,
    /// Unique by key.
    pub fields: Vec<FieldSpec>,
    /// Unique by slug; none in mode `data`.
    pub pipelines: Vec<PipelineSpec>,
}

/// Whether an entity has pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityMode {
    /// Entries stand in stages of pipelines.
    Crm,
    /// Entries are data and nothing else.
    Data,
}

impl EntityMode {
    /// As it is written in `crm.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crm => "crm",
            Self::Data => "data",
        }
    }

    /// The mode that is written so.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Crm, Self::Data].into_iter().find(|mode| mode.as_str() == name)
    }
}

/// `[[entity.field]]`. For people and the console; scripts may write any key.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldSpec {
    /// A valid field key.
    pub key: String,
    /// For people.
    pub label: String,
    /// How the console shows it.
    pub kind: FieldType,
    /// Choices: strings or `{value, label}`.
    pub options: Vec<Value>,
}

/// `[[entity.pipeline]]`
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineSpec {
    /// A valid slug.
    pub slug: String,
    /// For people.
    pub name: String,
    /// Unique by slug, in order.
    pub stages: Vec<StageSpec>,
}

/// One of `stages`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageSpec {
    /// A valid slug.
    pub slug: String,
    /// For people.
    pub name: String,
    /// `#rgb`, `#rrggbb` or a colour's name.
    pub color: Option<String>,
    /// A word of the brand's own choice, of a slug's form.
    pub status: Option<String>,
}
