//! The type of a file by its content. What the sender claims only chooses among types that content cannot tell
//! apart.

/// How many bytes of a file decide about its type.
pub const SNIFFED_BYTES: usize = 4 << 10;

/// A type, the ending of its names, and whether browsers may show it at the visitors' origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media {
    /// Such as `image/png`.
    pub name: &'static str,
    /// Such as `png`.
    pub ending: &'static str,
    /// Whether a browser may show it. Others are downloaded: they could run scripts, or browsers guess.
    pub is_inline: bool,
}

const fn inline(name: &'static str, ending: &'static str) -> Media {
    Media { name, ending, is_inline: true }
}

const fn download(name: &'static str, ending: &'static str) -> Media {
    Media { name, ending, is_inline: false }
}

/// Anything else.
pub const UNKNOWN: Media = download("application/octet-stream", "bin");
const TEXT: Media = inline("text/plain", "txt");
const HTML: Media = download("text/html", "html");
const SVG: Media = download("image/svg+xml", "svg");
const XML: Media = download("application/xml", "xml");
const ZIP: Media = download("application/zip", "zip");

/// Types that their first bytes tell: an offset and what is there.
const BY_BYTES: [(usize, &[u8], Media); 19] = [
    (0, b"\x89PNG\r\n\x1a\n", inline("image/png", "png")),
    (0, b"\xff\xd8\xff", inline("image/jpeg", "jpg")),
    (0, b"GIF87a", inline("image/gif", "gif")),
    (0, b"GIF89a", inline("image/gif", "gif")),
    (8, b"WEBP", inline("image/webp", "webp")),
    (4, b"ftypavif", inline("image/avif", "avif")),
    (4, b"ftypheic", download("image/heic", "heic")),
    (4, b"ftypqt  ", download("video/quicktime", "mov")),
    (4, b"ftypM4A ", inline("audio/mp4", "m4a")),
    (4, b"ftyp", inline("video/mp4", "mp4")),
    (0, b"\x1a\x45\xdf\xa3", inline("video/webm", "webm")),
    (0, b"OggS", inline("audio/ogg", "ogg")),
    (0, b"ID3", inline("audio/mpeg", "mp3")),
    (0, b"\xff\xfb", inline("audio/mpeg", "mp3")),
    (8, b"WAVE", inline("audio/wav", "wav")),
    (0, b"fLaC", inline("audio/flac", "flac")),
    (0, b"%PDF-", download("application/pdf", "pdf")),
    (0, b"PK\x03\x04", ZIP),
    (0, b"\x1f\x8b", download("application/gzip", "gz")),
];

/// Types of files that are text, which only the sender knows.
const OF_TEXT: [Media; 5] = [
    download("text/csv", "csv"),
    download("text/markdown", "md"),
    download("text/calendar", "ics"),
    download("text/vcard", "vcf"),
    download("application/json", "json"),
];

/// Types of files that are ZIP archives, which only the sender knows.
const OF_ZIP: [Media; 6] = [
    download("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    download("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    download("application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx"),
    download("application/vnd.oasis.opendocument.text", "odt"),
    download("application/vnd.oasis.opendocument.spreadsheet", "ods"),
    download("application/epub+zip", "epub"),
];

/// The type of a file that begins with `start`. `claimed` is what the sender says.
pub fn of_content(start: &[u8], claimed: &str) -> Media {
    let start = start.get(..SNIFFED_BYTES).unwrap_or(start);
    let has = |at: usize, bytes: &[u8]| start.get(at..).is_some_and(|rest| rest.starts_with(bytes));
    let is_riff = |at: usize| at != 8 || has(0, b"RIFF");
    let known = BY_BYTES.iter().find(|(at, bytes, _)| has(*at, bytes) && is_riff(*at));
    match known.map(|(_, _, media)| *media) {
        Some(ZIP) => claim(&OF_ZIP, claimed).unwrap_or(ZIP),
        Some(media) => media,
        None => text(start, claimed),
    }
}

/// The type with this ending, as [`Media::ending`] has it.
pub fn of_ending(ending: &str) -> Media {
    let all = BY_BYTES.iter().map(|(_, _, media)| *media).chain(OF_TEXT).chain(OF_ZIP);
    all.chain([TEXT, HTML, SVG, XML]).find(|media| media.ending == ending).unwrap_or(UNKNOWN)
}

/// Whether a type is one that content can have, so that a page can ask for it.
pub fn is_known(name: &str) -> bool {
    let all = BY_BYTES.iter().map(|(_, _, media)| *media).chain(OF_TEXT).chain(OF_ZIP);
    all.chain([TEXT, HTML, SVG, XML, UNKNOWN]).any(|media| media.name == name)
}

fn claim(among: &[Media], claimed: &str) -> Option<Media> {
    among.iter().find(|media| media.name == claimed).copied()
}

/// What text is. Markup is recognized wherever a browser would.
fn text(start: &[u8], claimed: &str) -> Media {
    let complete = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The last character may be cut.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(start.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return UNKNOWN,
    };
    if complete.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}')) {
        return UNKNOWN;
    }
    let lower = complete.to_ascii_lowercase();
    let has = |text: &str| lower.contains(text);
    if has("<svg") {
        SVG
    } else if ["<!doctype html", "<html", "<head", "<body", "<script", "<iframe"].iter().any(|tag| has(tag)) {
        HTML
    } else if lower.trim_start_matches('\u{feff}').trim_start().starts_with("<?xml") {
        XML
    } else {
        claim(&OF_TEXT, claimed).unwrap_or(TEXT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides_and_not_the_claim() {
        for (start, claimed, expected) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], "text/html", "image/png"),
            (b"\xff\xd8\xff\xe0", "image/png", "image/jpeg"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "", "image/webp"),
            (b"xxxx\0\0\0\0WEBPVP8 ", "image/webp", "application/octet-stream"),
            (b"\0\0\0\x20ftypisom", "", "video/mp4"),
            (b"%PDF-1.7", "image/png", "application/pdf"),
            (b"PK\x03\x04", "image/png", "application/zip"),
            (b"PK\x03\x04", "application/epub+zip", "application/epub+zip"),
            (b"a,b\n1,2", "text/csv", "text/csv"),
            (b"a,b\n1,2", "image/png", "text/plain"),
            (b"a,b\n1,2", "text/html", "text/plain"),
            (b"  <!DOCTYPE HTML><p>", "text/plain", "text/html"),
            (b"text, then <ScRiPt>alert(1)</script>", "text/plain", "text/html"),
            (b"<?xml version='1.0'?><svg xmlns='x'>", "image/png", "image/svg+xml"),
            (b"<?xml version='1.0'?><a/>", "image/png", "application/xml"),
            (b"\0\x01\x02", "image/png", "application/octet-stream"),
            (b"\xff\xfe<\0s\0", "text/plain", "application/octet-stream"),
            (b"", "image/png", "text/plain"),
        ] {
            assert_eq!(of_content(start, claimed).name, expected, "{start:?}");
        }
        let cut = "\u{e9}".repeat(SNIFFED_BYTES);
        assert_eq!(of_content(&cut.as_bytes()[..SNIFFED_BYTES - 1], "").name, "text/plain");
    }

    #[test]
    fn markup_is_never_shown_at_the_visitors_origin() {
        for name in ["text/html", "image/svg+xml", "application/xml", "application/octet-stream"] {
            let all = BY_BYTES.iter().map(|(_, _, media)| *media).chain([HTML, SVG, XML, UNKNOWN]);
            assert!(all.filter(|media| media.name == name).all(|media| !media.is_inline), "{name}");
        }
        for ending in ["html", "svg", "xml", "bin", "png", "docx", "csv", "txt"] {
            assert_eq!(of_ending(ending).ending, ending);
        }
        assert_eq!(of_ending("exe"), UNKNOWN);
        assert!(is_known("image/png") && !is_known("image/jpg"));
    }
}
