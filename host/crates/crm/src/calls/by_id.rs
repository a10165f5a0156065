//! The calls about one entry, whichever reference has it.

use serde_json::Value;

use super::super::options::Options;
use super::super::{Call, Caller, CrmError, EntryId, Line, Reference, RefusalReason, Slug};
use super::queue;
use crate::{CrmDatabase, CrmFault, CrmWrite, QueuedWrites, Refusal, write_entry};

/// `getCrmEntry({slug, id})`: the entry, or `null`.
pub(super) async fn get(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    options: &Options<'_>,
) -> Result<Value, CrmError> {
    let (slug, id) = (options.slug()?, options.required_id()?);
    let id = options.entry_id(id)?;
    let found = store.get_entry(caller.brand, slug, id, caller.caps.result_bytes_max).await;
    let found = found.map_err(|fault| fault.explain(options.call, caller))?;
    let shown = found.map(|found| found.entry.into_json(&found.reference_type, &found.reference_id));
    super::bounded(caller, options, shown.unwrap_or_default())
}

/// A checked write, except for the reference of its entry.
struct Asked {
    slug: Slug,
    id: EntryId,
    /// Makes the write, to any line.
    write: CrmWrite,
}

impl Asked {
    fn of(options: &Options<'_>) -> Result<Self, CrmError> {
        let (slug, id) = (options.slug()?, options.required_id()?);
        let fields = match options.call {
            Call::UpdateEntry => Some(options.required_entry_fields()?),
            _ => None,
        };
        let id = options.entry_id(id)?;
        // The entry's own reference takes its place.
        let reference = Reference::new("entry", &id.to_string());
        let reference = reference.map_err(|_| options.call.refused(RefusalReason::NoSuchEntry))?;
        let at = Line { slug: slug.clone(), reference };
        let write = match fields {
            Some(fields) => {
                let (fields, if_updated_at) = (options.entry_fields(fields)?, options.if_updated_at()?);
                CrmWrite::UpdateEntry { at, id, fields, if_updated_at, place: None }
            }
            None => CrmWrite::DeleteEntry { at, id },
        };
        Ok(Self { slug, id, write })
    }
}

/// `updateCrmEntry({slug, id, fields, ifUpdatedAt?})` and `deleteCrmEntry({slug, id})`.
pub(super) async fn write(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    options: &Options<'_>,
    queued: &mut QueuedWrites,
) -> Result<Value, CrmError> {
    let call = options.call;
    let Asked { slug, id, mut write } = Asked::of(options)?;
    let is_async = options.is_async()?;
    let none = || call.refused(RefusalReason::NoSuchEntry);
    if is_async && !caller.at_once {
        let reference = store.entry_reference(caller.brand, slug, id).await;
        write.follow(reference.map_err(|fault| fault.explain(call, caller))?.ok_or_else(none)?);
        return queue(store, caller, call, write, queued).await;
    }
    match write_entry(store, caller.brand, write, caller.caps, caller.now_ms).await {
        Ok(_) if is_async => Ok(call.queued_value()),
        Ok(written) => Ok(written.into_json()),
        Err(CrmFault::Refused(Refusal::NoEntry)) => Err(none()),
        Err(fault) => Err(fault.explain(call, caller)),
    }
}
