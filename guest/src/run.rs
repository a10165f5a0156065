//! `run`: link, evaluate, drain the job queue.

use rquickjs::promise::PromiseState;
use rquickjs::{CatchResultExt, Ctx, Promise, Value};

use crate::exports::sluice::page::script::Failure;
use crate::globals::{http, job};
use crate::modules::{Body, start, with_graph};
use crate::runtime::{limit_heap, with_runtime};
use crate::{bytecode, checkpoint, failure, rejections};

pub fn run(heap_bytes_max: u32) -> Result<u32, Failure> {
    let units = bytecode::units().map_err(failure::internal)?;
    let page = units.first().map(|page| page.bytecode).unwrap_or_default();
    let is_job = units.first().is_some_and(|page| page.file == job::PAGE);
    with_graph(|graph| {
        for unit in units {
            graph.add(unit.code, unit.file, Body::Bytecode(unit.bytecode));
        }
        graph.linking = true;
    });
    limit_heap(heap_bytes_max as usize);
    with_runtime(|runtime| {
        runtime.context().with(|ctx| {
            checkpoint::begin(&ctx);
            if is_job {
                job::enter(&ctx).catch(&ctx).map_err(|caught| failure::of_caught(&ctx, caught))?;
            }
            evaluate(&ctx, page).map(|()| checkpoint::heap_bytes()).inspect_err(|_| {
                // For the size of the heap. Other runs return it, which costs no call to the host.
                checkpoint::report();
            })
        })
    })
}

fn evaluate(ctx: &Ctx<'_>, page: &'static [u8]) -> Result<(), Failure> {
    let started = start(ctx, page);
    // From here on, only `import()` could request a module.
    with_graph(|graph| graph.linking = false);
    let promise: Promise = started.catch(ctx).map_err(|caught| failure::of_caught(ctx, caught))?;
    loop {
        while ctx.execute_pending_job() {}
        // Nothing else is left to do, so this waits for a call to another server that the script awaits.
        let is_waiting = matches!(promise.state(), PromiseState::Pending);
        let has_settled =
            is_waiting && http::settle(ctx).catch(ctx).map_err(|caught| failure::of_caught(ctx, caught))?;
        if !has_settled {
            break;
        }
    }
    match promise.state() {
        PromiseState::Rejected => Err(failure::of_value(ctx, &reason(ctx, &promise))),
        PromiseState::Pending => Err(failure::of_parts(
            "AwaitError",
            "a top-level await never settles: nothing is left that could resolve it",
        )),
        PromiseState::Resolved => match rejections::first(ctx) {
            Some(reason) => Err(failure::unhandled(ctx, &reason)),
            None => Ok(()),
        },
    }
}

fn reason<'js>(ctx: &Ctx<'js>, promise: &Promise<'js>) -> Value<'js> {
    match promise.result::<Value>() {
        Some(Ok(value)) => value,
        Some(Err(_)) => ctx.catch(),
        None => Value::new_undefined(ctx.clone()),
    }
}
