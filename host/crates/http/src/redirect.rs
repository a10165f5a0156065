//! The URLs to which a script or an access rule may redirect a visitor.
//!
//! The `url` crate is not used: it accepts and repairs what browsers read in different ways,
//! such as `https:\\host`, and such a URL has to be rejected here.

use percent_encoding::{AsciiSet, CONTROLS};

use crate::percent;

/// The status codes that `redirect` accepts.
pub const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// The longest request line that proxies and servers commonly accept.
const URL_BYTES_MAX: usize = 8 << 10;

/// The ASCII characters that a `Location` header cannot contain.
const ENCODED: AsciiSet = CONTROLS.add(b' ');

/// Why a redirect target is rejected. The text is the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// It has more than 8 KB.
    #[error("it is longer than browsers and proxies accept")]
    TooLong,
    /// It could end the header.
    #[error("it has a control character")]
    ControlCharacter,
    /// It looks like a path, but browsers take it for a URL without a scheme.
    #[error("browsers read it as the address of another host")]
    OtherHost,
    /// It is neither a path nor an http URL.
    #[error("only paths that start with / and http or https URLs are allowed")]
    NotHttp,
    /// It has a user name.
    #[error("it has credentials")]
    Credentials,
    /// It has no host, or one with white space.
    #[error("it has no host")]
    NoHost,
}

/// Checks a redirect target. It must be a path that starts with a single `/`, or an absolute
/// http or https URL without credentials.
///
/// # Errors
/// The target is rejected.
pub fn check(url: &str) -> Result<(), RedirectError> {
    if url.len() > URL_BYTES_MAX {
        return Err(RedirectError::TooLong);
    }
    if url.chars().any(char::is_control) {
        return Err(RedirectError::ControlCharacter);
    }
    // Browsers read `\` as `/`, so `/\host` is `//host`.
    if let Some(path) = url.strip_prefix('/') {
        return if path.starts_with(['/', '\\']) { Err(RedirectError::OtherHost) } else { Ok(()) };
    }
    let rest = strip_scheme(url, "http://").or_else(|| strip_scheme(url, "https://"));
    let rest = rest.ok_or(RedirectError::NotHttp)?;
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(RedirectError::Credentials);
    }
    if authority.is_empty() || authority.contains(char::is_whitespace) {
        return Err(RedirectError::NoHost);
    }
    Ok(())
}

fn strip_scheme<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = url.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Returns the `Location` header for `url`: spaces and everything outside ASCII are
/// percent-encoded.
pub fn location(url: &str) -> String {
    percent::encode(url, &ENCODED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_safe_targets() {
        for url in ["/", "/a/b?c=d#e", "http://a.example", "HTTPS://a.example/x@y", "https://a.example?u=x@y"]
        {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        for url in [
            "",
            "a",
            "//host",
            "/\\host",
            "\\\\host",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://u:p@host/",
            "https://",
            "http:///path",
            "/a\r\nset-cookie: x",
            "ftp://host",
            " /x",
            "https:\\\\host",
            "http://a b/",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn rejects_urls_over_the_limit() {
        let url = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
        assert_eq!(check(&url(URL_BYTES_MAX)), Ok(()));
        assert_eq!(check(&url(URL_BYTES_MAX + 1)), Err(RedirectError::TooLong));
    }

    #[test]
    fn locations_are_ascii() {
        assert_eq!(location("/ü b"), "/%C3%BC%20b");
    }
}
