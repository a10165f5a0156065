//! Addresses of products: `productUrl`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::budget::{Budget, Limited};
use crate::convert::to_text;
use crate::value::Val;

/// What is percent-encoded in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How many bytes of an address a byte of its parts makes at most: `%2F`.
const GROWTH_MAX: usize = 3;

/// `/shop/product/blue-widget-42` for a product with the slug `blue-widget` and the id 42. Without a
/// slug, the title makes one. A value that is no record is the last part of the address by itself.
/// The address begins with exactly one slash, whatever the product contains. A missing value makes
/// no address.
pub(super) fn url<'a>(product: &Val<'a>, base: &Val<'a>, budget: &mut Budget) -> Limited<Val<'a>> {
    if product.is_nullish() {
        return Ok(Val::Text(""));
    }
    let parts = match product.is_record() {
        true => [
            first_text(product, &["slug", "checkout_title", "title", "name"], budget)?,
            first_text(product, &["id", "code"], budget)?,
        ],
        false => [Some(to_text(product, budget)?), None],
    };
    let base = if base.is_nullish() { Val::Text("") } else { to_text(base, budget)? };
    let base = base.as_str().unwrap_or("");
    let bytes =
        parts.iter().flatten().map(|part| part.as_str().map_or(0, str::len)).sum::<usize>() + base.len();
    budget.walk(bytes.saturating_mul(GROWTH_MAX))?;
    budget.check_room(bytes.saturating_mul(GROWTH_MAX))?;
    let last: Vec<String> = parts.iter().flatten().filter_map(Val::as_str).map(slug).collect();
    let last: Vec<&str> = last.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let last = last.join("-");
    let segments = base.split(['/', '\\']).filter(|segment| !matches!(segment.trim(), "" | "." | ".."));
    let mut address = String::new();
    for segment in segments.chain((!last.is_empty()).then_some(last.as_str())) {
        address.push('/');
        address.extend(utf8_percent_encode(segment, SEGMENT));
    }
    budget.make(address.len())?;
    Ok(Val::made(address))
}

/// The first of these fields that is a text or a number.
fn first_text<'a>(product: &Val<'a>, keys: &[&str], budget: &mut Budget) -> Limited<Option<Val<'a>>> {
    for key in keys {
        budget.read(product.lookup_bytes(key.len()))?;
        let value = product.get(key);
        if matches!(value, Val::Number(_)) || value.as_str().is_some_and(|text| !text.trim().is_empty()) {
            return to_text(&value, budget).map(Some);
        }
    }
    Ok(None)
}

/// Lower case, with one dash in place of everything but letters, digits and `_`.
fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            _ if c.is_alphanumeric() || c == '_' => slug.push(c),
            // An apostrophe does not separate words.
            '\'' | '’' => {}
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}
