//! The one JavaScript runtime of this memory.

use std::cell::OnceCell;

use javy::{Config, Runtime};

use crate::modules::{PageLoader, PageResolver};
use crate::{globals, heap, rejections};

/// Cyclic garbage is collected once this much is allocated; small pages never
/// pay for it.
const GC_THRESHOLD_BYTES: usize = 3 << 20;

/// Of the stack in linear memory, which has 1 MiB: deeper recursion throws a
/// `RangeError`. The host's own stack for a sandbox is large enough for scripts
/// to get here first, so that recursion is an exception and not a trap.
const STACK_BYTES: usize = 640 << 10;

struct Engine {
    runtime: Runtime,
    /// What the snapshot itself holds of the JavaScript heap.
    baseline_bytes: usize,
}

thread_local! {
    static ENGINE: OnceCell<Engine> = const { OnceCell::new() };
}

/// Creates the runtime. Panics end the build of the engine, never a run.
pub fn initialize() {
    let mut config = Config::default();
    config.text_encoding(true).weak_ref(true).gc_threshold(GC_THRESHOLD_BYTES);
    let runtime = Runtime::new(config).expect("the runtime starts");
    let quickjs = runtime.context().runtime();
    quickjs.set_max_stack_size(STACK_BYTES);
    quickjs.set_loader(PageResolver, PageLoader);
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

/// Bounds what JavaScript may allocate beyond the snapshot.
pub fn limit_heap(heap_bytes_max: usize) {
    ENGINE.with(|slot| {
        if let Some(engine) = slot.get() {
            let limit = engine.baseline_bytes.saturating_add(heap_bytes_max);
            engine.runtime.context().runtime().set_memory_limit(limit);
        }
    });
}
