//! Executes a search: chooses which rows to read, and examines them until enough entries match.

use super::candidates::Candidates;
use super::scalar::{Scalar, TEXT_KEY_BYTES};
use super::{
    COUNTED_MAX, EXAMINED_MAX, ExaminedRow, FieldIndex, Found, KeyRange, Place, Position, Search, SearchRows,
    Source, UNINDEXED_ENTRIES_MAX,
};
use crate::{CrmFault, EntryId, FieldKey, Filter};

/// Most entries that are examined at a time.
const BATCH_ROWS_MAX: usize = 1_000;
/// The bytes of values that a batch may load. A filter that compares with long texts gets smaller batches.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Most batches of a search, however small they are.
const BATCHES_MAX: usize = 64;

/// Executes a search.
///
/// # Errors
/// The entity does not exist, a field would need an index, the first entry alone is too large, or the
/// database failed.
pub async fn search<R: SearchRows>(rows: &mut R, asked: &Search) -> Result<Found, CrmFault> {
    let place = rows.place(&asked.slug, asked.reference.as_ref()).await?;
    let run = Run::new(asked, &place)?;
    if asked.reference.is_some() && place.reference.is_none() {
        return Ok(Found::default());
    }
    if asked.limit.is_none()
        && let Some(count) = run.counted(rows).await?
    {
        return Ok(count);
    }
    let examined = match run.plan(rows).await? {
        Way::Listed(positions) => run.through_list(rows, positions).await?,
        Way::Along(source) => run.along(rows, &source).await?,
    };
    run.load(rows, examined).await
}

/// How a search reaches the entries.
enum Way {
    /// All entries that can match, in any order.
    Listed(Vec<Position>),
    /// Rows that are in the order of the search.
    Along(Source),
}

/// What a search has found before the entries are loaded.
#[derive(Default)]
struct Examined {
    found: Vec<Position>,
    rows: u32,
    /// The last entry that was examined, if there may be more.
    stopped_at: Option<Position>,
}

/// A search in an entity.
struct Run<'a> {
    asked: &'a Search,
    place: &'a Place,
    /// The fields that have to be loaded to examine an entry.
    keys: Vec<FieldKey>,
    /// The bytes of each value that have to be loaded.
    value_bytes: usize,
}

impl<'a> Run<'a> {
    /// Checks that the search can be executed in this entity.
    fn new(asked: &'a Search, place: &'a Place) -> Result<Self, CrmFault> {
        let mut keys = Vec::new();
        asked.filter.add_keys(&mut keys);
        let value_bytes = Scalar::stored_bytes(asked.filter.length());
        let run = Self { asked, place, keys, value_bytes };
        if let Some(field) = &asked.order.field
            && !place.fields.iter().any(|declared| declared.key == field.as_str())
        {
            let declared = place.fields.iter().map(|declared| declared.key.clone()).collect();
            return Err(CrmFault::OrderNotDeclared { field: field.as_str().to_owned(), declared });
        }
        let all = run.keys.iter().chain(&asked.order.field);
        let unindexed = all.into_iter().find(|key| run.index(key).is_none());
        match unindexed.filter(|_| place.entries > UNINDEXED_ENTRIES_MAX) {
            Some(key) => Err(CrmFault::NotIndexed {
                slug: asked.slug.as_str().to_owned(),
                field: key.as_str().to_owned(),
                is_building: run.declared_index(key).is_some(),
            }),
            None => Ok(run),
        }
    }

    fn declared_index(&self, key: &FieldKey) -> Option<&'a FieldIndex> {
        let declared = self.place.fields.iter().find(|declared| declared.key == key.as_str())?;
        declared.index.as_ref()
    }

    /// The index of a field that has every entry.
    fn index(&self, key: &FieldKey) -> Option<&'a FieldIndex> {
        self.declared_index(key).filter(|index| index.is_ready)
    }

    /// All entries, in the order of creation.
    fn base(&self) -> Source {
        self.place.reference.map_or(Source::Entity(self.place.entity), Source::Reference)
    }

    /// Counts rows without examining them, if that is enough.
    async fn counted<R: SearchRows>(&self, rows: &mut R) -> Result<Option<Found>, CrmFault> {
        let sources: Vec<Source> = match &self.asked.filter {
            filter if filter.is_everything() => vec![self.base()],
            Filter::All(filters) if self.place.reference.is_none() => {
                let [Filter::Field(key, test)] = filters.as_slice() else { return Ok(None) };
                let Some((index, ranges)) = self.index(key).zip(test.exact_ranges()) else { return Ok(None) };
                ranges.into_iter().map(|range| Source::Index(index.id, range)).collect()
            }
            _ => return Ok(None),
        };
        let mut count = 0;
        for source in sources {
            count += rows.count(&source, COUNTED_MAX + 1 - count).await?;
            if count > COUNTED_MAX {
                let stopped = Position { key: Vec::new(), id: EntryId::from_bytes([0; 16]) };
                return Ok(Some(Found { count: COUNTED_MAX, next: Some(stopped), ..Found::default() }));
            }
        }
        Ok(Some(Found { count, ..Found::default() }))
    }

    async fn plan<R: SearchRows>(&self, rows: &mut R) -> Result<Way, CrmFault> {
        let has_index = |key: &FieldKey| self.index(key).is_some();
        let order = self.asked.order.field.as_ref();
        let is_small = self.place.entries <= UNINDEXED_ENTRIES_MAX;
        let all_indexed = self.keys.iter().chain(order).all(has_index);
        if is_small
            && !(order.is_none() && self.keys.is_empty())
            && (!all_indexed || self.place.reference.is_some())
        {
            let all = rows.scan(&self.base(), None, false, UNINDEXED_ENTRIES_MAX).await?;
            return Ok(Way::Listed(all));
        }
        let candidates = self.asked.filter.candidates(&has_index);
        match order.and_then(|order| Some((order, self.index(order)?))) {
            None => {
                if let Some([(key, range)]) = candidates.as_deref()
                    && range.is_point()
                    && let Some(index) = self.index(key)
                {
                    return Ok(Way::Along(Source::Index(index.id, range.clone())));
                }
                let listed = self.list(rows, candidates).await?;
                Ok(listed.map_or_else(|| Way::Along(self.base()), Way::Listed))
            }
            Some((order, index)) => {
                let by_others = candidates.filter(|found| found.iter().any(|(key, _)| key != order));
                let listed = self.list(rows, by_others).await?;
                let range = || self.asked.filter.range_of(order);
                Ok(listed.map_or_else(|| Way::Along(Source::Index(index.id, range())), Way::Listed))
            }
        }
    }

    /// Lists all candidates, unless there are too many.
    async fn list<R: SearchRows>(
        &self,
        rows: &mut R,
        candidates: Option<Candidates>,
    ) -> Result<Option<Vec<Position>>, CrmFault> {
        let Some(candidates) = candidates else { return Ok(None) };
        let mut listed: Vec<Position> = Vec::new();
        for (key, range) in candidates {
            let Some(index) = self.index(&key) else { return Ok(None) };
            let left = EXAMINED_MAX.saturating_add(1).saturating_sub(listed.len() as u32);
            let found = rows.scan(&Source::Index(index.id, range), None, false, left).await?;
            listed.extend(found.into_iter().map(|found| Position { key: Vec::new(), ..found }));
            if listed.len() > EXAMINED_MAX as usize {
                return Ok(None);
            }
        }
        Ok(Some(listed))
    }

    /// Brings a list of entries into the order of the search, and examines those after the position.
    async fn through_list<R: SearchRows>(
        &self,
        rows: &mut R,
        mut listed: Vec<Position>,
    ) -> Result<Examined, CrmFault> {
        if let Some(field) = &self.asked.order.field {
            let keys = std::slice::from_ref(field);
            let bytes_max = Scalar::stored_bytes(TEXT_KEY_BYTES) as u32;
            let mut sorted = Vec::with_capacity(listed.len());
            for part in listed.chunks(BATCH_ROWS_MAX) {
                let ids: Vec<EntryId> = part.iter().map(|position| position.id).collect();
                let examined = rows.examine(&ids, keys, bytes_max).await?;
                sorted.extend(
                    examined.iter().map(|row| Position {
                        key: value_of(row, field).sort_key().into_bytes(),
                        id: row.id,
                    }),
                );
            }
            listed = sorted;
        }
        listed.sort_unstable();
        listed.dedup();
        if self.asked.order.is_descending {
            listed.reverse();
        }
        let is_after = |position: &Position| match &self.asked.after {
            Some(after) if self.asked.order.is_descending => position < after,
            Some(after) => position > after,
            None => true,
        };
        listed.retain(is_after);
        let mut examined = Examined::default();
        let mut parts = listed.chunks(self.batch_rows());
        for (batch, part) in parts.by_ref().enumerate() {
            self.examine(rows, part, &mut examined).await?;
            if self.has_enough(&examined) {
                return Ok(examined);
            }
            if batch + 1 >= BATCHES_MAX {
                examined.stopped_at = part.last().cloned();
                break;
            }
        }
        if parts.next().is_none() {
            examined.stopped_at = None;
        }
        Ok(examined)
    }

    /// Examines rows that are in the order of the search.
    async fn along<R: SearchRows>(&self, rows: &mut R, source: &Source) -> Result<Examined, CrmFault> {
        let in_index = |position: Position| match (source, &self.asked.order.field) {
            // All rows have the same key.
            (Source::Index(_, range), None) => Position { key: range.from.clone(), ..position },
            _ => position,
        };
        let in_order = |position: Position| match self.asked.order.field {
            None => Position { key: Vec::new(), ..position },
            Some(_) => position,
        };
        let mut examined = Examined::default();
        let mut after = self.asked.after.clone();
        // Most searches match soon.
        let mut batch_rows = match self.asked.limit {
            Some(limit) => (limit as usize + 1).min(self.batch_rows()),
            None => self.batch_rows(),
        };
        for _ in 0..BATCHES_MAX {
            let left = EXAMINED_MAX.saturating_sub(examined.rows);
            let rows_max = (batch_rows as u32).min(left);
            if rows_max == 0 {
                break;
            }
            let from = after.clone().map(in_index);
            let found = rows.scan(source, from.as_ref(), self.asked.order.is_descending, rows_max).await?;
            let is_last = found.len() < rows_max as usize;
            let found: Vec<Position> = found.into_iter().map(in_order).collect();
            self.examine(rows, &found, &mut examined).await?;
            if is_last {
                examined.stopped_at = None;
                return Ok(examined);
            }
            after = found.last().cloned();
            examined.stopped_at.clone_from(&after);
            if self.has_enough(&examined) {
                break;
            }
            batch_rows = batch_rows.saturating_mul(4).min(self.batch_rows());
        }
        Ok(examined)
    }

    /// Whether one entry more than the limit was found.
    fn has_enough(&self, examined: &Examined) -> bool {
        self.asked.limit.is_some_and(|limit| examined.found.len() > limit as usize)
    }

    fn batch_rows(&self) -> usize {
        let row_bytes = self.value_bytes.saturating_mul(self.keys.len()).max(1);
        (BATCH_BYTES_MAX / row_bytes).clamp(1, BATCH_ROWS_MAX)
    }

    /// Adds the entries that match to `examined`.
    async fn examine<R: SearchRows>(
        &self,
        rows: &mut R,
        positions: &[Position],
        examined: &mut Examined,
    ) -> Result<(), CrmFault> {
        examined.rows = examined.rows.saturating_add(positions.len() as u32);
        if self.asked.filter.is_everything() && self.place.reference.is_none() {
            examined.found.extend_from_slice(positions);
            return Ok(());
        }
        let ids: Vec<EntryId> = positions.iter().map(|position| position.id).collect();
        let mut loaded = rows.examine(&ids, &self.keys, self.value_bytes as u32).await?;
        loaded.sort_unstable_by_key(|row| row.id);
        for position in positions {
            let Ok(at) = loaded.binary_search_by_key(&position.id, |row| row.id) else { continue };
            let Some(row) = loaded.get(at) else { continue };
            let is_own = self.place.reference.is_none_or(|reference| row.reference == reference);
            if is_own && self.asked.filter.matches(&|key| value_of(row, key)) {
                examined.found.push(position.clone());
            }
        }
        Ok(())
    }

    /// Loads the entries, as many as the result may have.
    async fn load<R: SearchRows>(&self, rows: &mut R, examined: Examined) -> Result<Found, CrmFault> {
        let Examined { mut found, rows: examined, stopped_at } = examined;
        let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
        let Some(limit) = self.asked.limit else {
            return Ok(Found { count, examined, next: stopped_at, ..Found::default() });
        };
        let has_more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let ids: Vec<EntryId> = found.iter().map(|position| position.id).collect();
        let entries = if ids.is_empty() { Vec::new() } else { rows.load(&ids, self.asked.bytes_max).await? };
        if entries.is_empty() && !ids.is_empty() {
            return Err(CrmFault::ResultTooLarge);
        }
        let next = match entries.len() < ids.len() || has_more {
            true => entries.len().checked_sub(1).and_then(|last| found.get(last)).cloned(),
            false => stopped_at,
        };
        Ok(Found { entries, next, count, examined })
    }
}

/// What an entry has for a field.
fn value_of<'a>(row: &'a ExaminedRow, key: &FieldKey) -> Scalar<'a> {
    let found = row.values.iter().find(|(known, _)| known == key.as_str());
    found.map_or(Scalar::Missing, |(_, stored)| Scalar::of_stored(stored))
}

impl KeyRange {
    /// Where a scan begins: after this key and id, or before them if it is descending. `after` is where an
    /// earlier one ended. It can be outside of the range.
    pub fn start(&self, after: Option<&Position>, is_descending: bool) -> (Vec<u8>, Vec<u8>) {
        let after = after.map(|after| (after.key.clone(), after.id.as_bytes().to_vec()));
        match (after, is_descending) {
            (Some(after), false) => after.max((self.from.clone(), Vec::new())),
            (Some(after), true) => after.min((self.to.clone(), Vec::new())),
            (None, false) => (self.from.clone(), Vec::new()),
            (None, true) => (self.to.clone(), Vec::new()),
        }
    }
}
