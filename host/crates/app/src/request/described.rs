//! A request as its author describes it, for tools that send none.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::{Body, Head, Method, PageRequest, ReadRules};

/// What is asked for, and by whom.
#[derive(Debug, Clone)]
pub struct Described {
    pub method: Method,
    /// Path and query; what an address cannot hold is percent-encoded.
    pub address: String,
    pub host: String,
    pub headers: Vec<(String, String)>,
    /// Names and values, as the browser would send them.
    pub cookies: Vec<(String, String)>,
    /// Its type is in `headers`.
    pub body: Option<Vec<u8>>,
    pub is_https: bool,
    pub ip: IpAddr,
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
    /// The request as a listener would have read it.
    ///
    /// # Errors
    /// A sentence: what cannot be sent.
    pub fn into_request(self, rules: &ReadRules) -> Result<PageRequest, String> {
        if !self.address.starts_with('/') {
            return Err(format!("the address must begin with a slash: {:?}", self.address));
        }
        let address = encoded(self.address.split('#').next().unwrap_or_default());
        let (path, query) = address.split_once('?').unwrap_or((&address, ""));
        let headers = self.header_map()?;
        let body = match self.body {
            Some(bytes) if self.method != Method::Post => {
                return Err(format!("a body of {} bytes needs the method POST", bytes.len()));
            }
            // As a listener does with what is larger.
            Some(bytes) if bytes.len() > rules.body_bytes_max => Body::Dropped,
            Some(bytes) => Body::of_type(&headers, bytes),
            None => Body::None,
        };
        let head = Head { method: self.method, path, query, headers: &headers, peer: Some(self.ip) };
        let mut request = PageRequest::of(&head, body, rules);
        request.is_https |= self.is_https;
        Ok(request)
    }

    fn header_map(&self) -> Result<HeaderMap, String> {
        let mut map = HeaderMap::new();
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut put = |name: &str, value: &str| {
            let key = HeaderName::try_from(name).map_err(|_| format!("{name:?} is not a header's name"))?;
            let value = HeaderValue::try_from(value)
                .map_err(|_| format!("header {name}: {value:?} cannot be a header's value"))?;
            map.append(key, value);
            Ok::<_, String>(())
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

/// `address` as browsers send it: spaces and what is not ASCII are percent-encoded.
fn encoded(address: &str) -> String {
    let mut out = String::with_capacity(address.len());
    for byte in address.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn rules() -> ReadRules {
        ReadRules { body_bytes_max: 20, body_timeout: Duration::ZERO, trusted_proxies: Vec::new() }
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn it_is_what_a_listener_reads() {
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
        let seen = request.as_value("/x", &Vec::new(), false);
        assert_eq!(seen["query"], json!({"q": "\u{e9}", "r": " "}));
        assert_eq!(seen["cookies"], json!({"a": "1", "b": "x y"}));
        assert_eq!(seen["headers"], json!({"user-agent": "me", "host": "localhost"}));
        assert_eq!((&seen["body"], &seen["ip"]), (&json!({"a": 1}), &json!("127.0.0.1")));
    }

    #[test]
    fn what_cannot_be_sent_is_said() {
        let refused = |described: Described| described.into_request(&rules()).err().unwrap();
        assert!(refused(Described { address: "x".into(), ..Described::default() }).contains("slash"));
        assert!(refused(Described { body: Some(vec![1]), ..Described::default() }).contains("POST"));
        for bad in [pair("a b", "1"), pair("a", "1\n2")] {
            assert!(refused(Described { headers: vec![bad], ..Described::default() }).contains("header"));
        }
        let large = Described { method: Method::Post, body: Some(vec![b'1'; 21]), ..Described::default() };
        assert!(matches!(large.into_request(&rules()).unwrap().body, Body::Dropped));
    }
}
