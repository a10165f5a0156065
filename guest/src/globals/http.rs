use std::cell::RefCell;

use rquickjs::prelude::Func;
use rquickjs::{Array, ArrayBuffer, Ctx, Exception, Function, Object, Persistent, Result, TypedArray, Value};

use super::{encoded, thrown};
use crate::sluice::page::http::{self, Ended};
use crate::{checkpoint, value};

thread_local! {
    static SETTLE: RefCell<Option<Persistent<Function<'static>>>> = const { RefCell::new(None) };
}

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("httpBegin", Func::from(begin))?;
    host.set("httpWait", Func::from(wait))
}

/// Sets the function that waits for a call that a Promise stands for.
pub fn settle_with<'js>(ctx: &Ctx<'js>, settle: Function<'js>) {
    SETTLE.with(|slot| *slot.borrow_mut() = Some(Persistent::save(ctx, settle)));
}

/// Waits for a call and settles its Promise. Returns false if no Promise stands for a call.
pub fn settle(ctx: &Ctx<'_>) -> Result<bool> {
    let settle = SETTLE.with(|slot| slot.borrow().clone());
    match settle {
        Some(settle) => settle.restore(ctx)?.call(()),
        None => Ok(false),
    }
}

fn begin<'js>(
    ctx: Ctx<'js>,
    name: String,
    options: Value<'js>,
    body: Option<TypedArray<'js, u8>>,
) -> Result<u32> {
    let Some(options) = encoded(&ctx, &name, options)? else {
        return Err(Exception::throw_type(&ctx, &format!("{name}: an argument cannot be sent")));
    };
    let body = match &body {
        Some(body) => match body.as_bytes() {
            Some(bytes) => Some(bytes.to_vec()),
            None => return Err(Exception::throw_type(&ctx, &format!("{name}: the buffer is detached"))),
        },
        None => None,
    };
    let begun = http::begin(&options, body.as_deref());
    thrown(
        &ctx,
        begun.map_err(|mut exception| {
            exception.message = format!("{name}: {}", exception.message);
            exception
        }),
    )
}

/// Returns the number of the call, its head and its body.
fn wait<'js>(ctx: Ctx<'js>, calls: Vec<u32>) -> Result<Array<'js>> {
    let Ended { call, head, body } = thrown(&ctx, http::wait(&calls))?;
    checkpoint::count_call(head.len() + body.len());
    let ended = Array::new(ctx.clone())?;
    ended.set(0, call)?;
    ended.set(1, value::decode(&ctx, &head)?)?;
    ended.set(2, ArrayBuffer::new(ctx, body)?)?;
    Ok(ended)
}
