//! The pairs of a query string or a form.

use serde_json::{Map, Value};

/// The last value of each name in a query string or a form, and the list of all its values.
pub(super) fn last_and_all(text: &str) -> (Map<String, Value>, Map<String, Value>) {
    last_and_all_of(form_pairs(text))
}

/// The same for pairs that are decoded.
pub(super) fn last_and_all_of(
    pairs: impl Iterator<Item = (String, String)>,
) -> (Map<String, Value>, Map<String, Value>) {
    let mut last = Map::new();
    let mut all: Map<String, Value> = Map::new();
    for (key, value) in pairs {
        last.insert(key.clone(), value.clone().into());
        if let Value::Array(values) = all.entry(key).or_insert_with(|| Value::Array(Vec::new())) {
            values.push(value.into());
        }
    }
    (last, all)
}

/// The decoded pairs of a query string or a form. An incomplete escape is kept as it is, and bytes
/// that are not UTF-8 are replaced.
pub(super) fn form_pairs(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    form_urlencoded::parse(text.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_broken_escapes_and_replaces_invalid_utf8() {
        let pairs = |text| form_pairs(text).collect::<Vec<_>>();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs("a=100%&b=%zz&c=%4"), [pair("a", "100%"), pair("b", "%zz"), pair("c", "%4")]);
        assert_eq!(pairs("a=%20%"), [pair("a", " %")]);
        assert_eq!(pairs("a=%fc&&b"), [pair("a", "\u{fffd}"), pair("b", "")]);
    }
}
