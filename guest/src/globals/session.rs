use rquickjs::prelude::Func;
use rquickjs::{Ctx, Object, Result, Value};

use super::{decoded, encoded};
use crate::sluice::page::session;

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("sessionGet", Func::from(get))?;
    host.set("sessionSet", Func::from(set))?;
    host.set("sessionDelete", Func::from(delete))?;
    host.set("sessionCustomer", Func::from(customer))?;
    host.set("sessionSetCustomer", Func::from(set_customer))?;
    host.set("sessionClearCustomer", Func::from(session::clear_customer))?;
    host.set("sessionGetToken", Func::from(session::get_token))?;
    host.set("sessionSetFromToken", Func::from(|token: String| session::set_from_token(&token)))
}

fn get(ctx: Ctx<'_>, key: String) -> Result<Value<'_>> {
    decoded(&ctx, session::get(&key))
}

fn set<'js>(ctx: Ctx<'js>, key: String, value: Value<'js>) -> Result<bool> {
    let value = encoded(&ctx, "session.set", value)?;
    Ok(value.is_some_and(|value| session::set(&key, &value)))
}

fn delete(key: String) -> bool {
    session::delete(&key)
}

fn customer(ctx: Ctx<'_>) -> Result<Value<'_>> {
    decoded(&ctx, session::customer())
}

fn set_customer<'js>(ctx: Ctx<'js>, fields: Value<'js>) -> Result<bool> {
    let fields = encoded(&ctx, "session.setCustomer", fields)?;
    Ok(fields.is_some_and(|fields| session::set_customer(&fields)))
}
