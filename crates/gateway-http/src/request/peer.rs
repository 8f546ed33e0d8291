//! The caller's address behind reverse proxies.

use crate::names;
use http::{HeaderMap, HeaderName, header::FORWARDED};
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

/// The header in which trusted proxies report the addresses of callers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ForwardedHeader {
    /// Whichever is there. Where both are, they must agree: a proxy that writes only one of them
    /// passes on what the caller has written into the other.
    #[default]
    Either,
    /// `Forwarded`.
    Forwarded,
    /// `X-Forwarded-For`.
    XForwardedFor,
}

/// The trusted reverse proxies.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// Networks of proxies that are believed.
    pub trusted: Vec<Network>,
    /// The header that they write.
    pub header: ForwardedHeader,
}

impl Peers {
    /// Returns the caller's address for a request from `socket` with `headers`.
    ///
    /// Only trusted proxies are believed: the result is the nearest hop that is not one of them.
    pub(crate) fn caller(&self, socket: IpAddr, headers: &HeaderMap) -> IpAddr {
        let proxy = socket.to_canonical();
        if self.trusted.is_empty() || !self.is_trusted(proxy) {
            return proxy;
        }
        let nearest = |hops: &[Option<IpAddr>]| self.nearest(proxy, hops);
        let (x_forwarded_for, forwarded) = (x_forwarded_for(headers), forwarded(headers));
        match self.header {
            ForwardedHeader::XForwardedFor => nearest(&x_forwarded_for),
            ForwardedHeader::Forwarded => nearest(&forwarded),
            ForwardedHeader::Either if forwarded.is_empty() => nearest(&x_forwarded_for),
            ForwardedHeader::Either if x_forwarded_for.is_empty() => nearest(&forwarded),
            ForwardedHeader::Either => {
                let caller = nearest(&forwarded);
                if caller == nearest(&x_forwarded_for) { caller } else { proxy }
            }
        }
    }

    /// Returns the last of `hops`, from `proxy` on, up to the first that is no trusted proxy.
    fn nearest(&self, proxy: IpAddr, hops: &[Option<IpAddr>]) -> IpAddr {
        let mut caller = proxy;
        for hop in hops {
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

/// Returns the hops of `X-Forwarded-For`, nearest first; `None` for one that is not an address.
fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    header_values(headers, &names::FORWARDED_FOR).map(|hop| address(&hop)).collect()
}

/// Returns the hops of `Forwarded`, nearest first; `None` for one that is not an address.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    header_values(headers, &FORWARDED).map(|element| address(forwarded_for(&element)?)).collect()
}

/// Returns the members of a list in the headers of one name, the last first. What is not text is no
/// address.
fn header_values(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> {
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
    let members: Vec<_> = values.flat_map(|value| value.split(',')).collect();
    let members: Vec<_> = members.into_iter().map(|it| it.trim().to_owned()).collect();
    members.into_iter().rev()
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
    fn check_header(
        header: ForwardedHeader,
        socket: &str,
        headers: &[(&'static str, &str)],
        caller: &str,
    ) {
        let network = |address: &str| Network::new(address.parse().unwrap(), Some(8)).unwrap();
        let trusted = vec![network("10.0.0.0"), network("fd00::")];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let peers = Peers { trusted, header };
        let found = peers.caller(socket.parse().unwrap(), &map);
        assert_eq!(found.to_string(), caller, "{headers:?} {header:?}");
    }

    /// Trusting proxies that write either header.
    #[track_caller]
    fn check(socket: &str, headers: &[(&'static str, &str)], caller: &str) {
        check_header(ForwardedHeader::Either, socket, headers, caller);
    }

    #[test]
    fn strangers_are_not_believed() {
        check("192.0.2.1", &[("x-forwarded-for", "1.2.3.4")], "192.0.2.1");
        check("192.0.2.1", &[("forwarded", "for=1.2.3.4")], "192.0.2.1");
        check("::ffff:192.0.2.1", &[], "192.0.2.1");
    }

    #[test]
    fn nearest_untrusted_hop_is_the_caller() {
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
    fn forwarded_header_is_read() {
        check("10.0.0.1", &[("forwarded", "for=1.2.3.4;proto=https")], "1.2.3.4");
        check(
            "10.0.0.1",
            &[("forwarded", r#"For="[2001:db8::7]:80", for=10.1.1.1"#)],
            "2001:db8::7",
        );
    }

    /// A proxy writes one of the headers; the caller has written the other.
    #[test]
    fn header_that_the_proxy_does_not_write_is_not_believed() {
        let both = [("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=1.2.3.4")];
        check("10.0.0.1", &both, "10.0.0.1");
        check_header(ForwardedHeader::Forwarded, "10.0.0.1", &both, "1.2.3.4");
        check_header(ForwardedHeader::XForwardedFor, "10.0.0.1", &both, "6.6.6.6");
        check_header(ForwardedHeader::Forwarded, "10.0.0.1", &both[..1], "10.0.0.1");
        let same = [("x-forwarded-for", "1.2.3.4"), ("forwarded", "for=1.2.3.4")];
        check("10.0.0.1", &same, "1.2.3.4");
    }

    #[test]
    fn invalid_forwarded_address_ends_proxy_chain() {
        check("10.0.0.1", &[("x-forwarded-for", "1.2.3.4, unknown")], "10.0.0.1");
        check("10.0.0.1", &[("x-forwarded-for", "1.2.3.4, x, 10.2.2.2")], "10.2.2.2");
        check("10.0.0.1", &[("forwarded", "by=1.2.3.4")], "10.0.0.1");
    }
}
