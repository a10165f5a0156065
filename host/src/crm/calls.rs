//! Each call from its options to its result. The store is asked last.

use serde_json::{Map, Value};

use super::options::{self, Options};
use super::{Address, Call, Caller, CrmError, FieldKey, check};
use crate::store::{CapReached, CrmFault, CrmStore, SetFields, WriteInto};

/// `getCrmField({slug, fieldKey})`: the value in the newest entry that has the
/// key, or `null`.
pub async fn get_field(
    store: &dyn CrmStore,
    caller: &Caller<'_>,
    options: &Value,
) -> Result<Value, CrmError> {
    let call = Call::GetField;
    let options = Options::of(call, options)?;
    let slug = options.slug()?;
    let key = options.required_field_key()?;
    let key = options::field_key(call, "fieldKey", key)?;
    let at = options.address(slug, caller)?;

    let bytes_max = caller.caps.result_bytes_max;
    let values = store.get_fields(&at, &[key], bytes_max).await;
    let mut values = values.map_err(|fault| fault.explain(call, &at, caller))?;
    bounded(call, caller, values.pop().flatten().unwrap_or_default())
}

/// `getCrmFields({slug, fieldKeys})`: an object with every asked key.
pub async fn get_fields(
    store: &dyn CrmStore,
    caller: &Caller<'_>,
    options: &Value,
) -> Result<Value, CrmError> {
    let call = Call::GetFields;
    let options = Options::of(call, options)?;
    let slug = options.slug()?;
    let keys = options.required_field_keys()?;
    let keys = options::array(call, "fieldKeys", keys)?
        .iter()
        .enumerate()
        .map(|(index, key)| options::field_key(call, &format!("fieldKeys[{index}]"), key))
        .collect::<Result<Vec<FieldKey>, CrmError>>()?;
    let at = options.address(slug, caller)?;

    let bytes_max = caller.caps.result_bytes_max;
    let values = store.get_fields(&at, &keys, bytes_max).await;
    let values = values.map_err(|fault| fault.explain(call, &at, caller))?;
    let found: Map<String, Value> = keys
        .iter()
        .map(|key| key.as_str().to_owned())
        .zip(values.into_iter().map(Option::unwrap_or_default))
        .collect();
    bounded(call, caller, Value::Object(found))
}

/// `getCrmEntries({slug, limit})`: the reference's entries, newest first.
pub async fn get_entries(
    store: &dyn CrmStore,
    caller: &Caller<'_>,
    options: &Value,
) -> Result<Value, CrmError> {
    let call = Call::GetEntries;
    let options = Options::of(call, options)?;
    let slug = options.slug()?;
    let limit = options.limit()?;
    let at = options.address(slug, caller)?;

    let entries = store
        .get_entries(&at, limit, caller.caps.result_bytes_max)
        .await
        .map_err(|fault| fault.explain(call, &at, caller))?
        .into_iter()
        .map(|entry| entry.into_json(&at.reference))
        .collect();
    bounded(call, caller, Value::Array(entries))
}

/// `setCrmField({slug, fieldKey, value, force?})`: `true`.
pub async fn set_field(
    store: &dyn CrmStore,
    caller: &Caller<'_>,
    options: &Value,
) -> Result<Value, CrmError> {
    let call = Call::SetField;
    let options = Options::of(call, options)?;
    let slug = options.slug()?;
    let key = options.required_field_key()?;
    let value = options.required_value()?;
    let key = options::field_key(call, "fieldKey", key)?;
    check::value(call, "value", value)?;
    let force = options.force()?;
    let at = options.address(slug, caller)?;

    set(store, call, caller, at, vec![(key, value.clone())], force).await
}

/// `setCrmFields({slug, fields: [{fieldKey, value}], force?})`: `true`; all or
/// nothing, and of two fields with one key the last.
pub async fn set_fields(
    store: &dyn CrmStore,
    caller: &Caller<'_>,
    options: &Value,
) -> Result<Value, CrmError> {
    let call = Call::SetFields;
    let options = Options::of(call, options)?;
    let slug = options.slug()?;
    let fields = options
        .required_fields()?
        .into_iter()
        .map(|field| field.check(call))
        .collect::<Result<Vec<_>, CrmError>>()?;
    let force = options.force()?;
    let at = options.address(slug, caller)?;

    set(store, call, caller, at, fields, force).await
}

async fn set(
    store: &dyn CrmStore,
    call: Call,
    caller: &Caller<'_>,
    at: Address,
    fields: Vec<(FieldKey, Value)>,
    force: bool,
) -> Result<Value, CrmError> {
    let write = SetFields {
        at: at.clone(),
        fields,
        into: match force {
            true => WriteInto::Newest,
            false => WriteInto::Holder,
        },
    };
    match store.set_fields(write, caller.caps, caller.now_ms).await {
        Ok(()) => Ok(Value::Bool(true)),
        Err(fault) => Err(fault.explain(call, &at, caller)),
    }
}

impl CrmFault {
    fn explain(self, call: Call, at: &Address, caller: &Caller<'_>) -> CrmError {
        let caps = caller.caps;
        match self {
            Self::UnknownSlug => options::unknown_slug(call, at.slug.as_str()),
            Self::Cap(CapReached::KeysAnEntry) => {
                call.refused(format_args!("the entry would have more than {} keys", caps.keys_an_entry_max))
            }
            Self::Cap(CapReached::EntriesAReference) => call.refused(format_args!(
                "the reference would have more than {} entries",
                caps.entries_a_reference_max
            )),
            Self::Cap(CapReached::BrandBytes) => call
                .refused(format_args!("the brand's CRM data would be over {} bytes", caps.brand_bytes_max)),
            Self::ResultTooLarge => too_large(call, caller),
            Self::Store(error) => CrmError::Store(error),
        }
    }
}

fn too_large(call: Call, caller: &Caller<'_>) -> CrmError {
    let max = caller.caps.result_bytes_max;
    let name = call.name();
    CrmError::Range(format!("{name}: the result is larger than {max} bytes"))
}

/// The result, if it is not larger than a result may be.
fn bounded(call: Call, caller: &Caller<'_>, result: Value) -> Result<Value, CrmError> {
    let mut room = Room(caller.caps.result_bytes_max);
    // The writer's only error is having no room left.
    match rmp_serde::encode::write(&mut room, &result) {
        Ok(()) => Ok(result),
        Err(_) => Err(too_large(call, caller)),
    }
}

/// Takes so many bytes and forgets them.
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

#[cfg(test)]
mod tests;
