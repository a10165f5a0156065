//! The parts of a declaration, after checking.

use serde::Deserialize;
use serde_json::Value;

use super::FieldType;

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
    /// Unique by key.
    pub fields: Vec<FieldSpec>,
    /// Unique by slug. Empty in mode `data`.
    pub pipelines: Vec<PipelineSpec>,
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
    /// Choices: strings or `{value, label}`.
    pub options: Vec<Value>,
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
