//! The wasmtime engine of the process: its configuration, the pool of sandboxes, the linker,
//! and the compiled QuickJS that all pages share.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, Module, PoolingAllocationConfig, Store};

use sluice_limits as limits;

use super::component::{CoreModule, EngineParts};
use super::idle::IdleSandboxes;
use super::long_work::LongWork;
use super::machine_code::{self, code_id};
use super::memory::Memory;
use super::memory_reset::{MemoryReset, MemoryResetChoice};
use super::slots::{RunKind, SeenKind, Slots, SlotsConfig};
use super::{RunState, SandboxError, meter};
use crate::cache::{Authentic, CacheKey, CodeCache};
use crate::host_api;
use crate::host_api::engine::EnginePre;
use crate::host_api::page::PagePre;
use crate::tier::{Tier, TierChoice, page_code_id};

/// QuickJS with Sluice's globals. `make guest` builds it.
pub static ENGINE_WASM: &[u8] = include_bytes!("../../../../guest/engine.wasm");

/// The bytes that a sandbox may pass in one host call, all strings and lists together. This is
/// more than the limit of any single argument. It bounds lists whose strings all point to the
/// same memory.
pub(crate) const HOSTCALL_BYTES_MAX: usize = 16 << 20;
/// Large enough that recursive scripts reach QuickJS's own limit first, which throws. Only
/// deeply nested source text and JSON reach this limit, which traps.
const WASM_STACK_BYTES: usize = 4 << 20;
pub(crate) const ASYNC_STACK_BYTES: usize = 5 << 20;
/// Pages are compiled in sandboxes of their own, at most this many at a time. One brand gets all but
/// one of them at most, so that others need not wait for a brand whose pages take long.
const COMPILATIONS_MAX: u32 = 4;
/// How long a compilation waits for its turn. This is longer than a process lives.
const LONGEST_WAIT: Duration = Duration::from_secs(1 << 30);
/// The host's state for one component. The engine needs about a tenth of this.
const INSTANCE_BYTES_MAX: usize = 256 << 10;

/// The number of sandboxes, and how their memory is reset.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Sandboxes that run at the same time. Further requests wait.
    pub concurrent_runs_max: u32,
    /// The bytes of memory of one sandbox.
    pub memory_bytes_max: usize,
    /// How memory is reset between runs.
    pub memory_reset: MemoryResetChoice,
    /// The number of requests that may wait for a sandbox.
    pub queue_requests_max: usize,
    /// How long a request may wait.
    pub queue_wait: Duration,
    /// The bytes of memory that the whole process may take.
    pub process_bytes_max: usize,
    /// How scripts are executed.
    pub tier: TierChoice,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            concurrent_runs_max: limits::CONCURRENT_RUNS_MAX,
            memory_bytes_max: limits::MEMORY_BYTES_MAX,
            memory_reset: MemoryResetChoice::Auto,
            queue_requests_max: 1_024,
            queue_wait: Duration::from_secs(10),
            process_bytes_max: usize::MAX,
            tier: TierChoice::default(),
        }
    }
}

/// Compiles pages and runs their scripts. Lives as long as the process.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<RunState>,
    pub(super) compiler: EnginePre<RunState>,
    /// Admits compilations of scripts.
    pub(super) compilations: Slots,
    /// Admits runs.
    pub slots: Slots,
    /// Continues runs that take longer than a millisecond.
    pub long_runs: LongWork,
    /// Does work that cannot pause: long renderings, compression, loading pages.
    pub long_calls: LongWork,
    /// Admits long renderings, which run on the threads of [`Sandbox::long_calls`].
    pub renderings: Slots,
    /// The memory that the process may take.
    pub memory: Arc<Memory>,
    /// Identifies everything that the machine code of a page depends on besides its source.
    pub code_id: CacheKey,
    /// The engine, from which page components are made.
    pub parts: EngineParts,
    /// How memory is reset between runs.
    pub memory_reset: MemoryReset,
    /// Why [`Sandbox::memory_reset`] was chosen.
    pub memory_reset_reason: &'static str,
    pub(super) idle: IdleSandboxes,
    pub(super) tier: TierChoice,
}

/// A page's script, compiled to machine code and linked.
#[derive(Clone)]
pub struct Script {
    pub(super) pre: PagePre<RunState>,
    /// The bytes of machine code that belong to this page alone.
    pub machine_code_bytes: usize,
    /// How it is executed.
    pub tier: Tier,
    /// What runs of this script have waited for.
    pub(super) seen_kind: Arc<SeenKind>,
}

impl Script {
    /// What runs of this script wait for. A script counts as using the database, or other servers,
    /// from the first run on that does.
    pub fn run_kind(&self) -> RunKind {
        self.seen_kind.kind()
    }
}

impl Sandbox {
    /// Compiles the engine and maps the pool. This takes seconds.
    ///
    /// # Errors
    /// The engine does not match this program, or the pool cannot be mapped.
    pub fn new(config: &SandboxConfig) -> Result<Self, SandboxError> {
        Self::with_cache(config, None)
    }

    /// Like [`Sandbox::new`], but loads the engine's machine code from `cache` if it is there.
    ///
    /// # Errors
    /// As [`Sandbox::new`].
    pub fn with_cache(config: &SandboxConfig, cache: Option<&CodeCache>) -> Result<Self, SandboxError> {
        let parts = EngineParts::new(ENGINE_WASM)?;
        let (memory_reset, memory_reset_reason) = MemoryReset::choose(config.memory_reset);
        let engine = Engine::new(&engine_config(config, &parts, memory_reset)?)?;
        let code_id = code_id(&engine, &parts);
        let mut linker = Linker::new(&engine);
        host_api::link(&mut linker)?;
        let mut modules = Vec::new();
        for module in &parts.modules {
            let compiled = core_module(&engine, module, code_id, cache)?;
            linker.root().module(&module.import_name, &compiled)?;
            modules.push(compiled);
        }
        let idle = IdleSandboxes::new(&engine, &modules, config.memory_bytes_max, memory_reset)?;
        // A page without a script compiles the other pages.
        let empty = Component::new(&engine, parts.page(&[], "")?)?;
        let compiler = EnginePre::new(linker.instantiate_pre(&empty)?)?;
        let memory = Memory::new(config.process_bytes_max);
        let queue = |slots| {
            let (waiting_max, wait_max) = (config.queue_requests_max, config.queue_wait);
            let config = SlotsConfig { slots, waiting_max, wait_max };
            Slots::new(config, Arc::clone(&memory))
        };
        let slots = queue(config.concurrent_runs_max as usize);
        let renderings = queue(std::thread::available_parallelism().map_or(1, usize::from));
        let long_runs = LongWork::start("sluice-runs").map_err(SandboxError::Threads)?;
        let long_calls = LongWork::start("sluice-calls").map_err(SandboxError::Threads)?;
        // Compilations wait for as long as it takes: nobody else compiles their pages.
        let compilations =
            SlotsConfig { slots: COMPILATIONS_MAX as usize, waiting_max: usize::MAX, wait_max: LONGEST_WAIT };
        let compilations = Slots::new(compilations, Arc::clone(&memory));
        Ok(Self {
            engine,
            linker,
            compiler,
            compilations,
            slots,
            long_runs,
            long_calls,
            renderings,
            memory,
            code_id: page_code_id(code_id, config.tier),
            parts,
            memory_reset,
            memory_reset_reason,
            idle,
            tier: config.tier,
        })
    }

    /// Compiles a page component to machine code and links it.
    ///
    /// # Errors
    /// The component is not valid, was built for another engine, or imports something that is
    /// not in the published world.
    pub fn load(&self, component: &[u8]) -> Result<Script, SandboxError> {
        self.parts.check_engine(component)?;
        self.link(&Component::new(&self.engine, component)?)
    }

    /// Like [`Sandbox::load`], and returns the machine code for
    /// [`Sandbox::load_machine_code`].
    ///
    /// # Errors
    /// As [`Sandbox::load`].
    pub fn load_and_keep(&self, component: &[u8]) -> Result<(Script, Vec<u8>), SandboxError> {
        self.parts.check_engine(component)?;
        let component = Component::new(&self.engine, component)?;
        Ok((self.link(&component)?, component.serialize()?))
    }

    /// Links machine code that was stored under a key that includes this sandbox's `code_id`.
    ///
    /// # Errors
    /// Another version of wasmtime produced it.
    pub fn load_machine_code(&self, code: &Authentic) -> Result<Script, SandboxError> {
        self.link(&machine_code::load_component(&self.engine, code)?)
    }

    fn link(&self, component: &Component) -> Result<Script, SandboxError> {
        let code = component.image_range();
        let machine_code_bytes = (code.end as usize).saturating_sub(code.start as usize);
        let pre = PagePre::new(self.linker.instantiate_pre(component)?)?;
        let tier = Tier::of(component, &self.engine);
        Ok(Script { pre, machine_code_bytes, tier, seen_kind: Arc::default() })
    }

    /// A new store with the quotas of one run.
    pub(super) fn store(&self, state: RunState, fuel: u64) -> Result<Store<RunState>, SandboxError> {
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_fuel(fuel)?;
        store.fuel_async_yield_interval(Some(meter::TURN_FUEL))?;
        store.set_hostcall_fuel(store.data().limiter.hostcall_bytes_max());
        store.call_hook(meter::settle);
        Ok(store)
    }
}

/// Loads a core module of the engine from the cache, or compiles and stores it.
fn core_module(
    engine: &Engine,
    module: &CoreModule,
    code_id: CacheKey,
    cache: Option<&CodeCache>,
) -> Result<Module, SandboxError> {
    let key = CacheKey::of([b"core module".as_slice(), code_id.as_bytes(), module.import_name.as_bytes()]);
    if let Some(kept) = cache.and_then(|cache| cache.read(&key)) {
        match machine_code::load_module(engine, &kept) {
            Ok(module) => return Ok(module),
            Err(error) => {
                tracing::warn!(%error, "the engine's machine code cannot be used; it is compiled again")
            }
        }
    }
    let compiled = Module::new(engine, &module.wasm)?;
    if let Some(cache) = cache {
        cache.write(&key, &compiled.serialize()?);
    }
    Ok(compiled)
}

fn engine_config(
    config: &SandboxConfig,
    parts: &EngineParts,
    memory_reset: MemoryReset,
) -> Result<Config, SandboxError> {
    let mut out = Config::new();
    out.consume_fuel(true);
    // Every stop call unwinds, and nothing reads the frames.
    out.wasm_backtrace_max_frames(None::<NonZeroUsize>);
    out.native_unwind_info(false);
    out.max_wasm_stack(WASM_STACK_BYTES);
    out.async_stack_size(ASYNC_STACK_BYTES);
    // Otherwise a stack keeps what the deepest recursion on it has used.
    out.async_stack_zeroing(true);
    out.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config, parts, memory_reset)?));
    Ok(out)
}

/// The pool. Its sizes suit components that consist of the engine's modules and one more.
fn pool(
    config: &SandboxConfig,
    parts: &EngineParts,
    memory_reset: MemoryReset,
) -> Result<PoolingAllocationConfig, SandboxError> {
    let configured = config.concurrent_runs_max;
    let runs = configured.saturating_add(COMPILATIONS_MAX);
    let modules = u32::try_from(parts.modules.len()).unwrap_or(u32::MAX).saturating_add(1);
    let too_many = || SandboxError::TooManyRuns(configured);
    let core_instances = runs.checked_mul(modules).ok_or_else(too_many)?;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(runs)
        .total_core_instances(core_instances)
        .total_stacks(runs)
        .total_memories(runs)
        .total_tables(runs.checked_mul(2).ok_or_else(too_many)?)
        .max_core_instances_per_component(modules)
        .max_memories_per_component(1)
        .max_tables_per_component(2)
        .max_component_instance_size(INSTANCE_BYTES_MAX)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .max_memory_size(config.memory_bytes_max)
        .max_unused_warm_slots(runs);
    memory_reset.configure(&mut pool);
    Ok(pool)
}
