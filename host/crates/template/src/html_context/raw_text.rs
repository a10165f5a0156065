//! The states inside `<script>`, `<style>`, `<textarea>` and similar elements, where everything is
//! text up to the element's own end tag.

use super::{ContextError, Place};

/// How the HTML standard reads a script's end tag after `<!--`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escaped {
    No,
    /// After `<!--`.
    Once,
    /// After `<!-- <script`: `</script>` only returns to `Once`.
    Twice,
}

/// The beginning of a tag, a comment or the end of one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Partial {
    Nothing,
    /// `<`
    Less,
    /// `<` and then a value.
    LessValue,
    /// `</` and this many bytes of the element's name.
    EndName(usize),
    /// `<!` and this many dashes.
    Bang(usize),
    /// `<` and this many bytes of "script", in the state `Once`.
    StartName(usize),
    /// This many dashes, in the states `Once` and `Twice`.
    Dashes(usize),
}

/// The state inside such an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawText {
    escaped: Escaped,
    partial: Partial,
    /// The offset of the `<` of `partial`.
    less_at: usize,
    /// A browser may read tags in this element, so text that looks like one is an error.
    no_tags: bool,
}

impl RawText {
    pub(super) fn new() -> RawText {
        RawText { escaped: Escaped::No, partial: Partial::Nothing, less_at: 0, no_tags: false }
    }

    /// In an element that a browser may read as one with tags.
    pub(super) fn without_tags() -> RawText {
        RawText { no_tags: true, ..RawText::new() }
    }

    /// Reads a byte. If it is the first one after the name of the end tag, returns the offset at
    /// which the end tag begins.
    pub(super) fn step(&mut self, byte: u8, at: usize, element: &str) -> Result<Option<usize>, ContextError> {
        let ends_name = matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' | b'/' | b'>');
        let lower = byte.to_ascii_lowercase();
        let is_script = element == "script";
        let expected = |name: &str, index: usize| name.as_bytes().get(index) == Some(&lower);
        let is_tag = match self.partial {
            Partial::Less => byte.is_ascii_alphabetic() || matches!(byte, b'!' | b'?'),
            Partial::EndName(index) => !(expected(element, index) || (ends_name && index == element.len())),
            _ => false,
        };
        if self.no_tags && is_tag {
            return Err(ContextError::Ambiguous("a tag"));
        }
        let next = match self.partial {
            Partial::Less if byte == b'/' => Some(Partial::EndName(0)),
            Partial::Less if byte == b'!' && is_script && self.escaped == Escaped::No => {
                Some(Partial::Bang(0))
            }
            Partial::Less if self.escaped == Escaped::Once && lower == b's' => Some(Partial::StartName(1)),
            Partial::LessValue
                if matches!(byte, b'/' | b'!') || (self.escaped == Escaped::Once && lower == b's') =>
            {
                return Err(ContextError::TextAfterValueEndsElement);
            }
            Partial::EndName(index) if expected(element, index) => Some(Partial::EndName(index + 1)),
            Partial::EndName(index) if ends_name && index == element.len() => {
                if self.escaped != Escaped::Twice {
                    // A "plaintext" element never ends.
                    return Ok((element != "plaintext").then_some(self.less_at));
                }
                self.escaped = Escaped::Once;
                None
            }
            Partial::StartName(index) if expected("script", index) => Some(Partial::StartName(index + 1)),
            Partial::StartName(6) if ends_name => {
                self.escaped = Escaped::Twice;
                None
            }
            Partial::Bang(0) if byte == b'-' => Some(Partial::Bang(1)),
            Partial::Bang(1) if byte == b'-' => {
                self.escaped = Escaped::Once;
                Some(Partial::Dashes(2))
            }
            Partial::Dashes(2..) if byte == b'>' => {
                self.escaped = Escaped::No;
                None
            }
            _ => None,
        };
        let dashes = match self.partial {
            Partial::Dashes(dashes) => dashes,
            _ => 0,
        };
        self.partial = match (next, byte) {
            (Some(next), _) => next,
            (None, b'<') => {
                self.less_at = at;
                Partial::Less
            }
            (None, b'-') if self.escaped != Escaped::No => Partial::Dashes((dashes + 1).min(2)),
            (None, _) => Partial::Nothing,
        };
        if self.partial == Partial::Nothing {
            // The place of an earlier "<" must not make two contexts differ.
            self.less_at = 0;
        }
        Ok(None)
    }

    /// Steps over a value.
    pub(super) fn hole(&mut self, element: &str) -> Result<Place, ContextError> {
        self.partial = match self.partial {
            Partial::Nothing | Partial::Dashes(..2) => Partial::Nothing,
            Partial::Less | Partial::LessValue => Partial::LessValue,
            _ => return Err(ContextError::ValueEndsElement),
        };
        Ok(match element {
            "script" => Place::Script,
            "style" => Place::Style,
            _ => Place::Text,
        })
    }
}
