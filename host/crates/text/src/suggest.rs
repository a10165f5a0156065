//! Suggests a known name for a misspelt one. Error messages that reject an unknown name use it.

/// A candidate shorter than this is not suggested as a prefix: many names begin with it by
/// chance.
const PREFIX_CHARS_MIN: usize = 4;

/// Names are compared up to this length; a difference further on is ignored.
const NAME_CHARS_MAX: usize = 64;

/// Returns the candidate closest to `name` if it is close enough to be a typing mistake.
/// Otherwise returns the longest candidate that is a prefix of `name` (`upper` for
/// `uppercase`), if there is one.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A short name with two other letters is probably a different name.
    let name_length = name.chars().count();
    let allowed = if name_length < 5 { 1 } else { name_length.div_ceil(3).min(3) };
    let (mut best, mut prefix): (Option<(usize, &str)>, Option<&str>) = (None, None);
    for candidate in candidates {
        let length = candidate.chars().count();
        // The distance is at least the difference in length, so most names need not be compared.
        let is_near = length.abs_diff(name_length) <= allowed;
        let distance = if is_near { distance(name, candidate) } else { usize::MAX };
        // A candidate that shares no character with `name` is not what the author meant.
        if distance <= allowed && distance < length && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
        let is_prefix = length >= PREFIX_CHARS_MIN && name.starts_with(candidate);
        if is_prefix && prefix.is_none_or(|known| known.len() < candidate.len()) {
            prefix = Some(candidate);
        }
    }
    best.map(|(_, candidate)| candidate).or(prefix)
}

/// Returns ` (did you mean "x"?)` for the name that [`nearest`] finds, or an empty string.
pub fn hint<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map(|near| format!(" (did you mean \"{near}\"?)")).unwrap_or_default()
}

/// The number of edits (insert, delete, replace, swap of neighbours) between two names.
fn distance(a: &str, b: &str) -> usize {
    strsim::osa_distance(compared(a), compared(b))
}

/// The part of a name that is compared.
fn compared(name: &str) -> &str {
    match name.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => name.get(..end).unwrap_or(name),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_near_names() {
        let known = ["upper", "lower", "truncate", "date"];
        for (name, expected) in [
            ("uper", Some("upper")),
            ("uppercase", Some("upper")),
            ("lowre", Some("lower")),
            ("trunkate", Some("truncate")),
            ("dat", Some("date")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
        assert_eq!(hint("uper", known), " (did you mean \"upper\"?)");
        assert_eq!(hint("banana", known), "");
    }
}
