//! The engine: QuickJS (through Javy) with Sluice's globals. Wizer initialises it once, so every run
//! starts from a memory snapshot.
//!
//! The host trusts nothing here, because a script can change all of this memory. The host enforces every
//! rule (reserved names, limits, brands). Checks in the guest only give better messages.

mod bytecode;
mod checkpoint;
mod compile;
mod failure;
mod globals;
mod heap;
mod modules;
mod random;
mod rejections;
mod run;
mod runtime;
mod value;

wit_bindgen::generate!({
    world: "engine",
    path: "../wit",
});

use exports::sluice::page::{compiler, script};

struct Engine;

impl script::Guest for Engine {
    fn run(heap_bytes_max: u32) -> Result<u32, script::Failure> {
        run::run(heap_bytes_max)
    }
}

impl compiler::Guest for Engine {
    fn compile(units: Vec<compiler::Unit>) -> compiler::Outcome {
        compile::compile(units)
    }
}

export!(Engine);

/// Creates the runtime and installs the globals, before the snapshot is taken.
#[unsafe(export_name = "wizer-initialize")]
extern "C" fn initialize() {
    runtime::initialize();
}
