//! The response of an upstream.

use super::body::ResponseBody;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// A response: its head, and its body as it comes.
#[derive(Debug)]
pub struct UpstreamResponse {
    /// The status and the header fields.
    pub head: ResponseHead,
    /// The body. Dropping it before its end closes the connection.
    pub body: ResponseBody,
}

/// The status and the header fields of a response.
///
/// Fields stay in the bytes in which they came: most of them are never asked for.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The HTTP status.
    pub status: StatusCode,
    fields: Fields,
}

#[derive(Clone, Debug)]
enum Fields {
    /// Lines that a parser has accepted, up to an empty one.
    Lines(Box<[u8]>),
    Map(HeaderMap),
}

impl ResponseHead {
    pub(super) fn from_lines(status: StatusCode, lines: &[u8]) -> Self {
        Self { status, fields: Fields::Lines(lines.into()) }
    }

    pub(super) const fn from_map(status: StatusCode, map: HeaderMap) -> Self {
        Self { status, fields: Fields::Map(map) }
    }

    /// The value of the first field called `name`.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        match &self.fields {
            Fields::Lines(lines) => fields(lines)
                .find(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
                .map(|(_, value)| value),
            Fields::Map(map) => map.get(name).map(HeaderValue::as_bytes),
        }
    }

    /// The value of the first field called `name`, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let value = std::str::from_utf8(self.bytes(name)?).ok()?;
        value.bytes().all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte)).then_some(value)
    }

    /// All fields, in order.
    pub fn to_map(&self) -> HeaderMap {
        let lines = match &self.fields {
            Fields::Lines(lines) => lines,
            Fields::Map(map) => return map.clone(),
        };
        let mut map = HeaderMap::new();
        for (name, value) in fields(lines) {
            let name = HeaderName::from_bytes(name);
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
                map.append(name, value);
            }
        }
        map
    }
}

/// The fields of a head that is known to be well-formed.
fn fields(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        loop {
            let colon = rest.iter().position(|&byte| matches!(byte, b':' | b'\n'))?;
            let (name, after) = rest.split_at_checked(colon)?;
            let end = memchr::memchr(b'\n', after).unwrap_or(after.len());
            let (value, next) = after.split_at_checked(end)?;
            rest = next.get(1..).unwrap_or_default();
            if let Some(value) = value.strip_prefix(b":") {
                return Some((name, value.trim_ascii()));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[u8] =
        b"Content-Type: text/event-stream \r\nX-Empty:\r\nx-a: 1\nX-A: 2\r\nx-b: \xff\r\n\r\n";

    #[test]
    fn fields_are_found_whatever_their_case() {
        let head = ResponseHead::from_lines(StatusCode::OK, LINES);
        let map = ResponseHead::from_map(StatusCode::OK, head.to_map());
        for head in [head, map] {
            assert_eq!(head.text("content-type"), Some("text/event-stream"));
            assert_eq!(head.text("x-empty"), Some(""));
            assert_eq!(head.text("x-a"), Some("1"));
            assert_eq!(head.bytes("x-b"), Some([0xff].as_slice()));
            assert_eq!((head.text("x-b"), head.text("x-c")), (None, None));
            assert_eq!(head.to_map().get_all("x-a").iter().count(), 2);
        }
    }
}
