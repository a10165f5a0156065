//! How much processor time each brand has used lately on the threads of workers.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Time is counted in windows of this length.
const WINDOW: Duration = Duration::from_millis(100);
/// What a brand may use in two windows while other brands are active: a tenth of a processor.
const SHARE: Duration = Duration::from_millis(20);
/// A brand is active for this long after its last request.
const ACTIVE: Duration = Duration::from_secs(10);

/// The processor time of each brand in the current window and in the one before.
#[derive(Default)]
pub(super) struct OwnShares {
    /// When the current window began.
    began: Option<Instant>,
    current: HashMap<String, Duration>,
    before: HashMap<String, Duration>,
    /// The two brands that were last active, the latest first.
    latest: [Option<(String, Instant)>; 2],
}

impl OwnShares {
    /// Notes that `brand` used a thread.
    pub(super) fn note(&mut self, brand: &str, used: Duration, now: Instant) {
        self.turn(now);
        match self.current.get_mut(brand) {
            Some(sum) => *sum = sum.saturating_add(used),
            None => {
                self.current.insert(brand.to_owned(), used);
            }
        }
        let [first, second] = &mut self.latest;
        match first {
            Some((latest, at)) if latest == brand => *at = now,
            _ => {
                std::mem::swap(first, second);
                match first {
                    Some((latest, at)) if latest == brand => *at = now,
                    _ => *first = Some((brand.to_owned(), now)),
                }
            }
        }
    }

    /// Whether `brand` has used more than its share. If no other brand is active, it has none.
    pub(super) fn is_over(&mut self, brand: &str, now: Instant) -> bool {
        self.turn(now);
        let used = |window: &HashMap<String, Duration>| window.get(brand).copied().unwrap_or_default();
        used(&self.current).saturating_add(used(&self.before)) > SHARE && self.has_others(brand, now)
    }

    fn has_others(&self, brand: &str, now: Instant) -> bool {
        let mut latest = self.latest.iter().flatten();
        latest.any(|(other, at)| other != brand && now.saturating_duration_since(*at) < ACTIVE)
    }

    /// Begins a new window if the current one is over.
    fn turn(&mut self, now: Instant) {
        let age = self.began.map_or(WINDOW * 2, |began| now.saturating_duration_since(began));
        if age < WINDOW {
            return;
        }
        self.before = std::mem::take(&mut self.current);
        if age >= WINDOW * 2 {
            self.before.clear();
        }
        self.began = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn brand_is_over_its_share_only_while_others_are_active() {
        let (mut shares, now) = (OwnShares::default(), Instant::now());
        shares.note("flood", SHARE + MS, now);
        assert!(!shares.is_over("flood", now));
        shares.note("guest", MS, now);
        assert!(shares.is_over("flood", now) && !shares.is_over("guest", now));
        // The guest is remembered, however often the flood comes.
        let later = now + ACTIVE - MS;
        for _ in 0..3 {
            shares.note("flood", SHARE, later);
        }
        assert!(shares.is_over("flood", later));
        assert!(!shares.is_over("flood", later + MS));
    }

    #[test]
    fn share_is_free_again_after_two_windows() {
        let (mut shares, now) = (OwnShares::default(), Instant::now());
        shares.note("guest", MS, now);
        shares.note("flood", SHARE + MS, now);
        assert!(shares.is_over("flood", now + WINDOW));
        assert!(!shares.is_over("flood", now + WINDOW * 2));
    }
}
