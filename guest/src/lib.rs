//! The engine: QuickJS through Javy with Sluice's globals, initialised once by
//! Wizer, so that every run starts from a memory snapshot.
//!
//! Nothing in here is trusted by the host. A script owns this whole memory, so
//! every rule (reserved names, caps, brands) stands in the host; what is checked
//! here is checked for better messages only.

mod bytecode;
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
    fn run(heap_bytes_max: u32) -> Result<(), script::Failure> {
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
