//! Charges fuel for the work of the host, and lets a thread's other requests make progress.
//!
//! wasmtime counts the instructions of the sandbox. The work that the host does for a run is
//! charged to the same quota: a host function notes its cost, and the store deducts the cost
//! when the call returns.

use wasmtime::{CallHook, StoreContextMut, Trap};

use super::RunState;

/// The fuel of one host call, in units.
const CALL_FUEL: u64 = 10_000;
/// The fuel of each byte that a host call passes in either direction, in units.
const BYTE_FUEL: u64 = 10;
/// The fuel after which a busy script pauses, in units, so that other work can run. This much lasts
/// about a millisecond.
pub(crate) const TURN_FUEL: u64 = 8_000_000;
/// The fuel of a checkpoint, in units. It does less than a call.
const CHECKPOINT_FUEL: u64 = 2_000;
/// What a run may use beyond its quota before wasmtime stops it, in units. The engine has this much to make a
/// checkpoint, so that the author can be told where the script was. The run has failed in any case. This much
/// lasts about two milliseconds.
pub(crate) const RESERVE_FUEL: u64 = 2 * TURN_FUEL;

/// The fuel that a run owes, and when it must yield.
pub(crate) struct Meter {
    owed: u64,
    /// The fuel that was left when the script last called the host.
    left: u64,
    /// The part of the fuel that is beyond the quota.
    reserve: u64,
    /// The fuel that was left when the run last yielded. Deducting fuel resets wasmtime's own
    /// counter, so without this a script that often calls the host would never yield.
    turn_level: u64,
    turn_due: bool,
}

impl Meter {
    /// A meter for `fuel`, of which `reserve` is beyond the quota.
    pub(crate) fn new(fuel: u64, reserve: u64) -> Self {
        Self { owed: 0, left: fuel, reserve, turn_level: fuel, turn_due: false }
    }

    /// The fuel that was left of the quota when the script last called the host.
    pub(crate) fn left_of_quota(&self) -> u64 {
        self.left.saturating_sub(self.reserve)
    }

    /// Notes the cost of a checkpoint.
    pub(crate) fn note_checkpoint(&mut self, bytes: usize) {
        self.owed = self.owed.saturating_add(CHECKPOINT_FUEL);
        self.note_bytes(bytes);
    }

    /// What is left of `fuel` after a call that cost `owed`. A call that uses up the quota leaves the reserve,
    /// so that the run ends at the next checkpoint. `None` if the reserve is used up, too.
    fn charged(&self, fuel: u64, owed: u64) -> Option<u64> {
        let least = if fuel > self.reserve { self.reserve.saturating_sub(1) } else { 0 };
        (owed <= fuel || least > 0).then(|| fuel.saturating_sub(owed).max(least))
    }

    /// Notes the cost of one host call that passes `bytes` between script and host.
    pub(crate) fn note_call(&mut self, bytes: usize) {
        self.owed = self.owed.saturating_add(CALL_FUEL);
        self.note_bytes(bytes);
    }

    /// Notes the cost of `bytes` more of the current call.
    pub(crate) fn note_bytes(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.owed = self.owed.saturating_add(bytes.saturating_mul(BYTE_FUEL));
    }

    /// Returns true once for each [`TURN_FUEL`] that the run used.
    pub(crate) fn take_turn(&mut self) -> bool {
        std::mem::take(&mut self.turn_due)
    }
}

/// Deducts the cost of a host call from the run's fuel.
///
/// # Errors
/// [`Trap::OutOfFuel`] if the remaining fuel does not cover the cost.
pub(crate) fn settle(mut store: StoreContextMut<'_, RunState>, hook: CallHook) -> wasmtime::Result<()> {
    if matches!(hook, CallHook::CallingHost) {
        store.data_mut().meter.left = store.get_fuel()?;
        return Ok(());
    }
    // wasmtime's own helpers call this hook, too. Only calls that noted a cost count.
    let owed = std::mem::take(&mut store.data_mut().meter.owed);
    if owed == 0 || !matches!(hook, CallHook::ReturningFromHost) {
        store.data_mut().meter.owed = owed;
        return Ok(());
    }
    let fuel = store.get_fuel()?;
    let left = store.data().meter.charged(fuel, owed);
    store.set_fuel(left.unwrap_or(0))?;
    let left = left.ok_or(Trap::OutOfFuel)?;
    let meter = &mut store.data_mut().meter;
    if meter.turn_level.saturating_sub(left) >= TURN_FUEL {
        meter.turn_level = left;
        meter.turn_due = true;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Meter;

    #[test]
    fn call_that_uses_up_the_quota_leaves_the_reserve_once() {
        let meter = Meter::new(150, 50);
        assert_eq!(meter.charged(150, 100), Some(50));
        assert_eq!(meter.charged(150, 101), Some(49));
        assert_eq!(meter.charged(150, 1_000), Some(49));
        assert_eq!(meter.charged(49, 49), Some(0));
        assert_eq!(meter.charged(49, 50), None);
        let meter = Meter::new(100, 0);
        assert_eq!(meter.charged(100, 100), Some(0));
        assert_eq!(meter.charged(100, 101), None);
    }
}
