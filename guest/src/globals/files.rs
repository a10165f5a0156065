use rquickjs::prelude::Func;
use rquickjs::{Ctx, Exception, Object, Result, Value};

use super::{decoded, encoded, thrown};
use crate::checkpoint;
use crate::sluice::page::files::{self, Operation};

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("filesCall", Func::from(call))
}

fn call<'js>(ctx: Ctx<'js>, name: String, options: Value<'js>) -> Result<Value<'js>> {
    let operation = match name.as_str() {
        "files.keep" => Operation::Keep,
        "files.url" => Operation::Address,
        "files.delete" => Operation::Delete,
        _ => Operation::List,
    };
    let Some(options) = encoded(&ctx, &name, options)? else {
        return Err(Exception::throw_type(&ctx, &format!("{name}: an argument cannot be sent")));
    };
    checkpoint::count_call(options.len());
    let answer = files::call(operation, &options).map_err(|mut exception| {
        exception.message = format!("{name}: {}", exception.message);
        exception
    });
    decoded(&ctx, Some(thrown(&ctx, answer)?))
}
