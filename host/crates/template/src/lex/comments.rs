//! Template comments: `{{-- … --}}`.

use std::ops::Range;

pub(super) const COMMENT_OPEN: &str = "{{--";
pub(super) const COMMENT_CLOSE: &str = "--}}";

/// The bytes from the beginning of a text to the end of the comment that it begins with. `None` if
/// the comment has no end.
pub(super) fn comment_length(text: &str) -> Option<usize> {
    let inside = text.strip_prefix(COMMENT_OPEN)?;
    let length = inside.find(COMMENT_CLOSE)?;
    Some(COMMENT_OPEN.len() + length + COMMENT_CLOSE.len())
}

/// The comments of a file in their order, as bytes of the file. Text in `opaque`, which must be
/// sorted, does not begin a comment. A comment that has no end is left out.
pub fn comments(text: &str, opaque: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut opaque = opaque.iter().peekable();
    let mut at = 0;
    while let Some(start) = text.get(at..).and_then(|rest| rest.find(COMMENT_OPEN)).map(|length| at + length)
    {
        while opaque.next_if(|part| part.end <= start).is_some() {}
        if let Some(part) = opaque.peek().filter(|part| part.start <= start) {
            at = part.end;
            continue;
        }
        let is_literal = text.get(..start).is_some_and(|before| before.ends_with('@'));
        if is_literal {
            at = start + COMMENT_OPEN.len();
            continue;
        }
        let Some(length) = text.get(start..).and_then(comment_length) else { break };
        found.push(start..start + length);
        at = start + length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_comments_outside_of_opaque_text() {
        for (text, opaque, expected) in [
            ("a {{-- b --}} c", vec![], vec!["{{-- b --}}"]),
            ("{{----}}{{-- @if {{ x }} --}}", vec![], vec!["{{----}}", "{{-- @if {{ x }} --}}"]),
            ("{{-- a\n{{-- b --}} c --}}", vec![], vec!["{{-- a\n{{-- b --}}"]),
            ("{{--} a {{--}}", vec![], vec!["{{--} a {{--}}"]),
            ("{{-- a -- }} {{--", vec![], vec![]),
            ("@{{-- a --}} {{-- b --}}", vec![], vec!["{{-- b --}}"]),
            ("{{-- <a> --}} <{{-- b --}}", vec![5..8, 14..26], vec!["{{-- <a> --}}"]),
        ] {
            let found: Vec<&str> = comments(text, &opaque).into_iter().map(|part| &text[part]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
