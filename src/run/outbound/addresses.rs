//! Classifies addresses that are not part of the public internet, and parses address ranges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Parses a range of addresses such as `10.0.0.0/8`, or a single address.
pub(super) fn range(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse().map(IpAddr::into).ok())
}

/// Converts an `IPv4` address that is written as an `IPv6` address to `IPv4`.
pub(super) fn meant(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Whether an address is not an ordinary public one: this machine, a private network, a network's own services (such
/// as the metadata service of a cloud), multicast, or a reserved range (IANA's registries of special-purpose
/// addresses).
pub(super) fn is_special(address: IpAddr) -> bool {
    match meant(address) {
        IpAddr::V4(address) => is_special_v4(address),
        IpAddr::V6(address) => is_special_v6(address),
    }
}

fn is_special_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        // Shared address space of carriers.
        || (a == 100 && (64..128).contains(&b))
        // Protocol assignments, and the former relay addresses of 6to4.
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        // Benchmarks between networks.
        || (a == 198 && (18..20).contains(&b))
}

fn is_special_v6(address: Ipv6Addr) -> bool {
    let pair = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // Translation to IPv4, and 6to4: special if the IPv4 address inside is.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => is_special_v4(pair(high, low)),
        // Protocol assignments (including Teredo), and documentation.
        [0x2001, 0..0x200 | 0xdb8, ..] | [0x3fff, 0..0x1000, ..] => true,
        // Of the other addresses, only 2000::/3 is allocated to networks.
        [first, ..] => first & 0xe000 != 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_special() {
        for address in [
            "127.0.0.1",
            "127.255.255.254",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12:3456::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:0a00:0001::1",
            "2001::1",
            "2001:db8::1",
            "100::1",
            "fd00:ec2::254",
        ] {
            assert!(is_special(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.169.0.1",
            "223.255.255.255",
            "198.20.0.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
            "2002:0808:0808::1",
        ] {
            assert!(!is_special(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        let holds = |range: &str, address: &str| {
            super::range(range).unwrap().contains(&address.parse::<IpAddr>().unwrap())
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.0.0.7", "10.0.0.7"));
        assert!(!holds("10.0.0.7", "10.0.0.8"));
        assert!(holds("0.0.0.0/0", "9.9.9.9"));
        assert!(!holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "fd00::1"));
        assert!(holds("fd00::/8", "fdff::1"));
        assert!(!holds("fd00::/8", "fe80::1"));
        for wrong in ["10.0.0.0/33", "10.0.0/8", "x", "", "::/129", "10.0.0.0/", "10.0.0.0/-1"] {
            assert!(range(wrong).is_none(), "{wrong}");
        }
    }
}
