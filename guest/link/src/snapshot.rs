//! Runs the guest's initialisation with Wizer, and makes the resulting memory the initial memory of
//! the module.
//!
//! Clocks and random numbers have fixed values here, so the snapshot is reproducible. A run must not
//! use values that the guest derived from them: it obtains fresh ones.

use anyhow::Result;
use wasmtime::{Caller, Engine, Linker, Store};
use wasmtime_wizer::Wizer;

/// 2001-09-09T01:46:40Z.
const WALL_CLOCK_SECONDS: u64 = 1_000_000_000;
const MONOTONIC_CLOCK_NANOSECONDS: u64 = 1_000_000_000;

/// The number of random numbers that were drawn.
type Draws = u64;

pub fn take(module: &[u8]) -> Result<Vec<u8>> {
    let engine = Engine::default();
    let linker = fixed_wasi(&engine)?;
    let mut store = Store::new(&engine, 0);
    let mut wizer = Wizer::new();
    wizer.init_func("wizer-initialize").keep_init_func(false);
    let snapshot = wizer.run(&mut store, module, async |store, module| {
        let mut linker = linker.clone();
        // The host's interfaces must not be called during initialisation.
        linker.define_unknown_imports_as_traps(module)?;
        linker.instantiate_async(store, module).await
    });
    // wasmtime's async calls need no reactor, only an executor.
    tokio::runtime::Builder::new_current_thread().build()?.block_on(snapshot).map_err(anyhow::Error::from)
}

/// The three interfaces that adapter.wat imports, with fixed results.
fn fixed_wasi(engine: &Engine) -> Result<Linker<Draws>> {
    let mut linker = Linker::new(engine);
    linker
        .func_wrap(
            "wasi:clocks/wall-clock@0.2.12",
            "now",
            |mut caller: Caller<'_, Draws>, datetime: u32| -> wasmtime::Result<()> {
                let memory = caller.get_export("memory").and_then(|export| export.into_memory());
                let memory = memory.ok_or_else(|| wasmtime::format_err!("the guest exports no memory"))?;
                // seconds: u64, nanoseconds: u32, padding
                let mut record = [0; 16];
                record[..8].copy_from_slice(&WALL_CLOCK_SECONDS.to_le_bytes());
                memory.write(&mut caller, datetime as usize, &record)?;
                Ok(())
            },
        )?
        .func_wrap("wasi:clocks/monotonic-clock@0.2.12", "now", || MONOTONIC_CLOCK_NANOSECONDS)?
        .func_wrap("wasi:random/random@0.2.12", "get-random-u64", |mut caller: Caller<'_, Draws>| -> u64 {
            let draws = caller.data_mut();
            *draws += 1;
            splitmix64(*draws)
        })?;
    Ok(linker)
}

/// The `n`th number of a fixed sequence without repetitions, so code that draws until a number differs
/// terminates (SplitMix64: Steele, Lea, Flood 2014).
fn splitmix64(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
