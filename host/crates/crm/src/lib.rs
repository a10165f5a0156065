//! The CRM: checks the options of a call, executes it, and makes its result.
//!
//! ```text
//! options ─ options.rs, check.rs ─▶ Address, FieldKey, Value ─ CrmStore ─▶ result
//! ```
//!
//! `calls/` does this once for each call. Everything to the left of the store is a pure
//! function of its input. A write is a value (`write.rs`), so that a job can store what a
//! call would do at once. A stored value is a JSON value of 64-bit integers, doubles and UTF-8
//! strings. Storage preserves `-0.0`, the order of keys, and NUL.

#![deny(unsafe_code)]

pub mod access;
mod browse;
mod call;
mod calls;
mod check;
pub mod csv;
mod database;
pub mod edit;
mod entry;
mod entry_id;
mod error;
mod fault;
mod follow;
pub mod index;
mod jobs;
mod missing;
mod names;
mod options;
mod plan;
mod queued;
mod schema;
pub mod search;
mod shared;
mod size;
mod slugs;
mod stage_history;
mod store;
mod write;

pub use browse::{Browse, BrowseStore, BrowsedEntry, StageChoice};
pub use call::{Call, Caller};
pub use calls::{call, reject};
pub use database::CrmDatabase;
pub use entry::{Entry, Placement};
pub use entry_id::{EntryId, EntryIdError};
pub use error::{CrmError, Expected, Given, OptionMistake, OptionName, RefusalReason, SearchMistake};
pub use fault::{CapReached, CrmFault, Refusal};
pub use follow::write_entry;
pub use index::{IndexRow, IndexStep, Indexing, UniqueRow, Violation};
pub use jobs::{
    CapsOfBrand, JOB_TRIES_MAX, Job, JobChoice, JobCounts, JobEnd, JobRun, JobState, JobStore,
    RETRY_WAIT_MS_MAX,
};
pub use missing::Missing;
pub use names::{FieldKey, FieldKeyError, Reference, ReferenceError, Slug, SlugError};
pub use plan::{Step, Write as SchemaWrite, plan};
pub use queued::{QUEUED_BYTES_MAX, QueuedWrites};
pub use schema::{
    CrmSchema, EntityError, EntityMode, EntitySpec, FieldSpec, FieldType, PipelineSpec, SchemaError,
    SchemaMistake, Settings, StageSpec, export,
};
pub use search::{FieldIndex, Filter, Found, Search};
pub use shared::{CrmShared, RefusedOfBrand, RefusedWrites};
pub use size::{entry_bytes, value_bytes, values_bytes};
pub use slugs::KnownSlugs;
pub use stage_history::{STAGE_MOVES_MAX, StageHistory, StageMove, stage_history_bytes};
pub use store::{CrmStore, Ensured, ResultMemory};
pub use write::{
    CrmWrite, CrmWritten, Destination, EntryRow, Held, Line, LineKey, LineRows, Named, NewEntry, NewValue,
    Plan, Want, WriteInto,
};

/// Longest field key, in characters (they are ASCII).
pub(crate) const FIELD_KEY_CHARS_MAX: usize = 128;
/// Longest entity, pipeline or stage slug, in characters (they are ASCII).
pub(crate) const SLUG_CHARS_MAX: usize = 128;
/// Longest reference type, in characters (they are ASCII).
pub(crate) const REFERENCE_TYPE_CHARS_MAX: usize = 64;
/// Longest reference id, in UTF-16 code units.
pub(crate) const REFERENCE_ID_CHARS_MAX: usize = 512;
/// Longest string value, in UTF-16 code units.
pub(crate) const STRING_CHARS_MAX: usize = 10_000;
/// The memory that a result may take on the host for each byte of `crm_result_bytes_max`. Records
/// with short fields take about 10.
pub const RESULT_MEMORY_PER_BYTE: usize = 16;
/// A row that a search examines costs a run as much as this many bytes that a call passes.
pub const EXAMINED_ROW_BYTES: usize = 200;
/// The most memory that a search takes on the host besides its result: the places of all rows that it may
/// examine, and the values of one batch.
pub const SEARCH_MEMORY_BYTES: usize = 4 << 20;
/// Largest object or array value, in bytes of its `JSON.stringify`.
pub(crate) const OBJECT_BYTES_MAX: usize = 10 * 1024;
/// Most levels of arrays and objects in a value. Every reader recurses once for each level,
/// and MessagePack readers stop at 1,024.
pub const DEPTH_MAX: usize = 500;
/// Most slugs of a brand that are loaded to find the one that a script meant.
pub(crate) const SLUGS_MAX: u32 = 1_000;
/// Most calls of `ensureCrmEntity` in one request. Entities are created once, not at every visit.
pub const ENSURE_CALLS_MAX: u32 = 5;
/// Most levels of arrays and objects in the options and settings of a field. They are stored as JSON
/// text, whose reader stops at 128 levels.
pub(crate) const SETTINGS_DEPTH_MAX: usize = 64;
/// Most field keys in one `getCrmFields` or `setCrmFields`.
pub(crate) const KEYS_A_CALL_MAX: usize = 256;
/// The default of a call's `limit` of entries or values.
pub(crate) const LIMIT_DEFAULT: u32 = 50;
/// The largest `limit` of entries or values.
pub(crate) const LIMIT_MAX: u32 = 200;

/// The quotas of the CRM that an operator can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrmCaps {
    /// Field keys in one entry.
    pub keys_an_entry_max: u32,
    /// Entries of one entity and reference.
    pub entries_a_reference_max: u32,
    /// Stored bytes of one brand, counted by [`entry_bytes`] and [`value_bytes`].
    pub brand_bytes_max: u64,
    /// Bytes of one call's result, as MessagePack.
    pub result_bytes_max: usize,
    /// Entities of one brand. It limits `ensureCrmEntity`, but not `crm.toml`.
    pub entities_a_brand_max: u32,
    /// Declared fields of one entity, its pipelines, and the stages of each pipeline. It limits
    /// `ensureCrmEntity`, but not `crm.toml`.
    pub fields_an_entity_max: u32,
    /// Bytes of the options and settings of one entity and its fields, as JSON. It limits
    /// `ensureCrmEntity`, but not `crm.toml`.
    pub settings_bytes_max: usize,
}

impl Default for CrmCaps {
    fn default() -> Self {
        Self {
            keys_an_entry_max: 256,
            entries_a_reference_max: 1_000,
            brand_bytes_max: 1 << 30,
            result_bytes_max: 1 << 20,
            entities_a_brand_max: 1_000,
            fields_an_entity_max: 256,
            settings_bytes_max: 32 << 10,
        }
    }
}

/// The data that a call reads: a reference's entries in one entity of a brand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The brand's id.
    pub brand: String,
    /// The entity's slug.
    pub slug: Slug,
    /// The reference that owns the entries.
    pub reference: Reference,
}

/// A stored entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// Unique in the database and never used again.
    pub id: i64,
    /// Unique in the brand.
    pub slug: String,
    /// A name for people.
    pub name: String,
    /// Whether it has pipelines.
    pub mode: EntityMode,
    /// Further settings, by name.
    pub settings: Settings,
    /// Declared fields with their positions, in order.
    pub fields: Vec<(i64, FieldSpec)>,
    /// In order of their positions.
    pub pipelines: Vec<Pipeline>,
}

/// A stored pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Unique in the database and never used again.
    pub id: i64,
    /// Place among the entity's pipelines.
    pub position: i64,
    /// Unique in the entity.
    pub slug: String,
    /// A name for people.
    pub name: String,
    /// In order of their positions. An entry starts in the first one.
    pub stages: Vec<Stage>,
}

/// A stored stage. Its slug is unique in its pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Unique in the database and never used again.
    pub id: i64,
    /// Place in the pipeline.
    pub position: i64,
    /// Slug, name, colour and status.
    pub spec: StageSpec,
}
