//! Checks what is read from the head and body of a request: what a visitor writes is only believed as far as
//! a trusted proxy passed it on.
//!
//! The input consists of lines with headers (`name: value`), an empty line, and the path with the query. The
//! rest is the body.

#![no_main]

use std::net::IpAddr;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sluice_app::request::described::Described;
use sluice_app::request::{Method, PageRequest, ReadRules, View};
use sluice_http::headers::NamedHeaders;
use sluice_limits::Limits;
use sluice_site::config::TrustedHostHeader;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn rules(is_trusted: bool, trusted_host_header: Option<TrustedHostHeader>) -> ReadRules {
    let trusted = if is_trusted { vec!["192.0.2.0/24".parse().expect("a network")] } else { Vec::new() };
    ReadRules { body_timeout: Duration::from_secs(1), trusted_proxies: trusted, trusted_host_header }
}

fuzz_target!(|text: &str| {
    let (head, rest) = text.split_once("\n\n").unwrap_or((text, "/"));
    let (address, body) = rest.split_once('\n').unwrap_or((rest, ""));
    let headers: Vec<(String, String)> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let read = |rules: &ReadRules| -> Option<PageRequest> {
        let described = Described {
            method: Method::Post,
            address: address.to_owned(),
            headers: headers.clone(),
            body: Some(body.as_bytes().to_vec()),
            ip: PEER,
            ..Described::default()
        };
        let mut request = described.into_request(rules).ok()?;
        let _ = (request.is_cross_origin(), request.address(), request.address_without_slash());
        let is_bounded = request.count_parts(&Limits::default(), true).is_ok();
        let value =
            request.as_value("/", None, View { form_bodies: true, headers: &NamedHeaders::default() });
        if is_bounded {
            let pairs = value["queries"].as_object().expect("an object");
            let values: usize = pairs.values().map(|all| all.as_array().expect("a list").len()).sum();
            assert!(values as u64 <= Limits::default().query_parameters_max as u64, "{values} parameters");
        }
        let _ = request.take_url_token();
        Some(request)
    };
    let Some(direct) = read(&rules(false, Some(TrustedHostHeader::Forwarded))) else { return };
    assert_eq!((direct.ip, direct.is_https), (Some(PEER), false), "a visitor's own headers are not believed");
    for header in [None, Some(TrustedHostHeader::Forwarded), Some(TrustedHostHeader::XForwardedHost)] {
        let proxied = read(&rules(true, header)).expect("a trusted proxy does not make a request invalid");
        if header.is_none() {
            assert_eq!(proxied.host, direct.host, "the host is only read from the header that is named");
        }
    }
});
