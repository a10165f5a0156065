//! `Math.random` from the host's entropy, drawn at first use in each run: the
//! snapshot must not decide it.

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
    // The host's random source cannot fail; were it to, the run must not go on
    // with a seed that everybody knows.
    getrandom::fill(&mut seed).expect("the host gives random numbers");
    u64::from_le_bytes(seed)
}
