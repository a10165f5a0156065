//! The calls that read.

use serde_json::{Map, Value};

use super::super::options::{self, Options};
use super::super::{Address, Caller, CrmError, FieldKey};
use super::too_large;
use crate::{CrmDatabase, OptionName};

/// `getCrmField({slug, fieldKey})`: the value in the newest entry that has the key, or `null`
/// if there is none.
pub(super) async fn field(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    options: &Options<'_>,
) -> Result<Value, CrmError> {
    let (key, at) = key_and_address(caller, options)?;
    let values = store.get_fields(&at, &[key], caller.caps.result_bytes_max).await;
    let mut values = values.map_err(|fault| fault.explain(options.call, caller))?;
    bounded(caller, options, values.pop().flatten().unwrap_or_default())
}

/// `getCrmFields({slug, fieldKeys})`: an object with each of the keys.
pub(super) async fn fields(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    options: &Options<'_>,
) -> Result<Value, CrmError> {
    let call = options.call;
    let slug = options.slug()?;
    let keys = options.required_field_keys()?;
    let keys = options::field_keys(call, keys)?
        .iter()
        .enumerate()
        .map(|(index, key)| options::field_key(call, OptionName::Item("fieldKeys", index), key))
        .collect::<Result<Vec<FieldKey>, CrmError>>()?;
    let at = options.address(slug, caller)?;

    let values = store.get_fields(&at, &keys, caller.caps.result_bytes_max).await;
    let values = values.map_err(|fault| fault.explain(call, caller))?;
    let found: Map<String, Value> = keys
        .iter()
        .map(|key| key.as_str().to_owned())
        .zip(values.into_iter().map(Option::unwrap_or_default))
        .collect();
    bounded(caller, options, Value::Object(found))
}

/// `getCrmEntries({slug, limit})`: the reference's entries, newest first.
pub(super) async fn entries(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    options: &Options<'_>,
) -> Result<Value, CrmError> {
    let slug = options.slug()?;
    let limit = options.limit()?;
    let at = options.address(slug, caller)?;

    let entries = store
        .get_entries(&at, limit, caller.caps.result_bytes_max)
        .await
        .map_err(|fault| fault.explain(options.call, caller))?
        .into_iter()
        .map(|entry| entry.into_json(at.reference.kind(), at.reference.id()))
        .collect();
    bounded(caller, options, Value::Array(entries))
}

/// `getCrmFieldValues({slug, fieldKey, limit})`: the key's values, newest first.
pub(super) async fn values(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    options: &Options<'_>,
) -> Result<Value, CrmError> {
    let (key, at) = key_and_address(caller, options)?;
    let limit = options.limit()?;
    let values = store.get_values(&at, &key, limit, caller.caps.result_bytes_max).await;
    let values = values.map_err(|fault| fault.explain(options.call, caller))?;
    bounded(caller, options, Value::Array(values))
}

fn key_and_address(caller: &Caller<'_>, options: &Options<'_>) -> Result<(FieldKey, Address), CrmError> {
    let slug = options.slug()?;
    let key = options.required_field_key()?;
    let key = options::field_key(options.call, OptionName::Plain("fieldKey"), key)?;
    Ok((key, options.address(slug, caller)?))
}

/// Returns `result` if it is within the limit of a result's size.
pub(super) fn bounded(caller: &Caller<'_>, options: &Options<'_>, result: Value) -> Result<Value, CrmError> {
    let mut room = Room(caller.caps.result_bytes_max);
    // `Room` fails only if there is no room left.
    match rmp_serde::encode::write(&mut room, &result) {
        Ok(()) => Ok(result),
        Err(_) => Err(too_large(options.call, caller)),
    }
}

/// A writer that discards what it is given, up to a number of bytes.
struct Room(usize);

impl std::io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
