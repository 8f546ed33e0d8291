//! The caller's address behind reverse proxies.

use crate::names;
use http::{HeaderMap, header::FORWARDED};
use std::{fmt, net::IpAddr};

/// A network: an address, and how many of its leading bits count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// The network of `address`, or it alone; nothing if it has not so many bits.
    pub fn new(address: IpAddr, bits: Option<u32>) -> Option<Self> {
        let most = bits_of(address).1;
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }

    /// Whether `address` is in the network. An IPv4 address in the clothes of an IPv6 one counts as
    /// the former.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (network, address) = (bits_of(self.address), bits_of(address));
        let same_family = network.1 == address.1;
        let ignored = network.1.saturating_sub(self.bits);
        same_family && (network.0 ^ address.0).checked_shr(ignored).unwrap_or(0) == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// The trusted reverse proxies.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// Networks of proxies that are believed.
    pub trusted: Vec<Network>,
}

impl Peers {
    /// Returns the caller's address for a request from `socket` with `headers`.
    ///
    /// Only trusted proxies are believed: the result is the nearest hop that is not one of them.
    pub(crate) fn caller(&self, socket: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut caller = socket.to_canonical();
        if self.trusted.is_empty() || !self.is_trusted(caller) {
            return caller;
        }
        for hop in hops(headers) {
            let Some(hop) = hop else { return caller };
            caller = hop.to_canonical();
            if !self.is_trusted(caller) {
                break;
            }
        }
        caller
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

/// The bits of an address, and how many there are.
fn bits_of(address: IpAddr) -> (u128, u32) {
    match address.to_canonical() {
        IpAddr::V4(address) => (address.to_bits().into(), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// Returns the hops of the forwarding headers, nearest first; `None` for one that is not an
/// address.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let listed = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|it| it.trim().to_owned()).collect()
    };
    let told = listed(names::FORWARDED_FOR.as_str());
    let mut hops: Vec<_> = if told.is_empty() {
        listed(FORWARDED.as_str()).iter().map(|element| address(forwarded_for(element)?)).collect()
    } else {
        told.iter().map(|hop| address(hop)).collect()
    };
    hops.reverse();
    hops
}

/// The value of `for` in an element such as `for=192.0.2.60;proto=http`.
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// An address, perhaps with a port: `192.0.2.1:80`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split(']').next()?.parse().ok();
    }
    text.parse().ok().or_else(|| text.rsplit_once(':')?.0.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// Trusting `10.0.0.0/8` and `fd00::/8`.
    #[track_caller]
    fn check(socket: &str, headers: &[(&'static str, &str)], caller: &str) {
        let network = |address: &str| Network::new(address.parse().unwrap(), Some(8)).unwrap();
        let trusted = vec![network("10.0.0.0"), network("fd00::")];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let found = Peers { trusted }.caller(socket.parse().unwrap(), &map);
        assert_eq!(found.to_string(), caller, "{headers:?}");
    }

    #[test]
    fn strangers_are_not_believed() {
        check("192.0.2.1", &[("x-forwarded-for", "1.2.3.4")], "192.0.2.1");
        check("192.0.2.1", &[("forwarded", "for=1.2.3.4")], "192.0.2.1");
        check("::ffff:192.0.2.1", &[], "192.0.2.1");
    }

    #[test]
    fn the_nearest_stranger_is_the_caller() {
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &[("x-forwarded-for", "1.2.3.4")], "1.2.3.4");
        check("::ffff:10.0.0.1", &[("x-forwarded-for", "1.2.3.4")], "1.2.3.4");
        check("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.9.9.9")], "1.2.3.4");
        let two = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.2.3.4")];
        check("10.0.0.1", &two, "1.2.3.4");
        check("10.0.0.1", &[("x-forwarded-for", "1.2.3.4:5678")], "1.2.3.4");
        check("fd00::1", &[("x-forwarded-for", "[2001:db8::7]:80")], "2001:db8::7");
    }

    #[test]
    fn the_standard_header_counts_too() {
        check("10.0.0.1", &[("forwarded", "for=1.2.3.4;proto=https")], "1.2.3.4");
        check(
            "10.0.0.1",
            &[("forwarded", r#"For="[2001:db8::7]:80", for=10.1.1.1"#)],
            "2001:db8::7",
        );
    }

    #[test]
    fn invalid_forwarded_address_ends_proxy_chain() {
        check("10.0.0.1", &[("x-forwarded-for", "1.2.3.4, unknown")], "10.0.0.1");
        check("10.0.0.1", &[("x-forwarded-for", "1.2.3.4, x, 10.2.2.2")], "10.2.2.2");
        check("10.0.0.1", &[("forwarded", "by=1.2.3.4")], "10.0.0.1");
    }
}
