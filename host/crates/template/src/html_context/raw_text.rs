//! Inside `<script>`, `<style>`, `<textarea>` and the like: everything is text up to the
//! element's own end tag.

use super::Place;

/// How a script's end tag is read after `<!--`, by the HTML standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escaped {
    No,
    /// After `<!--`.
    Once,
    /// After `<!-- <script`: `</script>` only leads back to `Once`.
    Twice,
}

/// The beginning of something that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Partial {
    Nothing,
    /// `<`
    Less,
    /// `<` and then a value.
    LessValue,
    /// `</` and so many bytes of the element's name.
    EndName(usize),
    /// `<!` and so many dashes.
    Bang(usize),
    /// `<` and so many bytes of "script", once escaped.
    StartName(usize),
    /// So many dashes, once escaped.
    Dashes(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawText {
    escaped: Escaped,
    partial: Partial,
    less_at: usize,
    /// It may be an element that has tags in it, so it must not have what looks like one.
    no_tags: bool,
}

impl RawText {
    pub(super) fn new() -> RawText {
        RawText { escaped: Escaped::No, partial: Partial::Nothing, less_at: 0, no_tags: false }
    }

    pub(super) fn without_tags() -> RawText {
        RawText { no_tags: true, ..RawText::new() }
    }

    /// Returns where the end tag began when `byte` is the first after its name.
    pub(super) fn step(&mut self, byte: u8, at: usize, element: &str) -> Result<Option<usize>, String> {
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
            return Err(super::unsure("a tag"));
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
                return Err("\"<\", a value and this could together end the element".to_owned());
            }
            Partial::EndName(index) if expected(element, index) => Some(Partial::EndName(index + 1)),
            Partial::EndName(index) if ends_name && index == element.len() => {
                if self.escaped != Escaped::Twice {
                    // "plaintext" has no end.
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
            // Where a long gone "<" stood must not make two contexts differ.
            self.less_at = 0;
        }
        Ok(None)
    }

    pub(super) fn hole(&mut self, element: &str) -> Result<Place, String> {
        self.partial = match self.partial {
            Partial::Nothing | Partial::Dashes(..2) => Partial::Nothing,
            Partial::Less | Partial::LessValue => Partial::LessValue,
            _ => return Err("a value here could end the element".to_owned()),
        };
        Ok(match element {
            "script" => Place::Script,
            "style" => Place::Style,
            _ => Place::Text,
        })
    }
}
