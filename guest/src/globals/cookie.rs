use rquickjs::prelude::Func;
use rquickjs::{Ctx, Object, Result, Value};

use super::encoded;
use crate::sluice::page::cookie;

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("cookieSet", Func::from(set))?;
    host.set("cookieDelete", Func::from(delete))
}

fn set<'js>(ctx: Ctx<'js>, name: String, value: String, options: Value<'js>) -> Result<bool> {
    let options = encoded(&ctx, "cookie.set", options)?;
    Ok(options.is_some_and(|options| cookie::set(&name, &value, &options)))
}

fn delete<'js>(ctx: Ctx<'js>, name: String, options: Value<'js>) -> Result<bool> {
    let options = encoded(&ctx, "cookie.delete", options)?;
    Ok(options.is_some_and(|options| cookie::delete(&name, &options)))
}
