//! Percent-encoding with the `percent-encoding` crate, and its strict decoding: the crate
//! keeps a broken escape as it is, but here a text with a broken escape is rejected. Paths,
//! cookies, redirects, form fields and the parameters of database URLs use this module.

use percent_encoding::AsciiSet;

/// Encodes the bytes of `text` that `set` contains or that are not ASCII, with upper-case
/// hexadecimal digits.
pub(crate) fn encode(text: &str, set: &'static AsciiSet) -> String {
    percent_encoding::utf8_percent_encode(text, set).to_string()
}

/// Decodes `text`. Returns `None` if a `%` is not followed by two hexadecimal digits.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let is_whole = |after_percent: &str| {
        after_percent.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let is_valid = text.split('%').skip(1).all(is_whole);
    is_valid.then(|| percent_encoding::percent_decode_str(text).collect())
}

#[cfg(test)]
mod tests {
    use percent_encoding::CONTROLS;

    use super::*;

    #[test]
    fn rejects_broken_escapes() {
        for (text, bytes) in [("", ""), ("a", "a"), ("%41%c3%BC", "Aü"), ("%2541", "%41"), ("ü%20+", "ü +")]
        {
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(decode("%ff").as_deref(), Some(&[0xff][..]), "the bytes need not be UTF-8");
        for broken in ["%", "%4", "a%4", "%g1", "%1g", "%%41", "%4%31", "%ü", "%4ü", "%+1"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }

    #[test]
    fn encodes_the_set_and_everything_outside_ascii() {
        const SET: AsciiSet = CONTROLS.add(b' ');
        assert_eq!(encode("a b\u{7f}ü%~", &SET), "a%20b%7F%C3%BC%~");
    }
}
