use rquickjs::prelude::Func;
use rquickjs::{Ctx, Object, Result, Value};

use super::{decoded, encoded, thrown};
use crate::sluice::page::crm;
use crate::sluice::page::types::Exception;

type Call = fn(&[u8]) -> std::result::Result<Vec<u8>, Exception>;

const CALLS: [(&str, Call); 5] = [
    ("getCrmField", crm::get_field),
    ("getCrmFields", crm::get_fields),
    ("getCrmEntries", crm::get_entries),
    ("setCrmField", crm::set_field),
    ("setCrmFields", crm::set_fields),
];

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("crmCall", Func::from(call))
}

/// The call's answer; `undefined` when its argument could not be handed over.
fn call<'js>(ctx: Ctx<'js>, name: String, options: Value<'js>) -> Result<Value<'js>> {
    let unknown = || rquickjs::Exception::throw_internal(&ctx, "no such CRM call");
    let (_, call) = CALLS.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
    match encoded(&ctx, &name, options)? {
        Some(options) => decoded(&ctx, Some(thrown(&ctx, call(&options))?)),
        None => Ok(Value::new_undefined(ctx)),
    }
}
