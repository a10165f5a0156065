use rquickjs::prelude::Func;
use rquickjs::{Ctx, Object, Result, Value};

use super::{decoded, encoded};
use crate::checkpoint;
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
    // Only the engine makes checkpoints.
    let bytes = if checkpoint::is_name(&name) { None } else { variables::get(&name) };
    decoded(&ctx, bytes)
}
