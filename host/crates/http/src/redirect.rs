//! Which URLs a script may send a visitor to.

/// Statuses of redirects.
pub const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// What proxies and servers commonly take of a request line.
const URL_BYTES_MAX: usize = 8 << 10;

/// Checks a redirect target: a path that starts with a single `/`, or an
/// absolute http(s) URL without credentials.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn check(url: &str) -> Result<(), &'static str> {
    if url.len() > URL_BYTES_MAX {
        return Err("it is longer than browsers and proxies take");
    }
    if url.chars().any(char::is_control) {
        return Err("it has a control character");
    }
    // Browsers read `\` as `/`, so `/\host` is `//host`.
    if let Some(path) = url.strip_prefix('/') {
        return if path.starts_with(['/', '\\']) { Err("it would leave for another host") } else { Ok(()) };
    }
    let rest = strip_scheme(url, "http://").or_else(|| strip_scheme(url, "https://"));
    let rest = rest.ok_or("only paths that start with / and http or https URLs are allowed")?;
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("it has credentials");
    }
    if authority.is_empty() || authority.contains(char::is_whitespace) {
        return Err("it has no host");
    }
    Ok(())
}

fn strip_scheme<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = url.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// `url` with what a header cannot hold percent-encoded.
pub fn location(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for c in url.chars() {
        if c.is_ascii_graphic() {
            out.push(c);
        } else {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_targets_pass() {
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
    fn a_url_that_nobody_would_follow_is_refused() {
        let url = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
        assert_eq!(check(&url(URL_BYTES_MAX)), Ok(()));
        assert!(check(&url(URL_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn locations_are_ascii() {
        assert_eq!(location("/ü b"), "/%C3%BC%20b");
    }
}
