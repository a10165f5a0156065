//! Why a store rejected or failed a CRM call. The stores return it, `write` plans with it,
//! and `calls` turns it into the script's error.

use std::fmt;

use sluice_kit::StoreError;

/// Why the store did not do what a CRM call asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrmFault {
    /// The brand has no entity with this slug.
    #[error("the brand has no entity {0:?}")]
    UnknownSlug(String),
    /// The write would exceed a quota. Nothing was written.
    #[error("a quota would be exceeded: {0}")]
    Cap(CapReached),
    /// The write was refused. Nothing was written.
    #[error("{0}")]
    Refused(Refusal),
    /// An entity with many entries is filtered or ordered by a field without an index.
    #[error("the field {field:?} of {slug:?} has no index")]
    NotIndexed {
        /// The entity.
        slug: String,
        /// The field.
        field: String,
        /// The index is declared and being built.
        is_building: bool,
    },
    /// The order is that of a field that is not declared.
    #[error("the entity has no declared field {field:?}")]
    OrderNotDeclared {
        /// The field.
        field: String,
        /// The declared fields.
        declared: Vec<String>,
    },
    /// The result is larger than it may be. Reading stopped there.
    #[error("the result is too large")]
    ResultTooLarge,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refusal> for CrmFault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl CrmFault {
    /// Whether an earlier job in the same line could make the write succeed. If one waits there,
    /// the write is queued instead of rejected.
    pub fn may_pass(&self) -> bool {
        match self {
            // What the brand stores grows with every waiting job.
            Self::Cap(cap) => *cap != CapReached::BrandBytes,
            Self::Refused(refusal) => {
                matches!(refusal, Refusal::NoEntry | Refusal::NothingToMove | Refusal::AmbiguousStage)
            }
            Self::UnknownSlug(_)
            | Self::NotIndexed { .. }
            | Self::OrderNotDeclared { .. }
            | Self::ResultTooLarge
            | Self::Store(_) => false,
        }
    }
}

/// The quota of [`CrmCaps`](crate::CrmCaps) that a write would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapReached {
    /// `keys_an_entry_max`
    #[error("keys of an entry")]
    KeysAnEntry,
    /// `entries_a_reference_max`
    #[error("entries of a reference")]
    EntriesAReference,
    /// `brand_bytes_max`. A write that makes the data smaller is never rejected.
    #[error("bytes of the brand's CRM data")]
    BrandBytes,
    /// `fields_an_entity_max` or `entities_a_brand_max`
    #[error("fields of an entity, or entities of a brand")]
    Schema,
    /// `settings_bytes_max`
    #[error("bytes of the options and settings of an entity")]
    Settings,
}

/// Why a write was not done although the database answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The reference has no entry.
    NoEntry,
    /// No reference was given and nobody is logged in.
    NoReference,
    /// The caller may not do this, or a quota is used up.
    NotAllowed,
    /// An argument is invalid.
    InvalidInput,
    /// The entity has no such stage.
    UnknownStage,
    /// The entity has no such pipeline.
    UnknownPipeline,
    /// Several pipelines have such a stage.
    AmbiguousStage,
    /// The stage belongs to another pipeline.
    StageNotInPipeline,
    /// The entity has no pipelines.
    NotCrmMode,
    /// The entries have none of the fields.
    NothingToMove,
    /// The run has made the call too often.
    RateLimited,
    /// The entry to which a relation is to lead does not exist.
    NoTarget,
    /// Another write changed the entry first.
    Conflict,
    /// Another entry has the value of a unique field.
    Duplicate,
}

impl Refusal {
    /// The code that scripts see in `error`.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoEntry => "no_entry",
            Self::NoReference => "no_reference",
            Self::NotAllowed => "not_allowed",
            Self::InvalidInput => "invalid_input",
            Self::UnknownStage => "unknown_stage",
            Self::UnknownPipeline => "unknown_pipeline",
            Self::AmbiguousStage => "ambiguous_stage",
            Self::StageNotInPipeline => "stage_not_in_pipeline",
            Self::NotCrmMode => "not_crm_mode",
            Self::NothingToMove => "nothing_to_move",
            Self::RateLimited => "rate_limited",
            Self::NoTarget => "no_target",
            Self::Conflict => "conflict",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Writes a sentence for the page's author.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEntry => "the reference has no entry",
            Self::NoReference => "no referenceId was given and nobody is logged in",
            Self::NotAllowed => "this is not allowed",
            Self::InvalidInput => "an argument is not valid",
            Self::UnknownStage => "the entity has no such stage",
            Self::UnknownPipeline => "the entity has no such pipeline",
            Self::AmbiguousStage => "several pipelines have a stage with this slug; give the pipeline, too",
            Self::StageNotInPipeline => "the stage belongs to another pipeline",
            Self::NotCrmMode => "the entity has mode \"data\" and therefore no pipelines",
            Self::NothingToMove => "the entries have none of the fields",
            Self::RateLimited => "the run has made this call too often",
            Self::NoTarget => "there is no such target",
            Self::Conflict => "the entry was changed after the time in ifUpdatedAt",
            Self::Duplicate => "another entry has the same value in a unique field",
        })
    }
}
