//! Text as HTML text: `& < > " '` become character references.
//!
//! This is our own code and not a crate's because the same table has to serve escaping straight
//! into the page and escaping into a new string. The choice of `&#39;` and `&quot;` is pinned by
//! case folders.

use handlebars::Output;

/// Writes text for the text of an element or a quoted attribute.
pub(crate) fn write(text: &str, out: &mut dyn Output) -> Result<(), std::io::Error> {
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let Some(reference) = reference(byte) else {
            continue;
        };
        if plain < at {
            out.write(text.get(plain..at).unwrap_or(""))?;
        }
        out.write(reference)?;
        plain = at + 1;
    }
    match text.get(plain..) {
        Some(rest) if !rest.is_empty() => out.write(rest),
        _ => Ok(()),
    }
}

/// How many characters of a text become references.
pub(crate) fn references(text: &str) -> usize {
    text.bytes().filter(|byte| reference(*byte).is_some()).count()
}

/// The escaped text as a new string.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(c).ok().and_then(reference) {
            Some(reference) => escaped.push_str(reference),
            None => escaped.push(c),
        }
    }
    escaped
}

fn reference(byte: u8) -> Option<&'static str> {
    Some(match byte {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'"' => "&quot;",
        b'\'' => "&#39;",
        _ => return None,
    })
}
