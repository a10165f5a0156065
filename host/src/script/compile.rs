//! Source to page component: the engine compiles JavaScript inside a sandbox,
//! the result is wrapped into a component.

use std::time::Duration;

use super::engine::Sandbox;
use super::outcome::Failure;
use super::{RunContext, RunState, SandboxError, ended_by};
use crate::host_api::engine::exports::sluice::page::compiler;
use crate::limits::{COMPILE, Limits};

pub use compiler::{Missing, Unit};

/// What the engine made of a set of sources.
pub enum Compiled {
    /// Bytecode of the page and everything it imports.
    Bytecode(Vec<u8>),
    /// Modules that are imported and were not given.
    Incomplete(Vec<Missing>),
    /// The author's mistake.
    Failed(Failure),
}

impl Sandbox {
    /// Compiles and links `units` without evaluating them; the page is first.
    ///
    /// # Errors
    /// Only the host's own: what the author did wrong is [`Compiled::Failed`].
    pub async fn compile(&self, units: &[Unit]) -> Result<Compiled, SandboxError> {
        let state = RunState::new(RunContext::default(), Self::compile_limiter(), COMPILE.fuel);
        let mut store = self.store(state, COMPILE.fuel)?;
        let answer = tokio::time::timeout(Duration::from_millis(COMPILE.wall_ms_max), async {
            let engine = self.compiler.instantiate_async(&mut store).await?;
            engine.sluice_page_compiler().call_compile(&mut store, units).await
        })
        .await;
        let failed = |name: &str, message: String| Ok(Compiled::Failed(Failure::new(name, message)));
        let heap_was_full = store.data().limiter.heap_was_full(COMPILE.heap_bytes_max);
        match answer {
            Ok(Ok(compiler::Outcome::Compiled(bytecode))) => Ok(Compiled::Bytecode(bytecode)),
            Ok(Ok(compiler::Outcome::Incomplete(missing))) => Ok(Compiled::Incomplete(missing)),
            Ok(Ok(compiler::Outcome::Failed(failure))) => Ok(Compiled::Failed(Failure {
                name: failure.name,
                message: failure.message,
                file: failure.file,
                line: failure.line,
                column: failure.column,
                stack: failure.stack,
            })),
            Ok(Err(trap)) => match ended_by(&trap, &compile_limits(), heap_was_full) {
                Some((_, failure)) => failed(&failure.name, format!("while compiling: {}", failure.message)),
                None => Err(trap.into()),
            },
            Err(_) => failed("Timeout", format!("compiling took longer than {} ms", COMPILE.wall_ms_max)),
        }
    }
}

/// What messages about a compilation's limits say.
fn compile_limits() -> Limits {
    Limits { fuel: COMPILE.fuel, heap_bytes_max: COMPILE.heap_bytes_max, ..Limits::default() }
}
