//! Content codings, conditions and ranges of a request, after RFC 9110, sections 12.5.3, 13
//! and 14.

use std::time::{Duration, SystemTime};

use actix_web::HttpMessage;
use actix_web::http::header::{
    self, AcceptEncoding, Encoding as CodingName, Header as _, HeaderMap, HeaderName,
};

use sluice_http::compress::Encoding;

/// The headers that decide whether and how a body is sent. Several headers of one name are joined
/// with commas.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// The coding that the client prefers.
    pub encoding: Encoding,
    /// `If-Match`.
    pub if_match: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<String>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<String>,
    /// `Range`.
    pub range: Option<String>,
    /// `If-Range`.
    pub if_range: Option<String>,
}

/// Which part of a file is sent, or why none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The whole file.
    All,
    /// `bytes` bytes, starting at the offset `start`.
    Range {
        /// The offset of the first byte.
        start: u64,
        /// The number of bytes.
        bytes: u64,
    },
    /// The client has the file already: 304.
    NotModified,
    /// The file is not the one that the client means: 412.
    PreconditionFailed,
    /// The file does not have this part: 416.
    Unsatisfiable,
}

/// The properties of a file that conditions are compared with.
#[derive(Debug, Clone, Copy)]
pub struct Validators<'a> {
    /// A strong entity tag, with its quotes.
    pub etag: &'a str,
    /// When the file was last changed.
    pub modified: SystemTime,
    /// The size of the file.
    pub bytes: u64,
}

impl Conditions {
    /// Reads the headers of `message`.
    pub fn read(message: &impl HttpMessage) -> Self {
        let headers = message.headers();
        Self {
            encoding: preferred_encoding(message),
            if_match: all_of(headers, &header::IF_MATCH),
            if_none_match: all_of(headers, &header::IF_NONE_MATCH),
            if_modified_since: all_of(headers, &header::IF_MODIFIED_SINCE),
            if_unmodified_since: all_of(headers, &header::IF_UNMODIFIED_SINCE),
            range: all_of(headers, &header::RANGE),
            if_range: all_of(headers, &header::IF_RANGE),
        }
    }

    /// The part of `file` to send.
    pub fn part_of(&self, file: Validators<'_>) -> Part {
        let seconds = whole_seconds(file.modified);
        let is_since = |date: &String| httpdate::parse_http_date(date).is_ok_and(|date| seconds <= date);
        let changed = match (&self.if_match, &self.if_unmodified_since) {
            (Some(tags), _) => !lists(tags, file.etag, false),
            (None, Some(date)) => httpdate::parse_http_date(date).is_ok_and(|date| seconds > date),
            (None, None) => false,
        };
        if changed {
            return Part::PreconditionFailed;
        }
        let is_known = match (&self.if_none_match, &self.if_modified_since) {
            (Some(tags), _) => lists(tags, file.etag, true),
            (None, Some(date)) => is_since(&date.to_owned()),
            (None, None) => false,
        };
        if is_known {
            return Part::NotModified;
        }
        match &self.range {
            Some(range) if self.range_holds(file.etag, seconds) => part(range, file.bytes),
            _ => Part::All,
        }
    }

    /// Whether `Range` applies: there is no `If-Range`, or it names this version of the file.
    fn range_holds(&self, etag: &str, modified: SystemTime) -> bool {
        match self.if_range.as_deref().map(str::trim) {
            None => true,
            Some(tag) if tag.starts_with('"') => tag == etag,
            Some(date) => httpdate::parse_http_date(date).is_ok_and(|date| date == modified),
        }
    }
}

/// `time` without its fraction of a second, because `Last-Modified` has none.
pub fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// Whether a list of entity tags contains `etag`. With `weakly`, weak tags match, too.
fn lists(tags: &str, etag: &str, weakly: bool) -> bool {
    let is_it = |tag: &str| tag == etag || (weakly && tag.strip_prefix("W/") == Some(etag));
    tags.split(',').map(str::trim).any(|tag| tag == "*" || is_it(tag))
}

/// The part that one range of bytes asks for. Several ranges and invalid ranges are ignored, so the
/// whole file is sent. `bytes` is the size of the file.
fn part(range: &str, bytes: u64) -> Part {
    let parsed = || {
        let (unit, set) = range.split_once('=')?;
        let (first, last) = set.trim().split_once('-')?;
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            // A number that does not fit is larger than any file.
            true => Some(text.parse().unwrap_or(u64::MAX)),
            false => None,
        };
        let is_bytes = unit.trim().eq_ignore_ascii_case("bytes");
        (is_bytes && !(first.is_empty() && last.is_empty())).then_some(())?;
        let (start, end) = match (first, last) {
            ("", suffix) => match number(suffix)? {
                0 => return Some(Part::Unsatisfiable),
                suffix => (bytes.saturating_sub(suffix), bytes),
            },
            (first, "") => (number(first)?, bytes),
            (first, last) => {
                let (first, last): (u64, u64) = (number(first)?, number(last)?);
                (first <= last).then_some(())?;
                (first, last.saturating_add(1).min(bytes))
            }
        };
        Some(if start < bytes { Part::Range { start, bytes: end - start } } else { Part::Unsatisfiable })
    };
    parsed().unwrap_or(Part::All)
}

fn all_of(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).filter_map(|value| value.to_str().ok()).collect();
    if values.is_empty() { None } else { Some(values.join(", ")) }
}

fn preferred_encoding(message: &impl HttpMessage) -> Encoding {
    if !message.headers().contains_key(header::ACCEPT_ENCODING) {
        return Encoding::Identity;
    }
    let known = [
        (CodingName::brotli(), Encoding::Brotli),
        (CodingName::zstd(), Encoding::Zstd),
        (CodingName::gzip(), Encoding::Gzip),
        (CodingName::identity(), Encoding::Identity),
    ];
    let accepted = AcceptEncoding::parse(message).ok();
    let chosen = accepted.and_then(|accepted| accepted.negotiate(known.iter().map(|(name, _)| name)));
    known
        .into_iter()
        .find(|(name, _)| Some(name) == chosen.as_ref())
        .map_or(Encoding::Identity, |(_, own)| own)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn part_of(headers: &[(&str, &str)]) -> Part {
        let mut request = TestRequest::get();
        for header in headers {
            request = request.append_header(*header);
        }
        let modified = httpdate::parse_http_date(DATE).unwrap() + Duration::from_millis(500);
        Conditions::read(&request.to_http_request()).part_of(Validators {
            etag: "\"a\"",
            modified,
            bytes: 100,
        })
    }

    #[test]
    fn applies_conditions_in_the_order_of_the_standard() {
        for (headers, expected) in [
            (&[][..], Part::All),
            (&[("if-none-match", "\"a\"")], Part::NotModified),
            (&[("if-none-match", "\"b\", W/\"a\"")], Part::NotModified),
            (&[("if-none-match", "*")], Part::NotModified),
            (&[("if-none-match", "\"b\"")], Part::All),
            (&[("if-none-match", "\"b\""), ("if-modified-since", DATE)], Part::All),
            (&[("if-modified-since", DATE)], Part::NotModified),
            (&[("if-modified-since", LATER)], Part::NotModified),
            (&[("if-modified-since", EARLIER)], Part::All),
            (&[("if-modified-since", "yesterday")], Part::All),
            (&[("if-match", "\"a\"")], Part::All),
            (&[("if-match", "W/\"a\"")], Part::PreconditionFailed),
            (&[("if-match", "\"b\"")], Part::PreconditionFailed),
            (&[("if-unmodified-since", EARLIER)], Part::PreconditionFailed),
            (&[("if-unmodified-since", DATE)], Part::All),
        ] {
            assert_eq!(part_of(headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn limits_ranges_to_the_size_of_the_file() {
        let range = |start, bytes| Part::Range { start, bytes };
        for (text, expected) in [
            ("bytes=0-0", range(0, 1)),
            ("bytes=10-19", range(10, 10)),
            ("Bytes = 90-", range(90, 10)),
            ("bytes=-1", range(99, 1)),
            ("bytes=-1000", range(0, 100)),
            ("bytes=99-99999999999999999999999", range(99, 1)),
            ("bytes=100-", Part::Unsatisfiable),
            ("bytes=99999999999999999999999-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=5-4", Part::All),
            ("bytes=0-1,5-6", Part::All),
            ("bytes=-", Part::All),
            ("bytes=a-b", Part::All),
            ("lines=0-1", Part::All),
            ("", Part::All),
        ] {
            assert_eq!(part_of(&[("range", text)]), expected, "{text}");
        }
        for (if_range, holds) in [
            ("\"a\"", true),
            ("\"b\"", false),
            ("W/\"a\"", false),
            (DATE, true),
            (LATER, false),
            ("x", false),
        ] {
            let expected = if holds { range(0, 1) } else { Part::All };
            assert_eq!(part_of(&[("range", "bytes=0-0"), ("if-range", if_range)]), expected, "{if_range}");
        }
    }

    #[test]
    fn uses_the_coding_that_the_client_prefers() {
        for (accepts, expected) in [
            ("gzip, deflate, br, zstd", Encoding::Brotli),
            ("gzip, zstd", Encoding::Zstd),
            ("gzip", Encoding::Gzip),
            ("gzip;q=1, br;q=0.5", Encoding::Gzip),
            ("br;q=0, gzip", Encoding::Gzip),
            ("deflate", Encoding::Identity),
            ("identity, br;q=0.1", Encoding::Identity),
            ("", Encoding::Identity),
            ("*", Encoding::Identity),
            ("gzip;q=nonsense", Encoding::Identity),
        ] {
            let request = TestRequest::get().append_header(("accept-encoding", accepts)).to_http_request();
            assert_eq!(Conditions::read(&request).encoding, expected, "{accepts}");
        }
        assert_eq!(Conditions::read(&TestRequest::get().to_http_request()).encoding, Encoding::Identity);
    }
}
