//! Compression of response bodies: which bodies are worth it, when it is safe, and how it is
//! done.
//!
//! The length of a compressed page that mixes a secret with text of an attacker's choice
//! reveals the secret to an attacker who can make the visitor's browser repeat the request
//! and watch the connection (BREACH). A page is therefore compressed only if no other site
//! can have caused the request, if the request carries no cookie, or if there is no TLS to
//! break. Files are the same for every visitor and are always compressed.

use std::io::{self, Write as _};

/// Bodies below this size are not compressed: they would hardly get shorter.
pub const BYTES_MIN: usize = 1_024;
/// Compressing this much takes a millisecond or two.
const SHORT_BYTES_MAX: usize = 64 << 10;
/// A compromise between ratio and speed: the visitor waits for the compression.
const BROTLI_QUALITY: i32 = 5;
const BROTLI_WINDOW_BITS: i32 = 20;
const BROTLI_BUFFER_BYTES: usize = 4 << 10;
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 6;

/// A content coding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Not compressed.
    #[default]
    Identity,
    /// `gzip`
    Gzip,
    /// `br`
    Brotli,
    /// `zstd`
    Zstd,
}

impl Encoding {
    /// The name in `Content-Encoding`, or `None` for [`Encoding::Identity`].
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// Compresses `bytes`.
    ///
    /// # Errors
    /// The library failed, for example because it could not allocate memory.
    fn encode(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(bytes.to_vec()),
            Self::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Self::Brotli => {
                let params = brotli::enc::BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    lgwin: BROTLI_WINDOW_BITS,
                    size_hint: bytes.len(),
                    ..Default::default()
                };
                let mut out = brotli::CompressorWriter::with_params(Vec::new(), BROTLI_BUFFER_BYTES, &params);
                out.write_all(bytes)?;
                Ok(out.into_inner())
            }
            Self::Zstd => zstd::bulk::compress(bytes, ZSTD_LEVEL),
        }
    }
}

/// Whether bodies of this type usually get shorter.
pub fn is_compressible(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let texts = ["json", "javascript", "xml", "wasm", "x-ndjson", "graphql", "rtf", "vnd.ms-fontobject"];
    match essence.split_once('/') {
        Some(("text", _)) | Some(("font", "ttf" | "otf" | "collection")) => true,
        Some(("image", subtype)) => matches!(subtype, "svg+xml" | "bmp" | "x-icon" | "vnd.microsoft.icon"),
        Some(("application", subtype)) => {
            texts.contains(&subtype) || subtype.ends_with("+json") || subtype.ends_with("+xml")
        }
        _ => false,
    }
}

/// Whether a page may be compressed without revealing a secret by its length; see the
/// module's documentation. `sec_fetch_site` is the request's header of that name.
pub fn is_safe(sec_fetch_site: Option<&str>, is_https: bool, has_cookies: bool) -> bool {
    let own = matches!(sec_fetch_site, Some("same-origin" | "none"));
    own || !is_https || !has_cookies
}

/// Whether compressing this many bytes holds a thread for more than a few milliseconds.
pub fn is_long(bytes: usize) -> bool {
    bytes > SHORT_BYTES_MAX
}

/// Compresses `bytes`. Returns `None` if the result would not be shorter, or if the compression
/// failed, which is logged.
pub fn compressed(bytes: &[u8], encoding: Encoding) -> Option<Vec<u8>> {
    if bytes.len() < BYTES_MIN || encoding == Encoding::Identity {
        return None;
    }
    match encoding.encode(bytes) {
        Ok(encoded) => (encoded.len() < bytes.len()).then_some(encoded),
        Err(error) => {
            tracing::error!(%error, "a response could not be compressed");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn decompressed_bytes_equal_the_compressed_ones() {
        let text: String = (0..5_000).map(|n| format!("line {n}\n")).collect();
        let bytes = text.as_bytes();
        let mut plain = Vec::new();
        let gzip = Encoding::Gzip.encode(bytes).unwrap();
        flate2::read::GzDecoder::new(gzip.as_slice()).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, bytes);
        let mut plain = Vec::new();
        let br = Encoding::Brotli.encode(bytes).unwrap();
        brotli::Decompressor::new(br.as_slice(), 4_096).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, bytes);
        let zstd = Encoding::Zstd.encode(bytes).unwrap();
        assert_eq!(zstd::bulk::decompress(&zstd, bytes.len()).unwrap(), bytes);
        for encoded in [gzip, br, zstd] {
            assert!(encoded.len() < bytes.len() / 3);
        }
    }

    #[test]
    fn only_text_types_are_compressible() {
        for yes in ["text/html; charset=utf-8", "application/json", "image/svg+xml", "application/ld+json"] {
            assert!(is_compressible(yes), "{yes}");
        }
        for no in ["image/png", "font/woff2", "application/zip", "video/mp4", "", "application/octet-stream"]
        {
            assert!(!is_compressible(no), "{no}");
        }
    }
}
