//! The host that a request asks for.

use actix_web::http::Uri;
use actix_web::http::header::{self, HeaderMap};

/// The host of the request: that of an absolute target (`GET http://shop.example/ HTTP/1.1`), which
/// decides whatever the `Host` header says (RFC 9112, 3.2.2), and the `Host` header otherwise.
pub fn requested_host(target: &Uri, headers: &HeaderMap) -> Option<String> {
    match target.authority() {
        // User names and passwords are not part of the host.
        Some(authority) => authority.as_str().rsplit('@').next().map(str::to_owned),
        None => headers.get(header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn absolute_target_overrides_the_host_header() {
        let headers: HeaderMap =
            [(header::HOST, HeaderValue::from_static("other.example"))].into_iter().collect();
        let host = |target: &'static str| requested_host(&Uri::from_static(target), &headers);
        assert_eq!(host("/a?b=http://shop.example/").as_deref(), Some("other.example"));
        assert_eq!(host("http://shop.example/a").as_deref(), Some("shop.example"));
        assert_eq!(host("http://shop.example:8080").as_deref(), Some("shop.example:8080"));
        assert_eq!(host("http://other.example@shop.example/").as_deref(), Some("shop.example"));
        assert_eq!(requested_host(&Uri::from_static("/"), &HeaderMap::new()), None);
    }
}
