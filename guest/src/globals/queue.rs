use rquickjs::prelude::Func;
use rquickjs::{Ctx, Exception, Object, Result, Value};

use super::{decoded, missing_await, thrown};
use crate::sluice::page::queue::{self, Operation};
use crate::value::Refusal;
use crate::{checkpoint, value};

const CALLS: [(&str, Operation); 3] =
    [("push", Operation::Push), ("cancel", Operation::Cancel), ("status", Operation::Status)];

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("queueCall", Func::from(call))
}

/// Makes a call. `arguments` is an array of the arguments that the script passed.
fn call<'js>(ctx: Ctx<'js>, name: String, arguments: Value<'js>) -> Result<Value<'js>> {
    let unknown = || Exception::throw_internal(&ctx, "no such call");
    let (_, operation) = CALLS.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
    let bytes = value::encode(&ctx, arguments).map_err(|refusal| match refusal {
        Refusal::Thrown(error) => error,
        Refusal::Promise => missing_await(&ctx, &format!("queue.{name}")),
        Refusal::Unfit(reason) => {
            Exception::throw_type(&ctx, &format!("queue.{name}: {reason} cannot be stored"))
        }
    })?;
    checkpoint::count_call(bytes.len());
    decoded(&ctx, Some(thrown(&ctx, queue::call(*operation, &bytes))?))
}
