//! What has to be the same for two requests to get the same answer.

use std::sync::Arc;

/// Requests with longer keys bypass the cache.
pub const KEY_BYTES_MAX: usize = 8 << 10;

/// Identifies an answer of a brand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(Arc<str>);

/// What a key is made of. GET and HEAD have the same answer, which is the only one that is kept.
#[derive(Debug, Clone, Copy)]
pub struct KeyParts<'a> {
    /// Whether the visitor uses https.
    pub is_https: bool,
    /// The host, as scripts see it.
    pub host: &'a str,
    /// The canonical path.
    pub path: &'a str,
    /// The query as it was sent, without the question mark and without a handoff token.
    pub query: &'a str,
}

impl Key {
    /// The key of a request. `vary` are the values of the headers in `vary`, in that order. `None` if it would
    /// be too long.
    pub fn new<'a>(parts: KeyParts<'a>, vary: impl Iterator<Item = Option<&'a str>>) -> Option<Self> {
        let KeyParts { is_https, host, path, query } = parts;
        let mut key = String::with_capacity(host.len() + path.len() + query.len() + 32);
        key.push(if is_https { 's' } else { 'p' });
        for part in [Some(host), Some(path), Some(query)].into_iter().chain(vary) {
            // With its length, so that no part can look like the beginning of the next one.
            match part {
                Some(part) => {
                    key.push_str(&part.len().to_string());
                    key.push(':');
                    key.push_str(part);
                }
                None => key.push('-'),
            }
            if key.len() > KEY_BYTES_MAX {
                return None;
            }
        }
        Some(Self(key.into()))
    }

    /// Its length in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: [&str; 3], vary: &[Option<&str>]) -> Option<Key> {
        let [host, path, query] = parts;
        Key::new(KeyParts { is_https: false, host, path, query }, vary.iter().copied())
    }

    #[test]
    fn different_requests_have_different_keys() {
        let requests = [
            key(["a", "/b", ""], &[]),
            key(["a", "/", "b"], &[]),
            key(["a", "/b", "1:x"], &[]),
            key(["a", "/b", ""], &[Some("x")]),
            key(["a", "/b", ""], &[Some("")]),
            key(["a", "/b", ""], &[None]),
            key(["a", "/b", ""], &[None, Some("x")]),
            key(["a", "/b", ""], &[Some("x"), None]),
            key(["a", "/b", ""], &[Some("x-"), None]),
            Key::new(KeyParts { is_https: true, host: "a", path: "/b", query: "" }, std::iter::empty()),
        ];
        for (at, one) in requests.iter().enumerate() {
            assert!(requests.iter().skip(at + 1).all(|other| one != other), "{one:?}");
        }
        assert_eq!(key(["a", "/b", "c"], &[Some("x")]), key(["a", "/b", "c"], &[Some("x")]));
    }

    #[test]
    fn long_keys_are_rejected() {
        let query = "x".repeat(KEY_BYTES_MAX - 15);
        assert!(key(["a", "/b", &query], &[]).is_some());
        let query = "x".repeat(KEY_BYTES_MAX);
        assert_eq!(key(["a", "/b", &query], &[]), None);
    }
}
