//! `btoa` and `atob`: base64 of text in which each character represents one byte.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rquickjs::prelude::Func;
use rquickjs::{Object, Result};

/// Decodes as browsers do: padding may be missing, and bits after the last byte are dropped.
const FORGIVING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("base64Encode", Func::from(encode))?;
    host.set("base64Decode", Func::from(decode))
}

/// Returns `None` if a character is above U+00FF.
fn encode(text: String) -> Option<String> {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    Some(FORGIVING.encode(bytes?))
}

fn decode(text: String) -> Option<String> {
    let text: String = text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')).collect();
    let digits = text.trim_end_matches('=').len();
    let padding = text.len() - digits;
    // Padding is complete or absent: "ab=" is invalid.
    if padding > 0 && (padding > 2 || !text.len().is_multiple_of(4)) {
        return None;
    }
    Some(FORGIVING.decode(text).ok()?.into_iter().map(char::from).collect())
}
