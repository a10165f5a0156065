//! Character references (`&amp;`) in an attribute's literal text. A browser decodes them before it
//! looks at the value.
//!
//! This is our own decoder because crates decode a complete text, and here a value may follow in
//! the middle of a reference.

/// The position in or outside of a reference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Reference {
    #[default]
    Outside,
    /// After `&` and this part of a name.
    Name(String),
    /// After `&#`.
    Number,
    /// After `&#x` (or `&#X`).
    Hexadecimal {
        mark: u8,
    },
    Digits {
        code: u32,
        radix: u32,
    },
}

/// The references that matter in a URL or in markup, and whether they may lack the `;`.
const NAMES: &[(&str, char, bool)] = &[
    ("AMP", '&', true),
    ("GT", '>', true),
    ("LT", '<', true),
    ("NewLine", '\n', false),
    ("QUOT", '"', true),
    ("Tab", '\t', false),
    ("amp", '&', true),
    ("apos", '\'', false),
    ("bsol", '\\', false),
    ("colon", ':', false),
    ("comma", ',', false),
    ("equals", '=', false),
    ("excl", '!', false),
    ("grave", '`', false),
    ("gt", '>', true),
    ("lt", '<', true),
    ("nbsp", '\u{a0}', true),
    ("num", '#', false),
    ("period", '.', false),
    ("quest", '?', false),
    ("quot", '"', true),
    ("semi", ';', false),
    ("sol", '/', false),
];

const NAME_BYTES_MAX: usize = 8;

impl Reference {
    /// Whether a text that follows could become a part of a reference.
    pub(crate) fn is_open(&self) -> bool {
        *self != Reference::Outside
    }

    /// Reads a byte, and adds to `out` the bytes whose meaning is then certain.
    pub(crate) fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self {
            Reference::Outside if byte == b'&' => *self = Reference::Name(String::new()),
            Reference::Outside => out.push(byte),
            Reference::Name(name) if name.is_empty() && byte == b'#' => *self = Reference::Number,
            Reference::Name(name) if byte.is_ascii_alphanumeric() && name.len() < NAME_BYTES_MAX => {
                name.push(char::from(byte));
            }
            Reference::Number if matches!(byte, b'x' | b'X') => {
                *self = Reference::Hexadecimal { mark: byte };
            }
            Reference::Number if byte.is_ascii_digit() => self.digit(byte, 0, 10),
            Reference::Hexadecimal { .. } if byte.is_ascii_hexdigit() => self.digit(byte, 0, 16),
            Reference::Digits { code, radix } if char::from(byte).is_digit(*radix) => {
                let (code, radix) = (*code, *radix);
                self.digit(byte, code, radix);
            }
            _ => {
                let open = std::mem::take(self);
                if !open.end(byte, out) {
                    self.step(byte, out);
                }
            }
        }
    }

    fn digit(&mut self, byte: u8, code: u32, radix: u32) {
        let digit = char::from(byte).to_digit(radix).unwrap_or(0);
        *self = Reference::Digits { code: code.saturating_mul(radix).saturating_add(digit), radix };
    }

    /// Ends at a byte that is not a part of the reference. Returns whether that byte was its `;`.
    fn end(self, byte: u8, out: &mut Vec<u8>) -> bool {
        let closed = byte == b';';
        let decoded = match &self {
            Reference::Digits { code: 0, .. } => Some('\u{fffd}'),
            Reference::Digits { code, .. } => Some(char::from_u32(*code).unwrap_or('\u{fffd}')),
            // If a URL continues after a name without ";", the name is just text.
            Reference::Name(name) if closed || !(byte == b'=' || byte.is_ascii_alphanumeric()) => NAMES
                .iter()
                .find(|(known, _, bare)| known == name && (closed || *bare))
                .map(|(_, decoded, _)| *decoded),
            _ => None,
        };
        match decoded {
            Some(decoded) => out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes()),
            None => self.spell(out),
        }
        closed && decoded.is_some()
    }

    /// Adds the text itself, because it is not a reference.
    fn spell(&self, out: &mut Vec<u8>) {
        match self {
            Reference::Outside | Reference::Digits { .. } => {}
            Reference::Name(name) => out.extend([b"&", name.as_bytes()].concat()),
            Reference::Number => out.extend(b"&#"),
            Reference::Hexadecimal { mark } => out.extend([b'&', b'#', *mark]),
        }
    }
}

/// Decodes a complete text.
pub(crate) fn decoded(text: &str) -> String {
    let mut reference = Reference::default();
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        reference.step(byte, &mut out);
    }
    // A browser ends an open reference at the closing quote.
    reference.end(b'"', &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_references_as_in_attributes() {
        for (text, expected) in [
            ("a&amp;b", "a&b"),
            ("&#32;&#x6A;&#X6a&#106;", " jjj"),
            ("java&#115cript&colon;", "javascript:"),
            ("&#00000000000000000058;", ":"),
            ("&Tab;&NewLine;&sol;&num;&quest;", "\t\n/#?"),
            ("&lt&gt;&quot &QUOT;&apos;", "<>\" \"'"),
            ("?a=1&lt=2&ltx;&copy=3&lt", "?a=1&lt=2&ltx;&copy=3<"),
            ("&#;&#x;&#xg&;&&amp;", "&#;&#x;&#xg&;&&"),
            ("&colon &apos", "&colon &apos"),
            ("&#0;&#xd800;&#99999999999;", "\u{fffd}\u{fffd}\u{fffd}"),
            ("&averylongname;&amp;é", "&averylongname;&é"),
        ] {
            assert_eq!(decoded(text), expected, "{text}");
        }
    }
}
