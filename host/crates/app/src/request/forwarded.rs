//! What proxies say about the visitor: `Forwarded` (RFC 7239) and `X-Forwarded-*`. These
//! headers are trusted only from the proxies that the operator lists.

use std::net::IpAddr;

use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

use sluice_site::config::TrustedHostHeader;

use super::ReadRules;

/// The visitor, as far as the connection and trusted proxies tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) ip: Option<IpAddr>,
    pub(super) is_https: bool,
    /// The host that the visitor asked for, if the proxy names it in the trusted header.
    pub(super) host: Option<String>,
}

/// What one proxy says about the client from which it received the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Hop {
    ip: Option<IpAddr>,
    proto: Option<String>,
    host: Option<String>,
}

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// Its address, if it is known.
    Address(Option<IpAddr>),
    /// A proxy on this machine, over the Unix socket.
    Proxy,
}

/// The visitor behind the connection.
pub(super) fn client(peer: Peer, headers: &HeaderMap, rules: &ReadRules) -> Client {
    let trusted = rules.trusted_proxies.as_slice();
    let (peer, is_proxy) = match peer {
        Peer::Address(ip) => (ip.map(|ip| ip.to_canonical()), false),
        Peer::Proxy => (None, true),
    };
    let direct = Client { ip: peer, ..Client::default() };
    if !is_proxy && !peer.is_some_and(|ip| is_trusted(ip, trusted)) {
        return direct;
    }
    let (standard, mut common) = (forwarded(headers), x_forwarded(headers));
    // A proxy that is configured to hide the visitor's address still sends the scheme and the
    // host.
    if standard.is_empty() && common.is_empty() {
        let proto = last(headers, "x-forwarded-proto");
        if proto.is_some() {
            common.push(Hop { ip: peer, proto, host: None });
        }
    }
    let (standard, common) = (nearest(&standard, trusted), nearest(&common, trusted));
    // Only the header that the operator names: proxies pass on the other one as the visitor sent it.
    let host = match rules.trusted_host_header {
        Some(TrustedHostHeader::Forwarded) => standard.and_then(|hop| hop.host.clone()),
        Some(TrustedHostHeader::XForwardedHost) => {
            common.and_then(|hop| hop.host.clone()).or_else(|| last(headers, "x-forwarded-host"))
        }
        None => None,
    };
    let found = match (standard, common) {
        // A proxy that writes only one of the two headers may pass on the other one from the
        // visitor. If they differ, neither can be trusted.
        (Some(a), Some(b)) if a.ip != b.ip => None,
        (Some(a), Some(b)) => Some((a.ip, a.proto.as_ref().or(b.proto.as_ref()))),
        (one, other) => one.or(other).map(|hop| (hop.ip, hop.proto.as_ref())),
    };
    match found {
        Some((ip, proto)) => {
            Client { ip, is_https: proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https")), host }
        }
        None => Client { host, ..direct },
    }
}

/// The last item of a list, which the nearest proxy wrote.
fn last(headers: &HeaderMap, name: &str) -> Option<String> {
    let item = values(headers, name).last()?.rsplit(',').next()?.trim();
    Some(item.to_owned()).filter(|item| !item.is_empty())
}

fn is_trusted(ip: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&ip))
}

/// The last hop whose address is not a trusted proxy. The visitor could have written the hops
/// before it. If every hop is a trusted proxy, the first one.
fn nearest<'a>(hops: &'a [Hop], trusted: &[IpNet]) -> Option<&'a Hop> {
    let outside = |hop: &&Hop| !hop.ip.is_some_and(|ip| is_trusted(ip, trusted));
    hops.iter().rev().find(outside).or(hops.first())
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).filter_map(|value| value.to_str().ok())
}

fn forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let elements = values(headers, "forwarded").flat_map(|line| split(line, ','));
    elements.map(|element| element_hop(&element)).collect()
}

fn element_hop(element: &str) -> Hop {
    let mut hop = Hop::default();
    for pair in split(element, ';') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let value = unquote(value.trim());
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => hop.ip = address(&value),
            "proto" => hop.proto = Some(value),
            "host" => hop.host = Some(value),
            _ => {}
        }
    }
    hop
}

/// Reads `X-Forwarded-*`. The schemes and the hosts belong to the addresses if the lists have the
/// same length. Otherwise, the last scheme and the last host apply to every address.
fn x_forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let list = |name: &str| -> Vec<String> {
        values(headers, name).flat_map(|line| line.split(',')).map(|item| item.trim().to_owned()).collect()
    };
    let (addresses, protos, hosts) =
        (list("x-forwarded-for"), list("x-forwarded-proto"), list("x-forwarded-host"));
    let at = |items: &[String], index: usize| {
        let item = if items.len() == addresses.len() { items.get(index) } else { items.last() };
        item.cloned()
    };
    let hop = |(index, text): (usize, &String)| Hop {
        ip: address(text),
        proto: at(&protos, index),
        host: at(&hosts, index),
    };
    addresses.iter().enumerate().map(hop).collect()
}

/// Splits `text` at each `separator` outside quotes.
fn split(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let (mut is_quoted, mut is_escaped) = (false, false);
    for c in text.chars() {
        if c == separator && !is_quoted {
            parts.push(std::mem::take(&mut part));
            continue;
        }
        if c == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = is_quoted && c == '\\' && !is_escaped;
        part.push(c);
    }
    parts.push(part);
    parts
}

fn unquote(value: &str) -> String {
    match value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => value.to_owned(),
    }
}

/// Parses `1.2.3.4`, `1.2.3.4:5`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:5`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = match text.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?.0,
        None => match text.split_once(':') {
            Some((v4, port)) if !port.contains(':') => v4,
            _ => text,
        },
    };
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn seen(peer: &str, headers: &[(&str, &str)]) -> Client {
        seen_with(None, peer, headers)
    }

    fn seen_with(
        trusted_host_header: Option<TrustedHostHeader>,
        peer: &str,
        headers: &[(&str, &str)],
    ) -> Client {
        seen_by(Peer::Address(Some(peer.parse().unwrap())), trusted_host_header, headers)
    }

    fn seen_by(
        peer: Peer,
        trusted_host_header: Option<TrustedHostHeader>,
        headers: &[(&str, &str)],
    ) -> Client {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        let rules = ReadRules {
            body_timeout: std::time::Duration::ZERO,
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            trusted_host_header,
        };
        client(peer, &map, &rules)
    }

    fn from(ip: &str) -> Client {
        Client { ip: Some(ip.parse().unwrap()), ..Client::default() }
    }

    #[test]
    fn believes_the_proxy_on_the_unix_socket() {
        let of = |headers: &[(&str, &str)]| seen_by(Peer::Proxy, None, headers);
        assert_eq!(of(&[]), Client::default(), "nobody says who it is");
        let said = [
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "victim.example"),
        ];
        assert_eq!(of(&said), Client { is_https: true, ..from("192.0.2.7") });
        assert_eq!(of(&[said[0], ("forwarded", "for=198.51.100.1")]), Client::default(), "they differ");
        let named = seen_by(Peer::Proxy, Some(TrustedHostHeader::XForwardedHost), &said);
        assert_eq!(named.host.as_deref(), Some("victim.example"));
    }

    #[test]
    fn trusts_only_listed_proxies() {
        let claims =
            [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-proto", "https"), ("forwarded", "for=1.1.1.1")];
        assert_eq!(seen("9.9.9.9", &claims), from("9.9.9.9"));
        assert_eq!(seen("10.0.0.1", &[]), from("10.0.0.1"));
        let https = Client { is_https: true, ..from("1.1.1.1") };
        assert_eq!(seen("10.0.0.1", &claims), https);
        assert_eq!(seen("::ffff:10.0.0.1", &claims), https);
    }

    #[test]
    fn ignores_hops_that_the_visitor_wrote() {
        let spoofed =
            [("x-forwarded-for", "6.6.6.6, 1.1.1.1, 10.0.0.2"), ("x-forwarded-proto", "https, http, http")];
        assert_eq!(seen("10.0.0.1", &spoofed), from("1.1.1.1"));
        let several = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.1.1.1")];
        assert_eq!(seen("10.0.0.1", &several), from("1.1.1.1"));
        let mixed = [("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=6.6.6.6;proto=https")];
        assert_eq!(seen("10.0.0.1", &mixed), from("10.0.0.1"), "the two headers differ");
    }

    #[test]
    fn reads_the_standard_header() {
        let header = r#"for="[2001:db8::1]:4711";proto=https;host="shop.example", for=10.0.0.3;proto=http"#;
        let client = seen_with(Some(TrustedHostHeader::Forwarded), "fd00::1", &[("forwarded", header)]);
        assert_eq!((client.ip, client.is_https), (Some("2001:db8::1".parse().unwrap()), true));
        assert_eq!(client.host.as_deref(), Some("shop.example"));
        assert_eq!(seen("10.0.0.1", &[("forwarded", "for=unknown;proto=https")]).ip, None);
        for odd in ["", ";;;", "for", "for=\"", "=,=;", "for=\"a\\\"b,c\""] {
            let _ = seen("10.0.0.1", &[("forwarded", odd)]);
        }
    }

    #[test]
    fn parses_every_form_of_an_address() {
        for (text, ip) in [
            ("1.2.3.4", "1.2.3.4"),
            (" 1.2.3.4:80 ", "1.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:80", "2001:db8::1"),
        ] {
            assert_eq!(address(text), Some(ip.parse().unwrap()), "{text}");
        }
        for text in ["", "unknown", "_hidden", "1.2.3", "[::1", "1.2.3.4.5"] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn reads_scheme_without_an_address() {
        let https = Client { is_https: true, ..from("10.0.0.1") };
        assert_eq!(seen("10.0.0.1", &[("x-forwarded-proto", "http, https")]), https);
        assert_eq!(seen("9.9.9.9", &[("x-forwarded-proto", "https")]), from("9.9.9.9"));
        let beside = [("forwarded", "for=1.1.1.1"), ("x-forwarded-proto", "https")];
        assert_eq!(seen("10.0.0.1", &beside), from("1.1.1.1"), "the standard header overrides the scheme");
    }

    #[test]
    fn takes_the_host_only_from_the_named_header_of_a_trusted_proxy() {
        let host = |named, peer, headers: &[(&str, &str)]| seen_with(named, peer, headers).host;
        let (standard, common) =
            (Some(TrustedHostHeader::Forwarded), Some(TrustedHostHeader::XForwardedHost));
        let both = [
            ("forwarded", "for=1.1.1.1;host=a.example"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-host", "b.example"),
        ];
        assert_eq!(host(None, "10.0.0.1", &both), None, "no header is named");
        assert_eq!(host(standard, "10.0.0.1", &both).as_deref(), Some("a.example"));
        assert_eq!(host(common, "10.0.0.1", &both).as_deref(), Some("b.example"));
        assert_eq!(host(common, "9.9.9.9", &both), None, "the peer is not trusted");
        assert_eq!(host(standard, "10.0.0.1", &both[1..]), None);
        assert_eq!(host(common, "10.0.0.1", &both[..1]), None);
        let forged = [both[0], ("x-forwarded-for", "2.2.2.2"), both[2]];
        assert_eq!(host(common, "10.0.0.1", &forged).as_deref(), Some("b.example"));
        let list = [("x-forwarded-host", "evil.example, b.example")];
        assert_eq!(host(common, "10.0.0.1", &list).as_deref(), Some("b.example"), "no address is sent");
        let appended = [both[1], ("x-forwarded-host", "evil.example"), both[2]];
        assert_eq!(host(common, "10.0.0.1", &appended).as_deref(), Some("b.example"));
        assert_eq!(host(common, "10.0.0.1", &[("x-forwarded-host", " ")]), None);
    }

    #[test]
    fn takes_the_first_hop_if_all_are_trusted_proxies() {
        assert_eq!(seen("10.0.0.1", &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")]), from("10.0.0.3"));
    }
}
