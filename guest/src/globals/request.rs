use rquickjs::prelude::Func;
use rquickjs::{Ctx, Object, Result, Value};

use crate::sluice::page::request;
use crate::value;

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("requestRead", Func::from(read))
}

fn read(ctx: Ctx<'_>) -> Result<Value<'_>> {
    value::decode(&ctx, &request::read())
}
