//! `run`: link, evaluate, drain the job queue.

use rquickjs::promise::PromiseState;
use rquickjs::{CatchResultExt, Ctx, Promise, Value};

use crate::exports::sluice::page::script::Failure;
use crate::modules::{Body, start, with_graph};
use crate::runtime::{limit_heap, with_runtime};
use crate::{bytecode, checkpoint, failure, rejections};

pub fn run(heap_bytes_max: u32) -> Result<(), Failure> {
    let units = bytecode::units().map_err(failure::internal)?;
    let page = units.first().map(|page| page.bytecode).unwrap_or_default();
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
            let done = evaluate(&ctx, page);
            // The last one, for the size of the heap.
            checkpoint::report();
            done
        })
    })
}

fn evaluate(ctx: &Ctx<'_>, page: &'static [u8]) -> Result<(), Failure> {
    let started = start(ctx, page);
    // From here on, only `import()` could request a module.
    with_graph(|graph| graph.linking = false);
    let promise: Promise = started.catch(ctx).map_err(|caught| failure::of_caught(ctx, caught))?;
    while ctx.execute_pending_job() {}
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
