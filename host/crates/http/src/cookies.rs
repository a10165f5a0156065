//! Cookie names and values, as RFC 6265 has them.

use std::fmt::Write;

/// Names that only the host sets: the session cookies among them.
const RESERVED_PREFIXES: [&str; 3] = ["__host-", "__secure-", "sluice_"];

/// True for an HTTP token.
pub fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// True for names that scripts can neither read nor write.
pub fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// `value` with what a cookie cannot hold percent-encoded.
pub fn encode_value(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        let plain = byte.is_ascii_graphic() && !b"\",;\\%".contains(&byte);
        if plain {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The inverse of [`encode_value`]; what is not valid stays as it is.
pub fn decode_value(value: &str) -> String {
    let value = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value);
    percent_decode(value).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| value.to_owned())
}

/// Bytes of percent-encoded text; none when an escape is broken.
pub fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_way_to_the_browser_and_back() {
        for value in ["", "plain", "a b;c,d\"e\\f%g", "ü😀\u{0}\n"] {
            let encoded = encode_value(value);
            assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';'), "{encoded}");
            assert_eq!(decode_value(&encoded), value);
        }
        assert_eq!(decode_value("100%"), "100%");
        assert_eq!(decode_value("\"quoted\""), "quoted");
    }

    #[test]
    fn reserved_names_are_reserved_in_any_case() {
        for name in ["__Host-sluice", "__HOST-x", "__secure-a", "sluice_session", "SLUICE_x"] {
            assert!(is_reserved(name), "{name}");
        }
        assert!(!is_reserved("sluice") && !is_reserved("theme"));
    }
}
