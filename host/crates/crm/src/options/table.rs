//! The options of each call.

use crate::Call;

/// The options that say whose data a call reads or writes.
const REFERENCE: &[&str] = &["referenceType", "referenceId"];
const LIST: &[&str] = &["limit", "referenceType", "referenceId"];
const FIND: &[&str] = &["where", "orderBy", "limit", "after", "referenceType", "referenceId"];
const COUNT: &[&str] = &["where", "referenceType", "referenceId"];
const WRITE: &[&str] = &["async", "referenceType", "referenceId"];
const SET: &[&str] = &["force", "async", "referenceType", "referenceId"];
const MOVE: &[&str] = &[
    "allEntries",
    "async",
    "pipelineId",
    "pipelineSlug",
    "referenceId",
    "referenceType",
    "stageId",
    "stageSlug",
];
const TO_ENTITY: &[&str] = &[
    "async",
    "pipelineId",
    "pipelineSlug",
    "referenceId",
    "referenceType",
    "removeFromOld",
    "stageId",
    "stageSlug",
];
const ENTITY: &[&str] = &[
    "name",
    "mode",
    "entityMode",
    "fields",
    "pipelines",
    "pipeline",
    "uiEditable",
    "reportingConfig",
    "validationRules",
    "visibleToTeamIds",
];

impl Call {
    /// The required and the optional options, in camelCase.
    pub fn options(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::GetField => (&["slug", "fieldKey"], REFERENCE),
            Self::GetFields => (&["slug", "fieldKeys"], REFERENCE),
            Self::GetEntries => (&["slug"], LIST),
            Self::GetValues => (&["slug", "fieldKey"], LIST),
            Self::GetEntry => (&["slug", "id"], &[]),
            Self::FindEntries => (&["slug"], FIND),
            Self::CountEntries => (&["slug"], COUNT),
            Self::CreateEntry => (&["slug", "fields"], WRITE),
            Self::UpdateEntry => (&["slug", "id", "fields"], &["ifUpdatedAt", "async"]),
            Self::DeleteEntry => (&["slug", "id"], &["async"]),
            Self::SetRelation => (&["slug", "id", "fieldKey", "targetId"], &["targetSlug"]),
            Self::RemoveRelation => (&["slug", "id", "fieldKey"], &["targetId"]),
            Self::SetField => (&["slug", "fieldKey", "value"], SET),
            Self::SetFields => (&["slug", "fields"], SET),
            Self::AddValue => (&["slug", "fieldKey", "value"], WRITE),
            Self::Clear => (&["slug"], WRITE),
            Self::MoveToStage | Self::MoveToPipeline | Self::MoveLead => (&["slug"], MOVE),
            Self::MoveToEntity => (&["fromSlug", "toSlug", "fieldMap"], TO_ENTITY),
            Self::Reassign => (&["slug", "fromReferenceType", "fromReferenceId"], WRITE),
            Self::EnsureEntity => (&["slug"], ENTITY),
        }
    }

    /// Whether the call has an option that is written like this, in camelCase or in snake_case.
    pub fn has_option(self, name: &str) -> bool {
        let (required, others) = self.options();
        required.iter().chain(others).any(|known| is_spelling(name, known))
    }
}

/// Whether `name` is `camel`, or the same in snake_case. `slug` has two more names.
fn is_spelling(name: &str, camel: &str) -> bool {
    let snake = || {
        let mut rest = name.as_bytes().iter();
        let mut has = |byte: u8| rest.next() == Some(&byte);
        let same = camel.bytes().all(|byte| match byte.is_ascii_uppercase() {
            true => has(b'_') && has(byte.to_ascii_lowercase()),
            false => has(byte),
        });
        same && rest.next().is_none()
    };
    name == camel || snake() || (camel == "slug" && matches!(name, "crmEntitySlug" | "crm_entity_slug"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_camel_case_and_snake_case_and_nothing_else() {
        for name in ["slug", "crmEntitySlug", "crm_entity_slug", "fieldKey", "field_key", "reference_id"] {
            assert!(Call::GetField.has_option(name), "{name}");
        }
        for name in ["", "Slug", "fieldkey", "field_Key", "field__key", "fieldKey_", "field_ke", "limit"] {
            assert!(!Call::GetField.has_option(name), "{name}");
        }
        assert!(!Call::MoveToEntity.has_option("slug") && Call::MoveToEntity.has_option("from_slug"));
    }
}
