//! Compiles JavaScript to bytecode. The engine does this inside a sandbox, because sources are
//! hostile, too.

use std::time::Duration;

use sluice_limits::Limits;

use super::engine::Sandbox;
use super::limiter::Limiter;
use super::outcome::Failure;
use super::{RunContext, RunState, SandboxError, ended_by};
use crate::host_api::engine::exports::sluice::page::compiler;

pub use compiler::{Missing, Unit};

/// The result of compiling a set of sources.
pub enum Compiled {
    /// The bytecode of the page and of everything that it imports.
    Bytecode(Vec<u8>),
    /// The modules that are imported but were not passed.
    Incomplete(Vec<Missing>),
    /// A mistake of the author, or a limit of compilation that was exceeded.
    Failed(Failure),
}

impl Sandbox {
    /// Compiles and links `units` without evaluating them. The page must be the first unit.
    ///
    /// # Errors
    /// The host failed. Mistakes of the author are [`Compiled::Failed`].
    pub async fn compile(&self, units: &[Unit], limits: &Limits) -> Result<Compiled, SandboxError> {
        // Cannot fail: the semaphore is never closed.
        let _place = self.compilations.acquire().await;
        let limits = of_compilation(limits);
        let limiter = Limiter::for_memory(limits.compile_memory_bytes_max);
        let state = RunState::new(RunContext::default(), limiter, limits.fuel);
        let mut store = self.store(state, limits.fuel)?;
        let answer = tokio::time::timeout(Duration::from_millis(limits.wall_ms_max), async {
            let engine = self.compiler.instantiate_async(&mut store).await?;
            engine.sluice_page_compiler().call_compile(&mut store, units).await
        })
        .await;
        let failed = |name: &str, message: String| Ok(Compiled::Failed(Failure::new(name, message)));
        let heap_was_full = store.data().limiter.heap_was_full(limits.heap_bytes_max);
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
                import: None,
            })),
            Ok(Err(trap)) => match ended_by(&trap, &limits, heap_was_full) {
                Some((_, failure)) => failed(&failure.name, format!("while compiling: {}", failure.message)),
                None => Err(trap.into()),
            },
            Err(_) => failed("Timeout", format!("compiling took longer than {} ms", limits.wall_ms_max)),
        }
    }
}

/// The limits of a page, with the limits of its runs replaced by those of its compilation.
fn of_compilation(limits: &Limits) -> Limits {
    let heap = u32::try_from(limits.compile_memory_bytes_max / 4 * 3).unwrap_or(u32::MAX);
    Limits {
        fuel: limits.compile_fuel,
        heap_bytes_max: heap,
        wall_ms_max: limits.compile_wall_ms_max,
        ..limits.clone()
    }
}
