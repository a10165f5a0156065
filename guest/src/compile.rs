//! `compile`: compiles the whole import graph to bytecode, and links it without evaluating it.

use rquickjs::{CatchResultExt, Ctx, Module};

use crate::exports::sluice::page::compiler::{Outcome, Unit};
use crate::exports::sluice::page::script::Failure;
use crate::modules::{Body, LINK_PROBE, NOTHING, PAGE, compile_module, with_graph};
use crate::runtime::with_runtime;
use crate::{bytecode, failure};

pub fn compile(units: Vec<Unit>) -> Outcome {
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
                Outcome::Compiled(bytecode::blob(&graph.index()))
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
    // QuickJS links the page with all imports, and then stops at an export that an empty module does
    // not have. So nothing is evaluated, whatever the author's modules export.
    let probe = format!("import '{PAGE}'; import {{ probe }} from '{NOTHING}';");
    let all_linked = format!("Could not find export 'probe' in module '{NOTHING}'");
    let linked = Module::declare(ctx.clone(), LINK_PROBE, probe)
        .and_then(|module| module.eval())
        .catch(ctx)
        .map_err(caught);
    match linked {
        Err(failure) if failure.message == all_linked => Ok(()),
        Err(failure) => Err(failure),
        Ok(_) => Err(failure::of_parts("Error", "the link probe was evaluated")),
    }
}
