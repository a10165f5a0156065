//! The WASI that a sandbox has: its clocks and random numbers. wasmtime-wasi implements and
//! links both. No other interface of WASI is linked, so a component that imports one is
//! rejected when it is loaded.

use std::convert::Infallible;
use std::time::Duration;

use fastrand::Rng;
use rand_core::TryRng;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksCtxView};
use wasmtime_wasi::p2::bindings::{clocks, random};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx};

use sluice_kit::clock::{Clock, since_1970};
use sluice_page_cache::Dependence;

use crate::RunState;

/// Bytes that one call of `wasi:random/random` gives at most. Each call is charged for that
/// many, because the charge is made before the call's arguments are known.
const RANDOM_BYTES_MAX: u8 = 8;

/// Links the three interfaces.
///
/// `wasi:clocks/monotonic-clock` also has functions that subscribe to a point in time. Their
/// type names the resource `pollable` of `wasi:io/poll`, which is not linked, so no component
/// can import them.
pub(super) fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    clocks::wall_clock::add_to_linker::<RunState, WasiClocks>(linker, RunState::clocks)?;
    clocks::monotonic_clock::add_to_linker::<RunState, WasiClocks>(linker, RunState::clocks)?;
    random::random::add_to_linker::<RunState, WasiRandom>(linker, |state| {
        state.meter.note_call(usize::from(RANDOM_BYTES_MAX));
        state.depends_on(Dependence::Random);
        state.wasi.ctx.random()
    })
}

impl RunState {
    /// The clocks for one call, which it charges for.
    fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        self.meter.note_call(0);
        WasiClocksCtxView { ctx: self.wasi.ctx.clocks(), table: &mut self.wasi.resources }
    }
}

/// What wasmtime-wasi keeps for one run.
pub(crate) struct RunWasi {
    ctx: WasiCtx,
    /// Always empty: no function that a component can import adds a resource.
    resources: ResourceTable,
}

impl RunWasi {
    /// With the host's clocks or a fixed time, and with the system's random numbers or those
    /// that follow from `seed`.
    pub(crate) fn new(clock: Clock, seed: Option<u64>) -> Self {
        let mut builder = WasiCtx::builder();
        builder.max_random_size(u64::from(RANDOM_BYTES_MAX));
        if !matches!(clock, Clock::Host) {
            builder.wall_clock(TestClock(clock)).monotonic_clock(StoppedClock);
        }
        if let Some(seed) = seed {
            builder.secure_random(Seeded(Rng::with_seed(seed)));
        }
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(0);
        Self { ctx: builder.build(), resources }
    }
}

/// A time that does not pass by itself.
struct TestClock(Clock);

impl HostWallClock for TestClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        since_1970(self.0.now_ms())
    }
}

/// The duration of a run in which no time passes.
struct StoppedClock;

impl HostMonotonicClock for StoppedClock {
    fn resolution(&self) -> u64 {
        1
    }

    /// Nanoseconds since the run began.
    fn now(&self) -> u64 {
        0
    }
}

/// Random numbers that follow from a seed, for tests and `sluice run --seed`.
struct Seeded(Rng);

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.u32(..))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.u64(..))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}
