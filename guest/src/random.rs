//! `Math.random`. Its seed comes from the host at first use in each run, because a seed in the snapshot
//! would be the same in all runs.

use std::cell::RefCell;

use fastrand::Rng;

thread_local! {
    static RNG: RefCell<Option<Rng>> = const { RefCell::new(None) };
}

/// A number in [0, 1).
pub fn random() -> f64 {
    RNG.with(|rng| rng.borrow_mut().get_or_insert_with(|| Rng::with_seed(seed())).f64())
}

fn seed() -> u64 {
    let mut seed = [0; 8];
    // The host's random source does not fail. If it did, the run must not continue with a known seed.
    getrandom::fill(&mut seed).expect("the host gives random numbers");
    u64::from_le_bytes(seed)
}
