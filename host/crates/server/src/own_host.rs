//! Which Hosts mean a listener that only its user's own machine should reach. A check of the Host stops
//! DNS rebinding: a web page of an attacker whose name suddenly leads to 127.0.0.1 still sends its name.

use std::net::IpAddr;

/// Whether the Host, without its port, is `localhost`, a loopback address or one of the listed names.
pub(crate) fn is_own_host(host: &str, listed: &[String]) -> bool {
    let name = name_of(host);
    let is_loopback = name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_loopback || listed.iter().any(|known| name_of(known).eq_ignore_ascii_case(name))
}

/// The same for `sluice dev`, where names below `localhost` stand for brands. Browsers never ask a DNS
/// server for them (RFC 6761).
pub(crate) fn is_own_host_of_dev(host: &str, listed: &[String]) -> bool {
    let name = name_of(host);
    let is_below = name
        .rsplit_once('.')
        .is_some_and(|(below, last)| !below.is_empty() && last.eq_ignore_ascii_case("localhost"));
    is_below || is_own_host(host, listed)
}

/// A host without its port, the brackets of an address, and the dot at its end.
fn name_of(host: &str) -> &str {
    if host.parse::<IpAddr>().is_ok() {
        return host;
    }
    let name = match host.strip_prefix('[') {
        Some(literal) => literal.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_loopback_and_listed_hosts_only() {
        let listed = ["ops.example".to_owned(), "fd00::7".to_owned()];
        for host in [
            "localhost",
            "LOCALHOST:9090",
            "localhost.:1",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:9090",
            "Ops.example:443",
            "[fd00::7]:1",
        ] {
            assert!(is_own_host(host, &listed) && is_own_host_of_dev(host, &listed), "{host}");
        }
        for host in [
            "",
            ".",
            ".localhost",
            "evil.example",
            "localhost.evil.example",
            "evil.example#.localhost.example",
            "10.0.0.1",
            "[::2]:1",
            "127.0.0.1.evil.example",
            "xlocalhost",
        ] {
            assert!(!is_own_host(host, &listed) && !is_own_host_of_dev(host, &listed), "{host}");
        }
        assert!(is_own_host_of_dev("Shop.Localhost:8080", &[]) && !is_own_host("shop.localhost", &[]));
    }
}
