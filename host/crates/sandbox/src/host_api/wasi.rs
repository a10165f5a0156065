//! The WASI that a sandbox has: clocks and random numbers, function by function.
//! What is not granted is not linked.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

use crate::{HostFault, RunState};

/// `wasi:clocks/wall-clock.datetime`.
#[derive(ComponentType, Lift, Lower, Clone, Copy)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

pub fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    linker.instance("wasi:clocks/wall-clock@0.2.12")?.func_wrap(
        "now",
        |mut store: StoreContextMut<'_, RunState>, (): ()| {
            let state = store.data_mut();
            state.meter.note_call(0);
            let now = state.clock.wall();
            Ok((Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() },))
        },
    )?;
    linker.instance("wasi:clocks/monotonic-clock@0.2.12")?.func_wrap(
        "now",
        |mut store: StoreContextMut<'_, RunState>, (): ()| {
            let state = store.data_mut();
            state.meter.note_call(0);
            Ok((state.clock.monotonic(),))
        },
    )?;
    linker.instance("wasi:random/random@0.2.12")?.func_wrap(
        "get-random-u64",
        |mut store: StoreContextMut<'_, RunState>, (): ()| {
            let state = store.data_mut();
            state.meter.note_call(8);
            let number = state.chance.number();
            Ok((number.map_err(|error| HostFault(format!("no random numbers: {error}")))?,))
        },
    )?;
    Ok(())
}
