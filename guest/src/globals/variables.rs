use rquickjs::prelude::Func;
use rquickjs::{Ctx, Object, Result, Value};

use super::{decoded, encoded};
use crate::sluice::page::variables;

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("variablesSet", Func::from(set))?;
    host.set("variablesGet", Func::from(get))
}

fn set<'js>(ctx: Ctx<'js>, name: String, value: Value<'js>) -> Result<bool> {
    let value = encoded(&ctx, "setVariable", value)?;
    Ok(value.is_some_and(|value| variables::set(&name, &value)))
}

fn get(ctx: Ctx<'_>, name: String) -> Result<Value<'_>> {
    decoded(&ctx, variables::get(&name))
}
