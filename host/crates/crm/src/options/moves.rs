//! The options of calls that move entries: stages, pipelines, field maps and references.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{FROM_SLUG, Name, Options, REFERENCE_ID, REFERENCE_TYPE, TO_SLUG, find};
use crate::names::shown;
use crate::{
    Caller, CrmError, Destination, Expected, FieldKey, KEYS_A_CALL_MAX, Named, OptionMistake, OptionName,
    Reference, ReferenceError, Refusal, RefusalReason, Slug,
};

const STAGE_ID: Name = Name("stageId", &["stage_id"]);
const STAGE_SLUG: Name = Name("stageSlug", &["stage_slug"]);
const PIPELINE_ID: Name = Name("pipelineId", &["pipeline_id"]);
const PIPELINE_SLUG: Name = Name("pipelineSlug", &["pipeline_slug"]);
const ALL_ENTRIES: Name = Name("allEntries", &["all_entries"]);
const FIELD_MAP: Name = Name("fieldMap", &["field_map"]);
const REMOVE_FROM_OLD: Name = Name("removeFromOld", &["remove_from_old"]);
const FROM_REFERENCE_TYPE: Name = Name("fromReferenceType", &["from_reference_type"]);
const FROM_REFERENCE_ID: Name = Name("fromReferenceId", &["from_reference_id"]);
const CUSTOMER: &str = "customer";

/// The largest id. Ids are integers that a double holds exactly.
const ID_MAX: f64 = 9_007_199_254_740_991.0;

impl Options<'_> {
    pub(crate) fn stage(&self) -> Result<Option<Named>, CrmError> {
        self.named(STAGE_ID, STAGE_SLUG, Refusal::UnknownStage)
    }

    pub(crate) fn pipeline(&self) -> Result<Option<Named>, CrmError> {
        self.named(PIPELINE_ID, PIPELINE_SLUG, Refusal::UnknownPipeline)
    }

    /// The stage, which the call requires.
    pub(crate) fn needed_stage(&self) -> Result<Named, CrmError> {
        let needed = || self.call.refused(OptionMistake::NoneOf("stageId or stageSlug"));
        self.stage()?.ok_or_else(needed)
    }

    /// The pipeline, which the call requires.
    pub(crate) fn needed_pipeline(&self) -> Result<Named, CrmError> {
        let needed = || self.call.refused(OptionMistake::NoneOf("pipelineId or pipelineSlug"));
        self.pipeline()?.ok_or_else(needed)
    }

    /// The stage for the target's entry, if one is given.
    pub(crate) fn place(&self) -> Result<Option<Destination>, CrmError> {
        let destination = Destination { pipeline: self.pipeline()?, stage: self.stage()? };
        let is_given = destination.pipeline.is_some() || destination.stage.is_some();
        Ok(is_given.then_some(destination))
    }

    fn named(&self, id: Name, slug: Name, unknown: Refusal) -> Result<Option<Named>, CrmError> {
        let id = self.id(id)?;
        let slug = match self.text(slug)? {
            // An invalid slug cannot be that of a stage or pipeline.
            Some(text) => Some(Slug::new(text).ok_or_else(|| {
                let (option, slug) = (slug.0, shown(text));
                self.call.refused(RefusalReason::NoSuchPlace { option, slug, refusal: unknown })
            })?),
            None => None,
        };
        Ok((id.is_some() || slug.is_some()).then_some(Named { id, slug }))
    }

    fn id(&self, name: Name) -> Result<Option<i64>, CrmError> {
        match find(self.map, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) if number.as_f64().is_some_and(is_id) => {
                Ok(number.as_f64().map(|id| id as i64))
            }
            other => Err(self.call.refused(name.must_be(Expected::Id, other))),
        }
    }

    pub(crate) fn all_entries(&self) -> Result<bool, CrmError> {
        self.flag(ALL_ENTRIES)
    }

    pub(crate) fn remove_from_old(&self) -> Result<bool, CrmError> {
        self.flag(REMOVE_FROM_OLD)
    }

    /// `fromSlug` and `toSlug`.
    pub(crate) fn two_slugs(&self) -> Result<(Slug, Slug), CrmError> {
        Ok((self.entity_slug(FROM_SLUG)?, self.entity_slug(TO_SLUG)?))
    }

    pub(crate) fn required_field_map(&self) -> Result<&Value, CrmError> {
        self.required(FIELD_MAP)
    }

    /// The keys in the source and their keys in the target, in order.
    pub(crate) fn field_map(&self, map: &Value) -> Result<Vec<(FieldKey, FieldKey)>, CrmError> {
        let Value::Object(map) = map else {
            return Err(self.call.refused(FIELD_MAP.must_be(Expected::Object, Some(map))));
        };
        if map.is_empty() || map.len() > KEYS_A_CALL_MAX {
            return Err(self.call.refused(OptionMistake::MapSize(map.len())));
        }
        let fields: Vec<(FieldKey, FieldKey)> = map
            .iter()
            .map(|(from, to)| {
                let a_key = || OptionName::Plain("a key of fieldMap");
                let from_key = FieldKey::new(from)
                    .map_err(|why| self.call.refused(OptionMistake::FieldKey { option: a_key(), why }))?;
                Ok((from_key, super::field_key(self.call, OptionName::Mapped(from.clone()), to)?))
            })
            .collect::<Result<_, CrmError>>()?;
        // The second value would replace the first, which would be lost.
        let mut targets = BTreeSet::new();
        if let Some((_, twice)) = fields.iter().find(|(_, to)| !targets.insert(to.as_str())) {
            return Err(self.call.refused(OptionMistake::MappedTwice(twice.as_str().to_owned())));
        }
        Ok(fields)
    }

    /// The reference that has the entries, and the logged-in customer who gets them. A script can
    /// name only the visitor that is in the session.
    pub(crate) fn reassignment(&self, caller: &Caller<'_>) -> Result<(Reference, Reference), CrmError> {
        let given = |name: Name| {
            let needed = || self.call.refused(OptionMistake::NoneOf(name.0));
            self.text(name)?.ok_or_else(needed)
        };
        let (kind, id) = (given(FROM_REFERENCE_TYPE)?, given(FROM_REFERENCE_ID)?);
        let refused = |why: ReferenceError| self.call.refused(OptionMistake::from(why));
        let from = Reference::new(kind, id).map_err(refused)?;
        let nobody = || self.call.refused(RefusalReason::NobodyLoggedIn);
        let customer = caller.customer_id.ok_or_else(nobody)?;
        if caller.quiz_visitor_id != Some(id) {
            return Err(self.call.refused(RefusalReason::OtherVisitor));
        }
        let is_other = |name, own| Ok(self.text(name)?.is_some_and(|given| given != own));
        if is_other(REFERENCE_TYPE, CUSTOMER)? || is_other(REFERENCE_ID, customer)? {
            return Err(self.call.refused(RefusalReason::OtherCustomer));
        }
        Ok((from, Reference::new(CUSTOMER, customer).map_err(refused)?))
    }
}

fn is_id(number: f64) -> bool {
    number.fract() == 0.0 && (1.0..=ID_MAX).contains(&number)
}
