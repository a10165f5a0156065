//! Cookies: names, values, reading a `Cookie` header, and writing and reading `Set-Cookie`
//! headers. Everything that reads or sets a cookie uses it, be it a page's, the session's or
//! the console's.
//!
//! The `cookie` crate parses `Set-Cookie`. It does not write it, because it orders the
//! attributes in another way, and it does not parse `Cookie`, because it drops a cookie with
//! an empty name, which scripts see.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS};

use crate::percent;

/// Page scripts can neither read nor set cookies whose names start with these prefixes.
const RESERVED_PREFIXES: [&str; 3] = ["__host-", "__secure-", "sluice_"];

/// The ASCII characters that are encoded in a cookie's value.
const ENCODED: AsciiSet = CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// Whether a cookie is sent with requests that another site causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// Only when the visitor follows a link.
    Lax,
    /// Always.
    None,
}

/// One cookie to set. `Display` writes the value of a `Set-Cookie` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetCookie<'a> {
    /// An HTTP token; see [`is_token`].
    pub name: &'a str,
    /// The encoded value; see [`encode_value`].
    pub value: &'a str,
    /// The cookie is sent with requests for this path and those below it.
    pub path: &'a str,
    /// Seconds until the browser deletes the cookie. 0 deletes it at once; without a number
    /// the cookie lasts as long as the browser's session.
    pub max_age_s: Option<i64>,
    /// Scripts in the browser do not see the cookie.
    pub http_only: bool,
    /// Whether it is sent with requests that another site causes.
    pub same_site: SameSite,
    /// The cookie is sent over https only.
    pub is_secure: bool,
}

/// What a browser keeps of a `Set-Cookie` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCookie {
    /// The cookie's name.
    pub name: String,
    /// The value, still encoded.
    pub value: String,
    /// The cookie is sent with requests for this path and those below it; defaults to `/`.
    pub path: String,
    /// The cookie is sent over https only.
    pub is_secure: bool,
    /// The browser has to delete the cookie, because its `Max-Age` is 0 or less.
    pub is_expired: bool,
}

impl fmt::Display for SetCookie<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}; Path={}", self.name, self.value, self.path)?;
        if let Some(seconds) = self.max_age_s {
            write!(f, "; Max-Age={seconds}")?;
        }
        if self.http_only {
            f.write_str("; HttpOnly")?;
        }
        f.write_str(match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        })?;
        f.write_str(if self.is_secure { "; Secure" } else { "" })
    }
}

impl KeptCookie {
    /// Reads the value of a `Set-Cookie` header. Returns `None` if there is no name.
    pub fn parse(line: &str) -> Option<Self> {
        let cookie = cookie::Cookie::parse(line).ok()?;
        Some(Self {
            name: cookie.name().to_owned(),
            value: cookie.value().to_owned(),
            path: cookie.path().unwrap_or("/").to_owned(),
            is_secure: cookie.secure().unwrap_or(false),
            is_expired: cookie.max_age().is_some_and(|age| !age.is_positive()),
        })
    }
}

/// Returns the names and raw values in one `Cookie` header, in order. A part without `=` is
/// ignored.
pub fn pairs(header: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = header.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim()))
}

/// Whether `name` is an HTTP token.
pub fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether scripts can neither read nor write the cookie of this name.
pub fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Percent-encodes what the value of a cookie cannot contain.
pub fn encode_value(value: &str) -> String {
    percent::encode(value, &ENCODED)
}

/// Reverses [`encode_value`] and removes quotes around the value. A value with a broken
/// escape, or whose bytes are not UTF-8, stays as it is.
pub fn decode_value(value: &str) -> String {
    let value = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value);
    percent::decode(value).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoded_value_equals_the_encoded_one() {
        for value in ["", "plain", "a b;c,d\"e\\f%g", "ü😀\u{0}\n"] {
            let encoded = encode_value(value);
            assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';'), "{encoded}");
            assert_eq!(decode_value(&encoded), value);
        }
        assert_eq!(encode_value("!#$&'()*+-./:<=>?@[]^_`{|}~"), "!#$&'()*+-./:<=>?@[]^_`{|}~");
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

    #[test]
    fn reads_the_pairs_of_a_cookie_header() {
        let read = |header| pairs(header).collect::<Vec<_>>();
        assert_eq!(read("a=1; b = x=y ;c;=d"), [("a", "1"), ("b", "x=y"), ("", "d")]);
        assert_eq!(read(""), []);
    }

    #[test]
    fn writes_set_cookie_and_reads_it_back() {
        let cookie = SetCookie {
            name: "a",
            value: "b%20c",
            path: "/x",
            max_age_s: Some(60),
            http_only: true,
            same_site: SameSite::Lax,
            is_secure: true,
        };
        let line = cookie.to_string();
        assert_eq!(line, "a=b%20c; Path=/x; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        let kept = KeptCookie::parse(&line).unwrap();
        assert_eq!((&*kept.name, &*kept.value, &*kept.path), ("a", "b%20c", "/x"));
        assert!(kept.is_secure && !kept.is_expired);

        let open = SetCookie { max_age_s: None, http_only: false, is_secure: false, ..cookie };
        let strict = SetCookie { same_site: SameSite::Strict, path: "/", ..open };
        assert_eq!(strict.to_string(), "a=b%20c; Path=/; SameSite=Strict");
        let none = SetCookie { same_site: SameSite::None, ..strict };
        assert_eq!(none.to_string(), "a=b%20c; Path=/; SameSite=None", "the caller decides about Secure");
    }

    #[test]
    fn max_age_of_zero_or_less_expires_a_cookie() {
        for (line, is_expired) in [("a=; Max-Age=0", true), ("a=; Max-Age=-5", true), ("a=1", false)] {
            assert_eq!(KeptCookie::parse(line).unwrap().is_expired, is_expired, "{line}");
        }
        assert_eq!(KeptCookie::parse("no pair"), None);
    }
}
