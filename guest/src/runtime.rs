//! The one JavaScript runtime of this memory.

use std::cell::OnceCell;

use javy::{Config, Runtime};

use crate::modules::{PageLoader, PageResolver};
use crate::{checkpoint, globals, heap, rejections};

/// Cyclic garbage is collected after this many bytes are allocated, so small pages never pay for it.
const GC_THRESHOLD_BYTES: usize = 3 << 20;

/// The part of the stack in linear memory (1 MiB) that scripts may use. Deeper recursion throws a
/// `RangeError`. The host's stack for a sandbox is larger, so recursion ends with this exception and
/// not with a trap.
const STACK_BYTES: usize = 640 << 10;

struct Engine {
    runtime: Runtime,
    /// The JavaScript heap of the snapshot, in bytes.
    baseline_bytes: usize,
}

thread_local! {
    static ENGINE: OnceCell<Engine> = const { OnceCell::new() };
}

/// Creates the runtime. A panic here ends the build of the engine, never a run.
pub fn initialize() {
    let mut config = Config::default();
    config.text_encoding(true).weak_ref(true).gc_threshold(GC_THRESHOLD_BYTES);
    let runtime = Runtime::new(config).expect("the runtime starts");
    let quickjs = runtime.context().runtime();
    quickjs.set_max_stack_size(STACK_BYTES);
    quickjs.set_loader(PageResolver, PageLoader);
    checkpoint::install(quickjs);
    quickjs.set_host_promise_rejection_tracker(Some(Box::new(rejections::track)));
    runtime.context().with(|ctx| globals::install(&ctx).expect("the globals install"));
    quickjs.run_gc();
    let used = quickjs.memory_usage().malloc_size;
    let baseline_bytes = usize::try_from(used).expect("the heap has a size");
    ENGINE.with(|slot| {
        let engine = Engine { runtime, baseline_bytes };
        assert!(slot.set(engine).is_ok(), "the engine is initialised once");
    });
    heap::fill_holes();
}

/// Runs `f` on the runtime of the snapshot.
pub fn with_runtime<R>(f: impl FnOnce(&Runtime) -> R) -> R {
    ENGINE.with(|slot| {
        let engine = slot.get().expect("the snapshot holds an initialised engine");
        f(&engine.runtime)
    })
}

/// Limits the bytes that JavaScript may allocate in addition to the snapshot.
pub fn limit_heap(heap_bytes_max: usize) {
    ENGINE.with(|slot| {
        if let Some(engine) = slot.get() {
            let limit = engine.baseline_bytes.saturating_add(heap_bytes_max);
            engine.runtime.context().runtime().set_memory_limit(limit);
        }
    });
}
