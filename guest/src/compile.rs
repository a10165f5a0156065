//! `compile`: the whole import graph to bytecode, linked but not evaluated.

use rquickjs::{CatchResultExt, Ctx, Module};

use crate::exports::sluice::page::compiler::{Outcome, Unit};
use crate::exports::sluice::page::script::Failure;
use crate::modules::{Body, LINK_PROBE, PAGE, compile_module, with_graph};
use crate::runtime::with_runtime;
use crate::{bytecode, failure};

/// An export that no author has: asking for it makes QuickJS link everything
/// and then stop before it evaluates anything.
const PROBE_EXPORT: &str = "__sluice_link_probe__";

pub fn compile(units: Vec<Unit>) -> Outcome {
    let Some(page_file) = units.first().map(|unit| unit.file.clone()) else {
        return Outcome::Failed(failure::of_parts("Error", "there is no page to compile"));
    };
    with_graph(|graph| {
        for unit in units {
            graph.add(&unit.code, &unit.file, Body::Source(unit.source));
        }
        graph.linking = true;
    });
    match with_runtime(|runtime| runtime.context().with(|ctx| compile_and_link(&ctx))) {
        Err(failure) => Outcome::Failed(failure),
        Ok(()) => with_graph(|graph| {
            if graph.missing.is_empty() {
                // Dependencies finish first; the index wants the page in front.
                graph.compiled.sort_by_key(|(_, file, _)| *file != page_file);
                Outcome::Compiled(bytecode::blob(&graph.compiled))
            } else {
                Outcome::Incomplete(std::mem::take(&mut graph.missing))
            }
        }),
    }
}

fn compile_and_link(ctx: &Ctx<'_>) -> Result<(), Failure> {
    let Some((file, source)) = with_graph(|graph| graph.take_page_source()) else {
        return Err(failure::of_parts("Error", "there is no page to compile"));
    };
    let caught = |caught| failure::of_caught(ctx, caught);
    compile_module(ctx, &file, source).catch(ctx).map_err(caught)?;
    if with_graph(|graph| !graph.missing.is_empty()) {
        return Ok(());
    }
    let probe = format!("import {{ {PROBE_EXPORT} }} from '{PAGE}';");
    let linked = Module::declare(ctx.clone(), LINK_PROBE, probe)
        .and_then(|module| module.eval())
        .catch(ctx)
        .map_err(caught);
    match linked {
        Err(failure) if failure.message.contains(PROBE_EXPORT) => Ok(()),
        Err(failure) => Err(failure),
        Ok(_) => Err(failure::of_parts("Error", "the link probe was evaluated")),
    }
}
