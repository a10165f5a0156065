//! Fuel for host work, and turns for other requests.
//!
//! wasmtime counts the instructions of the sandbox. Work that the host does for
//! it is paid from the same quota: a host function notes what it costs, and the
//! store takes the cost off when the call returns.

use wasmtime::{CallHook, StoreContextMut, Trap};

use super::RunState;

/// Fuel of one host call.
pub const CALL_FUEL: u64 = 10_000;
/// Fuel of each byte that a host call takes or gives.
pub const BYTE_FUEL: u64 = 10;
/// Fuel after which a busy script lets its worker's other requests go on:
/// about a millisecond.
pub const TURN_FUEL: u64 = 8_000_000;

/// What a run owes and when it must let others go on.
pub struct Meter {
    owed: u64,
    /// Fuel level at the last turn. Taking fuel off resets wasmtime's own
    /// counter, so a script that calls the host often would never yield.
    turn_level: u64,
    turn_due: bool,
}

impl Meter {
    pub fn new(fuel: u64) -> Self {
        Self { owed: 0, turn_level: fuel, turn_due: false }
    }

    /// Notes one host call that moves `bytes` between script and host.
    pub fn note_call(&mut self, bytes: usize) {
        self.owed = self.owed.saturating_add(CALL_FUEL);
        self.note_bytes(bytes);
    }

    /// Notes `bytes` more for the call under way.
    pub fn note_bytes(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.owed = self.owed.saturating_add(bytes.saturating_mul(BYTE_FUEL));
    }

    /// True once for every [`TURN_FUEL`] that the run burned.
    pub fn take_turn(&mut self) -> bool {
        std::mem::take(&mut self.turn_due)
    }
}

/// Takes what a host call cost off the run's fuel.
///
/// # Errors
/// [`Trap::OutOfFuel`] when the quota does not cover it.
pub fn settle(mut store: StoreContextMut<'_, RunState>, hook: CallHook) -> wasmtime::Result<()> {
    // wasmtime's own helpers pass here too; only calls that noted a cost count.
    let owed = std::mem::take(&mut store.data_mut().meter.owed);
    if owed == 0 || !matches!(hook, CallHook::ReturningFromHost) {
        store.data_mut().meter.owed = owed;
        return Ok(());
    }
    let left = store.get_fuel()?.checked_sub(owed);
    store.set_fuel(left.unwrap_or(0))?;
    let left = left.ok_or(Trap::OutOfFuel)?;
    let meter = &mut store.data_mut().meter;
    if meter.turn_level.saturating_sub(left) >= TURN_FUEL {
        meter.turn_level = left;
        meter.turn_due = true;
    }
    Ok(())
}
