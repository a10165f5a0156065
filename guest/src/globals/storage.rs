use rquickjs::prelude::Func;
use rquickjs::{Ctx, Exception, Object, Result, Value};

use super::{decoded, encoded, missing_await, thrown};
use crate::sluice::page::storage::{self, Area, Operation};
use crate::value::Refusal;
use crate::{checkpoint, value};

const CALLS: [(&str, Operation); 9] = [
    ("get", Operation::Get),
    ("set", Operation::Set),
    ("del", Operation::Del),
    ("has", Operation::Has),
    ("setIfAbsent", Operation::SetIfAbsent),
    ("compareAndSet", Operation::CompareAndSet),
    ("increment", Operation::Increment),
    ("list", Operation::List),
    ("purge", Operation::Purge),
];

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("storageCall", Func::from(call))?;
    host.set("storageForm", Func::from(form))
}

/// The value that a later call would read after `value` was stored.
fn form<'js>(ctx: Ctx<'js>, value: Value<'js>) -> Result<Value<'js>> {
    let bytes = encoded(&ctx, "storage.mutate", value)?;
    decoded(&ctx, bytes)
}

/// Makes a call. `arguments` is an array of the arguments that the script passed.
fn call<'js>(ctx: Ctx<'js>, area: String, name: String, arguments: Value<'js>) -> Result<Value<'js>> {
    let unknown = || Exception::throw_internal(&ctx, "no such call");
    let (_, operation) = CALLS.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
    let is_cache = area == "cache";
    let bytes = value::encode(&ctx, arguments).map_err(|refusal| match refusal {
        Refusal::Thrown(error) => error,
        Refusal::Promise => missing_await(&ctx, &format!("{area}.{name}")),
        Refusal::Unfit(reason) => {
            Exception::throw_type(&ctx, &format!("{area}.{name}: {reason} cannot be stored"))
        }
    })?;
    checkpoint::count_call(bytes.len());
    let area = if is_cache { Area::Cache } else { Area::Storage };
    decoded(&ctx, Some(thrown(&ctx, storage::call(area, *operation, &bytes))?))
}
