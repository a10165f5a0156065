//! `findCrmEntries` and `countCrmEntries`.

use serde_json::{Map, Value, json};

use super::super::options::Options;
use super::super::{Call, Caller, CrmError};
use crate::search::{Cursor, Search};
use crate::{CrmDatabase, QueuedWrites};

/// `findCrmEntries({slug, where?, orderBy?, limit?, after?})`: `{entries, next}`.
/// `countCrmEntries({slug, where?})`: `{count, complete}`.
pub(super) async fn search(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    options: &Options<'_>,
    queued: &mut QueuedWrites,
) -> Result<Value, CrmError> {
    let call = options.call;
    let (search, key) = options.search(options.slug()?)?;
    // What is around the entries takes part of the result, too.
    let bytes_max = caller.caps.result_bytes_max / 2;
    let found = store.search_entries(caller.brand, Search { bytes_max, ..search }).await;
    let found = found.map_err(|fault| fault.explain(call, caller))?;
    queued.note_examined(found.examined);
    if call == Call::CountEntries {
        return Ok(json!({ "count": found.count, "complete": found.next.is_none() }));
    }
    let shown = found.entries.into_iter();
    let shown = shown.map(|found| found.entry.into_json(&found.reference_type, &found.reference_id));
    let mut result = Map::new();
    result.insert("entries".to_owned(), shown.collect());
    result.insert("next".to_owned(), found.next.map(|next| Cursor::text(key, &next)).into());
    super::bounded(caller, options, Value::Object(result))
}
