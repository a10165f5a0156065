//! The entries of an entity in another order than the newest first: by the time of their creation upwards, or by a field
//! that has an index. Other orders would have to read every entry.

use serde::{Deserialize, Serialize};

use sluice_crm::search::{Order, Position};
use sluice_crm::{EntryId, FieldKey, Filter, Search, Slug};
use sluice_kit::hex::hex;

use super::crm::{BYTES_MAX, ENTRIES, EntityView, Found, Query, SCANNED_MAX, entry, no_entity};
use crate::admin::AdminState;
use crate::admin::error::AdminError;
use crate::admin::templates::encode_query;

/// `?sort=name&order=down&after=…`: the field, the direction, and the position after which the page begins. Without a
/// field, the order is that of creation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Sort {
    sort: String,
    order: String,
    after: Option<String>,
}

/// A heading of the table.
#[derive(Debug, Serialize)]
pub(crate) struct SortLink {
    /// The part of the address that sorts by it: `sort=name&order=down`.
    query: String,
    /// `ascending` or `descending`, if the table is sorted by it.
    sorted: Option<&'static str>,
}

impl Sort {
    /// Whether the newest entries come first, which needs no sorting.
    pub(crate) fn is_default(&self) -> bool {
        self.sort.is_empty() && self.order != "up"
    }

    fn is_up(&self) -> bool {
        self.order == "up" || (!self.sort.is_empty() && self.order != "down")
    }

    /// The choice, for links and forms: `sort=name&order=down`. Empty for the newest first.
    pub(crate) fn query(&self) -> String {
        match (self.is_default(), self.sort.as_str()) {
            (true, _) => String::new(),
            (false, "") => "order=up".to_owned(),
            (false, field) => format!("sort={}&order={}", encode_query(field), self.direction()),
        }
    }

    fn direction(&self) -> &'static str {
        if self.is_up() { "up" } else { "down" }
    }

    /// The choice as hidden fields of a form.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        match self.is_default() {
            true => Vec::new(),
            false => vec![("sort", self.sort.clone()), ("order", self.direction().to_owned())],
        }
    }

    /// The link of the heading of a field, or of the time of creation. A second click reverses the order.
    pub(crate) fn link(&self, field: &str) -> SortLink {
        let is_sorted = self.sort == field;
        let first_is_up = !field.is_empty();
        let is_up = if is_sorted { !self.is_up() } else { first_is_up };
        let order = if is_up { "up" } else { "down" };
        let query = match field {
            "" => format!("order={order}"),
            field => format!("sort={}&order={order}", encode_query(field)),
        };
        let sorted = if self.is_up() { "ascending" } else { "descending" };
        SortLink { query, sorted: is_sorted.then_some(sorted) }
    }

    fn order(&self, entity: &EntityView) -> Result<Order, AdminError> {
        let is_descending = !self.is_up();
        if self.sort.is_empty() {
            return Ok(Order { field: None, is_descending });
        }
        let known = entity.fields.iter().find(|field| field.key == self.sort);
        let key = known.and_then(|field| FieldKey::new(&field.key).ok());
        let unknown = || AdminError::InvalidRequest(format!("{} has no field {:?}", entity.slug, self.sort));
        Ok(Order { field: Some(key.ok_or_else(unknown)?), is_descending })
    }
}

/// The entries of an entity that match a query, in the order that was asked for.
///
/// # Errors
/// There is no such entity, field or stage, the field has no index, or the database does not answer.
pub(crate) async fn search(
    state: &AdminState,
    brand: &str,
    entity: &EntityView,
    (query, sort): (&Query, &Sort),
) -> Result<Found, AdminError> {
    let slug = Slug::new(&entity.slug).ok_or_else(|| no_entity(brand, &entity.slug))?;
    let order = sort.order(entity)?;
    let admits = query.admits(entity)?;
    let mut after = sort.after.as_deref().filter(|text| !text.is_empty()).map(read).transpose()?;
    let mut found = Found { entries: Vec::new(), next: None, scanned: None };
    let mut scanned = 0;
    loop {
        let left = ENTRIES.saturating_sub(u32::try_from(found.entries.len()).unwrap_or(ENTRIES));
        let asked = Search {
            slug: slug.clone(),
            reference: None,
            filter: Filter::everything(),
            order: order.clone(),
            after,
            limit: Some(left),
            bytes_max: BYTES_MAX,
        };
        let batch = state.app.store.search_entries(brand, asked).await?;
        scanned += batch.entries.len();
        found.entries.extend(batch.entries.into_iter().map(entry).filter(|entry| admits(entry)));
        let Some(next) = batch.next else { return Ok(found) };
        let is_full = found.entries.len() >= ENTRIES as usize;
        if is_full || scanned >= SCANNED_MAX {
            found.next = Some(written(&next));
            found.scanned = (!is_full).then_some(scanned);
            return Ok(found);
        }
        after = Some(next);
    }
}

/// A position as text: the id of the entry, and the bytes of its key.
fn written(position: &Position) -> String {
    hex(position.id.as_bytes()) + &hex(&position.key)
}

/// A longer text is no position.
const POSITION_BYTES_MAX: usize = 512;

fn read(text: &str) -> Result<Position, AdminError> {
    let wrong = || AdminError::InvalidRequest(format!("{text:?} is no position in a list of entries"));
    if text.len() > POSITION_BYTES_MAX || !text.is_ascii() || !text.len().is_multiple_of(2) {
        return Err(AdminError::InvalidRequest("`after` is no position in a list of entries".to_owned()));
    }
    let pairs = text.as_bytes().chunks_exact(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    let bytes = pairs.collect::<Option<Vec<u8>>>().ok_or_else(wrong)?;
    let (id, key) = bytes.split_first_chunk::<16>().ok_or_else(wrong)?;
    Ok(Position { key: key.to_vec(), id: EntryId::from_bytes(*id) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(sort: &str, order: &str) -> Sort {
        Sort { sort: sort.to_owned(), order: order.to_owned(), after: None }
    }

    #[test]
    fn second_click_on_a_heading_reverses_its_order() {
        let of = |sort: Sort| {
            let (created, name) = (sort.link(""), sort.link("name"));
            [created.query, name.query]
        };
        assert_eq!(of(sort("", "")), ["order=up", "sort=name&order=up"]);
        assert_eq!(of(sort("", "up")), ["order=down", "sort=name&order=up"]);
        assert_eq!(of(sort("name", "up")), ["order=down", "sort=name&order=down"]);
        assert_eq!(sort("name", "down").link("name").sorted, Some("descending"));
        assert!(sort("", "down").is_default() && sort("", "down").query().is_empty());
        assert_eq!(sort("name", "").query(), "sort=name&order=up");
    }

    #[test]
    fn reads_the_positions_that_it_writes() {
        let position = Position { key: vec![0, 255, 7], id: EntryId::from_bytes([9; 16]) };
        assert_eq!(read(&written(&position)).unwrap(), position);
        for wrong in ["", "0", "zz", "é", &"0".repeat(POSITION_BYTES_MAX + 2)] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
