//! The addresses that share limits.

use std::net::{IpAddr, Ipv6Addr};

/// Returns the network whose addresses share limits with `address`: a /64 for IPv6.
pub fn client_prefix(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(it) => Ipv6Addr::from_bits(it.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ipv6_prefix_shares_a_limit() {
        let prefix = |text: &str| super::client_prefix(text.parse().unwrap()).to_string();
        assert_eq!(prefix("192.0.2.1"), "192.0.2.1");
        assert_eq!(prefix("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
