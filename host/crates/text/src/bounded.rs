//! Bounds the size of text that authors or visitors wrote, before it is copied or logged.

use std::borrow::Cow;

use crate::printable;

/// What stands at the end of text that was cut.
pub const CUT: &str = "…";

/// Returns `text`, or its beginning and `…` if it is longer than `bytes_max`. The result has at
/// most `bytes_max` bytes, unless these have no room for `…`.
pub fn bounded(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(bytes_max.saturating_sub(CUT.len()));
    Cow::Owned(format!("{}{CUT}", text.get(..end).unwrap_or_default()))
}

/// Cuts `text` in place.
pub fn bound(text: &mut String, bytes_max: usize) {
    if let Cow::Owned(cut) = bounded(text, bytes_max) {
        *text = cut;
    }
}

/// Returns at most `bytes_max` bytes of `text` in printable form. Reads no more of `text` than
/// that.
pub fn printable_within(text: &str, bytes_max: usize) -> String {
    let mut shown = printable::printable(&bounded(text, bytes_max));
    bound(&mut shown, bytes_max);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_text_over_the_limit_at_a_character() {
        assert_eq!(bounded("12345678", 8), "12345678");
        assert_eq!(bounded("123456789", 8), "12345…");
        assert_eq!(bounded("1234ü6789", 8), "1234…", "ü does not fit as a whole");
        assert_eq!(bounded("1234", 2), "…");
        let mut text = "x".repeat(100);
        bound(&mut text, 10);
        assert_eq!(text, "xxxxxxx…");
    }

    #[test]
    fn printable_form_is_within_the_limit_too() {
        assert_eq!(printable_within("a\nb", 4), "a\\nb");
        let shown = printable_within(&"\0".repeat(1_000), 100);
        assert!(shown.starts_with("\\u{0}") && shown.len() <= 100, "{shown}");
    }
}
