//! Counts what one rendering costs while it runs.
//!
//! Fuel measures time: one unit for each byte that is copied or compared, [`STEP`] for each
//! evaluated expression, iteration or helper call, and [`WALK`] for each byte of work that goes
//! character by character. On the machines that Sluice was measured on, a unit takes 1 to 3 ns.
//! Every charge comes before the work that it pays for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use thiserror::Error;

use crate::limits::TemplateLimits;
use crate::value::DEPTH_MAX;

/// What one rendering may use.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// Units of fuel, as in the limit `template_fuel`.
    pub fuel: u64,
    /// Units of it that preparing the rendering has used.
    pub used: u64,
    /// When the rendering ends with an error.
    pub until: Option<Instant>,
    /// Bytes of the rendered page and of all values that the template creates.
    pub memory_bytes: u64,
}

/// A limit that a rendering exceeded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum LimitError {
    /// More fuel than `template_fuel`, which it carries.
    #[error("rendering the page takes more than {0} units of fuel (template_fuel)")]
    Fuel(u64),
    /// The time of the run is over.
    #[error("rendering the page takes longer than the run may take (wall_ms_max)")]
    Time,
    /// More bytes than the run has left of its memory.
    #[error("rendering the page takes more memory than the {0} bytes that the run has left (heap_bytes_max)")]
    Memory(u64),
    /// More bytes of created values than `made_bytes_max`, which it carries.
    #[error("the page makes values of more than {0} bytes (made_bytes_max)")]
    MadeBytes(u64),
    /// A list or a record in too many others.
    #[error("lists and records nest at most {DEPTH_MAX} deep")]
    ValueDepth,
    /// A call of the host failed, for this reason. It ends the rendering like a limit.
    #[error("{0}")]
    Call(String),
    /// The rendering cannot continue before the host has made a call.
    #[error("the page waits for a call")]
    Waiting,
}

/// A value, or the limit that stopped its computation.
pub(crate) type Limited<T> = Result<T, LimitError>;

/// The fuel of an evaluated expression, of an iteration and of a helper call.
const STEP: u64 = 64;
/// The fuel of each byte of work that goes character by character.
const WALK: u64 = 8;
/// The fuel of a call of the host, and of each byte that it passes in either direction, as for scripts.
const CALL: u64 = 10_000;
const CALL_BYTE: u64 = 10;
/// The clock is read each time this much fuel is used.
const CLOCK_FUEL: u64 = 1_000_000;

/// The fuel of one rendering. Handlebars requires that it can be shared between threads; only one
/// uses it.
#[derive(Debug)]
pub(crate) struct Fuel {
    quota: Quota,
    left: AtomicU64,
    /// The clock is read when less than this is left.
    clock_at: AtomicU64,
    memory_left: AtomicU64,
}

impl Fuel {
    pub(crate) fn new(quota: Quota) -> Arc<Fuel> {
        let left = quota.fuel.saturating_sub(quota.used);
        let clock_at = left.saturating_sub(CLOCK_FUEL).into();
        let memory_left = quota.memory_bytes.into();
        Arc::new(Fuel { quota, left: left.into(), clock_at, memory_left })
    }

    /// Charges memory that the rendering keeps to its end.
    pub(crate) fn hold(&self, bytes: u64) -> Limited<()> {
        let left = self.memory_left.load(Ordering::Relaxed).checked_sub(bytes);
        self.memory_left.store(left.unwrap_or(0), Ordering::Relaxed);
        left.map(drop).ok_or(LimitError::Memory(self.quota.memory_bytes))
    }

    /// Takes some units. After an error, nothing is left.
    pub(crate) fn take(&self, units: u64) -> Limited<()> {
        let Some(left) = self.left.load(Ordering::Relaxed).checked_sub(units) else {
            self.left.store(0, Ordering::Relaxed);
            return Err(LimitError::Fuel(self.quota.fuel));
        };
        self.left.store(left, Ordering::Relaxed);
        if left < self.clock_at.load(Ordering::Relaxed) {
            self.clock_at.store(left.saturating_sub(CLOCK_FUEL), Ordering::Relaxed);
            if self.quota.until.is_some_and(|until| Instant::now() >= until) {
                self.left.store(0, Ordering::Relaxed);
                return Err(LimitError::Time);
            }
        }
        Ok(())
    }

    /// The units that were taken so far.
    pub(crate) fn used(&self) -> u64 {
        self.quota.fuel.saturating_sub(self.left.load(Ordering::Relaxed))
    }
}

/// Counts fuel and created bytes against the limits.
#[derive(Debug)]
pub(crate) struct Budget {
    fuel: Arc<Fuel>,
    made_bytes_left: u64,
    made_bytes_max: u64,
}

impl Budget {
    pub(crate) fn new(limits: &TemplateLimits, fuel: Arc<Fuel>) -> Budget {
        Budget { fuel, made_bytes_left: limits.made_bytes_max, made_bytes_max: limits.made_bytes_max }
    }

    /// Charges some expressions, iterations or calls.
    pub(crate) fn steps(&self, count: usize) -> Limited<()> {
        self.fuel.take((count as u64).saturating_mul(STEP))
    }

    /// Charges copying or comparing this many bytes.
    pub(crate) fn read(&self, bytes: usize) -> Limited<()> {
        self.fuel.take(bytes as u64)
    }

    /// Charges work that goes through this many bytes character by character.
    pub(crate) fn walk(&self, bytes: usize) -> Limited<()> {
        self.fuel.take((bytes as u64).saturating_mul(WALK))
    }

    /// Charges a call of the host that passes this many bytes.
    pub(crate) fn call(&self, bytes: usize) -> Limited<()> {
        self.fuel.take((bytes as u64).saturating_mul(CALL_BYTE).saturating_add(CALL))
    }

    /// Charges creating a text or a list of this many bytes.
    pub(crate) fn make(&mut self, bytes: usize) -> Limited<()> {
        self.check_room(bytes)?;
        self.fuel.hold(bytes as u64)?;
        self.made_bytes_left -= bytes as u64;
        // The bytes are written, and then copied into a value that can be shared.
        self.fuel.take((bytes as u64).saturating_mul(2))
    }

    /// Checks that a text of this many bytes may still be created.
    pub(crate) fn check_room(&self, bytes: usize) -> Limited<()> {
        match bytes as u64 <= self.made_bytes_left {
            true => Ok(()),
            false => Err(LimitError::MadeBytes(self.made_bytes_max)),
        }
    }

    /// The longest text that may still be created, in bytes.
    pub(crate) fn made_bytes_left(&self) -> usize {
        usize::try_from(self.made_bytes_left).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
impl Budget {
    /// A budget with these limits.
    pub(crate) fn of(limits: &TemplateLimits) -> Budget {
        let quota = Quota { fuel: limits.fuel_max, used: 0, until: None, memory_bytes: u64::MAX };
        Budget::new(limits, Fuel::new(quota))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_when_the_time_is_over_or_the_fuel_is_used() {
        let fuel = Fuel::new(Quota { fuel: 10, used: 0, until: None, memory_bytes: 5 });
        assert_eq!((fuel.take(10), fuel.used()), (Ok(()), 10));
        assert_eq!(fuel.take(1), Err(LimitError::Fuel(10)));
        assert_eq!((fuel.hold(5), fuel.hold(1)), (Ok(()), Err(LimitError::Memory(5))));
        let until = Some(Instant::now());
        let late = Fuel::new(Quota { fuel: 4 * CLOCK_FUEL, used: 0, until, memory_bytes: 0 });
        assert_eq!(late.take(CLOCK_FUEL), Ok(()));
        assert_eq!(late.take(1), Err(LimitError::Time));
        assert!(late.take(1).is_err());
    }

    #[test]
    fn error_names_the_limit_and_not_what_was_left_of_it() {
        let fuel = Fuel::new(Quota { fuel: 10, used: 4, until: None, memory_bytes: 0 });
        assert_eq!((fuel.take(6), fuel.used()), (Ok(()), 10));
        assert_eq!(fuel.take(1), Err(LimitError::Fuel(10)));
    }
}
