//! Counts of values in buckets that grow with the value. There are sixteen buckets to each
//! doubling, so that a quantile is at most one sixteenth too high. A histogram is as large
//! as the range of its values requires, and never larger than a thousand buckets.
//! `page_stats` keeps the costs of runs in them, and the execution log stores them.

use serde::{Deserialize, Serialize};

/// Buckets to each doubling, as a power of two.
const SUB_BITS: u32 = 4;
const SUBS: u64 = 1 << SUB_BITS;

/// How often values of each size occurred.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Index of the bucket that `counts` starts with.
    first: usize,
    counts: Vec<u32>,
    max: u64,
    total: u64,
}

impl Histogram {
    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        self.total = self.total.saturating_add(value);
        self.add(bucket(value), 1);
        self.max = self.max.max(value);
    }

    fn add(&mut self, bucket: usize, count: u32) {
        if self.counts.is_empty() {
            self.first = bucket;
        }
        if bucket < self.first {
            let before = self.first - bucket;
            self.counts.splice(0..0, std::iter::repeat_n(0, before));
            self.first = bucket;
        }
        let at = bucket - self.first;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        if let Some(known) = self.counts.get_mut(at) {
            *known = known.saturating_add(count);
        }
    }

    /// Adds the values of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (index, count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.add(other.first + index, *count);
        }
        self.max = self.max.max(other.max);
        self.total = self.total.saturating_add(other.total);
    }

    /// The number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// The largest value, or 0 if there is none.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The sum of all values.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Returns the value that a share of `quantile` (0 to 1) of all values does not exceed,
    /// or 0 if there are no values.
    pub fn quantile(&self, quantile: f64) -> u64 {
        let total = self.count();
        // The rank counts from 1.
        let rank = ((total as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return last_value(self.first + index).min(self.max);
            }
        }
        self.max
    }

    /// The buckets that are not empty, each with its largest value and its count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(index, count)| (last_value(self.first + index), *count))
    }
}

fn bucket(value: u64) -> usize {
    if value < SUBS {
        return value as usize;
    }
    let exponent = value.ilog2();
    let sub = (value >> (exponent - SUB_BITS)) & (SUBS - 1);
    ((u64::from(exponent - SUB_BITS) + 1) * SUBS + sub) as usize
}

/// The largest value of a bucket.
fn last_value(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUBS {
        return bucket;
    }
    let shift = u32::try_from(bucket / SUBS - 1).unwrap_or(u32::MAX);
    let next = u128::from(SUBS + bucket % SUBS + 1) << shift.min(64);
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_is_at_most_a_sixteenth_above_its_values() {
        for shift in 0..64 {
            for value in [(1_u64 << shift) - 1, 1 << shift, (1 << shift) | 1] {
                let last = last_value(bucket(value));
                assert!(last >= value, "{value}: {last}");
                assert!(last - value <= value / SUBS, "{value}: {last}");
                assert_eq!(bucket(last), bucket(value), "{value}");
            }
        }
        assert_eq!(last_value(bucket(u64::MAX)), u64::MAX);
        assert!(bucket(u64::MAX) < 1_000);
    }

    #[test]
    fn quantiles_are_at_most_a_sixteenth_too_high() {
        let mut all = Histogram::default();
        assert_eq!((all.quantile(0.5), all.max(), all.count()), (0, 0, 0));
        let (mut odd, mut even) = (Histogram::default(), Histogram::default());
        for value in (1..=1_000).rev() {
            if value % 2 == 0 { even.record(value) } else { odd.record(value) }
        }
        all.merge(&odd);
        all.merge(&even);
        assert_eq!((all.count(), all.max(), all.total()), (1_000, 1_000, 500_500));
        for (quantile, exact) in [(0.0, 1), (0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1_000)] {
            let found = all.quantile(quantile);
            assert!(found >= exact && found <= exact + exact / SUBS, "{quantile}: {found}");
        }
        assert_eq!(all.buckets().map(|(_, count)| u64::from(count)).sum::<u64>(), 1_000);
    }

    #[test]
    fn stored_histogram_reads_back_equal() {
        let mut histogram = Histogram::default();
        [0, 5, 1 << 40, 5].into_iter().for_each(|value| histogram.record(value));
        let bytes = rmp_serde::to_vec(&histogram).unwrap();
        assert_eq!(rmp_serde::from_slice::<Histogram>(&bytes).unwrap(), histogram);
        assert!(bytes.len() < 2_000, "{}", bytes.len());
    }
}
