//! Which rows of indexes can match a filter.

use std::collections::BTreeMap;

use super::scalar::{MISSING, SortKey, TEXT, TEXT_KEY_BYTES};
use super::{Filter, Operand, Test};
use crate::FieldKey;

/// Keys of an index from `from` and before `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key.
    pub from: Vec<u8>,
    /// The first key that is not in the range.
    pub to: Vec<u8>,
}

impl KeyRange {
    /// Every key.
    pub(super) fn everything() -> Self {
        Self { from: Vec::new(), to: vec![MISSING + 1] }
    }

    fn point(key: Vec<u8>) -> Self {
        Self { to: after(&key), from: key }
    }

    pub(super) fn is_point(&self) -> bool {
        self.to == after(&self.from)
    }

    /// How many entries to expect: the less, the better.
    fn rank(&self) -> u8 {
        match () {
            () if self.is_point() => 0,
            () if self.from.len() > 1 && self.to.len() > 1 => 1,
            () => 2,
        }
    }

    fn and(&self, other: &Self) -> Option<Self> {
        let both =
            Self { from: (&self.from).max(&other.from).clone(), to: (&self.to).min(&other.to).clone() };
        (both.from < both.to).then_some(both)
    }
}

/// The next key after `key`.
fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The first key that does not start with `start`, whose last byte is not the greatest one.
fn after_all(mut start: Vec<u8>) -> Vec<u8> {
    if let Some(last) = start.last_mut() {
        *last = last.saturating_add(1);
    }
    start
}

fn key(operand: &Operand) -> Vec<u8> {
    operand.scalar().sort_key().into_bytes()
}

fn of_type(operand: &Operand) -> Vec<u8> {
    key(operand).into_iter().take(1).collect()
}

impl Test {
    /// The keys of all values that hold. `None` if most values do.
    fn ranges(&self) -> Option<Vec<KeyRange>> {
        Some(match self {
            Self::Ne(_) => return None,
            Self::Eq(operand) => vec![KeyRange::point(key(operand))],
            Self::In(operands) => {
                let mut points: Vec<KeyRange> = Vec::new();
                for point in operands.iter().map(|operand| KeyRange::point(key(operand))) {
                    if !points.contains(&point) {
                        points.push(point);
                    }
                }
                points
            }
            // The key of a longer text can be the same, so the key itself always belongs to the range.
            Self::Lt(operand) | Self::Lte(operand) => {
                vec![KeyRange { from: of_type(operand), to: after(&key(operand)) }]
            }
            Self::Gt(operand) | Self::Gte(operand) => {
                vec![KeyRange { from: key(operand), to: after_all(of_type(operand)) }]
            }
            Self::StartsWith(start) => {
                let mut from = vec![TEXT];
                from.extend(start.bytes().take(TEXT_KEY_BYTES));
                vec![KeyRange { to: after_all(from.clone()), from }]
            }
            Self::Exists(true) => vec![KeyRange { from: Vec::new(), to: vec![MISSING] }],
            Self::Exists(false) => vec![KeyRange::point(SortKey::missing().into_bytes())],
        })
    }

    /// Whether exactly the entries in these ranges match.
    pub(super) fn exact_ranges(&self) -> Option<Vec<KeyRange>> {
        let is_exact = match self {
            Self::Eq(operand) => operand.is_whole_in_index(),
            Self::In(operands) => operands.iter().all(Operand::is_whole_in_index),
            Self::Exists(_) => true,
            _ => false,
        };
        if is_exact { self.ranges() } else { None }
    }
}

/// Rows of indexes that can match. All others do not.
pub(super) type Candidates = Vec<(FieldKey, KeyRange)>;

impl Filter {
    /// The smallest ranges that have all entries that match, as far as that can be known. `None` if no index
    /// helps. `has_index` tells which fields have one.
    pub(super) fn candidates(&self, has_index: &dyn Fn(&FieldKey) -> bool) -> Option<Candidates> {
        match self {
            Self::Field(key, test) => {
                let ranges = if has_index(key) { test.ranges()? } else { return None };
                Some(ranges.into_iter().map(|range| (key.clone(), range)).collect())
            }
            Self::Any(filters) => {
                let each = filters.iter().map(|filter| filter.candidates(has_index));
                Some(each.collect::<Option<Vec<_>>>()?.concat())
            }
            Self::All(filters) => {
                let groups = filters.iter().filter(|filter| !matches!(filter, Self::Field(..)));
                let of_groups = groups.filter_map(|filter| filter.candidates(has_index));
                let of_fields = self.ranges_of_fields(has_index).into_iter().map(|(key, ranges)| {
                    ranges.into_iter().map(|range| (key.clone(), range)).collect::<Candidates>()
                });
                let rank = |found: &Candidates| {
                    let worst = found.iter().map(|(_, range)| range.rank()).max();
                    (worst, found.len())
                };
                of_fields.chain(of_groups).min_by_key(rank)
            }
        }
    }

    /// For each field, the keys that all of the conditions allow that stand directly in this filter.
    fn ranges_of_fields(&self, has_index: &dyn Fn(&FieldKey) -> bool) -> BTreeMap<FieldKey, Vec<KeyRange>> {
        let mut found: BTreeMap<FieldKey, Vec<KeyRange>> = BTreeMap::new();
        let filters = match self {
            Self::All(filters) => filters.as_slice(),
            Self::Field(..) => std::slice::from_ref(self),
            Self::Any(_) => &[],
        };
        for filter in filters {
            let Self::Field(key, test) = filter else { continue };
            let Some(ranges) = test.ranges().filter(|_| has_index(key)) else { continue };
            let both = match found.get(key) {
                Some(known) => known
                    .iter()
                    .flat_map(|known| ranges.iter().filter_map(|range| known.and(range)))
                    .collect(),
                None => ranges,
            };
            found.insert(key.clone(), both);
        }
        found
    }

    /// A range of the index of `field` that has all entries that match.
    pub(super) fn range_of(&self, field: &FieldKey) -> KeyRange {
        let ranges = self.ranges_of_fields(&|key| key == field).remove(field);
        let Some(ranges) = ranges else { return KeyRange::everything() };
        let from = ranges.iter().map(|range| &range.from).min();
        let to = ranges.iter().map(|range| &range.to).max();
        match (from, to) {
            (Some(from), Some(to)) => KeyRange { from: from.clone(), to: to.clone() },
            // The conditions contradict each other.
            _ => KeyRange { from: Vec::new(), to: Vec::new() },
        }
    }
}
