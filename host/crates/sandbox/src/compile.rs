//! Compiles JavaScript to bytecode. The engine does this inside a sandbox, because sources are
//! hostile, too.

use std::time::{Duration, Instant};

use sluice_limits::Limits;

use super::ended::ended_by;
use super::engine::Sandbox;
use super::host_api::checkpoint::Checkpoints;
use super::limiter::Limiter;
use super::meter::Meter;
use super::outcome::{Failure, Outcome};
use super::slots::RunKind;
use super::{RunContext, RunState, SandboxError};
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

/// What compiling one page may still use. All compilations that the page needs share it: of each
/// script block by itself, and of each level of imports.
pub struct CompileQuota {
    /// The limits of the page, with the limits of its runs replaced by those of its compilation.
    limits: Limits,
    brand: String,
    fuel: u64,
    wall: Duration,
}

impl CompileQuota {
    /// The quota of a page of `brand`. Brands share the sandboxes in which pages are compiled.
    pub fn new(limits: &Limits, brand: &str) -> Self {
        let limits = of_compilation(limits);
        let (fuel, wall) = (limits.fuel, Duration::from_millis(limits.wall_ms_max));
        Self { limits, brand: brand.to_owned(), fuel, wall }
    }
}

impl Sandbox {
    /// Compiles and links `units` without evaluating them. The page must be the first unit.
    ///
    /// # Errors
    /// The host failed. Mistakes of the author are [`Compiled::Failed`].
    pub async fn compile(&self, units: &[Unit], quota: &mut CompileQuota) -> Result<Compiled, SandboxError> {
        let _place =
            self.compilations.take(&quota.brand, RunKind::PLAIN, 0).await.ok_or(SandboxError::Busy)?;
        let started = Instant::now();
        let CompileQuota { limits, fuel, wall, .. } = quota;
        let limiter = Limiter::for_memory(limits.compile_memory_bytes_max);
        let _memory = self.memory.reserve(limiter.total_bytes());
        let (meter, checkpoints) = (Meter::new(*fuel, 0), Checkpoints::new(*fuel, None));
        let state = RunState::new(RunContext::default(), limiter, meter, checkpoints);
        let mut store = self.store(state, *fuel)?;
        let answer = tokio::time::timeout(*wall, async {
            let engine = self.compiler.instantiate_async(&mut store).await?;
            engine.sluice_page_compiler().call_compile(&mut store, units).await
        })
        .await;
        *fuel = store.get_fuel()?;
        *wall = wall.saturating_sub(started.elapsed());
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
            Ok(Err(trap)) => match ended_by(&trap, limits, heap_was_full) {
                Some((Outcome::Fuel, failure)) => {
                    let fuel = sluice_limits::grouped(limits.fuel);
                    let message = format!(
                        "while compiling: the script used more than its {fuel} units of fuel (compile_fuel); \
                         split it into modules"
                    );
                    failed(&failure.name, message)
                }
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
