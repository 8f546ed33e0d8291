//! Networks of addresses, origins of pages, and addresses of services.

use super::{
    raw_value::ConfigValue,
    value::{REDACTED, SettingType, hash_of, quoted},
};
use std::{fmt, net::IpAddr};

/// A network: an address and a prefix length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IpNetwork {
    /// The first address of the network.
    pub address: IpAddr,
    /// The number of prefix bits.
    pub bits: u32,
}

impl IpNetwork {
    /// Returns the network of `address`, or of the address alone; `None` if the prefix is too long.
    fn new(address: IpAddr, bits: Option<u32>) -> Option<Self> {
        let most = if address.to_canonical().is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl SettingType for IpNetwork {
    fn expects() -> String {
        "an IP address or a network such as `10.0.0.0/8`".to_owned()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        let text = node.text()?;
        let (address, bits) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address.parse().ok()?;
        let bits =
            if bits.is_empty() && !text.ends_with('/') { None } else { Some(bits.parse().ok()?) };
        Self::new(address, bits)
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

/// The origin of a page: scheme, host and port; or `*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CorsOrigin(String);

impl CorsOrigin {
    /// Returns the origin as a browser writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SettingType for CorsOrigin {
    fn expects() -> String {
        "an origin such as `https://app.example.org`, or `*`".to_owned()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        let text = node.text()?.to_lowercase();
        if text == "*" {
            return Some(Self(text));
        }
        let text = text.trim_end_matches('/');
        let (scheme, authority) = text.split_once("://")?;
        let authority: http::uri::Authority = authority.parse().ok()?;
        let plain = !scheme.is_empty() && !authority.as_str().contains('@');
        plain.then(|| Self(text.to_owned()))
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.0))
    }
}

/// The address of an HTTP service, without a slash at its end.
#[derive(Clone, Eq, PartialEq)]
pub struct ServiceUrl {
    text: String,
    host: String,
    port: u16,
}

impl ServiceUrl {
    /// Returns the URL as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the URL of a service on this machine.
    pub(super) fn local(port: u16) -> Self {
        let host = "localhost".to_owned();
        Self { text: format!("http://{host}:{port}"), host, port }
    }

    /// Returns the host and the port.
    pub(super) fn authority(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// The address, without a user's name and password, a query or a fragment.
    fn parse(text: &str) -> Option<Self> {
        let uri: http::Uri = text.parse().ok()?;
        let usual = match uri.scheme_str()? {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?.to_owned();
        let plain = uri.query().is_none() && !text.contains(['#', '@']);
        let port = uri.port_u16().unwrap_or(usual);
        plain.then(|| Self { text: text.trim_end_matches('/').to_owned(), host, port })
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl SettingType for ServiceUrl {
    fn expects() -> String {
        "an address such as `https://host:port/path`, without user or query".to_owned()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        Self::parse(node.text()?)
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.text))
    }
}

/// A header that is sent to an upstream. Its value is treated as a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpstreamHeader(http::HeaderValue);

impl UpstreamHeader {
    /// Returns the value, marked as sensitive.
    pub fn value(&self) -> &http::HeaderValue {
        &self.0
    }
}

impl SettingType for UpstreamHeader {
    fn expects() -> String {
        "the text of a header".to_owned()
    }

    fn is_secret() -> bool {
        true
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        let mut value = http::HeaderValue::from_str(node.text()?).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    fn show(&self) -> Option<String> {
        Some(REDACTED.to_owned())
    }

    fn fingerprint(&self) -> Option<String> {
        Some(hash_of(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw_value::{ValueKind, ValueSource};

    fn read<T: SettingType>(text: &str) -> Option<T> {
        let content = ValueKind::Text(text.to_owned());
        T::read(&ConfigValue { content, source: ValueSource::Variable("X".into()) })
    }

    #[track_caller]
    fn check(network: &str, expected: Option<&str>) {
        let network: Option<IpNetwork> = read(network);
        assert_eq!(network.map(|network| network.to_string()).as_deref(), expected);
    }

    #[test]
    fn network_prefix_is_bounded() {
        check("10.0.0.0/8", Some("10.0.0.0/8"));
        check("10.0.0.1", Some("10.0.0.1/32"));
        check("0.0.0.0/0", Some("0.0.0.0/0"));
        check("::/0", Some("::/0"));
        check("fd00::1", Some("fd00::1/128"));
        for wrong in ["10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "x", "10.0.0.0/-1"] {
            check(wrong, None);
        }
    }

    #[track_caller]
    fn check_url(text: &str, expected: Option<(&str, &str, u16)>) {
        let url: Option<ServiceUrl> = read(text);
        let parts = url.as_ref().map(|url| (url.as_str(), url.authority().0, url.authority().1));
        assert_eq!(parts, expected, "{text}");
    }

    #[test]
    fn url_needs_scheme_and_host_without_credentials() {
        check_url("http://h:1/v1/", Some(("http://h:1/v1", "h", 1)));
        check_url("https://h", Some(("https://h", "h", 443)));
        for wrong in ["h:1", "ftp://h", "http://", "http://u:p@h/", "http://h/?key=x", "http://h h"]
        {
            check_url(wrong, None);
        }
    }

    #[test]
    fn origin_has_no_path() {
        for (text, expected) in [
            ("https://App.example.org/", Some("https://app.example.org")),
            ("http://localhost:3000", Some("http://localhost:3000")),
            ("*", Some("*")),
            ("https://x/y", None),
            ("app.example.org", None),
        ] {
            let origin: Option<CorsOrigin> = read(text);
            assert_eq!(origin.as_ref().map(CorsOrigin::as_str), expected, "{text}");
        }
    }
}
