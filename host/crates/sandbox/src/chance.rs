//! Random numbers of one run.

use fastrand::Rng;

/// The system's random numbers, or those that follow from a seed.
pub(crate) struct Chance(Option<Rng>);

impl Chance {
    pub fn new(seed: Option<u64>) -> Self {
        Self(seed.map(Rng::with_seed))
    }

    /// # Errors
    /// The system gives none.
    pub fn number(&mut self) -> Result<u64, getrandom::Error> {
        match &mut self.0 {
            Some(rng) => Ok(rng.u64(..)),
            None => getrandom::u64(),
        }
    }
}
