//! The names of the CRM calls, their caller and their results.

use serde_json::{Value, json};

use sluice_kit::clock::iso_utc;

use super::{CrmCaps, CrmError, CrmWritten, KnownSlugs, OptionMistake, Refusal, RefusalReason};

/// A CRM call of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `getCrmField`
    GetField,
    /// `getCrmFields`
    GetFields,
    /// `getCrmEntries`
    GetEntries,
    /// `getCrmFieldValues`
    GetValues,
    /// `getCrmEntry`
    GetEntry,
    /// `findCrmEntries`
    FindEntries,
    /// `countCrmEntries`
    CountEntries,
    /// `setCrmField`
    SetField,
    /// `setCrmFields`
    SetFields,
    /// `addCrmFieldValue`
    AddValue,
    /// `createCrmEntry`
    CreateEntry,
    /// `updateCrmEntry`
    UpdateEntry,
    /// `deleteCrmEntry`
    DeleteEntry,
    /// `setCrmRelation`
    SetRelation,
    /// `removeCrmRelation`
    RemoveRelation,
    /// `clearCrmEntries`
    Clear,
    /// `moveCrmToStage`
    MoveToStage,
    /// `moveCrmToPipeline`
    MoveToPipeline,
    /// `moveCrmLead`
    MoveLead,
    /// `moveCrmToEntity`
    MoveToEntity,
    /// `reassignCrmReference`
    Reassign,
    /// `ensureCrmEntity`
    EnsureEntity,
}

impl Call {
    /// All calls.
    pub const ALL: [Self; 22] = [
        Self::GetField,
        Self::GetFields,
        Self::GetEntries,
        Self::GetValues,
        Self::GetEntry,
        Self::FindEntries,
        Self::CountEntries,
        Self::SetField,
        Self::SetFields,
        Self::AddValue,
        Self::CreateEntry,
        Self::UpdateEntry,
        Self::DeleteEntry,
        Self::SetRelation,
        Self::RemoveRelation,
        Self::Clear,
        Self::MoveToStage,
        Self::MoveToPipeline,
        Self::MoveLead,
        Self::MoveToEntity,
        Self::Reassign,
        Self::EnsureEntity,
    ];

    /// Whether it changes nothing.
    pub fn only_reads(self) -> bool {
        matches!(
            self,
            Self::GetField
                | Self::GetFields
                | Self::GetEntries
                | Self::GetValues
                | Self::GetEntry
                | Self::FindEntries
                | Self::CountEntries
        )
    }

    /// The name of the global function. Every message starts with it.
    pub fn name(self) -> &'static str {
        match self {
            Self::GetField => "getCrmField",
            Self::GetFields => "getCrmFields",
            Self::GetEntries => "getCrmEntries",
            Self::GetValues => "getCrmFieldValues",
            Self::GetEntry => "getCrmEntry",
            Self::FindEntries => "findCrmEntries",
            Self::CountEntries => "countCrmEntries",
            Self::SetField => "setCrmField",
            Self::SetFields => "setCrmFields",
            Self::AddValue => "addCrmFieldValue",
            Self::CreateEntry => "createCrmEntry",
            Self::UpdateEntry => "updateCrmEntry",
            Self::DeleteEntry => "deleteCrmEntry",
            Self::SetRelation => "setCrmRelation",
            Self::RemoveRelation => "removeCrmRelation",
            Self::Clear => "clearCrmEntries",
            Self::MoveToStage => "moveCrmToStage",
            Self::MoveToPipeline => "moveCrmToPipeline",
            Self::MoveLead => "moveCrmLead",
            Self::MoveToEntity => "moveCrmToEntity",
            Self::Reassign => "reassignCrmReference",
            Self::EnsureEntity => "ensureCrmEntity",
        }
    }

    /// The call of the global function `name`. Each call has two names: `getCrmField` and `GetCrmField`.
    pub fn named(name: &str) -> Option<Self> {
        let mut own = name.to_owned();
        if let Some(first) = own.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        Self::ALL.into_iter().find(|call| call.name() == own)
    }

    /// The result for the script if the call was refused.
    pub fn refused_value(self, refusal: Refusal) -> Value {
        match self {
            Self::GetField | Self::GetFields | Self::GetEntry => Value::Null,
            Self::GetEntries | Self::GetValues => Value::Array(Vec::new()),
            Self::SetField | Self::SetFields | Self::AddValue => Value::Bool(false),
            Self::FindEntries => json!({ "entries": [], "next": null, "error": refusal.code() }),
            Self::CountEntries => json!({ "count": 0, "complete": true, "error": refusal.code() }),
            Self::CreateEntry => json!({ "ok": false, "id": null, "error": refusal.code() }),
            Self::SetRelation | Self::RemoveRelation => {
                json!({ "ok": false, "changed": false, "error": refusal.code() })
            }
            Self::UpdateEntry | Self::DeleteEntry => json!({ "ok": false, "error": refusal.code() }),
            Self::Clear => json!({ "ok": false, "deleted": 0, "error": refusal.code() }),
            Self::MoveToStage
            | Self::MoveToPipeline
            | Self::MoveLead
            | Self::MoveToEntity
            | Self::Reassign => json!({ "ok": false, "moved": 0, "error": refusal.code() }),
            // As in the product: without `ok`.
            Self::EnsureEntity if refusal == Refusal::RateLimited => {
                json!({ "id": null, "created": false, "error": refusal.code() })
            }
            Self::EnsureEntity => {
                json!({ "ok": false, "id": null, "created": false, "error": refusal.code() })
            }
        }
    }

    /// The result for the script if the write was queued.
    pub(super) fn queued_value(self) -> Value {
        match self {
            Self::SetField | Self::SetFields | Self::AddValue => Value::Bool(true),
            _ => json!({ "ok": true, "queued": true }),
        }
    }

    pub(super) fn type_error(self, mistake: OptionMistake) -> CrmError {
        CrmError::Type { call: self, mistake }
    }

    pub(super) fn refused(self, reason: impl Into<RefusalReason>) -> CrmError {
        CrmError::Refused { call: self, reason: reason.into() }
    }
}

impl CrmWritten {
    /// The result for the script.
    pub(super) fn into_json(self) -> Value {
        match self {
            Self::Fields => Value::Bool(true),
            Self::Created { id } => json!({ "ok": true, "id": id.to_string() }),
            Self::Updated { updated_at } => json!({ "ok": true, "updated_at": iso_utc(updated_at) }),
            Self::Deleted => json!({ "ok": true }),
            Self::Cleared { deleted } => json!({ "ok": true, "deleted": deleted }),
            Self::Moved { moved, matched, pipeline_id, stage_id } => json!({
                "ok": true,
                "moved": moved,
                "totalMatched": matched,
                "pipeline_id": pipeline_id,
                "stage_id": stage_id,
            }),
            Self::Copied { fields, removed } => {
                json!({ "ok": true, "moved": fields, "removed_from_old": removed })
            }
            Self::Reassigned { moved } => json!({ "ok": true, "moved": moved }),
        }
    }
}

/// The caller of a call. The host sets every part; scripts cannot influence any.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The brand that the page belongs to.
    pub brand: &'a str,
    /// Entities that are known to exist.
    pub slugs: &'a KnownSlugs,
    /// The session's `customer_id`, or `None` if nobody is logged in.
    pub customer_id: Option<&'a str>,
    /// The session's `quiz_visitor_id`, if it is text.
    pub quiz_visitor_id: Option<&'a str>,
    /// Quotas in force for this run.
    pub caps: CrmCaps,
    /// The time of the call in Unix milliseconds.
    pub now_ms: i64,
    /// Whether writes with `async: true` happen at once.
    pub at_once: bool,
}
