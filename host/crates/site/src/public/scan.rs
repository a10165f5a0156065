//! Prepares the content of a file in `public/` for the search for backend scripts.

/// Whether the bytes contain the word `scope`, without which there is no backend script. The bytes
/// are not decoded yet: in UTF-16, there is a NUL next to each letter.
pub(super) fn mentions_scope(bytes: &[u8]) -> bool {
    let word = b"scope";
    let mut length = 0;
    for byte in bytes.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase) {
        // The word's first letter occurs only once in it, so starting over misses nothing.
        length = match word.get(length) {
            Some(next) if byte == *next => length + 1,
            Some(_) | None => usize::from(word.first() == Some(&byte)),
        };
        if length == word.len() {
            return true;
        }
    }
    false
}

/// Decodes text as a browser does: a byte order mark overrides the `Content-Type` header, and XML
/// can be UTF-16 without such a mark.
pub(super) fn decoded(bytes: &[u8]) -> String {
    match bytes {
        [0xff, 0xfe, text @ ..] | text @ [b'<', 0, ..] => utf16(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] | text @ [0, b'<', ..] => utf16(text, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, text @ ..] | text => String::from_utf8_lossy(text).into_owned(),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, _) = bytes.as_chunks();
    let chars = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)));
    chars.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Whether no browser reads files of this type as text.
pub(super) fn is_media(content_type: &str) -> bool {
    let families = ["image/", "audio/", "video/", "font/"];
    let is_family = families.iter().any(|family| content_type.starts_with(family));
    let others = ["application/pdf", "application/zip", "application/gzip", "application/wasm"];
    (is_family && content_type != "image/svg+xml") || others.contains(&content_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_word_in_every_case_and_in_utf16() {
        for text in ["scope", "ascsScOpE", "s\0c\0o\0p\0e\0", "\0s\0c\0o\0p\0e"] {
            assert!(mentions_scope(text.as_bytes()), "{text:?}");
        }
        for text in ["", "scop", "sco pe", "scopscop"] {
            assert!(!mentions_scope(text.as_bytes()), "{text:?}");
        }
    }
}
