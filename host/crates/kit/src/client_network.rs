//! Which clients count as one where something is bounded for each of them. For every crate that does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network of a client. A client with IPv6 usually has all addresses of a /64 network, so its others count as the
/// same one. Clients whose address is not known count as one.
pub fn client_network(address: Option<IpAddr>) -> IpAddr {
    match address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()).to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            Ipv6Addr::from(u128::from(address) >> 64 << 64).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let of = |text: &str| client_network(Some(text.parse().unwrap())).to_string();
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("::1"), "::1");
        assert_eq!(client_network(None).to_string(), "0.0.0.0");
    }
}
