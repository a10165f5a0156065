//! A request as an author describes it, for tools that serve it without a connection.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::Uri;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::forwarded::Peer;
use super::{Body, Head, Method, PageRequest, ReadRules, named_header, requested_host};

/// ASCII characters that browsers percent-encode in a path and in a query.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');

/// The description of a request.
#[derive(Debug, Clone)]
pub struct Described {
    /// The method.
    pub method: Method,
    /// Path and query. Spaces and characters that are not ASCII will be percent-encoded.
    pub address: String,
    /// The `Host` header, unless `headers` has one.
    pub host: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Names and values, as a browser would send them.
    pub cookies: Vec<(String, String)>,
    /// The body, unless the method is GET or HEAD. Its type is in `headers`.
    pub body: Option<Vec<u8>>,
    /// Whether the visitor uses https.
    pub is_https: bool,
    /// The visitor's address.
    pub ip: IpAddr,
}

/// Why a described request is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescribedError {
    /// The address is not a path.
    #[error("the address must begin with a slash: {0:?}")]
    Address(String),
    /// A GET or HEAD request has a body.
    #[error("a body of {bytes} bytes needs the method POST, PUT, PATCH or DELETE")]
    BodyOfGet {
        /// The size of the body.
        bytes: usize,
    },
    /// The name of a header is invalid.
    #[error("{0:?} is not a valid header name")]
    HeaderName(String),
    /// The value of a header is invalid.
    #[error("header {name}: {value:?} is not a valid header value")]
    HeaderValue {
        /// The header's name.
        name: String,
        /// The invalid value.
        value: String,
    },
}

impl Default for Described {
    fn default() -> Self {
        Self {
            method: Method::Get,
            address: "/".into(),
            host: "localhost".into(),
            headers: Vec::new(),
            cookies: Vec::new(),
            body: None,
            is_https: false,
            ip: Ipv4Addr::LOCALHOST.into(),
        }
    }
}

impl Described {
    /// The request as the server would read it.
    ///
    /// # Errors
    /// The request is invalid.
    pub fn into_request(self, rules: &ReadRules) -> Result<PageRequest, DescribedError> {
        if !self.address.starts_with('/') {
            return Err(DescribedError::Address(self.address));
        }
        let without_fragment = self.address.split('#').next().unwrap_or_default();
        let address = utf8_percent_encode(without_fragment, ENCODED).to_string();
        let (path, query) = address.split_once('?').unwrap_or((&address, ""));
        let headers = self.header_map()?;
        let body = match self.body {
            Some(bytes) if !self.method.may_change() => {
                return Err(DescribedError::BodyOfGet { bytes: bytes.len() });
            }
            Some(bytes) => Body::of_type(&headers, bytes.into()),
            None => Body::None,
        };
        let host = requested_host(&Uri::default(), &headers);
        let head = Head {
            method: self.method,
            path,
            query,
            host,
            headers: &headers,
            peer: Peer::Address(Some(self.ip)),
        };
        let mut request = PageRequest::of(head, body, rules);
        request.is_https |= self.is_https;
        request.named_headers =
            headers.keys().filter_map(|name| named_header(&headers, name.as_str())).collect();
        Ok(request)
    }

    fn header_map(&self) -> Result<HeaderMap, DescribedError> {
        let mut map = HeaderMap::new();
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut put = |name: &str, value: &str| {
            let key = HeaderName::try_from(name).map_err(|_| DescribedError::HeaderName(name.to_owned()))?;
            let value = HeaderValue::try_from(value).map_err(|_| DescribedError::HeaderValue {
                name: name.to_owned(),
                value: value.to_owned(),
            })?;
            map.append(key, value);
            Ok::<_, DescribedError>(())
        };
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            put(header::HOST.as_str(), &self.host)?;
        }
        for (name, value) in &self.headers {
            put(name, value)?;
        }
        if !cookies.is_empty() {
            put(header::COOKIE.as_str(), &cookies.join("; "))?;
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use sluice_http::headers::NamedHeaders;

    use super::super::View;
    use super::*;

    fn rules() -> ReadRules {
        ReadRules { body_timeout: Duration::ZERO, trusted_proxies: Vec::new(), trusted_host_header: None }
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn is_read_as_the_server_reads_a_request() {
        let described = Described {
            method: Method::Post,
            address: "/bl\u{f6}g/a b?q=\u{e9}&r=%20#part".into(),
            headers: vec![pair("Content-Type", "Application/JSON; charset=utf-8"), pair("User-Agent", "me")],
            cookies: vec![pair("a", "1"), pair("b", "x%20y")],
            body: Some(b"{\"a\":1}".to_vec()),
            ..Described::default()
        };
        let request = described.into_request(&rules()).unwrap();
        assert_eq!(request.address(), "/bl%C3%B6g/a%20b?q=%C3%A9&r=%20");
        let view = View { form_bodies: false, headers: &NamedHeaders::default() };
        let seen = request.as_value("/x", None, view);
        assert_eq!(seen["query"], json!({"q": "\u{e9}", "r": " "}));
        assert_eq!(seen["cookies"], json!({"a": "1", "b": "x y"}));
        assert_eq!(seen["headers"], json!({"user-agent": "me", "host": "localhost"}));
        assert_eq!((&seen["body"], &seen["ip"]), (&json!({"a": 1}), &json!("127.0.0.1")));
    }

    #[test]
    fn rejects_invalid_requests() {
        let rejection = |described: Described| described.into_request(&rules()).err().unwrap();
        let described = Described { address: "x".into(), ..Described::default() };
        assert_eq!(rejection(described), DescribedError::Address("x".into()));
        let described = Described { body: Some(vec![1]), ..Described::default() };
        assert_eq!(rejection(described), DescribedError::BodyOfGet { bytes: 1 });
        let with_header = |header| Described { headers: vec![header], ..Described::default() };
        assert_eq!(rejection(with_header(pair("a b", "1"))), DescribedError::HeaderName("a b".into()));
        let (name, value) = pair("a", "1\n2");
        assert_eq!(rejection(with_header(pair("a", "1\n2"))), DescribedError::HeaderValue { name, value });
    }
}
