//! The calls that write. Each turns its options into a [`CrmWrite`], which is executed or
//! queued.

use serde_json::Value;

use super::super::options::{self, Options};
use super::super::{
    Call, Caller, CrmError, CrmWrite, Destination, FieldKey, OptionMistake, OptionName, WriteInto, check,
};

/// Makes the write of a call. It checks all options except `async`.
pub(super) fn checked(caller: &Caller<'_>, options: &Options<'_>) -> Result<CrmWrite, CrmError> {
    match options.call {
        Call::SetFields => set_fields(caller, options),
        Call::AddValue => one_field(caller, options, |_| Ok(WriteInto::New)),
        Call::CreateEntry => create_entry(caller, options),
        Call::Clear => {
            let at = options.address(options.slug()?, caller)?.line();
            Ok(CrmWrite::Clear { at })
        }
        Call::MoveToStage | Call::MoveToPipeline | Call::MoveLead => move_entries(caller, options),
        Call::MoveToEntity => move_to_entity(caller, options),
        Call::Reassign => {
            let slug = options.slug()?;
            let (from, to) = options.reassignment(caller)?;
            Ok(CrmWrite::Reassign { slug, from, to })
        }
        _ => one_field(caller, options, into),
    }
}

/// `setCrmField({slug, fieldKey, value, force?})` and `addCrmFieldValue({slug, fieldKey,
/// value})`
fn one_field(
    caller: &Caller<'_>,
    options: &Options<'_>,
    into: fn(&Options<'_>) -> Result<WriteInto, CrmError>,
) -> Result<CrmWrite, CrmError> {
    let call = options.call;
    let slug = options.slug()?;
    let key = options.required_field_key()?;
    let value = options.required_value()?;
    let key = options::field_key(call, OptionName::Plain("fieldKey"), key)?;
    check::value(call, &OptionName::Plain("value"), value)?;
    let into = into(options)?;
    let at = options.address(slug, caller)?.line();
    Ok(CrmWrite::SetFields { at, fields: vec![(key, value.clone())], into })
}

/// `setCrmFields({slug, fields: [{fieldKey, value}], force?})`: writes all fields or none. If
/// two fields have the same key, the last one is written.
fn set_fields(caller: &Caller<'_>, options: &Options<'_>) -> Result<CrmWrite, CrmError> {
    let slug = options.slug()?;
    let fields = options
        .required_fields()?
        .into_iter()
        .map(|field| field.check(options.call))
        .collect::<Result<Vec<(FieldKey, Value)>, CrmError>>()?;
    let into = into(options)?;
    let at = options.address(slug, caller)?.line();
    Ok(CrmWrite::SetFields { at, fields, into })
}

/// `createCrmEntry({slug, fields})`: always a new entry. A field whose value is `null` is left out.
fn create_entry(caller: &Caller<'_>, options: &Options<'_>) -> Result<CrmWrite, CrmError> {
    let (slug, fields) = (options.slug()?, options.required_entry_fields()?);
    let fields = options.entry_fields(fields)?;
    let fields = fields.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let at = options.address(slug, caller)?.line();
    Ok(CrmWrite::CreateEntry { at, fields, place: None })
}

fn into(options: &Options<'_>) -> Result<WriteInto, CrmError> {
    Ok(if options.force()? { WriteInto::Newest } else { WriteInto::Holder })
}

/// `moveCrmToStage`, `moveCrmToPipeline` and `moveCrmLead`, which differ only in the options
/// that they require.
fn move_entries(caller: &Caller<'_>, options: &Options<'_>) -> Result<CrmWrite, CrmError> {
    let slug = options.slug()?;
    let pipeline = match options.call {
        Call::MoveToStage => options.pipeline()?,
        _ => Some(options.needed_pipeline()?),
    };
    let stage = match options.call {
        Call::MoveToPipeline => options.stage()?,
        _ => Some(options.needed_stage()?),
    };
    let to = Destination { pipeline, stage };
    let all_entries = options.all_entries()?;
    let at = options.address(slug, caller)?.line();
    Ok(CrmWrite::Move { at, to, all_entries })
}

/// `moveCrmToEntity({fromSlug, toSlug, fieldMap, pipeline…?, stage…?, removeFromOld?})`
fn move_to_entity(caller: &Caller<'_>, options: &Options<'_>) -> Result<CrmWrite, CrmError> {
    let (from, to) = options.two_slugs()?;
    let map = options.required_field_map()?;
    let fields = options.field_map(map)?;
    if from == to {
        return Err(options.call.refused(OptionMistake::SameEntity));
    }
    let place = options.place()?;
    let remove_from_old = options.remove_from_old()?;
    let reference = options.reference(caller)?;
    Ok(CrmWrite::MoveToEntity { reference, from, to, fields, place, remove_from_old })
}
