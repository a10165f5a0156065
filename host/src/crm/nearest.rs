//! The name somebody probably meant.

/// The known name with the fewest edits from `word`, if they are few for its length.
/// Two letters that changed places are two edits.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let length = word.chars().count();
    let allowed = match length {
        0..4 => 1,
        _ => ((length + 1) / 3).max(2),
    };
    known
        .iter()
        .map(|name| (edits(word, name), *name))
        .min_by_key(|(edits, _)| *edits)
        .filter(|(edits, _)| *edits <= allowed)
        .map(|(_, name)| name)
}

/// Levenshtein's distance, one row at a time.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut last = i + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(&b) {
            let substituted = diagonal + usize::from(left != *right);
            diagonal = *cell;
            last = substituted.min(diagonal + 1).min(last + 1);
            *cell = last;
        }
        row[0] = i + 1;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, d) in [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)] {
            assert_eq!(edits(a, b), d, "{a} {b}");
            assert_eq!(edits(b, a), d, "{b} {a}");
        }
    }

    #[test]
    fn only_a_near_name_is_offered() {
        let known = ["number", "integer", "decimal"];
        assert_eq!(nearest("numbr", &known), Some("number"));
        assert_eq!(nearest("intgeer", &known), Some("integer"));
        assert_eq!(nearest("entities", &["entity"]), Some("entity"));
        assert_eq!(nearest("float", &known), None);
    }
}
