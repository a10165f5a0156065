//! `sluice-engine-link CORE ENGINE`: turns the guest that cargo built into the engine that the host
//! embeds.
//!
//! 1. preview1: WASI preview 1 is replaced by a few functions inside the module.
//! 2. snapshot: the guest is initialised, and its memory becomes the module's initial memory.
//! 3. component: the module is wrapped as a component.
//!
//! The same input always produces the same bytes.

mod component;
mod preview1;
mod snapshot;

use anyhow::{Context as _, Result, ensure};
use std::path::PathBuf;
use std::time::Instant;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [core_path, engine_path] = arguments.as_slice() else {
        anyhow::bail!("usage: sluice-engine-link CORE ENGINE");
    };

    let core = std::fs::read(core_path).with_context(|| format!("reading {core_path:?}"))?;
    println!("{:<24}{:>10} bytes", "guest", core.len());

    let linked = step("without preview 1", || preview1::link(&core))?;
    let initialised = step("initialised", || snapshot::take(&linked))?;
    let engine = step("component", || component::wrap(initialised))?;

    let contents = component::inspect(&engine)?;
    print!("{contents}");
    let unlinked = contents.wasi_imports_not_linked();
    ensure!(
        unlinked.is_empty(),
        "the host links only {:?} of WASI, but the engine also imports {unlinked:?}",
        component::WASI_LINKED,
    );

    std::fs::write(engine_path, engine).with_context(|| format!("writing {engine_path:?}"))
}

/// Performs one step and prints its result.
fn step(name: &str, work: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let start = Instant::now();
    let bytes = work().with_context(|| format!("step `{name}`"))?;
    let time = start.elapsed().as_secs_f64();
    println!("{name:<24}{:>10} bytes {time:>7.2} s", bytes.len());
    Ok(bytes)
}
