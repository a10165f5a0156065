use rquickjs::prelude::Func;
use rquickjs::{ArrayBuffer, Ctx, Object, Result, Value};

use crate::sluice::page::request;
use crate::{checkpoint, value};

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("requestRead", Func::from(read))?;
    host.set("requestRawBody", Func::from(raw_body))
}

fn read(ctx: Ctx<'_>, part: String) -> Result<Value<'_>> {
    value::decode(&ctx, &request::read(&part))
}

fn raw_body(ctx: Ctx<'_>) -> Result<Option<ArrayBuffer<'_>>> {
    let body = request::raw_body();
    checkpoint::count_call(body.as_ref().map_or(0, Vec::len));
    body.map(|bytes| ArrayBuffer::new(ctx, bytes)).transpose()
}
