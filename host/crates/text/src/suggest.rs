//! The nearest known name for a misspelt one.

/// Shorter names are the beginning of many others by chance.
const BEGINNING_CHARS_MIN: usize = 4;

/// The candidate closest to `name`, if it is close enough to be a typing mistake; else the
/// longest with which `name` begins (`upper` for `uppercase`).
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // In a short name two other letters make another name.
    let name_length = name.chars().count();
    let allowed = if name_length < 5 { 1 } else { name_length.div_ceil(3).min(3) };
    let (mut best, mut beginning): (Option<(usize, &str)>, Option<&str>) = (None, None);
    for candidate in candidates {
        let length = candidate.chars().count();
        // Each character more is an edit, so that most names need not be compared.
        let is_near = length.abs_diff(name_length) <= allowed;
        let distance = if is_near { distance(name, candidate) } else { usize::MAX };
        // A name that has nothing of the other is no misspelling of it.
        if distance <= allowed && distance < length && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
        let is_beginning = length >= BEGINNING_CHARS_MIN && name.starts_with(candidate);
        if is_beginning && beginning.is_none_or(|known| known.len() < candidate.len()) {
            beginning = Some(candidate);
        }
    }
    best.map(|(_, candidate)| candidate).or(beginning)
}

/// ` (did you mean "x"?)`, or nothing.
pub fn hint<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map(|near| format!(" (did you mean \"{near}\"?)")).unwrap_or_default()
}

/// Names longer than this are not worth comparing.
const NAME_CHARS_MAX: usize = 64;

/// Edits (insert, delete, replace, swap of neighbours) between two names.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(NAME_CHARS_MAX).collect();
    let b: Vec<char> = b.chars().take(NAME_CHARS_MAX).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &ca) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, &cb) in b.iter().enumerate() {
            let cell = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut best =
                (cell(&last, j) + usize::from(ca != cb)).min(cell(&last, j + 1) + 1).min(cell(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(&cb) && b.get(j - 1) == Some(&ca);
            if swapped {
                best = best.min(cell(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_near_names() {
        let known = ["upper", "lower", "truncate", "date"];
        for (name, expected) in [
            ("uper", Some("upper")),
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
