//! Which addresses are public. Everything else belongs to a machine, a private network or nobody, and a
//! script must not reach it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of IPv4 that are not public: network, length of its prefix, and what it is.
const V4: [([u8; 4], u32, &str); 19] = [
    ([0, 0, 0, 0], 8, "unspecified"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "shared by a provider's customers"),
    ([127, 0, 0, 0], 8, "loopback"),
    // Has the metadata services of clouds.
    ([169, 254, 0, 0], 16, "link-local"),
    ([168, 63, 129, 16], 32, "a service of the machine's cloud"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "reserved"),
    ([192, 0, 2, 0], 24, "for documentation"),
    ([192, 31, 196, 0], 24, "reserved"),
    ([192, 52, 193, 0], 24, "reserved"),
    ([192, 88, 99, 0], 24, "reserved"),
    ([192, 168, 0, 0], 16, "private"),
    ([192, 175, 48, 0], 24, "reserved"),
    ([198, 18, 0, 0], 15, "for benchmarks"),
    ([198, 51, 100, 0], 24, "for documentation"),
    ([203, 0, 113, 0], 24, "for documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved"),
];

/// Networks of IPv6 that are not public, within the range of public addresses.
const V6: [([u16; 8], u32, &str); 5] = [
    // Teredo, ORCHID, benchmarks and other protocols.
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "reserved"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "for documentation"),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "IPv4 inside IPv6"),
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, "reserved"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "for documentation"),
];

/// What an address is, if it is not public.
pub(crate) fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => not_public_v4(address),
        IpAddr::V6(address) => not_public_v6(address),
    }
}

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let within =
        |network: [u8; 4], prefix: u32| (bits ^ u32::from_be_bytes(network)).leading_zeros() >= prefix;
    V4.iter().find(|(network, prefix, _)| within(*network, *prefix)).map(|(_, _, kind)| *kind)
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let bits = address.to_bits();
    // Only this range is for public addresses. The others contain, among others, IPv4 that is mapped,
    // compatible or translated (NAT64), and loopback, private, link-local and multicast addresses.
    if segments.first().is_none_or(|first| first >> 13 != 0b001) {
        return Some(outside_of_public_v6(address));
    }
    // ISATAP has an IPv4 address in the second half.
    if matches!(segments, [_, _, _, _, 0 | 0x200, 0x5efe, _, _]) {
        return Some("IPv4 inside IPv6");
    }
    let within =
        |network: [u16; 8], prefix: u32| (bits ^ Ipv6Addr::from(network).to_bits()).leading_zeros() >= prefix;
    V6.iter().find(|(network, prefix, _)| within(*network, *prefix)).map(|(_, _, kind)| *kind)
}

fn outside_of_public_v6(address: Ipv6Addr) -> &'static str {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "unspecified",
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
        // Compatible, mapped and translated.
        [0, 0, 0, 0, 0 | 0xffff, 0 | 0xffff, _, _] | [0x64, 0xff9b, ..] => "IPv4 inside IPv6",
        [first, ..] if first & 0xfe00 == 0xfc00 => "private",
        [first, ..] if first & 0xffc0 == 0xfe80 => "link-local",
        [first, ..] if first & 0xff00 == 0xff00 => "multicast",
        _ => "reserved",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<&'static str> {
        not_public(text.parse().unwrap())
    }

    #[test]
    fn only_public_addresses_can_be_reached() {
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:200::1",
            "2001:db7::1",
            "2003::1",
            "2a00:1450:4001::1",
            "3ffe::1",
        ] {
            assert_eq!(kind(public), None, "{public}");
        }
    }

    #[test]
    fn every_range_that_is_not_public_is_known() {
        for (address, expected) in [
            ("0.0.0.0", "unspecified"),
            ("0.255.255.255", "unspecified"),
            ("10.0.0.0", "private"),
            ("10.255.255.255", "private"),
            ("100.64.0.0", "shared by a provider's customers"),
            ("100.127.255.255", "shared by a provider's customers"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("169.254.169.254", "link-local"),
            ("168.63.129.16", "a service of the machine's cloud"),
            ("172.16.0.0", "private"),
            ("172.31.255.255", "private"),
            ("192.0.0.192", "reserved"),
            ("192.0.2.1", "for documentation"),
            ("192.88.99.1", "reserved"),
            ("192.168.0.1", "private"),
            ("198.18.0.1", "for benchmarks"),
            ("198.19.255.255", "for benchmarks"),
            ("198.51.100.1", "for documentation"),
            ("203.0.113.1", "for documentation"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.255", "reserved"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::7f00:1", "IPv4 inside IPv6"),
            ("::ffff:127.0.0.1", "IPv4 inside IPv6"),
            ("::ffff:1.1.1.1", "IPv4 inside IPv6"),
            ("::ffff:0:127.0.0.1", "IPv4 inside IPv6"),
            ("64:ff9b::7f00:1", "IPv4 inside IPv6"),
            ("64:ff9b:1::a00:1", "IPv4 inside IPv6"),
            ("2002:7f00:1::", "IPv4 inside IPv6"),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "reserved"),
            ("2606:4700::5efe:7f00:1", "IPv4 inside IPv6"),
            ("2606:4700::200:5efe:a00:1", "IPv4 inside IPv6"),
            ("fc00::1", "private"),
            ("fd00:ec2::254", "private"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("fec0::1", "reserved"),
            ("ff02::1", "multicast"),
            ("100::1", "reserved"),
            ("4000::1", "reserved"),
            ("5f00::1", "reserved"),
            ("2001:db8::1", "for documentation"),
            ("2001:2::1", "reserved"),
            ("3fff::1", "for documentation"),
        ] {
            assert_eq!(kind(address), Some(expected), "{address}");
        }
    }
}
